//! Routes: the hops by which a grant's connections leave this machine, tried in order. A hop that the grant's route does not
//! list is never used.

use std::sync::Arc;

use regen_net_config::route::{Hop, Route};
use regen_proto::net::v1::FailureKind;

use crate::dns::Dns;
use crate::egress::direct::Direct;
use crate::egress::proxy::Proxied;
use crate::egress::{CnameCheck, Connection, Egress, PrivateNetworkCheck, Reach, Target};
use crate::error::{ConnectError, HopError};
use crate::shields::{Shields, ShieldsContext};
use crate::tor::Tor;
use crate::wireguard::{VpnEgress, WireGuard};

/// A route with the state that its hops need.
#[derive(Debug, Clone)]
pub(crate) struct GrantedRoute {
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

impl GrantedRoute {
    /// Connects over the first hop that works.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<Connection, ConnectError> {
        let target = Target { partition: &self.partition, host, port };
        let mut last = None;
        for hop in self.route.hops() {
            // An onion name reveals what the user visits: no name server may see it.
            if *hop != Hop::Tor && is_onion(host) {
                continue;
            }
            let connected = match hop {
                Hop::Direct => self.checked(Direct(&self.dns), target).await,
                Hop::Proxy(proxy) => self.checked(Proxied { proxy, dns: &self.dns }, target).await,
                Hop::Tor => self.checked(self.tor.clone(), target).await,
                Hop::Vpn(profile) => self.checked(VpnEgress { wireguard: &self.wireguard, profile }, target).await,
            };
            match connected {
                Ok(connection) => return Ok(connection),
                Err(HopError::Target(error)) => return Err(error),
                Err(HopError::Down(error)) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| self.blocked(host)))
    }

    /// Connects over one egress, behind all checks.
    async fn checked(&self, egress: impl Egress, target: Target<'_>) -> Result<Connection, HopError> {
        let egress = CnameCheck { inner: egress, shields: self.shields.as_ref() };
        let egress = PrivateNetworkCheck { inner: egress, reach: &self.reach };
        let resolved = egress.resolve(target).await?;
        egress.dial(target, resolved).await
    }

    fn blocked(&self, host: &str) -> ConnectError {
        let message = if is_onion(host) && self.route.hops().next().is_some() {
            format!("{host} is an onion service, which only Tor reaches: choose Tor with `regen route set tor`")
        } else {
            "the route blocks all traffic: `regen route show` shows it".to_owned()
        };
        ConnectError { kind: FailureKind::Route, message }
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
