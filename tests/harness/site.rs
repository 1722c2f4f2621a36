//! A web server of the test's own: several loopback addresses are several sites, and every request is remembered.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use tiny_http::{Header, Response, Server};

use crate::eventually;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The address it arrived at.
    pub host: String,
    /// And from where it came.
    pub from: IpAddr,
    /// Lower-case names.
    pub headers: HashMap<String, String>,
    /// What was sent.
    pub body: String,
}

impl Request {
    /// A header, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What the server answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An HTML page.
    #[must_use]
    pub fn page(html: &str) -> Self {
        Self::typed("text/html; charset=utf-8", html.as_bytes().to_vec())
    }

    /// Any content.
    #[must_use]
    pub fn typed(kind: &str, body: Vec<u8>) -> Self {
        Self { status: 200, headers: vec![("Content-Type".to_owned(), kind.to_owned())], body }
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, to: &str) -> Self {
        Self { status, headers: vec![("Location".to_owned(), to.to_owned())], body: Vec::new() }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Answers requests.
pub(crate) type Handler = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// A server on 127.0.0.1, 127.0.0.2 and 127.0.0.3, or on three such addresses of another network.
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

const LOOPBACK: [u8; 3] = [127, 0, 0];

fn addresses([a, b, c]: [u8; 3]) -> [Ipv4Addr; 3] {
    [1, 2, 3].map(|d| Ipv4Addr::new(a, b, c, d))
}

impl Site {
    /// Serves with this function; what it declines is not found.
    #[must_use]
    pub fn serve(handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::start(LOOPBACK, Arc::new(handler))
    }

    /// Serves over TLS with this certificate and key (PEM).
    #[must_use]
    pub fn serve_tls(
        certificate: String,
        key: String,
        handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listeners = bind_all(LOOPBACK);
        let port = listeners[0].local_addr().expect("an address").port();
        let site = Self { network: LOOPBACK, port, secure: true, requests: Arc::default() };
        let handler: Arc<Handler> = Arc::new(handler);
        let config = Arc::new(crate::tls::config(&certificate, &key));
        for (listener, address) in listeners.into_iter().zip(addresses(site.network)) {
            let host = address.to_string();
            let (handler, requests, config) = (Arc::clone(&handler), Arc::clone(&site.requests), Arc::clone(&config));
            std::thread::spawn(move || crate::tls::serve(&listener, &host, &config, &handler, &requests));
        }
        site
    }

    /// Serves in a network of the test's own, of which these are the first three numbers of its addresses.
    #[must_use]
    pub fn serve_in(network: [u8; 3], handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        addresses(network).into_iter().for_each(crate::network::add_address);
        Self::start(network, Arc::new(handler))
    }

    /// Serves fixed pages by path.
    #[must_use]
    pub fn pages(pages: &[(&str, &str)]) -> Self {
        let pages: HashMap<String, String> =
            pages.iter().map(|(path, html)| ((*path).to_owned(), (*html).to_owned())).collect();
        Self::serve(move |request| pages.get(&request.path).map(|html| Answer::page(html)))
    }

    fn start(network: [u8; 3], handler: Arc<Handler>) -> Self {
        let listeners = bind_all(network);
        let port = listeners[0].local_addr().expect("an address").port();
        let site = Self { network, port, secure: false, requests: Arc::default() };
        for (listener, address) in listeners.into_iter().zip(addresses(site.network)) {
            let server = Arc::new(Server::from_listener(listener, None).expect("a server"));
            let host = address.to_string();
            for _ in 0..4 {
                let (server, handler, requests, host) =
                    (Arc::clone(&server), Arc::clone(&handler), Arc::clone(&site.requests), host.clone());
                std::thread::spawn(move || {
                    while let Ok(request) = server.recv() {
                        answer(request, &host, &*handler, &requests);
                    }
                });
            }
        }
        site
    }

    /// The port, the same on every address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL on site number 1, 2 or 3.
    #[must_use]
    pub fn url(&self, number: u8, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let [a, b, c] = self.network;
        format!("{scheme}://{a}.{b}.{c}.{number}:{}{path}", self.port)
    }

    /// Takes all requests that were seen so far, in order; what comes later is seen alone.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Every request so far for this path, in order.
    #[must_use]
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let all = self.requests.lock().expect("the list");
        all.iter().filter(|request| request.path.split('?').next() == Some(path)).cloned().collect()
    }

    /// Waits for the first request for a path.
    #[must_use]
    pub fn wait_for_request(&self, path: &str) -> Request {
        eventually(&format!("a request for {path}"), || self.requests(path).into_iter().next())
    }
}

fn bind_all(network: [u8; 3]) -> Vec<TcpListener> {
    let [first, others @ ..] = addresses(network);
    for _ in 0..100 {
        let Ok(first) = TcpListener::bind(SocketAddr::from((first, 0))) else { continue };
        let port = first.local_addr().expect("an address").port();
        let others: Result<Vec<_>, _> = others.into_iter().map(|ip| TcpListener::bind((ip, port))).collect();
        if let Ok(others) = others {
            return std::iter::once(first).chain(others).collect();
        }
    }
    panic!("no port is free on all addresses");
}

fn answer(mut request: tiny_http::Request, host: &str, handler: &Handler, requests: &Mutex<Vec<Request>>) {
    let mut body = String::new();
    // A page may hang up in the middle of a form.
    let _ = request.as_reader().read_to_string(&mut body);
    let seen = Request {
        method: request.method().to_string(),
        path: request.url().to_owned(),
        host: host.to_owned(),
        from: request.remote_addr().expect("a TCP peer").ip(),
        headers: request
            .headers()
            .iter()
            .map(|header| (header.field.as_str().as_str().to_ascii_lowercase(), header.value.as_str().to_owned()))
            .collect(),
        body,
    };
    requests.lock().expect("the list").push(seen.clone());
    let answer = handler(&seen).unwrap_or_else(|| Answer { status: 404, ..Answer::page("not found") });
    let mut response = Response::from_data(answer.body).with_status_code(answer.status);
    for (name, value) in &answer.headers {
        response.add_header(Header::from_bytes(name.as_bytes(), value.as_bytes()).expect("a header"));
    }
    // The page may be gone.
    let _ = request.respond(response);
}
