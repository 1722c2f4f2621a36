//! Regen against WebKitGTK's own MiniBrowser: the same engine, the same page, the same run. Ratios, because the machine is
//! noisy; medians, because single runs are noisier.
//!
//! The page tells its server when it is interactive (its own `load`, then two animation frames), so that both browsers are
//! measured from outside, in the same way.
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

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regen_tests::window::Display;
use regen_tests::{Browser, MiniBrowser, process};

const RUNS: usize = 10;
const DOCUMENTS: &str = "/usr/share/doc/python3-doc/html";
const PAGE: &str = "/library/inspect.html";
const SECOND: &str = "/library/functions.html";
const BIG: usize = 200 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Reports, and follows the server's wish to see a second page.
const SCRIPT: &str =
    "<script>addEventListener('load', () => requestAnimationFrame(() => requestAnimationFrame(async () => {
  const next = await (await fetch('/done' + location.search)).text();
  if (next) { await fetch('/leaving'); location.href = next; } })));</script>";

/// Something that the server saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Done,
    Leaving,
    BigStarted,
    BigSent,
}

struct Server {
    port: u16,
    seen: Receiver<(Seen, Instant)>,
    next: Arc<Mutex<String>>,
}

impl Server {
    fn start() -> Self {
        let first = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = first.local_addr().unwrap().port();
        let (tell, seen) = channel();
        let next = Arc::new(Mutex::new(String::new()));
        let others = (2..=8_u8).map(|n| TcpListener::bind(SocketAddr::from(([127, 0, 0, n], port))).unwrap());
        for listener in std::iter::once(first).chain(others) {
            let (tell, next) = (tell.clone(), Arc::clone(&next));
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (tell, next) = (tell.clone(), Arc::clone(&next));
                    std::thread::spawn(move || serve(&stream, &tell, &next));
                }
            });
        }
        Self { port, seen, next }
    }

    fn url(&self, number: u8, path: &str) -> String {
        format!("http://127.0.0.{number}:{}{path}", self.port)
    }

    fn wait(&self, what: Seen) -> Instant {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (seen, at) =
                self.seen.recv_timeout(left).unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what:?}"));
            if seen == what {
                return at;
            }
        }
    }

    fn forget(&self) {
        while self.seen.try_recv().is_ok() {}
    }
}

fn serve(stream: &TcpStream, tell: &Sender<(Seen, Instant)>, next: &Mutex<String>) {
    let _ = stream.set_nodelay(true);
    let mut lines = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if lines.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut header = String::new();
        while lines.read_line(&mut header).unwrap_or(0) > 2 {
            header.clear();
        }
        let path = request.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/").to_owned();
        let now = Instant::now();
        let answered = match path.as_str() {
            "/done" => {
                let body = std::mem::take(&mut *next.lock().unwrap());
                let _ = tell.send((Seen::Done, now));
                respond(stream, "text/plain", body.as_bytes())
            }
            "/leaving" => {
                let _ = tell.send((Seen::Leaving, now));
                respond(stream, "text/plain", b"")
            }
            "/big" => big(stream, tell),
            file => file_of(file, stream),
        };
        if answered.is_err() {
            return;
        }
    }
}

fn respond(mut stream: &TcpStream, kind: &str, body: &[u8]) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}

