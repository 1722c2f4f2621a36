//! Parts of the benches: a server that records when a page is interactive, and the printing of results.
#![expect(clippy::print_stdout, reason = "a bench prints its results")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::process;

const DOCUMENTS: &str = "/usr/share/doc/python3-doc/html";
/// Default size of `/big`, MB.
const BIG: usize = 200;
/// Time within which a page reports what it does.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A page that computes, sorts, searches text, allocates and changes its document, and then reports that it is done.
const WORK: &str = "<!doctype html><title>work</title><body><script>
  let sum = 0;
  const sieve = new Uint8Array(4e6);
  for (let i = 2; i < 2e3; i++) if (!sieve[i]) for (let j = i * i; j < 4e6; j += i) sieve[j] = 1;
  for (const bit of sieve) sum += bit;
  let seed = 7;
  const numbers = Array.from({ length: 4e5 }, () => seed = seed * 16807 % 2147483647);
  numbers.sort((a, b) => a - b);
  const map = new Map();
  for (const n of numbers) map.set('k' + n % 5e4, { n, list: [n, n + 1] });
  const text = JSON.stringify([...map.values()]);
  sum += JSON.parse(text).length + text.match(/[13579]{4,}/g).length;
  for (let i = 0; i < 4e3; i++) {
    const box = document.createElement('div');
    box.textContent = 'row ' + i;
    box.style.width = (i % 300) + 'px';
    document.body.append(box);
    if (i % 100 == 0) sum += document.body.offsetHeight;
  }
  requestAnimationFrame(() => requestAnimationFrame(() => fetch('/done')));
</script>";

/// Reports that the page is interactive, and goes to a second page if the server names one.
pub const SCRIPT: &str =
    "<script>addEventListener('load', () => requestAnimationFrame(() => requestAnimationFrame(async () => {
  const next = await (await fetch('/done' + location.search)).text();
  if (next) { await fetch('/leaving'); location.href = next; } })));</script>";

/// Events at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerEvent {
    /// The page is interactive.
    Done,
    /// The page goes to the second page.
    Leaving,
    /// The first byte of `/big` is sent.
    BigStarted,
    /// The last byte of `/big` is sent.
    BigSent,
}

/// A server of the pages that are measured.
#[derive(Debug)]
pub struct Server {
    network: [u8; 3],
    /// Port on every address.
    pub port: u16,
    seen: Receiver<(ServerEvent, Instant)>,
    said: Receiver<String>,
    /// Address of the second page; empty: none.
    pub next: Arc<Mutex<String>>,
}

/// State shared with the threads of connections.
#[derive(Clone)]
struct Shared {
    tell: Sender<(ServerEvent, Instant)>,
    say: Sender<String>,
    next: Arc<Mutex<String>>,
    pages: Arc<Pages>,
}

/// A function that returns the content type and body of a bench's own page, by path.
pub type Pages = dyn Fn(&str) -> Option<(&'static str, String)> + Send + Sync;

impl Server {
    /// Starts a server of eight sites on loopback.
    #[must_use]
    pub fn start() -> Self {
        Self::with_pages([127, 0, 0], |_| None)
    }

    /// Serves eight sites on addresses with these first three numbers.
    pub fn with_pages(
        network: [u8; 3],
        pages: impl Fn(&str) -> Option<(&'static str, String)> + Send + Sync + 'static,
    ) -> Self {
        let [a, b, c] = network;
        let bind = |number, port| TcpListener::bind(SocketAddr::from(([a, b, c, number], port))).unwrap();
        let first = bind(1, 0);
        let port = first.local_addr().unwrap().port();
        let (tell, seen) = channel();
        let (say, said) = channel();
        let next = Arc::new(Mutex::new(String::new()));
        let shared = Shared { tell, say, next: Arc::clone(&next), pages: Arc::new(pages) };
        for listener in std::iter::once(first).chain((2..=8).map(|number| bind(number, port))) {
            let shared = shared.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let shared = shared.clone();
                    std::thread::spawn(move || serve(&stream, &shared));
                }
            });
        }
        Self { network, port, seen, said, next }
    }

    /// Returns an address on a site.
    #[must_use]
    pub fn url(&self, number: u8, path: &str) -> String {
        let [a, b, c] = self.network;
        format!("http://{a}.{b}.{c}.{number}:{}{path}", self.port)
    }

    /// Waits for a page's next report, and returns it: the query of `/said`.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("waited {DEADLINE:?} for a page's report"))
    }

    /// Waits for an event, and returns its time. Earlier events of another kind are passed over.
    pub fn wait(&self, what: ServerEvent) -> Instant {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (seen, at) =
                self.seen.recv_timeout(left).unwrap_or_else(|_| panic!("waited {DEADLINE:?} for {what:?}"));
            if seen == what {
                return at;
            }
        }
    }

    /// Forgets the events so far.
    pub fn forget(&self) {
        while self.seen.try_recv().is_ok() {}
    }
}

