//! Hosts with HSTS, as the broker remembers them. Subresources on such hosts are requested over HTTPS.
//!
//! A site's processes learn this about the site's own hosts only. Other hosts would reveal which sites the user has
//! visited, and requests to them carry no cookies that could be intercepted.

use std::collections::HashMap;
use std::sync::Arc;

use regen_net_config::site::Site;
use regen_proto::DOCUMENT;
use regen_proto::net::v1::encryption_admin_server::EncryptionAdmin;
use regen_proto::net::v1::{CheckRequest, EncryptedHosts as Told, EncryptedHostsReply};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use url::Url;

/// Maximum size of the broker's message, in bytes: 5,000 hosts with names of maximum length.
pub(crate) const MAX_REQUEST: usize = 4 << 20;

/// HSTS hosts by workspace and name. The value says whether subdomains are included.
type Hosts = HashMap<(String, String), bool>;

/// HSTS hosts. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct EncryptedHosts(Arc<watch::Sender<Option<Arc<Hosts>>>>);

impl EncryptedHosts {
    /// Returns a set for which queries wait until the broker has sent the hosts.
    pub(crate) fn untold() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Returns an empty set.
    pub(crate) fn none() -> Self {
        Self(Arc::new(watch::Sender::new(Some(Arc::default()))))
    }

    fn set(&self, told: Told) {
        let hosts = told.hosts.into_iter().map(|one| ((one.workspace, one.host), one.subdomains)).collect();
        self.0.send_replace(Some(Arc::new(hosts)));
    }

    /// Returns whether a subresource of a page of `site` is requested over HTTPS. The broker decides about pages.
    pub(crate) async fn covers(&self, workspace: &str, site: &str, request: &CheckRequest) -> bool {
        let is_own = |url: &Url| {
            Site::of(url.as_str()).is_ok_and(|of| site.split_once("://").is_some_and(|(_, host)| host == of.host()))
        };
        let url = Url::parse(&request.url).ok().filter(|url| url.scheme() == "http" && request.kind != DOCUMENT);
        let Some(url) = url.filter(is_own) else { return false };
        let hosts = self.hosts().await;
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let parents = std::iter::successors(Some(host), |host| host.split_once('.').map(|(_, parent)| parent));
        parents
            .map(|parent| (parent, hosts.get(&(workspace.to_owned(), parent.to_owned()))))
            .any(|(parent, said)| said.is_some_and(|subdomains| *subdomains || parent == host))
    }

    async fn hosts(&self) -> Arc<Hosts> {
        let mut told = self.0.subscribe();
        // Cannot fail, as the sender is in `self`.
        let hosts = told.wait_for(Option::is_some).await;
        hosts.ok().and_then(|hosts| hosts.clone()).unwrap_or_default()
    }
}

/// Service for the broker's connection.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) EncryptedHosts);

#[tonic::async_trait]
impl EncryptionAdmin for Admin {
    async fn set(&self, request: Request<Told>) -> Result<Response<EncryptedHostsReply>, Status> {
        self.0.set(request.into_inner());
        Ok(Response::new(EncryptedHostsReply {}))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::pin::pin;
    use std::task::Poll;

    use regen_proto::net::v1::EncryptedHost;

    use super::*;

    const SITE: &str = "http://bank.test";

    fn part(url: &str) -> CheckRequest {
        CheckRequest { url: url.to_owned(), kind: "script".to_owned(), ..CheckRequest::default() }
    }

    #[tokio::test]
    async fn parts_of_a_site_that_insists_are_encrypted_and_other_sites_learn_nothing() {
        let hosts = EncryptedHosts::untold();
        let question = part("http://www.bank.test/x.js");
        let mut waits = pin!(hosts.covers("", SITE, &question));
        let is_waiting = std::future::poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_pending())).await;
        assert!(is_waiting, "the hosts are not known yet");
        let host = |host: &str, subdomains| EncryptedHost { workspace: String::new(), host: host.into(), subdomains };
        hosts.set(Told { hosts: vec![host("www.bank.test", true), host("cdn.bank.test", false)] });
        assert!(waits.await);
        let mut covered = HashSet::new();
        for url in [
            "http://www.bank.test/",
            "http://a.www.bank.test./",
            "http://cdn.bank.test:8080/",
            "http://a.cdn.bank.test/",
            "http://bank.test/",
            "https://www.bank.test/",
        ] {
            if hosts.covers("", SITE, &part(url)).await {
                covered.insert(url);
            }
            assert!(!hosts.covers("work", SITE, &part(url)).await, "another workspace: {url}");
            assert!(!hosts.covers("", "http://evil.test", &part(url)).await, "another site: {url}");
            let page = CheckRequest { kind: DOCUMENT.to_owned(), ..part(url) };
            assert!(!hosts.covers("", SITE, &page).await, "the page itself: {url}");
        }
        let wanted = ["http://www.bank.test/", "http://a.www.bank.test./", "http://cdn.bank.test:8080/"];
        assert_eq!(covered, HashSet::from(wanted));
    }
}
