//! What is on this machine and in its network is not for pages from outside, whatever their names are made to mean.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use regen_proto::net::v1::FailureKind;

use super::RouteError;

/// Sites that are remembered.
const MOST: usize = 10_000;

/// Where a site is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// On the internet: its pages reach nothing private.
    Public,
    /// In this machine's network, or on it.
    Private,
}

/// Where sites have been found. One that was public once stays it, as long as this process lives: its name may be made to mean
/// something private, but its pages came from outside. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spaces {
    found: Arc<Mutex<HashMap<String, Space>>>,
    /// Hosts of sites that the user lets in.
    trusted: Arc<HashSet<String>>,
}

impl Spaces {
    pub(crate) fn new(trusted: Vec<String>) -> Self {
        Self { found: Arc::default(), trusted: Arc::new(trusted.into_iter().collect()) }
    }

    /// The same in another network, of which nothing is known yet: what is found there says nothing about this one.
    pub(crate) fn of_another_network(&self) -> Self {
        Self { found: Arc::default(), trusted: Arc::clone(&self.trusted) }
    }

    /// Those of a host's addresses that pages of this site may reach.
    pub(crate) fn reachable(
        &self,
        site: &str,
        host: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, RouteError> {
        if self.space_of(site, host, &addresses) == Space::Private {
            return Ok(addresses);
        }
        let (private, public): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|one| is_private(one.ip()));
        match private.first() {
            Some(address) if public.is_empty() => {
                let address = address.ip();
                let message = format!(
                    "{host} ({address}) is in this computer's own network, which pages from outside do not reach unless `--reach-private` lets them"
                );
                Err(RouteError { kind: FailureKind::Policy, message })
            }
            _ => Ok(public),
        }
    }

    fn space_of(&self, site: &str, host: &str, addresses: &[SocketAddr]) -> Space {
        let own = site.split_once("://").map_or(site, |(_, own)| own);
        if self.trusted.contains(own) || own == "localhost" || own.ends_with(".localhost") {
            return Space::Private;
        }
        if let Ok(address) = own.trim_matches(['[', ']']).parse::<IpAddr>() {
            return if is_private(address) { Space::Private } else { Space::Public };
        }
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = host.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let now = if addresses.iter().all(|one| is_private(one.ip())) { Space::Private } else { Space::Public };
        match known.get(own) {
            Some(Space::Private) if !is_own || now == Space::Private => Space::Private,
            // Its pages come from its own host, which nobody has asked for yet.
            None if !is_own => Space::Public,
            None | Some(Space::Private) => {
                if known.len() >= MOST {
                    // These can be found again.
                    known.retain(|_, space| *space == Space::Public);
                }
                if known.len() < MOST {
                    known.insert(own.to_owned(), now);
                    return now;
                }
                Space::Public
            }
            Some(Space::Public) => Space::Public,
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || a == 0
        // What providers share among their customers, and what benchmarks take.
        || (a == 100 && b & 0xc0 == 64)
        || (a == 198 && b & 0xfe == 18)
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    // An IPv4 address in another dress.
    let [.., high, low] = address.segments();
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    let is_dressed = address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || (is_dressed && is_private_v4(Ipv4Addr::new(a, b, c, d)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|one| SocketAddr::new(one.parse().unwrap(), 80)).collect()
    }

    #[test]
    fn a_page_from_outside_reaches_nothing_private() {
        let spaces = Spaces::default();
        let reach = |site: &str, host: &str, addresses: &[&str]| {
            spaces.reachable(site, host, at(addresses)).map(|found| found.len()).map_err(|error| error.kind)
        };
        let refused = Err(FailureKind::Policy);
        assert_eq!(reach("https://evil.test", "www.evil.test", &["93.184.216.34"]), Ok(1));
        for private in
            ["127.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
        {
            assert_eq!(reach("https://evil.test", "other.test", &[private]), refused, "{private}");
            // Its own name, which now means something else.
            assert_eq!(reach("https://evil.test", "www.evil.test", &[private]), refused, "{private}");
        }
        assert_eq!(reach("https://evil.test", "both.test", &["10.0.0.1", "93.184.216.34"]), Ok(1));
        assert_eq!(reach("http://93.184.216.34", "127.0.0.1", &["127.0.0.1"]), refused);
        assert_eq!(
            reach("https://new.test", "other.test", &["127.0.0.1"]),
            refused,
            "before its own host was asked for"
        );
    }

    #[test]
    fn what_is_private_itself_or_trusted_reaches_all() {
        let spaces = Spaces::new(vec!["company.test".to_owned()]);
        let reach = |site: &str, host: &str, addresses: &[&str]| spaces.reachable(site, host, at(addresses)).is_ok();
        assert!(reach("https://company.test", "printer.lan", &["192.168.1.7"]));
        assert!(reach("http://localhost", "localhost", &["127.0.0.1"]));
        assert!(reach("http://127.0.0.1", "10.1.1.1", &["10.1.1.1"]));
        assert!(reach("http://[::1]", "localhost", &["::1"]));
        assert!(reach("http://router.lan", "router.lan", &["192.168.1.1"]));
        assert!(reach("http://router.lan", "printer.lan", &["192.168.1.7"]));
        assert!(reach("http://router.lan", "example.org", &["93.184.216.34"]), "and the internet");
        assert!(
            !reach("http://terouter.lan", "router.lan", &["192.168.1.1"]),
            "not every name that ends so is its own"
        );
        // It turns up outside: from then on it is.
        assert!(reach("http://router.lan", "router.lan", &["93.184.216.34"]));
        assert!(!reach("http://router.lan", "router.lan", &["192.168.1.1"]));
    }
}
