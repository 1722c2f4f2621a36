//! Downloads of files that the user has chosen, such as filter lists, over the user's route.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use regen_net_config::route::Route;
use regen_proto::kernel::v1::PrivateNetwork;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::dns::Dns;
use crate::egress::{Connection, Reach, Stream};
use crate::route::GrantedRoute;
use crate::tls;
use crate::tor::Tor;
use crate::wireguard::WireGuard;

/// Timeout for one file, including redirects.
const TIME: Duration = Duration::from_secs(120);
/// Maximum number of redirects.
const MOVES: usize = 5;
/// Partition of the downloads' Tor circuits and DNS cache. No page shares it.
const PARTITION: &str = "regen|lists";

/// A client that downloads files.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    pub(crate) dns: Dns,
    pub(crate) tor: Tor,
    pub(crate) wireguard: WireGuard,
    route: Arc<Mutex<(Route, CancellationToken)>>,
}

/// Result of a download.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// The server still has the known version.
    Same,
    /// The whole file.
    Whole { bytes: Bytes, etag: String },
}

impl Fetcher {
    pub(crate) fn new(dns: Dns, tor: Tor, wireguard: WireGuard, route: Route) -> Self {
        Self { dns, tor, wireguard, route: Arc::new(Mutex::new((route, CancellationToken::new()))) }
    }

    /// Sets the route. A change cancels downloads over the previous one.
    pub(crate) fn take(&self, route: Route) {
        let mut now = self.route.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != route {
            std::mem::replace(&mut *now, (route, CancellationToken::new())).1.cancel();
        }
    }

    fn route(&self) -> (Route, CancellationToken) {
        self.route.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Downloads a file of at most `largest` bytes. `etag` is the known version, or empty. The error is for the user.
    pub(crate) async fn get(&self, url: &Url, etag: &str, largest: u64) -> Result<Fetched, String> {
        let late = |_| format!("{url}: download did not finish within {} s", TIME.as_secs());
        let (route, over) = self.route();
        tokio::select! {
            fetched = timeout(TIME, self.follow(url.clone(), etag, largest, &route)) => fetched.map_err(late)?,
            () = over.cancelled() => Err(format!("{url}: download cancelled because the route was changed")),
        }
    }

    async fn follow(&self, named: Url, etag: &str, largest: u64, route: &Route) -> Result<Fetched, String> {
        let mut url = named.clone();
        for _ in 0..=MOVES {
            // The ETag is sent to the host that issued it only.
            let etag = if url.host() == named.host() { etag } else { "" };
            let (answer, connection) = self.ask(&url, &named, etag, route).await?;
            let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            match answer.status() {
                StatusCode::NOT_MODIFIED => return Ok(Fetched::Same),
                status if status.is_redirection() => {
                    let to = url.join(text(header::LOCATION)).map_err(|error| format!("redirect of {url}: {error}"))?;
                    if url.scheme() == "https" && to.scheme() != "https" {
                        return Err(format!("{url}: redirect to {to} refused: it is not encrypted"));
                    }
                    url = to;
                }
                StatusCode::OK => {
                    let etag = text(header::ETAG).to_owned();
                    let most = usize::try_from(largest).unwrap_or(usize::MAX);
                    let whole = tokio::select! {
                        whole = Limited::new(answer.into_body(), most).collect() => whole,
                        () = connection.cancelled() => return Err(format!("{url}: the route ended the connection")),
                    };
                    let bytes = whole.map_err(|error| format!("{url}: {error}"))?.to_bytes();
                    return Ok(Fetched::Whole { bytes, etag });
                }
                status => return Err(format!("{url}: the server answered {status}")),
            }
        }
        Err(format!("{url}: too many redirects (limit {MOVES})"))
    }

    /// Sends the request. Returns the response, and a token that is cancelled when the connection must end.
    async fn ask(
        &self,
        url: &Url,
        named: &Url,
        etag: &str,
        route: &Route,
    ) -> Result<(Response<Incoming>, CancellationToken), String> {
        let failed = |error: &dyn std::fmt::Display| format!("{url}: {error}");
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let bare = host.trim_matches(['[', ']']);
        let route = GrantedRoute {
            route: route.clone(),
            partition: PARTITION.to_owned(),
            dns: self.dns.clone(),
            tor: self.tor.clone(),
            wireguard: self.wireguard.clone(),
            shields: None,
            // The host that the user has named may be private. A redirect must not lead to another private host.
            reach: Reach::new(
                bare,
                &(url.host() == named.host()).then(|| bare.to_owned()).into_iter().collect(),
                PrivateNetwork::Refused,
                None,
            ),
        };
        let Connection { mut stream, over, .. } = route.connect(bare, port).await.map_err(|error| failed(&error))?;
        if url.scheme() == "https" {
            let config = tls::client(None)?;
            let name = ServerName::try_from(bare.to_owned()).map_err(|error| failed(&error))?;
            let secure = TlsConnector::from(config).connect(name, stream).await;
            stream = Box::new(secure.map_err(|error| failed(&error))?) as Box<dyn Stream>;
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // The connection task ends with the response.
        tokio::spawn(connection);
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let mut request = Request::get(path).header(header::HOST, authority).header(header::ACCEPT, "text/plain, */*");
        if !etag.is_empty() {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed(&error))?;
        Ok((sender.send_request(request).await.map_err(|error| failed(&error))?, over))
    }
}
