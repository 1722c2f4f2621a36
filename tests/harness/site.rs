//! A web server on several loopback addresses, each of which is a site. It records every request.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::eventually;
use crate::tls::{Peer, TlsListener};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP method, such as `GET`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Address at which it arrived.
    pub host: String,
    /// Address from which it came.
    pub from: IpAddr,
    /// Headers, by lower-case name.
    pub headers: HashMap<String, String>,
    /// Request body.
    pub body: String,
}

impl Request {
    /// Returns a header's value; empty if it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A response of the server.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Response body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Creates a response with an HTML page.
    #[must_use]
    pub fn page(html: &str) -> Self {
        Self::typed("text/html; charset=utf-8", html.as_bytes().to_vec())
    }

    /// Creates a response with a body of this content type.
    #[must_use]
    pub fn typed(kind: &str, body: Vec<u8>) -> Self {
        Self { status: 200, headers: vec![("Content-Type".to_owned(), kind.to_owned())], body }
    }

    /// Creates a redirect.
    #[must_use]
    pub fn redirect(status: u16, to: &str) -> Self {
        Self { status, headers: vec![("Location".to_owned(), to.to_owned())], body: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Bytes that [`large_both_ways`] sends in each direction.
pub const LARGE: usize = 3 << 20;

/// Serves a page, `/sends`, that downloads and uploads [`LARGE`] bytes and then shows whether both arrived whole (see
/// [`arrived_whole`]).
#[must_use]
pub fn large_both_ways(request: &Request) -> Option<Answer> {
    Some(match request.path.as_str() {
        "/large" => Answer::typed("application/octet-stream", (0..=250).cycle().take(LARGE).collect()),
        "/sends" => Answer::page(&format!(
            "<p id=said>here</p><script>
            (async () => {{
                const bytes = new Uint8Array(await (await fetch('/large')).arrayBuffer());
                const whole = bytes.length == {LARGE} && bytes.every((byte, at) => byte == at % 251);
                const told = await (await fetch('/takes', {{ method: 'POST', body: 'x'.repeat({LARGE}) }})).text();
                said.textContent = `whole: ${{whole}}, ${{told}}`;
            }})();</script>"
        )),
        "/takes" => Answer::typed("text/plain", format!("taken: {}", request.body.len()).into_bytes()),
        _ => return None,
    })
}

/// Returns the text that this page shows when both transfers arrived whole.
#[must_use]
pub fn arrived_whole() -> String {
    format!("whole: true, taken: {LARGE}")
}

/// A function that answers requests.
pub(crate) type Handler = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// A server on 127.0.0.1, 127.0.0.2 and 127.0.0.3, or on the same three addresses of another network.
#[derive(Clone)]
pub struct Site {
    network: [u8; 3],
    port: u16,
    secure: bool,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Runtime of all of a test's servers.
pub(crate) static SERVERS: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime")
});

const LOOPBACK: [u8; 3] = [127, 0, 0];

fn addresses([a, b, c]: [u8; 3]) -> [Ipv4Addr; 3] {
    [1, 2, 3].map(|d| Ipv4Addr::new(a, b, c, d))
}

impl Site {
    /// Serves with this function; a request for which it returns `None` is answered with 404.
    #[must_use]
    pub fn serve(handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::start(LOOPBACK, None, Arc::new(handler))
    }

    /// Serves over TLS with this certificate and key (PEM).
    #[must_use]
    pub fn serve_tls(
        certificate: &str,
        key: &str,
        handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::start(LOOPBACK, Some(crate::tls::acceptor(certificate, key)), Arc::new(handler))
    }

    /// Serves on addresses with these first three numbers, in the test's private network namespace.
    #[must_use]
    pub fn serve_in(network: [u8; 3], handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        addresses(network).into_iter().for_each(crate::network::add_address);
        Self::start(network, None, Arc::new(handler))
    }

    /// Serves on this port, in the test's private network namespace, over TLS if there is a certificate and key (PEM).
    #[must_use]
    pub fn serve_on(
        network: [u8; 3],
        port: u16,
        tls: Option<(&str, &str)>,
        handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        addresses(network).into_iter().for_each(crate::network::add_address);
        let tls = tls.map(|(certificate, key)| crate::tls::acceptor(certificate, key));
        let bind = |address| std::net::TcpListener::bind((address, port)).expect("a free port");
        Self::on(addresses(network).map(bind).into(), network, tls, Arc::new(handler))
    }

    /// Serves fixed pages by path.
    #[must_use]
    pub fn pages(pages: &[(&str, &str)]) -> Self {
        let pages: HashMap<String, String> =
            pages.iter().map(|(path, html)| ((*path).to_owned(), (*html).to_owned())).collect();
        Self::serve(move |request| pages.get(&request.path).map(|html| Answer::page(html)))
    }

    fn start(network: [u8; 3], tls: Option<TlsAcceptor>, handler: Arc<Handler>) -> Self {
        Self::on(bind_all(network), network, tls, handler)
    }

    fn on(
        listeners: Vec<std::net::TcpListener>,
        network: [u8; 3],
        tls: Option<TlsAcceptor>,
        handler: Arc<Handler>,
    ) -> Self {
        let port = listeners[0].local_addr().expect("an address").port();
        let site = Self { network, port, secure: tls.is_some(), requests: Arc::default() };
        let _inside = SERVERS.enter();
        for (listener, address) in listeners.into_iter().zip(addresses(site.network)) {
            let (handler, requests) = (Arc::clone(&handler), Arc::clone(&site.requests));
            let asked = move |ConnectInfo(Peer(from)): ConnectInfo<Peer>, request| {
                answer(request, address, from, Arc::clone(&handler), Arc::clone(&requests))
            };
            let service = Router::new().fallback(asked).into_make_service_with_connect_info::<Peer>();
            listener.set_nonblocking(true).expect("a listener");
            let listener = TcpListener::from_std(listener).expect("a listener");
            match &tls {
                None => SERVERS.spawn(axum::serve(listener, service).into_future()),
                Some(tls) => {
                    let listener = TlsListener::new(listener, tls.clone());
                    SERVERS.spawn(axum::serve(listener, service).into_future())
                }
            };
        }
        site
    }

    /// Returns the port, which is the same on every address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns a URL on site 1, 2 or 3.
    #[must_use]
    pub fn url(&self, number: u8, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let [a, b, c] = self.network;
        format!("{scheme}://{a}.{b}.{c}.{number}:{}{path}", self.port)
    }

    /// Removes and returns all requests so far, in order.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Returns every request so far for this path, in order.
    #[must_use]
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let all = self.requests.lock().expect("the list");
        all.iter().filter(|request| request.path.split('?').next() == Some(path)).cloned().collect()
    }

    /// Waits for the first request for a path, and returns it.
    #[must_use]
    pub fn wait_for_request(&self, path: &str) -> Request {
        eventually(&format!("a request for {path}"), || self.requests(path).into_iter().next())
    }
}

fn bind_all(network: [u8; 3]) -> Vec<std::net::TcpListener> {
    let [first, others @ ..] = addresses(network);
    for _ in 0..100 {
        let Ok(first) = std::net::TcpListener::bind(SocketAddr::from((first, 0))) else { continue };
        let port = first.local_addr().expect("an address").port();
        let others: Result<Vec<_>, _> = others.into_iter().map(|ip| std::net::TcpListener::bind((ip, port))).collect();
        if let Ok(others) = others {
            return std::iter::once(first).chain(others).collect();
        }
    }
    panic!("no port is free on all addresses");
}

async fn answer(
    request: axum::extract::Request,
    address: Ipv4Addr,
    from: SocketAddr,
    handler: Arc<Handler>,
    requests: Arc<Mutex<Vec<Request>>>,
) -> Response {
    let (head, body) = request.into_parts();
    // A page may close the connection in the middle of a form.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let seen = Request {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        host: address.to_string(),
        from: from.ip(),
        headers: head.headers.iter().map(header).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    requests.lock().expect("the list").push(seen.clone());
    // Handlers may block.
    let answer = tokio::task::spawn_blocking(move || handler(&seen)).await.expect("an answer");
    let answer = answer.unwrap_or_else(|| Answer { status: 404, ..Answer::page("not found") });
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).expect("usable headers")
}
