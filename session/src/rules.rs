//! Rules about addresses: those that must be encrypted, and those that may be in the private network.

use std::time::{SystemTime, UNIX_EPOCH};

use regen_net_config::site::Site;
use url::{Host, Url};

use super::events::Effect;
use super::ids::{HostKey, TabId};
use super::page_event::{Committed, TlsState};
use super::state::Session;

impl Session {
    /// Returns the HTTPS form of an address that must be encrypted; `None` for one that may stay as it is. IP
    /// addresses, local names and onion services (which Tor encrypts) may stay, unless HSTS covers them.
    pub(super) fn upgraded(&self, address: &str, workspace: &str) -> Option<String> {
        let mut url = Url::parse(address).ok().filter(|url| url.scheme() == "http")?;
        let Some(Host::Domain(name)) = url.host() else { return None };
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let is_public = name.trim_end_matches('.').contains('.') && !["localhost", "onion", "local"].contains(&last);
        let site = Site::of(address).ok()?;
        let is_wanted = is_public && self.https_only.insists(&site) && !self.has_agreed(&site, workspace);
        let wanted = is_wanted || self.hsts.covers(workspace, name);
        (wanted && url.set_scheme("https").is_ok()).then(|| url.into())
    }

    /// Takes the `Strict-Transport-Security` header of an encrypted page. Returns whether the stored state changed. A
    /// host is believed only about its own site, in a tab of its own.
    pub fn hear_of_encryption(&mut self, host: &HostKey, tab: TabId, committed: &Committed) -> bool {
        let is_its_own = self.tabs.get(&tab).is_some_and(|tab| tab.host().as_ref() == Some(host));
        let is_encrypted = committed.tls == Some(TlsState::Valid) && committed.url.starts_with("https:");
        let Some(header) = committed.transport_security.as_ref().filter(|_| is_its_own && is_encrypted) else {
            return false;
        };
        if !host.site.may_show(&committed.url) {
            return false;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.hsts.hear(&host.workspace, &committed.url, header, now)
    }

    /// Returns whether an address must be upgraded to HTTPS before it is opened.
    pub(super) fn forbids(&self, address: &str, workspace: &str) -> bool {
        self.upgraded(address, workspace).is_some()
    }

    pub(super) fn has_agreed(&self, site: &Site, workspace: &str) -> bool {
        self.agreed.contains(&(workspace.to_owned(), site.host().to_owned()))
    }

    /// Returns whether HSTS covers an address: then the user cannot allow it without encryption.
    pub(super) fn is_strict(&self, address: &str, workspace: &str) -> bool {
        let url = Url::parse(address).ok();
        let host = url.as_ref().and_then(Url::host_str);
        host.is_some_and(|host| self.hsts.covers(workspace, host))
    }
}

/// Records that a site may be in the private network, because the user or a page that may go there opens it.
pub(super) fn allow(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    if session.networks.allowed.insert(host.clone()) && session.hosts.contains_key(host) {
        out.push(Effect::GrantAnew(host.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_public_and_not_agreed_to_is_asked_for_over_https() {
        let mut session = Session::default();
        assert_eq!(session.upgraded("http://example.org/", ""), None, "it is off");
        session.https_only.choose(None, Some(true));
        let other = Site::of("https://plain.test/").unwrap();
        session.https_only.choose(Some(&other), Some(false));
        session.agreed.insert((String::new(), "agreed.test".to_owned()));
        for (address, wanted) in [
            ("http://example.org/a?b#c", Some("https://example.org/a?b#c")),
            ("http://www.example.org:80/", Some("https://www.example.org/")),
            ("http://example.org:8080/", Some("https://example.org:8080/")),
            ("https://example.org/", None),
            ("http://www.plain.test/", None),
            ("http://www.agreed.test/", None),
            ("http://10.0.0.1/", None),
            ("http://[::1]/", None),
            ("http://localhost:8000/", None),
            ("http://dev.localhost/", None),
            ("http://printer/", None),
            ("http://printer.local/", None),
            ("http://abc.onion/", None),
        ] {
            assert_eq!(session.upgraded(address, "").as_deref(), wanted, "{address}");
        }
        assert!(session.forbids("http://example.org/", ""));
        session.https_only.choose(Some(&other), None);
        assert!(session.upgraded("http://plain.test/", "").is_some());
        // HSTS outweighs the user's consent, in its workspace.
        assert!(session.hsts.hear("work", "https://agreed.test/", "max-age=9", 1));
        assert!(session.forbids("http://agreed.test/", "work") && !session.forbids("http://agreed.test/", ""));
    }
}
