//! Network benchmarks against peers: verdicts against a bare round trip, pages against MiniBrowser, tunnels against a
//! SOCKS relay, WireGuard against wireguard-go with the kernel's stack, Tor against C tor. Arguments select benchmarks
//! by name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking, and prints its results"
)]

mod pages;
mod tor;
mod tunnels;
mod verdicts;
mod vpn;

fn main() {
    let all: [(&str, fn()); 5] = [
        ("verdicts", verdicts::measure),
        ("pages", pages::measure),
        ("tunnels", tunnels::measure),
        ("vpn", vpn::measure),
        ("tor", tor::measure),
    ];
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, measure) in all {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            // A benchmark may move its thread into a network namespace of its own.
            std::thread::spawn(measure).join().unwrap();
        }
    }
}

/// Returns the number that follows this word.
fn number_after(said: &str, word: &str) -> f64 {
    let rest = said.split(&format!("{word} ")).nth(1).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}
