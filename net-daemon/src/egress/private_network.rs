//! Private network access: pages from the internet reach neither this machine nor its network, whatever address their
//! names resolve to (DNS rebinding).
//!
//! The broker decides whether a site may be private, and remembers that a site was public for as long as the site's
//! storage exists. A grant only determines on which side its site is; it never extends what the broker allowed.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use regen_net_config::special_purpose::is_private;
use regen_proto::kernel::v1::{NetworkSide, PrivateNetwork, SiteFound};
use regen_proto::net::v1::FailureKind;
use regen_proto::validate::ChildToBroker;
use regen_runtime::Kernel;

use super::{Connection, Egress, Resolved, Target};
use crate::error::{ConnectError, HopError};

/// Layer that keeps pages from the internet away from private networks.
pub(crate) struct PrivateNetworkCheck<'a, E> {
    pub(crate) inner: E,
    pub(crate) reach: &'a Reach,
}

#[tonic::async_trait]
impl<E: Egress> Egress for PrivateNetworkCheck<'_, E> {
    fn network(&self) -> String {
        self.inner.network()
    }

    async fn resolve(&self, target: Target<'_>) -> Result<Resolved, HopError> {
        match self.inner.resolve(target).await? {
            Resolved::Here { addresses, aliases } => {
                let filtered = self.reach.filter(&self.network(), target.host, addresses).await;
                Ok(Resolved::Here { addresses: filtered.map_err(HopError::Target)?, aliases })
            }
            Resolved::Elsewhere => {
                self.reach.is_found_elsewhere(target.host).await;
                Ok(Resolved::Elsewhere)
            }
        }
    }

    async fn dial(&self, target: Target<'_>, resolved: Resolved) -> Result<Connection, HopError> {
        self.inner.dial(target, resolved).await
    }
}

/// Access of one grant's pages to private networks. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Reach(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Host of the grant's site.
    own: String,
    /// Side that the site's name determines: trusted by the user, localhost, or an IP literal.
    fixed: Option<NetworkSide>,
    /// The broker allows the site to be private.
    may_be_private: bool,
    /// The site was found on the internet.
    is_public: AtomicBool,
    /// Networks in which the site's own host was found private.
    private_in: Mutex<HashSet<String>>,
    told_private: AtomicBool,
    report: Option<(Kernel, u64)>,
}

impl Reach {
    /// Creates the access of a grant. `report` holds the broker to report findings to, and the grant's ID.
    pub(crate) fn new(
        site: &str,
        trusted: &HashSet<String>,
        private_network: PrivateNetwork,
        report: Option<(Kernel, u64)>,
    ) -> Self {
        let own = site.split_once("://").map_or(site, |(_, own)| own).to_owned();
        let literal = own.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let side = |is_private: bool| if is_private { NetworkSide::Private } else { NetworkSide::Public };
        let is_trusted = trusted.contains(&own) || own == "localhost" || own.ends_with(".localhost");
        let fixed =
            if is_trusted { Some(NetworkSide::Private) } else { literal.map(|address| side(is_private(address))) };
        Self(Arc::new(Inner {
            own,
            fixed,
            may_be_private: private_network == PrivateNetwork::Allowed,
            is_public: AtomicBool::new(false),
            private_in: Mutex::default(),
            told_private: AtomicBool::new(false),
            report,
        }))
    }

