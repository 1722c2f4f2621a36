//! Sites that always open in a workspace of their own.

use regen_net_config::host::is_throw_away;
use regen_net_config::site::Site;

use super::events::Effect;
use super::ids::TabId;
use super::load::{Load, Method};
use super::segments::refuse;
use super::state::Session;
use super::tab::{Homeward, PageLoad, Phase};
use super::views::leave_host;

/// Maximum number of hops of one load to workspaces and sites: servers that send a load back and forth open no more tabs.
const MAX_REDIRECTS: u32 = 20;

/// Takes a load to the workspace in which its site always opens. Returns whether it did: then the tab shows what it did before.
pub(super) fn goes_home(
    session: &mut Session,
    id: TabId,
    load: &mut PageLoad,
    site: &Site,
    out: &mut Vec<Effect>,
) -> bool {
    let Some(tab) = session.tabs.get(&id) else { return false };
    let Some(home) = session.workspaces.home(site.host()).map(str::to_owned) else { return false };
    if home == tab.workspace || is_throw_away(&tab.workspace) {
        return false;
    }
    // A form and a referrer stay behind: they tell the one workspace about the other.
    let bare = Load { method: Method::Get, referrer: None, user_gesture: false, ..load.load.clone() };
    if tab.phase == Phase::Blank && tab.segments.len() == 1 && tab.opener_host.is_none() && !tab.view {
        load.load = bare;
        let Some(tab) = session.tabs.get_mut(&id) else { return false };
        tab.workspace = home;
        out.extend([Effect::TabChanged(id), Effect::OrderChanged, Effect::Save(id)]);
        return false;
    }
    let is_by_page = load.from.is_some();
    if is_by_page && (!load.load.user_gesture || tab.redirects >= MAX_REDIRECTS) {
        let why = format!(
            "{} always opens in the workspace “{}”, and a page of another workspace tried to open it. \
             Enter its address to open it there.",
            site.host(),
            session.workspaces.name(&home)
        );
        refuse(session, id, load.load.url.clone(), why, out);
        return true;
    }
    let is_popup = tab.opener_host.is_some();
    let closes_opener = is_by_page && (tab.is_fresh || is_popup) && tab.segments.len() == 1;
    let (redirects, bare) = (tab.redirects + 1, PageLoad { load: bare, from: load.from.clone() });
    session.homeward.push(Homeward { opener: id, workspace: home, load: bare, redirects, closes_opener });
    if is_by_page {
        out.push(Effect::GestureUsed(id));
        if !closes_opener {
            come_back_later(session, id, out);
        }
    }
    out.push(Effect::TabChanged(id));
    true
}

/// Lets a tab sleep whose engine has given up its page for the load that went elsewhere. Its page is loaded from its snapshot, which
/// is on its way, when the user comes back to the tab.
fn come_back_later(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let left = tab.clone();
    if tab.is_fresh && tab.current > 0 {
        // Nothing of the load has been shown: the page before it is.
        tab.segments.truncate(tab.current);
        tab.current -= 1;
    }
    tab.is_fresh = false;
    tab.leave_page();
    tab.left = tab.current;
    tab.phase = Phase::Lazy;
    leave_host(session, &left, out);
    out.push(Effect::Save(id));
}
