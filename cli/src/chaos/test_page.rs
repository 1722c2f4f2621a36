//! The pages under test, and their server: each page says in its text who it is, how long it has lived, and what its user did.

use std::convert::Infallible;
use std::future::IntoFuture;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Uri;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use tokio_stream::StreamExt;

use super::plan::SITES;
use crate::client::Failure;

/// Where the field is that can be typed into.
pub(super) const FIELD: (f64, f64) = (60.0, 20.0);

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>test page</title>
<style>body{margin:0;height:6000px;background:linear-gradient(#fff,#99c)}
 input{position:fixed;left:0;top:0;width:400px;height:40px} #w{position:fixed;left:0;top:60px}</style>
<input id=f autocomplete=off><div id=w></div>
<script>
 const token = Math.random().toString(36).slice(2);
 let tick = 0, orders = 0; const kept = [];
 const say = () => { w.textContent = 'WITNESS' + JSON.stringify(
   {token, tick, orders, scroll: Math.round(scrollY), field: f.value, path: location.pathname,
    state: history.state?.length ?? 0}) + 'END'; };
 setInterval(() => { tick++; say(); }, 50);
 setInterval(async () => {
   const order = await (await fetch('/order', {cache: 'no-store'})).text(); orders++;
   if (order == 'download') location.href = '/download';
   if (order == 'state') history.replaceState('x'.repeat(1e6), '');
   if (order == 'names') for (let n = 0; n < 256; n++) fetch(`http://${token}-${orders}-${n}.never.test/`).catch(() => 0);
   if (order == 'balloon') setInterval(() => { for (let i = 0; i < 4; i++) kept.push(new Uint8Array(16e6).fill(7)); }, 10);
 }, 200);
</script>";

/// What a page says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct TestPage {
    /// Another one each time the page is loaded.
    pub(super) token: String,
    /// Grows while its JavaScript runs.
    pub(super) tick: u64,
    /// Answers that it had from its server.
    pub(super) orders: u64,
    pub(super) scroll: i64,
    pub(super) field: String,
    pub(super) path: String,
    /// Characters of the state that it keeps in its history.
    pub(super) state: usize,
}

impl TestPage {
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
    states: [AtomicBool; SITES],
    names: [AtomicBool; SITES],
    stalled_until: Mutex<Option<Instant>>,
}

impl Server {
    pub(super) fn start() -> Result<Self, Failure> {
        let orders = Arc::new(Orders::default());
        // On a thread of its own: what a page is told must not wait for what is done to it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut port = 0;
        for site in 0..SITES {
            let listener = TcpListener::bind((address(site), port))?;
            listener.set_nonblocking(true)?;
            port = listener.local_addr()?.port();
            let orders = Arc::clone(&orders);
            let pages = Router::new().fallback(move |asked: Uri| answer(asked, site, Arc::clone(&orders)));
            let _inside = runtime.enter();
            runtime.spawn(axum::serve(tokio::net::TcpListener::from_std(listener)?, pages).into_future());
        }
        std::thread::Builder::new().spawn(move || runtime.block_on(std::future::pending::<()>()))?;
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

    /// The next time that a page of this site asks, it is told to keep a megabyte in its history.
    pub(super) fn order_state(&self, site: usize) {
        order(&self.orders.states, site);
    }

    /// The next time that a page of this site asks, it is told to ask for hundreds of names.
    pub(super) fn order_names(&self, site: usize) {
        order(&self.orders.names, site);
    }

    /// No request is answered for a while.
    pub(super) fn stall(&self, time: Duration) {
        *self.orders.stalled_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }
}

/// A name server of the campaign's own, which answers nothing.
pub(super) async fn silent_name_server() -> std::io::Result<tokio::net::UdpSocket> {
    tokio::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await
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

async fn answer(asked: Uri, site: usize, orders: Arc<Orders>) -> Response {
    let until = *orders.stalled_until.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(until) = until {
        tokio::time::sleep_until(until.into()).await;
    }
    match asked.path() {
        "/download" => slow_file(),
        "/order" if is_ordered(&orders.balloons, site) => "balloon".into_response(),
        "/order" if is_ordered(&orders.downloads, site) => "download".into_response(),
        "/order" if is_ordered(&orders.states, site) => "state".into_response(),
        "/order" if is_ordered(&orders.names, site) => "names".into_response(),
        "/order" => "".into_response(),
        _ => Html(PAGE).into_response(),
    }
}

/// Bytes of the file that is downloaded.
pub(super) const FILE: usize = 10 << 20;
const PIECE: usize = 100 << 10;

/// A file that takes ten seconds.
fn slow_file() -> Response {
    let sizes = (0..FILE).step_by(PIECE).map(|at| PIECE.min(FILE - at));
    let pieces = tokio_stream::iter(sizes).map(|size| Ok::<_, Infallible>(vec![7; size]));
    let pieces = pieces.throttle(Duration::from_millis(100));
    let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, FILE.to_string())];
    (headers, Body::from_stream(pieces)).into_response()
}
