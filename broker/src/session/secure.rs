//! HTTPS only: where the user wants that, pages are asked for over an encrypted connection, and without one only after the user
//! has agreed to it.

use std::collections::BTreeMap;

use regen_proto::kernel::v1::Load;
use regen_proto::site::Site;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::history;
use super::reduce::{leave_host, navigate, set_phase};
use super::state::{Effect, PageLoad, Phase, Segment, Session, TabId};

/// Where pages may come without encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpsOnly {
    /// Whether encryption is insisted on where nothing else is said.
    pub on: bool,
    /// By the site's host.
    pub sites: BTreeMap<String, bool>,
}

impl HttpsOnly {
    /// Changes what holds for a site, or for all that have nothing of their own. Without a choice, a site has none of its own.
    pub fn choose(&mut self, site: Option<&Site>, on: Option<bool>) {
        match (site, on) {
            (Some(site), Some(on)) => drop(self.sites.insert(site.host().to_owned(), on)),
            (Some(site), None) => drop(self.sites.remove(site.host())),
            (None, on) => self.on = on.unwrap_or_default(),
        }
    }

    fn insists(&self, site: &Site) -> bool {
        self.sites.get(site.host()).copied().unwrap_or(self.on)
    }
}

impl Session {
    /// Where an address is asked for instead; nothing for one that may be as it is. Names that only this machine or its network
    /// knows, addresses and onion services (which Tor encrypts) may be.
    fn upgraded(&self, address: &str) -> Option<String> {
        let mut url = Url::parse(address).ok().filter(|url| url.scheme() == "http")?;
        let Some(Host::Domain(name)) = url.host() else { return None };
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let is_public = name.trim_end_matches('.').contains('.') && !["localhost", "onion", "local"].contains(&last);
        let site = Site::of(address).ok()?;
        let wanted = is_public && self.https_only.insists(&site) && !self.agreed.contains(site.host());
        (wanted && url.set_scheme("https").is_ok()).then(|| url.into())
    }

    /// Whether a site's pages may not be asked for as they are.
    pub(super) fn forbids(&self, site: &Site) -> bool {
        self.upgraded(site.as_str()).is_some()
    }
}

/// What is asked for when this is wanted; nothing where a page of Regen's own says why it is not.
pub(super) fn look(session: &mut Session, id: TabId, load: Load, out: &mut Vec<Effect>) -> Option<Load> {
    let upgraded = session.upgraded(&load.url);
    let tab = session.tabs.get_mut(&id)?;
    let Some(url) = upgraded else {
        // On the way there, its server may have named another place.
        if tab.phase != Phase::Loading {
            tab.upgraded = None;
        }
        return Some(load);
    };
    if load.method == "POST" {
        let why = "A form would be sent there without encryption. Nothing was sent.";
        insecure(session, id, load.url, why, out);
        return None;
    }
    if tab.phase == Phase::Loading && tab.upgraded.as_ref() == Some(&load.url) {
        let why = "Its server does not want to be asked over an encrypted connection.";
        insecure(session, id, load.url, why, out);
        return None;
    }
    tab.upgraded = Some(load.url);
    Some(Load { url, ..load })
}

/// There is no encrypted connection.
pub(super) fn failed(session: &mut Session, id: TabId, reason: &str, out: &mut Vec<Effect>) {
    let Some(url) = session.tabs.get_mut(&id).and_then(|tab| tab.upgraded.take()) else { return };
    insecure(session, id, url, &format!("There is no encrypted connection to it. {reason}"), out);
}

/// Shows why an address is not opened without encryption, and that it could be.
pub(super) fn insecure(session: &mut Session, id: TabId, url: String, why: &str, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    tab.upgraded = None;
    let next = Segment { site: Site::of(&url).ok(), url, ..Segment::default() };
    let shown = tab.segment();
    if shown.snapshot.session_state.is_empty() && shown.title.is_empty() {
        // What was asked for instead has never been there.
        let left = tab.clone();
        *tab.segment_mut() = next;
        (tab.view, tab.pending) = (false, None);
        leave_host(session, &left, out);
    } else {
        history::replace_shown(session, id, next, out);
    }
    set_phase(session, id, Phase::Insecure(why.to_owned()), out);
}

/// The user agrees to open what a tab says is not encrypted; until the browser ends, for all of its site.
pub(super) fn agree(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get(&id).filter(|tab| matches!(tab.phase, Phase::Insecure(_))) else { return };
    let url = tab.segment().url.clone();
    session.agreed.extend(tab.segment().site.as_ref().map(|site| site.host().to_owned()));
    navigate(session, id, PageLoad::by_user(url), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_public_and_not_agreed_to_is_asked_for_over_https() {
        let mut session = Session::default();
        assert_eq!(session.upgraded("http://example.org/"), None, "it is off");
        session.https_only.choose(None, Some(true));
        let other = Site::of("https://plain.test/").unwrap();
        session.https_only.choose(Some(&other), Some(false));
        session.agreed.insert("agreed.test".to_owned());
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
            assert_eq!(session.upgraded(address).as_deref(), wanted, "{address}");
        }
        assert!(session.forbids(&Site::of("http://example.org/").unwrap()));
        session.https_only.choose(Some(&other), None);
        assert!(session.upgraded("http://plain.test/").is_some());
    }
}
