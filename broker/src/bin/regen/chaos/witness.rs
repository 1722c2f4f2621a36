//! The pages under test, and their server: each page says in its text who it is, how long it has lived, and what its user did.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::plan::SITES;
use crate::client::Failure;

/// Where the field is that can be typed into.
pub(super) const FIELD: (f64, f64) = (60.0, 20.0);

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>witness</title>
<style>body{margin:0;height:6000px;background:linear-gradient(#fff,#99c)}
 input{position:fixed;left:0;top:0;width:400px;height:40px} #w{position:fixed;left:0;top:60px}</style>
<input id=f autocomplete=off><div id=w></div>
<script>
 const token = Math.random().toString(36).slice(2);
 let tick = 0, orders = 0; const kept = [];
 const say = () => { w.textContent = 'WITNESS' + JSON.stringify(
   {token, tick, orders, scroll: Math.round(scrollY), field: f.value, path: location.pathname}) + 'END'; };
 setInterval(() => { tick++; say(); }, 50);
 setInterval(async () => {
   const order = await (await fetch('/order', {cache: 'no-store'})).text(); orders++;
   if (order == 'download') location.href = '/download';
   if (order == 'balloon') setInterval(() => { for (let i = 0; i < 4; i++) kept.push(new Uint8Array(16e6).fill(7)); }, 10);
 }, 200);
</script>";

/// What a page says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Witness {
    /// Another one each time the page is loaded.
    pub(super) token: String,
    /// Grows while its JavaScript runs.
    pub(super) tick: u64,
    /// Answers that it had from its server.
    pub(super) orders: u64,
    pub(super) scroll: i64,
    pub(super) field: String,
    pub(super) path: String,
}

impl Witness {
    /// From a page's text.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("WITNESS")?;
        let (json, _) = rest.split_once("END")?;
        serde_json::from_str(json).ok()
    }
}

/// Serves the pages, one site for each address of the loopback network.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) port: u16,
    orders: Arc<Orders>,
}

/// What the pages are told to do, and how their server is.
#[derive(Debug, Default)]
struct Orders {
    balloons: [AtomicBool; SITES],
    downloads: [AtomicBool; SITES],
    stalled_until: Mutex<Option<Instant>>,
}

impl Server {
    pub(super) fn start() -> Result<Self, Failure> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| Failure::Other(format!("no server: {error}"));
        let orders = Arc::new(Orders::default());
        let mut port = 0;
        for site in 0..SITES {
            let server = tiny_http::Server::http((address(site).as_str(), port)).map_err(failed)?;
            port = server.server_addr().to_ip().map_or(port, |address| address.port());
            let orders = Arc::clone(&orders);
            std::thread::Builder::new().spawn(move || serve(&server, site, &orders))?;
        }
        Ok(Self { port, orders })
    }

    pub(super) fn url(&self, site: usize, path: &str) -> String {
        format!("http://{}:{}{path}", address(site), self.port)
    }

    /// The next time that a page of this site asks, it is told to take all the memory that there is.
    pub(super) fn order_balloon(&self, site: usize) {
        order(&self.orders.balloons, site);
    }

    /// The next time that a page of this site asks, it is told to download a file.
    pub(super) fn order_download(&self, site: usize) {
        order(&self.orders.downloads, site);
    }

    /// No request is answered for a while.
    pub(super) fn stall(&self, time: Duration) {
        *self.orders.stalled_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }
}

fn address(site: usize) -> String {
    format!("127.0.0.{}", site + 11)
}

fn order(orders: &[AtomicBool; SITES], site: usize) {
    if let Some(order) = orders.get(site) {
        order.store(true, Ordering::Relaxed);
    }
}

fn is_ordered(orders: &[AtomicBool; SITES], site: usize) -> bool {
    orders.get(site).is_some_and(|order| order.swap(false, Ordering::Relaxed))
}

fn serve(server: &tiny_http::Server, site: usize, orders: &Orders) {
    for request in server.incoming_requests() {
        let until = *orders.stalled_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rest) = until.and_then(|until| until.checked_duration_since(Instant::now())) {
            std::thread::sleep(rest);
        }
        let (kind, body) = match request.url() {
            "/download" => {
                // It takes long, and others do not wait for it. Without a thread there is no download, which shows.
                let _ = std::thread::Builder::new().spawn(move || send_file(request));
                continue;
            }
            "/order" if is_ordered(&orders.balloons, site) => ("text/plain", "balloon"),
            "/order" if is_ordered(&orders.downloads, site) => ("text/plain", "download"),
            "/order" => ("text/plain", ""),
            _ => ("text/html", PAGE),
        };
        respond(request, kind, tiny_http::Response::from_string(body));
    }
}

fn respond<R: Read>(request: tiny_http::Request, kind: &str, mut response: tiny_http::Response<R>) {
    if let Ok(header) = tiny_http::Header::from_bytes("Content-Type", kind) {
        response.add_header(header);
    }
    // Whoever asked may be dead by now: that is what all this is about.
    let _ = request.respond(response);
}

/// A file that takes ten seconds.
fn send_file(request: tiny_http::Request) {
    let body = Slow { left: FILE };
    let response = tiny_http::Response::new(tiny_http::StatusCode(200), Vec::new(), body, Some(FILE), None);
    respond(request, "application/octet-stream", response.with_chunked_threshold(usize::MAX));
}

/// Bytes of the file that is downloaded.
pub(super) const FILE: usize = 10 << 20;
const PIECE: usize = 100 << 10;

struct Slow {
    left: usize,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        std::thread::sleep(Duration::from_millis(100));
        let count = buffer.len().min(PIECE).min(self.left);
        buffer.get_mut(..count).into_iter().for_each(|piece| piece.fill(7));
        self.left -= count;
        Ok(count)
    }
}