fn file_of(path: &str, stream: &TcpStream) -> std::io::Result<()> {
    let file = PathBuf::from(DOCUMENTS).join(path.trim_start_matches('/'));
    let Ok(mut body) = fs::read(&file) else {
        let mut stream = stream;
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let kind = match file.extension().and_then(|e| e.to_str()) {
        Some("html") => {
            body.extend_from_slice(SCRIPT.as_bytes());
            "text/html; charset=utf-8"
        }
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    respond(stream, kind, &body)
}

fn big(mut stream: &TcpStream, tell: &Sender<(Seen, Instant)>) -> std::io::Result<()> {
    let _ = tell.send((Seen::BigStarted, Instant::now()));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=big.bin\r\n\
         Content-Length: {BIG}\r\n\r\n"
    )?;
    let chunk = vec![7_u8; 1 << 20];
    for _ in 0..BIG / chunk.len() {
        stream.write_all(&chunk)?;
    }
    let _ = tell.send((Seen::BigSent, Instant::now()));
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn report(what: &str, ours: Duration, theirs: Duration, most: f64) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let verdict = if ratio <= most { "ok" } else { "OVER" };
    println!(
        "{what:<44} {:>8.1} ms  MiniBrowser {:>8.1} ms  ratio {ratio:.2} (≤ {most})  {verdict}",
        milliseconds(ours),
        milliseconds(theirs)
    );
}

fn bound(what: &str, value: f64, unit: &str, most: f64) {
    println!("{what:<44} {value:>8.2} {unit} (< {most})  {}", if value < most { "ok" } else { "OVER" });
}

fn main() {
    let server = Server::start();
    let display = Display::start(1280, 800);
    starts(&server, &display);
    downloads(&server, &display);
    running(&server);
}

/// Start, recovery, and a second page.
fn starts(server: &Server, display: &Display) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut recovered, mut our_second, mut their_second) = (Vec::new(), Vec::new(), Vec::new());
    // The first run of each fills the machine's file cache.
    for run in 0..=RUNS {
        server.forget();
        let start = Instant::now();
        let mini = MiniBrowser::start(display, &[&server.url(1, PAGE)]);
        let their_start = server.wait(Seen::Done) - start;
        drop(mini);

        server.forget();
        *server.next.lock().unwrap() = SECOND.to_owned();
        let mini = MiniBrowser::start(display, &[&server.url(1, PAGE)]);
        let left = server.wait(Seen::Leaving);
        let their_next = server.wait(Seen::Done) - left;
        drop(mini);

        server.forget();
        let url = server.url(1, PAGE);
        let start = Instant::now();
        let browser = Browser::with_options(&["--headless", &url]);
        let our_start = server.wait(Seen::Done) - start;

        std::thread::sleep(Duration::from_millis(300));
        server.forget();
        let pid = browser.pid_of_tab(1);
        let start = Instant::now();
        process::signal(pid, rustix::process::Signal::KILL);
        let our_recovery = server.wait(Seen::Done) - start;
        drop(browser);

        server.forget();
        *server.next.lock().unwrap() = SECOND.to_owned();
        let browser = Browser::with_options(&["--headless", &url]);
        let left = server.wait(Seen::Leaving);
        let our_next = server.wait(Seen::Done) - left;
        drop(browser);

        if run > 0 {
            theirs.push(their_start);
            ours.push(our_start);
            recovered.push(our_recovery);
            our_second.push(our_next);
            their_second.push(their_next);
        }
    }
    let theirs = median(theirs);
    report("start to interactive", median(ours), theirs, 0.9);
    report("kill -9 of the tab-host to interactive", median(recovered), theirs, 0.9);
    report("a second page of the same site", median(our_second), median(their_second), 1.05);
}

fn downloads(server: &Server, display: &Display) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        server.forget();
        let mini = MiniBrowser::start(display, &[&server.url(1, "/big")]);
        let start = server.wait(Seen::BigStarted);
        theirs.push(server.wait(Seen::BigSent) - start);
        drop(mini);

        server.forget();
        let browser = Browser::headless();
        browser.regen(&["tab", "open", &server.url(1, "/big")]).unwrap();
        let start = server.wait(Seen::BigStarted);
        ours.push(server.wait(Seen::BigSent) - start);
        let file = browser.downloads().join("big.bin");
        let deadline = Instant::now() + PATIENCE;
        while !file.exists() {
            assert!(Instant::now() < deadline, "the download did not arrive");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // 0.6 of the throughput is 1/0.6 of the time.
    report("a 200 MB download", median(ours), median(theirs), 1.0 / 0.6);
}

/// Processor time of a process so far, in seconds.
fn processor_time(pid: i32) -> f64 {
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (field(11) + field(12)) / TICKS
}

fn running(server: &Server) {
    let browser = Browser::headless();
    let mut memory = HashMap::new();
    for site in 1..=3_u8 {
        server.forget();
        browser.open(&server.url(site, PAGE));
    }
    // The engine tidies up for some seconds after a page has loaded; idle is what comes after.
    std::thread::sleep(Duration::from_secs(15));
    let family: Vec<i32> = process::descendants(browser.broker()).into_keys().chain([browser.broker()]).collect();
    let before: f64 = family.iter().map(|pid| processor_time(*pid)).sum();
    std::thread::sleep(Duration::from_secs(20));
    let idle = (family.iter().map(|pid| processor_time(*pid)).sum::<f64>() - before) / 20.0 * 100.0;
    bound("the idle browser with three tabs", idle, "% of a core", 1.0);

    const CALLS: u32 = 50;
    let own = || ended_children_time() + processor_time(browser.broker());
    let before = own();
    for _ in 0..CALLS {
        browser.regen(&["--json", "status"]).unwrap();
    }
    bound("regen status --json, client and broker", (own() - before) * 1000.0 / f64::from(CALLS), "ms of CPU", 15.0);

    for site in 4..=6_u8 {
        server.forget();
        browser.open(&server.url(site, PAGE));
    }
    std::thread::sleep(Duration::from_secs(3));
    let status = browser.json(&["status", "--memory"]);
    for process in status["processes"].as_array().unwrap().iter().filter(|process| process["role"] == "tab-host") {
        memory.insert(process["site"].as_str().unwrap().to_owned(), process["pss_kb"].as_f64().unwrap() / 1024.0);
    }
    let mean = memory.values().sum::<f64>() / memory.len() as f64;
    bound("PSS of each of six sites", mean, "MB", 115.0);
}

/// Processor time of this process's children that have ended, in seconds.
fn ended_children_time() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap()) / TICKS
}
