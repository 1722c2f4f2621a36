//! Spoofing: the window must never show one site's page or dialog under another site's address.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, Instant};

use regen_tests::site::Answer;
use regen_tests::window::{Display, Screen};
use regen_tests::{Browser, DEADLINE, SessionBus, Site, eventually, within};

const GREEN: [u8; 3] = [0x10, 0xa0, 0x40];
const BLUE: [u8; 3] = [0x30, 0x50, 0xc0];

/// Returns the pixels of the address bar, with the lock and the text beside it.
fn address(screen: &Screen) -> Vec<[u8; 3]> {
    (52..76).flat_map(|y| (155..1150).map(move |x| screen.pixel(x, y))).collect()
}

fn shows(display: &Display, colour: [u8; 3]) {
    eventually("the page", || (display.screenshot().share(colour, 100, 300, 1000, 400) > 0.95).then_some(()));
}

/// Returns the pixels of the address bar once it has not changed for two seconds.
fn settled(display: &Display) -> Vec<[u8; 3]> {
    let mut last = address(&display.screenshot());
    let mut since = Instant::now();
    eventually("the address bar to settle", || {
        let now = address(&display.screenshot());
        if now != last {
            since = Instant::now();
            last = now;
        }
        (since.elapsed() > Duration::from_secs(2)).then(|| last.clone())
    })
}

fn coloured(title: &str, colour: &str, more: &str) -> Answer {
    Answer::page(&format!(
        "<!doctype html><title>{title}</title><body style='margin:0;background:{colour};height:100vh'>{more}"
    ))
}

#[test]
fn a_user_name_in_an_address_is_nowhere_in_the_address_bar() {
    let site = Site::serve(|request| {
        Some(coloured("page", if request.host == "127.0.0.2" { "#3050c0" } else { "#10a040" }, ""))
    });
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    shows(&display, GREEN);
    let first = settled(&display);
    let open = |url: &str| {
        browser.regen(&["tab", "goto", "1", url, "--wait"]).unwrap();
        shows(&display, BLUE);
        settled(&display)
    };
    let plain = open(&site.url(2, "/in"));
    assert!(plain != first, "control: another site's address looks the same");
    browser.regen(&["tab", "goto", "1", &site.url(1, "/"), "--wait"]).unwrap();
    shows(&display, GREEN);
    let spoofed = site.url(2, "/in").replace("http://", "http://login.bank.example%2Faccount%2Foverview:443@");
    assert!(open(&spoofed) == plain, "the address bar shows a part of the user name");
}

#[test]
fn the_address_bar_shows_the_page_that_is_there_until_another_one_is() {
    let held = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let holds = std::sync::Arc::clone(&held);
    let site = Site::serve(move |request| {
        let port = request.header("host").rsplit(':').next().unwrap().to_owned();
        let target = format!("http://127.0.0.2:{port}/bank");
        Some(match request.path.as_str() {
            "/" => coloured(
                "page",
                "#10a040",
                &format!(
                    "<script>let clicks = 0; onclick = () => {{ if (++clicks === 2) location.href = '{target}'; document.title = clicks }}</script>"
                ),
            ),
            _ => {
                within(DEADLINE, || (!holds.load(std::sync::atomic::Ordering::SeqCst)).then_some(()))?;
                coloured("bank", "#3050c0", "")
            }
        })
    });
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    shows(&display, GREEN);
    // The first click also focuses the page.
    let click = || display.xdotool(&["mousemove", "600", "500", "sleep", "0.3", "click", "1"]);
    click();
    eventually("a click", || (browser.tab(1)["title"] == "1").then_some(()));
    let own = settled(&display);
    click();
    let _ = site.wait_for_request("/bank");
    let mut seen = Vec::new();
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let screen = display.screenshot();
        assert!(screen.share(GREEN, 100, 300, 1000, 400) > 0.95, "the page was gone before the next one committed");
        seen.push(address(&screen));
    }
    held.store(false, std::sync::atomic::Ordering::SeqCst);
    shows(&display, BLUE);
    let bank = eventually("the bank's address", || Some(settled(&display)).filter(|now| *now != own));
    assert!(
        !seen.contains(&bank) && seen.contains(&own),
        "the target's address was shown while the old page was still shown"
    );
}

#[test]
fn a_page_that_nobody_looks_at_opens_no_file_dialog() {
    let later = "<input type=file id=file style='position:fixed;left:20px;top:20px;width:300px;height:40px'>
        <script>let wants = 0; file.oncancel = () => document.title = `got nothing ${wants}`; onclick = (event) => { if (!event.isTrusted || event.target === file) return;
            document.title = `clicked ${++wants}`; setTimeout(() => { document.title = `asked ${wants}`; file.click(); }, 900) }</script>";
    let site = Site::serve(move |request| {
        Some(if request.host == "127.0.0.2" {
            coloured("other", "#3050c0", "")
        } else {
            coloured("page", "#10a040", later)
        })
    });
    let display = Display::start(1280, 860);
    let browser = Browser::not_started_in_window(&display.name(), &[&site.url(1, "/")]);
    let desktop = [("DISPLAY", display.name()), ("XDG_CURRENT_DESKTOP", "GNOME".to_owned())];
    let bus = SessionBus::start(&browser.user_home(), &desktop);
    let browser = browser.with_variable("DBUS_SESSION_BUS_ADDRESS", bus.address());
    browser.start();
    shows(&display, GREEN);
    let dialog = "asks for a file";
    let title = || browser.tab(1)["title"].as_str().unwrap().to_owned();
    // Control: the active tab's page opens a dialog after a click.
    display.xdotool(&["mousemove", "600", "500", "sleep", "0.3", "click", "1"]);
    eventually("the dialog", || display.has_window(dialog).then_some(()));
    assert_eq!(title(), "asked 1");
    browser.regen(&["tab", "open", &site.url(2, "/"), "--wait"]).unwrap();
    eventually("the dialog to go with its page", || (!display.has_window(dialog)).then_some(()));
    browser.regen(&["tab", "activate", "1"]).unwrap();
    shows(&display, GREEN);
    display.xdotool(&["search", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    eventually("a click", || {
        display.xdotool(&["mousemove", "600", "500", "sleep", "0.3", "click", "1"]);
        within(Duration::from_millis(500), || (title() == "clicked 2").then_some(()))
    });
    browser.regen(&["tab", "activate", "2"]).unwrap();
    shows(&display, BLUE);
    eventually("the background page's request to be cancelled", || (title() == "got nothing 2").then_some(()));
    assert!(!display.has_window(dialog), "a background page opened a dialog over another page");
}