    /// Returns the addresses of a host that the pages may reach. `network` names the network in which they were
    /// resolved, as one private address belongs to different machines in different networks.
    pub(crate) async fn filter(
        &self,
        network: &str,
        host: &str,
        addresses: Vec<IpAddr>,
    ) -> Result<Vec<IpAddr>, ConnectError> {
        if self.is_private_site(network, host, &addresses).await {
            return Ok(addresses);
        }
        let (private, public): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|one| is_private(*one));
        match private.first() {
            Some(address) if public.is_empty() => {
                let message = format!(
                    "{host} ({address}) is in this computer's private network, which pages from the internet may not reach: to allow a site, start Regen with `--reach-private URL`"
                );
                Err(ConnectError { kind: FailureKind::Policy, message })
            }
            _ => Ok(public),
        }
    }

    /// Records that Tor or a proxy resolves the site's host, to any address: the site counts as public.
    pub(crate) async fn is_found_elsewhere(&self, host: &str) {
        if self.0.fixed.is_none() && self.is_own(host) {
            self.found_public().await;
        }
    }

    async fn is_private_site(&self, network: &str, host: &str, addresses: &[IpAddr]) -> bool {
        let inner = &*self.0;
        match inner.fixed {
            Some(NetworkSide::Private) => return true,
            Some(NetworkSide::Public | NetworkSide::Unspecified) => {
                self.found_public().await;
                return false;
            }
            None => {}
        }
        let is_own = self.is_own(host);
        if is_own && addresses.iter().any(|one| !is_private(*one)) {
            self.found_public().await;
        } else if is_own && !addresses.is_empty() {
            if !inner.may_be_private && !inner.is_public.load(Ordering::Relaxed) {
                self.found_private_but_refused().await;
            }
            self.private_in().insert(network.to_owned());
        }
        inner.may_be_private && !inner.is_public.load(Ordering::Relaxed) && self.private_in().contains(network)
    }

    fn is_own(&self, host: &str) -> bool {
        let rest = host.trim_end_matches('.').strip_suffix(self.0.own.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    fn private_in(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.0.private_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn found_public(&self) {
        if !self.0.is_public.swap(true, Ordering::Relaxed) {
            self.tell(NetworkSide::Public).await;
        }
    }

    async fn found_private_but_refused(&self) {
        if !self.0.told_private.swap(true, Ordering::Relaxed) {
            self.tell(NetworkSide::Private).await;
        }
    }

    /// Reports the site's side to the broker before the connection opens, and so before any data of the site arrives.
    async fn tell(&self, side: NetworkSide) {
        let Some((broker, grant)) = &self.0.report else { return };
        let found = SiteFound { grant: *grant, side: side.into() };
        if let Err(error) = broker.send(ChildToBroker::SiteFound(found)).await {
            tracing::warn!("cannot report the network side of a site to the broker: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Site(Reach);

    impl Site {
        fn new(site: &str, private_network: PrivateNetwork) -> Self {
            let trusted = HashSet::from(["company.test".to_owned()]);
            Self(Reach::new(site, &trusted, private_network, None))
        }

        fn reach(&self, host: &str, addresses: &[&str]) -> Result<usize, FailureKind> {
            self.reach_in("", host, addresses)
        }

        fn reach_in(&self, network: &str, host: &str, addresses: &[&str]) -> Result<usize, FailureKind> {
            let addresses = addresses.iter().map(|one| one.parse().unwrap()).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(self.0.filter(network, host, addresses));
            found.map(|found| found.len()).map_err(|error| error.kind)
        }
    }

    const REFUSED: Result<usize, FailureKind> = Err(FailureKind::Policy);

    #[test]
    fn a_page_from_the_internet_reaches_nothing_private() {
        let evil = Site::new("https://evil.test", PrivateNetwork::Allowed);
        assert_eq!(evil.reach("www.evil.test", &["93.184.216.34"]), Ok(1));
        for private in ["127.0.0.1", "192.168.1.1", "169.254.169.254", "240.0.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert_eq!(evil.reach("other.test", &[private]), REFUSED, "{private}");
            assert_eq!(evil.reach("www.evil.test", &[private]), REFUSED, "{private}: DNS rebinding of its own name");
        }
        assert_eq!(evil.reach("both.test", &["10.0.0.1", "93.184.216.34"]), Ok(1));
        let literal = Site::new("http://93.184.216.34", PrivateNetwork::Allowed);
        assert_eq!(literal.reach("127.0.0.1", &["127.0.0.1"]), REFUSED);
        let new = Site::new("https://new.test", PrivateNetwork::Allowed);
        assert_eq!(new.reach("other.test", &["127.0.0.1"]), REFUSED, "before its own host was resolved");
    }

    #[test]
    fn a_site_that_the_broker_knows_to_be_public_is_never_private() {
        let evil = Site::new("https://evil.test", PrivateNetwork::Refused);
        assert_eq!(evil.reach("evil.test", &["127.0.0.1"]), REFUSED, "the first lookup of this process");
        assert_eq!(evil.reach("other.test", &["127.0.0.1"]), REFUSED);
        assert_eq!(evil.reach("evil.test", &["93.184.216.34"]), Ok(1), "the control");
        let unsaid = Site::new("https://evil.test", PrivateNetwork::Unspecified);
        assert_eq!(unsaid.reach("evil.test", &["127.0.0.1"]), REFUSED);
    }

    #[test]
    fn what_is_private_itself_or_trusted_reaches_all() {
        let of = |site| Site::new(site, PrivateNetwork::Allowed);
        assert_eq!(of("https://company.test").reach("printer.lan", &["192.168.1.7"]), Ok(1));
        assert_eq!(of("http://localhost").reach("localhost", &["127.0.0.1"]), Ok(1));
        assert_eq!(of("http://127.0.0.1").reach("10.1.1.1", &["10.1.1.1"]), Ok(1));
        assert_eq!(of("http://[::1]").reach("localhost", &["::1"]), Ok(1));
        let router = of("http://router.lan");
        assert_eq!(router.reach("router.lan", &["192.168.1.1"]), Ok(1));
        assert_eq!(router.reach("printer.lan", &["192.168.1.7"]), Ok(1));
        assert_eq!(router.reach("example.org", &["93.184.216.34"]), Ok(1), "and the internet");
        assert_eq!(router.reach_in("vpn", "printer.lan", &["192.168.1.7"]), REFUSED, "another network's printer");
        let other = of("http://terouter.lan");
        assert_eq!(other.reach("router.lan", &["192.168.1.1"]), REFUSED, "a name that only ends alike is not its own");
        // A site that was once found on the internet stays public.
        assert_eq!(router.reach("router.lan", &["93.184.216.34"]), Ok(1));
        assert_eq!(router.reach("router.lan", &["192.168.1.1"]), REFUSED);
    }

    #[test]
    fn a_site_that_others_look_up_counts_as_public() {
        let site = Site::new("https://site.test", PrivateNetwork::Allowed);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(site.0.is_found_elsewhere("www.site.test"));
        assert_eq!(site.reach("site.test", &["10.0.0.1"]), REFUSED);
    }
}
