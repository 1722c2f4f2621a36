//! The network against its peers: verdicts against a bare round trip, pages against MiniBrowser, tunnels against a SOCKS relay,
//! WireGuard against wireguard-go with the kernel's own stack, Tor against the C tor. Arguments choose among them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark ends by panicking, and talks to its reader"
)]

#[path = "../shared/mod.rs"]
mod shared;

mod pages;
mod tor;
mod tunnels;
mod verdicts;
mod vpn;

use std::fs;

use regen_tests::{Browser, programs, programs_with, within};
use tempfile::TempDir;

use shared::PATIENCE;

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
            // Each may be in a network of its own.
            std::thread::spawn(measure).join().unwrap();
        }
    }
}

/// A browser whose tab-hosts are a program that only asks for what the address says.
struct Stranger {
    browser: Browser,
    _programs: TempDir,
}

impl Stranger {
    fn start() -> Self {
        let program = fs::read(programs().join("regen-network-child")).unwrap();
        let folder = programs_with("tab-host", &program);
        let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
        browser.start();
        Self { browser, _programs: folder }
    }

    fn open(&self, url: &str) -> u64 {
        self.browser.json(&["tab", "open", url])["id"].as_u64().unwrap()
    }

    fn says(&self, tab: u64) -> String {
        let title = || self.browser.tab(tab)["title"].as_str().unwrap_or_default().to_owned();
        let said = within(PATIENCE, || Some(title()).filter(|title| !title.is_empty()));
        said.unwrap_or_else(|| panic!("it says nothing: {}", self.browser.log()))
    }
}

/// What follows this word.
fn number_after(said: &str, word: &str) -> f64 {
    let rest = said.split(&format!("{word} ")).nth(1).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Memory of a process, its share of what is shared included, MB.
fn pss(pid: i32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
