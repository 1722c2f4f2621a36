//! The private network, as the session sees it: a page from the internet does not take a tab to this machine or its network.
//! The net-daemon finds out where sites are, and keeps the pages' other requests out; here navigations are stopped.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use regen_net_config::site::Site;
use regen_net_config::special_purpose::is_private;

use super::reduce::{leave_host, navigate, set_phase};
use super::state::{Effect, HostKey, PageLoad, Phase, Segment, Session, TabId};

/// Side of the border between the internet and the private network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On the internet. A site that was found here once stays here, for as long as its storage exists.
    Public,
    /// On this machine or in its network.
    Private,
}

/// Knowledge of the sites' networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    found: HashMap<HostKey, Side>,
    /// Opened by the user, or by a page of the private network.
    allowed: HashSet<HostKey>,
}

impl Networks {
    /// Returns whether the net-daemon may let a site be private: nobody but the user has asked for it, and it was never public.
    #[must_use]
    pub fn may_be_private(&self, host: &HostKey) -> bool {
        self.allowed.contains(host) && !self.is_public(host)
    }

    /// Returns whether a site is on the internet, as far as is known.
    #[must_use]
    pub fn is_public(&self, host: &HostKey) -> bool {
        match literal(&host.site) {
            Some(side) => side == Side::Public,
            None => self.found.get(host) == Some(&Side::Public),
        }
    }

    fn is_private(&self, host: &HostKey) -> bool {
        match literal(&host.site) {
            Some(side) => side == Side::Private,
            None => self.found.get(host) == Some(&Side::Private),
        }
    }
}

/// Returns the side that a site's name alone tells.
fn literal(site: &Site) -> Option<Side> {
    let host = site.host();
    let is_localhost = host == "localhost" || host.ends_with(".localhost");
    let side = |is_private| if is_private { Side::Private } else { Side::Public };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if is_localhost { Some(Side::Private) } else { address.map(|address| side(is_private(address))) }
}

/// The user, or a page that may go there, opens a site: it may be private from now on.
pub(super) fn allow(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    if session.networks.allowed.insert(host.clone()) && session.hosts.contains_key(host) {
        out.push(Effect::GrantAnew(host.clone()));
    }
}

/// Stops a navigation that a page from the internet, or a server there, began into the private network. Returns whether it did.
pub(super) fn stops(session: &mut Session, id: TabId, load: &PageLoad, site: &Site, out: &mut Vec<Effect>) -> bool {
    let Some(workspace) = session.tabs.get(&id).map(|tab| tab.workspace.clone()) else { return false };
    let target = HostKey { site: site.clone(), workspace };
    let Some(from) = load.from.as_ref().filter(|from| session.networks.is_public(from)) else {
        allow(session, &target, out);
        return false;
    };
    if !session.networks.is_private(&target) {
        return false;
    }
    let why = format!(
        "{} is on the internet, and wanted to open an address on this computer or in its network. Nothing was sent.",
        from.site
    );
    ask(session, id, load.load.url.clone(), why, out);
    true
}

/// A site was found. Tabs that a page from the internet sent to a private one show the question instead.
pub(super) fn found(session: &mut Session, host: &HostKey, side: Side, out: &mut Vec<Effect>) {
    if session.networks.found.get(host) == Some(&Side::Public) {
        return;
    }
    session.networks.found.insert(host.clone(), side);
    if side == Side::Public || session.networks.allowed.contains(host) {
        return;
    }
    let sent =
        |tab: &&super::Tab| tab.host().as_ref() == Some(host) && tab.opener_host.is_none() && tab.pending.is_some();
    let tabs: Vec<(TabId, String)> =
        session.tabs.values().filter(sent).map(|tab| (tab.id, tab.segment().url.clone())).collect();
    for (id, url) in tabs {
        let why = format!(
            "A page on the internet wanted to open {}, which is in this computer's own network. Nothing was sent.",
            host.site.host()
        );
        ask(session, id, url, why, out);
    }
}

/// Shows why an address was not opened, and that it could be.
fn ask(session: &mut Session, id: TabId, url: String, why: String, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    // Without a site: it comes back as the question, not as the page.
    let next = Segment { url: super::address::without_credentials(&url), ..Segment::default() };
    if tab.pending.is_some() && tab.segment().snapshot.session_state.is_empty() {
        // The page was never there.
        let left = tab.clone();
        *tab.segment_mut() = next;
        tab.leave_page();
        leave_host(session, &left, out);
    } else {
        super::history::replace_shown(session, id, next, out);
    }
    set_phase(session, id, Phase::Private(why), out);
}

/// The user wants to see what a tab says is in the private network.
pub(super) fn agree(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id).filter(|tab| matches!(tab.phase, Phase::Private(_))) else { return };
    let url = std::mem::take(tab.segment_mut()).url;
    navigate(session, id, PageLoad::by_user(url), out);
}

/// Reason that a tab shows when it comes back to such a question.
pub(super) const ASKED_BEFORE: &str = "A page on the internet wanted to open this address, which is on this computer or in its network. Nothing was sent.";
