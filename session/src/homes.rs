//! Sites that always open in a workspace of their own.

use regen_net_config::host::is_throw_away;
use regen_net_config::site::Site;

use super::events::Effect;
use super::ids::TabId;
use super::load::{Load, Method};
use super::segments::refuse;
use super::state::Session;
use super::tab::{Homeward, PageLoad, Phase};

/// Takes a load to the workspace in which its site always opens. Returns whether it did: then the tab stays as it is.
pub(super) fn goes_home(session: &mut Session, id: TabId, load: &PageLoad, site: &Site, out: &mut Vec<Effect>) -> bool {
    let Some(tab) = session.tabs.get(&id) else { return false };
    let Some(home) = session.workspaces.home(site.host()).map(str::to_owned) else { return false };
    if home == tab.workspace || is_throw_away(&tab.workspace) || tab.opener_host.is_some() {
        return false;
    }
    let is_unused = tab.segments.iter().all(|segment| segment.site.is_none()) || tab.is_fresh;
    if is_unused && tab.segments.len() == 1 && matches!(tab.phase, Phase::Blank | Phase::Loading) && !tab.view {
        let Some(tab) = session.tabs.get_mut(&id) else { return false };
        tab.workspace = home;
        out.extend([Effect::TabChanged(id), Effect::OrderChanged, Effect::Save(id)]);
        return false;
    }
    if load.from.is_some() && !load.load.user_gesture {
        let why = format!(
            "{} always opens in the workspace “{}”, and a page of another workspace tried to open it. \
             Enter its address to open it there.",
            site.host(),
            session.workspaces.name(&home)
        );
        refuse(session, id, load.load.url.clone(), why, out);
        return true;
    }
    // A form and a referrer stay behind: they tell the one workspace about the other.
    let bare = Load { method: Method::Get, referrer: None, ..load.load.clone() };
    let load = PageLoad { load: bare, from: load.from.clone() };
    session.homeward.push(Homeward { opener: id, workspace: home, load });
    out.push(Effect::TabChanged(id));
    true
}
