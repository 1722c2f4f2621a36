//! Tor in the net-daemon against C tor, with the same relays and pages.

use std::time::Duration;

use regen_tests::network::{add_address, quiet_network};
use regen_tests::window::Display;
use regen_tests::{Browser, MiniBrowser, TorNetwork};

use regen_tests::bench::{Server, ServerEvent, median, report};

const RUNS: usize = 9;
const FIRST: &str = "/library/inspect.html";
const SECOND: &str = "/library/functions.html";
const NETWORK: [u8; 3] = [10, 80, 0];

pub(crate) fn measure() {
    quiet_network();
    let [a, b, c] = NETWORK;
    (1..=8).for_each(|number| add_address([a, b, c, number].into()));
    let server = Server::with_pages(NETWORK, |_| None);
    let mut tor = TorNetwork::start(4);
    let through = format!("--proxy=socks5://{}", tor.socks());
    let display = Display::start(1280, 800);
    let browser = Browser::with_options(&["--headless", "--tor-config", tor.config().to_str().unwrap()]);
    browser.regen(&["route", "set", "tor"]).unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first run of each builds circuits and is not counted.
    for run in 0..=RUNS {
        let second = |left: std::time::Instant| -> Duration { server.wait(ServerEvent::Done) - left };
        *server.next.lock().unwrap() = SECOND.to_owned();
        server.forget();
        let mini = MiniBrowser::start(&display, &[&through, &server.url(1, FIRST)]);
        let their_time = second(server.wait(ServerEvent::Leaving));
        drop(mini);

        *server.next.lock().unwrap() = SECOND.to_owned();
        server.forget();
        let tab = browser.json(&["tab", "open", &server.url(1, FIRST)])["id"].as_u64().unwrap();
        let our_time = second(server.wait(ServerEvent::Leaving));
        browser.regen(&["tab", "close", &tab.to_string()]).unwrap();
        if run > 0 {
            ours.push(our_time);
            theirs.push(their_time);
        }
    }
    report("a page over Tor", median(ours), "MiniBrowser and tor", median(theirs), 1.1);
}
