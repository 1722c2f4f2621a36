//! Routes: the hops by which connections leave this machine. A hop that the grant's route does not list is never used.

mod direct;
mod private_network;
mod proxy;
pub(crate) mod race;

use std::sync::Arc;

use regen_net_config::route::{Hop, Route};
use regen_proto::net::v1::FailureKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::dns::Dns;
use crate::shields::{Shields, ShieldsContext};
use crate::tor::Tor;
use crate::wireguard::WireGuard;

pub(crate) use private_network::Reach;

/// Reason why a connection could not be opened, worded for the error page.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RouteError {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// Cause of a failed connection.
#[derive(Debug)]
pub(crate) enum WayError {
    /// The target failed. Other hops would fail, too.
    Target(RouteError),
    /// The hop failed. The next one is tried.
    Down(RouteError),
}

/// A bidirectional byte stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection.
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    /// Cancelled when the connection must end.
    pub(crate) over: CancellationToken,
    /// Notified when sent data has long been unanswered.
    pub(crate) doubt: Option<Arc<Notify>>,
    /// Guard that counts the connection as open.
    _open: Option<Box<dyn Send>>,
}

impl Connection {
    /// Returns a connection that the hop does not end, check or count.
    fn plain(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), over: CancellationToken::new(), doubt: None, _open: None }
    }
}

/// A route with the state that its hops need.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    pub(crate) route: Route,
    /// Partition with its own Tor circuits, DNS cache and list of dead addresses.
    pub(crate) partition: String,
    pub(crate) dns: Dns,
    pub(crate) tor: Tor,
    pub(crate) wireguard: WireGuard,
    pub(crate) reach: Reach,
    /// Shields that apply; `None` for connections that no page has requested.
    pub(crate) shields: Option<(Shields, Arc<ShieldsContext>)>,
}

/// Context in which a connection's names are resolved and its addresses are checked.
#[derive(Debug)]
pub(crate) struct Inside<'a> {
    pub(crate) partition: &'a str,
    pub(crate) reach: &'a Reach,
    shields: Option<&'a (Shields, Arc<ShieldsContext>)>,
}

impl Inside<'_> {
    /// Checks a host's CNAME targets against shields: a tracker may hide behind a name of the page's own site.
    pub(crate) async fn lets_out(&self, host: &str, aliases: &[String]) -> Result<(), RouteError> {
        let Some((shields, asking)) = self.shields.filter(|(_, asking)| !asking.is_opened(host)) else { return Ok(()) };
        for alias in aliases {
            let alias = alias.trim_end_matches('.');
            let verdict = shields.check_host(asking, alias).await;
            if verdict.blocked {
                let message = format!("connection to {host} blocked by shields: it is an alias of {alias}");
                return Err(RouteError { kind: FailureKind::Policy, message });
            }
        }
        Ok(())
    }
}

impl Ways {
    /// Connects over the first hop that works.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<Connection, RouteError> {
        let mut last = None;
        for way in self.route.hops() {
            // An onion name reveals what the user visits: no name server may see it.
            if *way != Hop::Tor && is_onion(host) {
                continue;
            }
            match self.try_way(way, host, port).await {
                Ok(connection) => return Ok(connection),
                Err(WayError::Target(error)) => return Err(error),
                Err(WayError::Down(error)) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| self.lets_nothing_out(host)))
    }

    fn lets_nothing_out(&self, host: &str) -> RouteError {
        let message = if is_onion(host) && self.route.hops().next().is_some() {
            format!("{host} is an onion service, which only Tor reaches: choose Tor with `regen route set tor`")
        } else {
            "the route blocks all traffic: `regen route show` shows it".to_owned()
        };
        RouteError { kind: FailureKind::Route, message }
    }

    async fn try_way(&self, way: &Hop, host: &str, port: u16) -> Result<Connection, WayError> {
        let Self { partition, reach, shields, .. } = self;
        let inside = Inside { partition, reach, shields: shields.as_ref() };
        match way {
            Hop::Direct => Ok(Connection::plain(direct::connect(host, port, &inside, &self.dns).await?)),
            Hop::Proxy(proxy) => Ok(Connection::plain(proxy::connect(proxy, &self.dns, &inside, host, port).await?)),
            Hop::Tor => {
                reach.is_found_elsewhere(host).await;
                let (stream, over, open) = self.tor.connect(&self.partition, host, port).await?;
                let doubt = Some(self.tor.doubt());
                Ok(Connection { over, doubt, _open: Some(Box::new(open)), ..Connection::plain(stream) })
            }
            Hop::Vpn(profile) => {
                let (stream, over, open) = self.wireguard.connect(profile, &inside, host, port).await?;
                Ok(Connection { over, _open: Some(Box::new(open)), ..Connection::plain(stream) })
            }
        }
    }
}

fn is_onion(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|label| label.eq_ignore_ascii_case("onion"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_onion_services_are_known() {
        assert!(["a.onion", "x.y.ONION", "a.onion."].into_iter().all(is_onion));
        assert!(!["onion.test", "a.onions", ""].into_iter().any(is_onion));
    }
}
