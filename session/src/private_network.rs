//! Stops navigations from internet pages to this machine or its network. The net-daemon finds out where sites are, and
//! blocks the pages' other requests.

use regen_net_config::site::Site;

use super::address::without_credentials;
use super::events::Effect;
use super::ids::{HostKey, TabId};
use super::networks::Side;
use super::rules::allow;
use super::segments::replace_shown;
use super::state::Session;
use super::tab::{PageLoad, Phase, Segment, Tab};
use super::tabs::set_phase;
use super::views::leave_host;

/// Stops a navigation to the private network that an internet page or server began. Returns whether it did.
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
        "{} is on the internet and tried to open an address on this computer or in its network. Nothing was sent.",
        from.site
    );
    ask(session, id, load.load.url.clone(), why, out);
    true
}

/// Records the network of a site. Tabs that an internet page sent to a private site show the question instead.
pub(super) fn found(session: &mut Session, host: &HostKey, side: Side, out: &mut Vec<Effect>) {
    if session.networks.found.get(host) == Some(&Side::Public) {
        return;
    }
    session.networks.found.insert(host.clone(), side);
    if side == Side::Public || session.networks.allowed.contains(host) {
        return;
    }
    let sent = |tab: &&Tab| tab.host().as_ref() == Some(host) && tab.opener_host.is_none() && tab.pending.is_some();
    let tabs: Vec<(TabId, String)> =
        session.tabs.values().filter(sent).map(|tab| (tab.id, tab.segment().url.clone())).collect();
    for (id, url) in tabs {
        let why = format!(
            "A page on the internet tried to open {}, which is in this computer's own network. Nothing was sent.",
            host.site.host()
        );
        ask(session, id, url, why, out);
    }
}

/// Shows why an address was not opened, and offers to open it.
fn ask(session: &mut Session, id: TabId, url: String, why: String, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    // Without a site, the tab is restored as the question, not as the page.
    let next = Segment { url: without_credentials(&url), ..Segment::default() };
    if tab.pending.is_some() && tab.segment().snapshot.session_state.is_empty() {
        // The page never loaded.
        let left = tab.clone();
        *tab.segment_mut() = next;
        tab.leave_page();
        leave_host(session, &left, out);
    } else {
        replace_shown(session, id, next, out);
    }
    set_phase(session, id, Phase::Private(why), out);
}
