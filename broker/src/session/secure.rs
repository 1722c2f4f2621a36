//! HTTPS only: where the user wants that, pages are asked for over an encrypted connection, and without one only after the user
//! has agreed to it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{Load, LoadFailed, NavigationCommitted, TlsState};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::history;
use super::reduce::{leave_host, navigate, refuse, set_phase};
use super::state::{Effect, HostKey, PageLoad, Phase, Segment, Session, TabId};

/// Where pages may come without encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpsOnly {
    /// Whether encryption is insisted on where nothing else is said.
    pub on: bool,
    /// By the site's host.
    pub sites: BTreeMap<String, bool>,
}

/// A load over an encrypted connection, in the place of one without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    /// What was wanted.
    pub address: String,
    /// How often its servers have sent it on to where encryption had to be added again.
    times: u8,
}

/// Servers that send a load back and forth more often than this do not want it encrypted.
const MAX_UPGRADES: u8 = 5;
/// The longest reason that is shown, in characters.
const MAX_REASON: usize = 300;

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
    /// knows, addresses and onion services (which Tor encrypts) may be, unless they have said otherwise themselves.
    fn upgraded(&self, address: &str, workspace: &str) -> Option<String> {
        let mut url = Url::parse(address).ok().filter(|url| url.scheme() == "http")?;
        let Some(Host::Domain(name)) = url.host() else { return None };
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let is_public = name.trim_end_matches('.').contains('.') && !["localhost", "onion", "local"].contains(&last);
        let site = Site::of(address).ok()?;
        let is_wanted = is_public && self.https_only.insists(&site) && !self.has_agreed(&site, workspace);
        let wanted = is_wanted || self.hsts.covers(workspace, name);
        (wanted && url.set_scheme("https").is_ok()).then(|| url.into())
    }

    /// Takes what an encrypted page's server says of encryption from now on (HSTS). Returns whether that is news. A host is
    /// believed only about its own site, in a tab of its own.
    pub fn hear_of_encryption(&mut self, host: &HostKey, tab: TabId, committed: &NavigationCommitted) -> bool {
        let is_its_own = self.tabs.get(&tab).is_some_and(|tab| tab.host().as_ref() == Some(host));
        let is_encrypted = committed.tls() == TlsState::Valid && committed.url.starts_with("https:");
        let is_heard = !committed.transport_security.is_empty() && is_its_own && is_encrypted;
        if !is_heard || !host.site.may_show(&committed.url) {
            return false;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.hsts.hear(&host.workspace, &committed.url, &committed.transport_security, now)
    }

    /// Whether an address may not be asked for as it is.
    pub(super) fn forbids(&self, address: &str, workspace: &str) -> bool {
        self.upgraded(address, workspace).is_some()
    }

    fn has_agreed(&self, site: &Site, workspace: &str) -> bool {
        self.agreed.contains(&(workspace.to_owned(), site.host().to_owned()))
    }

    /// Whether its own host has forbidden it: its user is not asked.
    pub(super) fn is_strict(&self, address: &str, workspace: &str) -> bool {
        let url = Url::parse(address).ok();
        let host = url.as_ref().and_then(Url::host_str);
        host.is_some_and(|host| self.hsts.covers(workspace, host))
    }
}

/// What is asked for when this is wanted; nothing where a page of Regen's own says why it is not.
pub(super) fn look(session: &mut Session, id: TabId, wanted: PageLoad, out: &mut Vec<Effect>) -> Option<PageLoad> {
    let PageLoad { mut load, from } = wanted;
    let tab = session.tabs.get_mut(&id)?;
    // A server that sends a load on goes on with the same wish; whatever else is wanted is another one.
    let continues = std::mem::take(&mut load.continues);
    let before = tab.upgraded.take().filter(|_| continues);
    let workspace = tab.workspace.clone();
    let Some(url) = session.upgraded(&load.url, &workspace) else {
        session.tabs.get_mut(&id)?.upgraded = before;
        return Some(PageLoad { load, from });
    };
    let is_strict = session.is_strict(&load.url, &workspace);
    if load.method == "POST" && !is_strict {
        let why = "A form would be sent there without encryption. Nothing was sent.";
        insecure(session, id, load.url, why, out);
        return None;
    }
    let times = before.as_ref().map_or(0, |before| before.times + 1);
    if before.is_some_and(|before| before.address == load.url) || times > MAX_UPGRADES {
        let why = "Its server does not want to be asked over an encrypted connection.";
        if is_strict {
            refuse(session, id, load.url, why.to_owned(), out);
        } else {
            insecure(session, id, load.url, why, out);
        }
        return None;
    }
    session.tabs.get_mut(&id)?.upgraded = Some(Upgraded { address: load.url, times });
    Some(PageLoad { load: Load { url, ..load }, from })
}

/// A load has failed. Whether that was for want of encryption: its user is asked then.
pub(super) fn failed(session: &mut Session, id: TabId, failed: &LoadFailed, out: &mut Vec<Effect>) -> bool {
    let Some(tab) = session.tabs.get_mut(&id) else { return false };
    let Some(Upgraded { address, .. }) = tab.upgraded.take() else { return false };
    let workspace = tab.workspace.clone();
    let host = |url: &str| Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let is_about_it = failed.is_its_own && host(&address) == host(&failed.url);
    if !is_about_it || session.is_strict(&address, &workspace) {
        return false;
    }
    let reason: String = failed.reason.chars().take(MAX_REASON).collect();
    insecure(session, id, address, &format!("There is no encrypted connection to it. {reason}"), out);
    true
}

/// A tab comes to an address from before encryption was insisted on: it is asked for anew, in the place of what was there.
pub(super) fn ask_anew(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let left = tab.clone();
    let url = std::mem::take(tab.segment_mut()).url;
    tab.leave_page();
    leave_host(session, &left, out);
    navigate(session, id, PageLoad::by_user(url), out);
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
        tab.leave_page();
        leave_host(session, &left, out);
    } else {
        history::replace_shown(session, id, next, out);
    }
    set_phase(session, id, Phase::Insecure(why.to_owned()), out);
}

/// The user agrees to open what a tab says is not encrypted; until the browser ends, for all of its site.
pub(super) fn agree(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get(&id).filter(|tab| matches!(tab.phase, Phase::Insecure(_))) else { return };
    let workspace = tab.workspace.clone();
    session.agreed.extend(tab.segment().site.as_ref().map(|site| (workspace, site.host().to_owned())));
    ask_anew(session, id, out);
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
        // What a host has said itself holds whatever its user has agreed to, where it said so.
        assert!(session.hsts.hear("work", "https://agreed.test/", "max-age=9", 1));
        assert!(session.forbids("http://agreed.test/", "work") && !session.forbids("http://agreed.test/", ""));
    }
}
