//! The pages under test, and their server: each page says in its text who it is, how long it has lived, and what its user did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    balloons: Arc<[AtomicBool; SITES]>,
}

impl Server {
    pub(super) fn start() -> Result<Self, Failure> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| Failure::Other(format!("no server: {error}"));
        let balloons = Arc::new(std::array::from_fn(|_| AtomicBool::new(false)));
        let mut port = 0;
        for site in 0..SITES {
            let server = tiny_http::Server::http((address(site).as_str(), port)).map_err(failed)?;
            port = server.server_addr().to_ip().map_or(port, |address| address.port());
            let balloons = Arc::clone(&balloons);
            std::thread::Builder::new().spawn(move || serve(&server, site, &balloons))?;
        }
        Ok(Self { port, balloons })
    }

    pub(super) fn url(&self, site: usize, path: &str) -> String {
        format!("http://{}:{}{path}", address(site), self.port)
    }

    /// The next time that a page of this site asks, it is told to take all the memory that there is.
    pub(super) fn order_balloon(&self, site: usize) {
        if let Some(balloon) = self.balloons.get(site) {
            balloon.store(true, Ordering::Relaxed);
        }
    }
}

fn address(site: usize) -> String {
    format!("127.0.0.{}", site + 11)
}

fn serve(server: &tiny_http::Server, site: usize, balloons: &[AtomicBool; SITES]) {
    for request in server.incoming_requests() {
        let (kind, body) = if request.url().starts_with("/order") {
            let balloon = balloons.get(site).is_some_and(|balloon| balloon.swap(false, Ordering::Relaxed));
            ("text/plain", if balloon { "balloon" } else { "" })
        } else {
            ("text/html", PAGE)
        };
        let mut response = tiny_http::Response::from_string(body);
        if let Ok(header) = tiny_http::Header::from_bytes("Content-Type", kind) {
            response.add_header(header);
        }
        // Whoever asked may be dead by now: that is what all this is about.
        let _ = request.respond(response);
    }
}
