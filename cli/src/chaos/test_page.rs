//! Test pages and their server. Each page reports its identity, its age and the user's edits in its text.

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

/// Position of the text field, in CSS pixels.
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

/// State that a test page reports in its text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct TestPage {
    /// Random token that differs for each load of the page.
    pub(super) token: String,
    /// Counter that grows while the page's JavaScript runs.
    pub(super) tick: u64,
    /// Number of answers received from the server.
    pub(super) orders: u64,
    pub(super) scroll: i64,
    pub(super) field: String,
    pub(super) path: String,
    /// Length of the history state, in characters.
    pub(super) state: usize,
}

impl TestPage {
    /// Parses the report in a page's text.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("WITNESS")?;
        let (json, _) = rest.split_once("END")?;
        serde_json::from_str(json).ok()
    }
}

/// Server of the test pages, with one loopback address for each site.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) port: u16,
    orders: Arc<Orders>,
}

/// Pending orders to the pages, and the state of the server.
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
        // A thread of its own: answers must not wait for the campaign.
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

    /// Orders a page of this site to allocate memory without end, when it next asks.
    pub(super) fn order_balloon(&self, site: usize) {
        order(&self.orders.balloons, site);
    }

    /// Orders a page of this site to download a file, when it next asks.
    pub(super) fn order_download(&self, site: usize) {
        order(&self.orders.downloads, site);
    }

    /// Orders a page of this site to store a megabyte of history state, when it next asks.
    pub(super) fn order_state(&self, site: usize) {
        order(&self.orders.states, site);
    }

    /// Orders a page of this site to look up hundreds of names, when it next asks.
    pub(super) fn order_names(&self, site: usize) {
        order(&self.orders.names, site);
    }

    /// Delays all answers of the server until this time has passed.
    pub(super) fn stall(&self, time: Duration) {
        *self.orders.stalled_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }
}

/// Opens the socket of a name server that never answers.
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

/// Size of the downloaded file, in bytes.
pub(super) const FILE: usize = 10 << 20;
const PIECE: usize = 100 << 10;

/// Serves a file that takes ten seconds to download.
fn slow_file() -> Response {
    let sizes = (0..FILE).step_by(PIECE).map(|at| PIECE.min(FILE - at));
    let pieces = tokio_stream::iter(sizes).map(|size| Ok::<_, Infallible>(vec![7; size]));
    let pieces = pieces.throttle(Duration::from_millis(100));
    let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, FILE.to_string())];
    (headers, Body::from_stream(pieces)).into_response()
}
