//! Downloads survive the end of the page, its process, the net-daemon and the browser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use regen_tests::browser::Browser;
use regen_tests::{DEADLINE, eventually, within};

/// Size of the file, bytes.
const SIZE: usize = 4_000_000;
/// Bytes that the server sends at a time.
const SLICE: usize = 80_000;
/// Slices that a connection carries before it is cut.
const SLICES_BEFORE_CUT: usize = 15;
/// Bytes after which the first answer stops, until its connection is closed.
const HELD_AT: usize = 1_000_000;

/// Behaviour of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Answers ranges.
    Ranges,
    /// Ignores ranges and sends the whole file.
    Whole,
    /// Serves another file at the same address.
    Changed,
    /// Cuts each connection after some slices, when the test says so.
    Cuts,
    /// Answers that the file is gone.
    Gone,
}

/// A server of one large file, whose first answer does not get to its end.
struct Server {
    port: u16,
    manner: Arc<Mutex<Manner>>,
    ranges: Arc<Mutex<Vec<String>>>,
    /// Number of connections that may be cut by now.
    cuts: Arc<AtomicUsize>,
}

fn content(manner: Manner) -> Vec<u8> {
    let step = if manner == Manner::Changed { 7 } else { 3 };
    (0..SIZE).map(|n| u8::try_from(n * step / 1000 % 251).unwrap()).collect()
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (manner, ranges) = (Arc::new(Mutex::new(Manner::Ranges)), Arc::new(Mutex::new(Vec::new())));
        let cuts = Arc::new(AtomicUsize::new(0));
        let server = Self { port, manner: Arc::clone(&manner), ranges: Arc::clone(&ranges), cuts: Arc::clone(&cuts) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (manner, ranges, cuts) = (Arc::clone(&manner), Arc::clone(&ranges), Arc::clone(&cuts));
                // A client that goes away only ends its own connection.
                std::thread::spawn(move || drop(answer(stream, &manner, &ranges, &cuts)));
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Returns each request for the file: its `Range` header and the status of the answer.
    fn ranges(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    manner: &Mutex<Manner>,
    ranges: &Mutex<Vec<String>>,
    cuts: &AtomicUsize,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let headers: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let found =
            headers.iter().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    if !request.starts_with("GET /file.iso") {
        let page = "<title>page</title><a href=/file.iso style='display:block;height:400px'>save</a>the page";
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
        return write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
    }
    let manner = *manner.lock().unwrap();
    if manner == Manner::Gone {
        ranges.lock().unwrap().push(format!("{} 410", header("range")));
        return write!(stream, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let (whole, tag) = (content(manner), if manner == Manner::Changed { "\"2\"" } else { "\"1\"" });
    let first = header("range").strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
    let first = first.filter(|_| header("if-range") == tag && manner != Manner::Whole);
    let status = match first {
        Some(first) => format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{SIZE}", SIZE - 1),
        None => "200 OK".to_owned(),
    };
    let answered = if first.is_some() { "206" } else { "200" };
    let is_first = {
        let mut ranges = ranges.lock().unwrap();
        ranges.push(format!("{} {answered}", header("range")));
        ranges.len() == 1
    };
    let rest = &whole[first.unwrap_or(0)..];
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nETag: {tag}\r\nAccept-Ranges: bytes\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        rest.len()
    )?;
    for (number, slice) in rest.chunks(SLICE).enumerate() {
        if manner == Manner::Cuts && number == SLICES_BEFORE_CUT {
            let asked = ranges.lock().unwrap().len();
            let may_cut = within(DEADLINE, || (cuts.load(Ordering::SeqCst) >= asked).then_some(()));
            return may_cut.ok_or_else(|| std::io::ErrorKind::TimedOut.into());
        }
        if is_first && manner == Manner::Ranges && number * SLICE > HELD_AT {
            // The rest never comes on this connection: its other end closes it.
            return stream.read(&mut [0]).map(drop);
        }
        stream.write_all(slice)?;
    }
    Ok(())
}

struct Scene {
    server: Server,
    browser: Browser,
    tab: u64,
}

impl Scene {
    /// Clicks on a link to the file, and waits until part of it has arrived.
    fn begun() -> Self {
        let scene = Self::opened();
        scene.click();
        scene.wait_for_a_part();
        scene
    }

    fn opened() -> Self {
        let (server, browser) = (Server::start(), Browser::headless());
        let tab = browser.open(&server.url("/"));
        browser.wait_for_text(tab, "the page");
        Self { server, browser, tab }
    }

    fn click(&self) {
        self.browser.input(self.tab, &["--click", "100,100"]);
    }

    fn part(&self) -> u64 {
        std::fs::metadata(self.browser.downloads().join("file.iso.part")).map_or(0, |part| part.len())
    }

    /// Returns the only download, as `regen downloads` lists it.
    fn listed(&self) -> serde_json::Value {
        let all = self.browser.json(&["downloads"]);
        assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
        all[0].clone()
    }

    fn order(&self, order: &str) {
        let id = self.listed()["id"].to_string();
        self.browser.regen(&["downloads", order, &id]).unwrap();
    }

    fn wait_for_a_part(&self) {
        eventually("a part of the file", || (self.part() > 500_000).then_some(()));
    }

    fn arrives(&self, manner: Manner) {
        let file = self.browser.downloads().join("file.iso");
        eventually("the file", || file.exists().then_some(()));
        assert!(std::fs::read(&file).unwrap() == content(manner), "{:?}", self.server.ranges());
        let left = std::fs::read_dir(self.browser.downloads()).unwrap().count();
        assert_eq!(left, 1, "the folder has other files");
    }

    /// Asserts that all requests after the first asked only for the rest, and were answered with this status.
    fn went_on(&self, status: &str) {
        let ranges = self.server.ranges();
        assert!(ranges.len() > 1 && ranges[0] == " 200", "{ranges:?}");
        for range in &ranges[1..] {
            let first = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
            let is_rest =
                first.is_some_and(|(first, rest)| first.parse::<usize>().unwrap() > 0 && rest == format!(" {status}"));
            assert!(is_rest, "{ranges:?}");
        }
    }
}

#[test]
fn a_download_goes_on_after_its_process_was_killed() {
    let scene = Scene::begun();
    scene.browser.regen(&["kill", "tab", &scene.tab.to_string()]).unwrap();
    scene.arrives(Manner::Ranges);
    scene.went_on("206");
    scene.browser.wait_for_text(scene.tab, "the page");
}

#[test]
fn a_download_of_a_closed_tab_goes_on_after_its_process_was_killed() {
    let scene = Scene::begun();
    let pid = scene.browser.pid_of_tab(scene.tab);
    scene.browser.regen(&["tab", "close", &scene.tab.to_string()]).unwrap();
    scene.browser.regen(&["kill", &pid.to_string()]).unwrap();
    scene.arrives(Manner::Ranges);
    scene.went_on("206");
    eventually("its process to end", || scene.browser.pids_of("tab-host").is_empty().then_some(()));
}

#[test]
fn a_download_goes_on_after_the_net_daemon_was_killed() {
    let scene = Scene::begun();
    scene.browser.regen(&["kill", "net-daemon"]).unwrap();
    scene.arrives(Manner::Ranges);
    scene.went_on("206");
}

#[test]
fn a_download_goes_on_after_the_browser_was_killed_or_quit() {
    for is_killed in [true, false] {
        let scene = Scene::begun();
        if is_killed {
            let broker = rustix::process::Pid::from_raw(scene.browser.broker()).unwrap();
            rustix::process::kill_process(broker, rustix::process::Signal::KILL).unwrap();
            eventually("the browser to end", || scene.browser.regen(&["status"]).is_err().then_some(()));
        } else {
            scene.browser.quit();
        }
        assert!(scene.part() > 500_000);
        scene.browser.start();
        scene.arrives(Manner::Ranges);
        scene.went_on("206");
    }
}

#[test]
fn a_download_goes_on_whenever_its_connection_is_cut() {
    let scene = Scene::opened();
    scene.server.behaves(Manner::Cuts);
    scene.click();
    for cut in 1..=SIZE / (SLICES_BEFORE_CUT * SLICE) {
        // The next connection continues after what has arrived.
        let arrived = u64::try_from(cut * SLICES_BEFORE_CUT * SLICE).unwrap();
        eventually("the slices before the cut", || (scene.part() >= arrived).then_some(()));
        scene.server.cuts.store(cut, Ordering::SeqCst);
    }
    scene.arrives(Manner::Ranges);
    scene.went_on("206");
    assert!(scene.server.ranges().len() > 2, "{:?}", scene.server.ranges());
}

#[test]
fn a_file_that_has_changed_meanwhile_is_fetched_anew() {
    for manner in [Manner::Changed, Manner::Whole] {
        let scene = Scene::begun();
        scene.server.behaves(manner);
        scene.browser.regen(&["kill", "tab", &scene.tab.to_string()]).unwrap();
        scene.arrives(manner);
        scene.went_on("200");
    }
}

#[test]
fn what_was_received_of_a_file_that_is_gone_stays_as_a_part() {
    let scene = Scene::begun();
    scene.server.behaves(Manner::Gone);
    scene.browser.regen(&["kill", "tab", &scene.tab.to_string()]).unwrap();
    eventually("the second request", || (scene.server.ranges().len() > 1).then_some(()));
    eventually("the failure to be logged", || scene.browser.log().contains("the server answers 410").then_some(()));
    assert!(scene.part() > 500_000);
    // The next run lists it, and does not resume it by itself.
    scene.browser.quit();
    scene.browser.start();
    assert_eq!(scene.listed()["state"], "failed");
    assert_eq!(scene.server.ranges().len(), 2);
    scene.server.behaves(Manner::Ranges);
    scene.order("resume");
    scene.arrives(Manner::Ranges);
}

#[test]
fn a_paused_download_waits_for_its_user_across_starts() {
    let scene = Scene::begun();
    scene.order("pause");
    eventually("the download to be paused", || (scene.listed()["state"] == "paused").then_some(()));
    scene.browser.regen(&["kill", "tab", &scene.tab.to_string()]).unwrap();
    scene.browser.wait_for_text(scene.tab, "the page");
    scene.browser.quit();
    scene.browser.start();
    assert_eq!(scene.listed()["state"], "paused");
    assert_eq!(scene.server.ranges().len(), 1, "nothing was requested meanwhile");
    scene.order("resume");
    scene.arrives(Manner::Ranges);
    scene.went_on("206");
    // The list tells of it until its user clears it, and the file stays.
    scene.browser.quit();
    scene.browser.start();
    let done = scene.listed();
    assert_eq!((&done["state"], &done["received"]), (&"done".into(), &SIZE.into()), "{done}");
    let refused = scene.browser.regen(&["downloads", "pause", "1"]).unwrap_err();
    assert!(refused.message.contains("see `regen downloads`"), "{}", refused.message);
    assert_eq!(scene.browser.json(&["downloads", "forget", "--all"]), serde_json::json!([]));
    scene.arrives(Manner::Ranges);
}

#[test]
fn a_cancelled_download_leaves_nothing_and_can_be_retried() {
    let scene = Scene::begun();
    scene.order("cancel");
    eventually("the download to end", || (scene.listed()["state"] == "cancelled").then_some(()));
    assert_eq!(std::fs::read_dir(scene.browser.downloads()).unwrap().count(), 0);
    scene.order("resume");
    scene.arrives(Manner::Ranges);
}