fn serve(stream: &TcpStream, shared: &Shared) {
    let Shared { tell, say, next, pages } = shared;
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
        let asked = request.split(' ').nth(1).unwrap_or("/");
        let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
        let now = Instant::now();
        if let Some((kind, body)) = pages(path) {
            if respond(stream, kind, body.as_bytes()).is_err() {
                return;
            }
            continue;
        }
        let answered = match path {
            "/done" => {
                let body = std::mem::take(&mut *next.lock().unwrap());
                let _ = tell.send((ServerEvent::Done, now));
                respond(stream, "text/plain", body.as_bytes())
            }
            "/leaving" => {
                let _ = tell.send((ServerEvent::Leaving, now));
                respond(stream, "text/plain", b"")
            }
            "/said" => {
                let _ = say.send(query.to_owned());
                respond(stream, "text/plain", b"")
            }
            "/small" => respond(stream, "text/plain", b"small"),
            "/big" => big(stream, query.parse().unwrap_or(BIG), tell),
            "/script" => respond(stream, "text/html", WORK.as_bytes()),
            file => file_of(file, stream),
        };
        if answered.is_err() {
            return;
        }
    }
}

fn respond(mut stream: &TcpStream, kind: &str, body: &[u8]) -> std::io::Result<()> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    stream.write_all(&answer)
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

fn big(mut stream: &TcpStream, megabytes: usize, tell: &Sender<(ServerEvent, Instant)>) -> std::io::Result<()> {
    let _ = tell.send((ServerEvent::BigStarted, Instant::now()));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=big.bin\r\n\
         Content-Length: {}\r\n\r\n",
        megabytes << 20
    )?;
    let chunk = vec![7_u8; 1 << 20];
    for _ in 0..megabytes {
        stream.write_all(&chunk)?;
    }
    let _ = tell.send((ServerEvent::BigSent, Instant::now()));
    Ok(())
}

/// Returns the median of an odd number of times.
#[must_use]
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Prints the ratio of two durations, and whether it is within the bound.
pub fn report(what: &str, ours: Duration, peer: &str, theirs: Duration, most: f64) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let verdict = if ratio <= most { "ok" } else { "OVER" };
    println!(
        "{what:<44} {:>8.1} ms  {peer} {:>8.1} ms  ratio {ratio:.3} (≤ {most:.3})  {verdict}",
        milliseconds(ours),
        milliseconds(theirs)
    );
}

/// Prints a ratio of values that are not durations.
pub fn ratio(what: &str, ours: f64, peer: &str, theirs: f64, most: f64) {
    let ratio = ours / theirs;
    let verdict = if ratio <= most { "ok" } else { "OVER" };
    println!("{what:<44} {ours:>8.2}     {peer} {theirs:>8.2}     ratio {ratio:.3} (≤ {most:.3})  {verdict}");
}

/// Prints a value, and whether it is within the bound.
pub fn bound(what: &str, value: f64, unit: &str, most: f64) {
    println!("{what:<44} {value:>8.2} {unit} (< {most})  {}", if value < most { "ok" } else { "OVER" });
}

/// Returns the processor time that a process has used so far, in seconds.
#[must_use]
pub fn processor_time(pid: i32) -> f64 {
    const TICKS: f64 = 100.0;
    process::cpu_ticks(pid) as f64 / TICKS
}
