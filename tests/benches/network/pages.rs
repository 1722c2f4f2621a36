//! Pages with and without blocked parts, against MiniBrowser, which blocks nothing.

use std::fmt::Write;

use regen_tests::window::Display;
use regen_tests::{Browser, MiniBrowser};

use regen_tests::bench::{Server, ServerEvent, median, report};

const RUNS: usize = 9;
/// Number of parts in a page, all from other sites. A quarter are scripts that do some work.
const PARTS: usize = 200;
/// Size of a script, bytes; typical of advertising.
const SCRIPT_BYTES: usize = 40_000;
/// Path that EasyList blocks on any host.
const BLOCKED: &str = "/ad_728x90/";
/// Path that no list blocks.
const SENT: &str = "/parts/";
const FIRST: &str = "/library/inspect.html";

pub(crate) fn measure() {
    let server = Server::with_pages([127, 0, 0], parts);
    let display = Display::start(1280, 800);
    let parts = |is_blocked| format!("/page-{is_blocked}/{}", server.port);
    let pages = [
        ("a page with 200 blocked parts", parts(true), PARTS, 0.6),
        ("a page without such parts", "/library/functions.html".to_owned(), 0, 1.05),
        // The page takes 42 connections and 50 documents.
        ("a page with 200 parts that are not blocked", parts(false), 0, 1.5),
    ];
    for (what, page, blocked, most) in pages {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 0..=RUNS {
            *server.next.lock().unwrap() = page.clone();
            server.forget();
            let mini = MiniBrowser::start(&display, &[&server.url(1, FIRST)]);
            let left = server.wait(ServerEvent::Leaving);
            let their_time = server.wait(ServerEvent::Done) - left;
            drop(mini);

            *server.next.lock().unwrap() = page.clone();
            server.forget();
            let browser = Browser::with_options(&["--headless", &server.url(1, FIRST)]);
            let left = server.wait(ServerEvent::Leaving);
            let our_time = server.wait(ServerEvent::Done) - left;
            if run == 0 {
                let now = browser.json(&["shields", "status"])["blocked"].as_u64().unwrap();
                assert_eq!(now, blocked as u64, "not all named parts were blocked, or others were");
            } else {
                theirs.push(their_time);
                ours.push(our_time);
            }
        }
        report(what, median(ours), "MiniBrowser", median(theirs), most);
    }
}

/// Serves the page and its parts. The page's address says whether its parts are blocked, and their port.
fn parts(path: &str) -> Option<(&'static str, String)> {
    if let Some(rest) = path.strip_prefix("/page-") {
        let (is_blocked, port) = rest.split_once('/').unwrap();
        let folder = if is_blocked == "true" { BLOCKED } else { SENT };
        let mut page = "<!doctype html><title>parts</title><body>".to_owned();
        for number in 0..PARTS {
            let url = format!("http://127.0.0.{}:{port}{folder}{number}", 2 + number % 7);
            let _ = match number % 4 {
                0 => write!(page, "<script async src='{url}.js'></script>"),
                1 => write!(page, "<iframe width=80 height=40 src='{url}.html'></iframe>"),
                _ => write!(page, "<img width=40 height=40 alt='' src='{url}.svg'>"),
            };
        }
        return Some(("text/html", page + regen_tests::bench::SCRIPT));
    }
    if !path.starts_with(BLOCKED) && !path.starts_with(SENT) {
        return None;
    }
    Some(match path.rsplit('.').next() {
        Some("js") => {
            let work =
                "for (let i = 0, box; i < 20; i++) { box = document.createElement('i'); document.body.append(box); }";
            ("text/javascript", format!("{work}//{}", "x".repeat(SCRIPT_BYTES)))
        }
        Some("html") => ("text/html", "<!doctype html><p>a part".to_owned()),
        _ => {
            let image = "<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>";
            ("image/svg+xml", image.to_owned())
        }
    })
}
