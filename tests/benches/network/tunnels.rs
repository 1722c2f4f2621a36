//! Throughput of one tunnel, and memory and latency of many.

use std::net::Ipv4Addr;
use std::time::Instant;

use regen_tests::process::pss;
use regen_tests::proxy::UpstreamProxy;
use regen_tests::window::Display;
use regen_tests::{Browser, ForeignPeer, MiniBrowser};

use regen_tests::bench::{Server, ServerEvent, bound, median, report};

/// Size of the large file, MB.
const LARGE: usize = 1024;
const TUNNELS: u32 = 2000;
const RUNS: usize = 3;

pub(crate) fn measure() {
    let server = Server::start();
    large(&server);
    many(&server);
}

fn large(server: &Server) {
    let display = Display::start(800, 600);
    let proxy = UpstreamProxy::socks(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
    let through = format!("--proxy=socks5://127.0.0.1:{}", proxy.port());
    let url = server.url(2, &format!("/big?{LARGE}"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let took = || server.wait(ServerEvent::BigStarted);
    for _ in 0..RUNS {
        server.forget();
        let mini = MiniBrowser::start(&display, &[&through, &url]);
        let start = took();
        theirs.push(server.wait(ServerEvent::BigSent) - start);
        drop(mini);

        server.forget();
        let browser = Browser::headless();
        browser.regen(&["tab", "open", &url]).unwrap();
        let start = took();
        ours.push(server.wait(ServerEvent::BigSent) - start);
    }
    // At least half of the throughput is at most twice the time.
    report("1 GB through a tunnel", median(ours), "MiniBrowser through a SOCKS relay", median(theirs), 2.0);
}

/// Measures many open tunnels of one tab-host.
fn many(server: &Server) {
    let stranger = ForeignPeer::start();
    let daemon = stranger.browser.daemon("net-daemon");
    let before = pss(daemon);
    let start = Instant::now();
    let tab = stranger.open(&server.url(1, &format!("/tunnels/{TUNNELS}")));
    let said = stranger.says(tab);
    println!("{said}, after {:.1} s", start.elapsed().as_secs_f64());
    bound("net-daemon with 2,000 tunnels, PSS", pss(daemon), "MB", 150.0);
    println!("    without tunnels: {before:.1} MB");
    bound(
        "slowest answer of 2,000 concurrent requests",
        super::number_after(&said, "slowest") / super::number_after(&said, "median"),
        "medians",
        10.0,
    );
}
