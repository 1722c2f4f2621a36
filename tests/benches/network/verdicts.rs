//! Time that a page waits for a verdict, and the cost of the filter lists.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use regen_tests::process::pss;
use regen_tests::window::Display;
use regen_tests::{Browser, ForeignPeer, MiniBrowser, eventually};
use serde_json::Value;

use super::number_after;
use regen_tests::bench::{Server, bound, median};

/// Requests addresses of a blocked host: first different ones, then the same one repeatedly. Reports the mean time per
/// request of each kind, µs.
const ASKS: &str = "<!doctype html><script>
    const ask = (count, path) => {
        const start = performance.now();
        for (let number = 0; number < count; number++) {
            const request = new XMLHttpRequest();
            try { request.open('GET', 'http://doubleclick.net/' + path(number), false); request.send(); } catch {}
        }
        return (performance.now() - start) * 1000 / count;
    };
    onload = async () => {
        ask(200, number => 'first' + number);
        const other = ask(3000, number => 'ad' + number);
        const same = ask(10000, () => 'same');
        await fetch(`/said?${other} ${same}`);
    };
</script>";

/// The engine's own content filter, to measure what a blocked request costs without Regen.
const FILTER: &str = r#"[{ "trigger": { "url-filter": "doubleclick" }, "action": { "type": "block" } }]"#;

pub(crate) fn measure() {
    let server = Server::with_pages([127, 0, 0], |path| (path == "/asks").then(|| ("text/html", ASKS.to_owned())));
    let bare = round_trip();
    println!("a bare round trip between two threads{:>16.1} µs", microseconds(bare));

    let browser = Browser::headless();
    browser.regen(&["tab", "open", &server.url(1, "/asks")]).unwrap();
    let ours = said(&server);
    let wait = wait(&browser);
    bound("a page's wait for a verdict, median", number(&wait["p50_us"]), "µs", 80.0);
    let display = Display::start(800, 600);
    let folder = tempfile::tempdir().unwrap();
    let filter = folder.path().join("filter.json");
    std::fs::write(&filter, FILTER).unwrap();
    let filter = format!("--content-filter={}", filter.display());
    let mini = MiniBrowser::start(&display, &[&filter, &server.url(1, "/asks")]);
    let theirs = said(&server);
    drop(mini);
    println!(
        "a blocked request, in total{:>26.1} µs  MiniBrowser with a content filter {:>6.1} µs",
        ours[0], theirs[0]
    );
    bound("a cached verdict, above MiniBrowser's", ours[1] - theirs[1], "µs", 5.0);

    // Probes instead of engines, which would compete for the processors.
    let stranger = ForeignPeer::start();
    let tabs: Vec<u64> = (1..=8).map(|number| stranger.open(&server.url(number, "/verdicts/8"))).collect();
    let slow: Vec<f64> = tabs.into_iter().map(|tab| number_after(&stranger.says(tab), "slowest-percent")).collect();
    bound("eight hosts at once, 99th percentile", slow.into_iter().fold(0.0, f64::max) / 1000.0, "ms", 1.0);
    drop(stranger);

    // Start again, with the lists that the first start compiled.
    browser.quit();
    browser.start();
    let status = eventually("the lists", || Some(status(&browser)).filter(|status| status["ready"] == true));
    assert_eq!(status["from_cache"], true);
    bound("loading of the compiled lists", number(&status["read_ms"]), "ms", 60.0);
    let daemon = browser.daemon("net-daemon");
    let mut before = f64::INFINITY;
    let settled = eventually("its memory to settle", || {
        let now = pss(daemon);
        (std::mem::replace(&mut before, now) <= now).then_some(now)
    });
    bound("net-daemon with all lists, PSS", settled, "MB", 60.0);
}

/// Returns the median time of a round trip between two threads, with messages as large as a question and its verdict.
fn round_trip() -> Duration {
    const TIMES: usize = 5000;
    let (mut here, mut there) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 200];
        while there.read(&mut bytes).is_ok_and(|count| count > 0) {
            there.write_all(&bytes).unwrap();
        }
    });
    let mut bytes = [0; 200];
    let once = |_| {
        let start = Instant::now();
        here.write_all(&bytes).unwrap();
        here.read_exact(&mut bytes).unwrap();
        start.elapsed()
    };
    median((0..TIMES).map(once).collect())
}

fn said(server: &Server) -> Vec<f64> {
    server.said().split("%20").map(|number| number.parse().unwrap()).collect()
}

fn status(browser: &Browser) -> Value {
    browser.json(&["shields", "status"])
}

fn wait(browser: &Browser) -> Value {
    status(browser)["wait"].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
