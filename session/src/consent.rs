//! Consent of the user or a page to what a tab was asked about.

use super::events::Effect;
use super::history;
use super::host_command::HostCommand;
use super::ids::TabId;
use super::navigation::{ask_anew, navigate};
use super::state::Session;
use super::strip::remove;
use super::tab::{Destination, PageLoad, Phase};

/// Opens a tab's address without encryption, as the user agreed. The consent holds for the site until the browser ends.
pub(super) fn insecure_allowed(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get(&id).filter(|tab| matches!(tab.phase, Phase::Insecure(_))) else { return };
    let workspace = tab.workspace.clone();
    session.agreed.extend(tab.segment().site.as_ref().map(|site| (workspace, site.host().to_owned())));
    ask_anew(session, id, out);
}

/// Opens a tab's address in the private network, as the user agreed.
pub(super) fn private_allowed(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id).filter(|tab| matches!(tab.phase, Phase::Private(_))) else { return };
    let url = std::mem::take(tab.segment_mut()).url;
    navigate(session, id, PageLoad::by_user(url), out);
}

/// Leaves a page that agreed to be left, or closes a tab whose page wants to be closed.
pub(super) fn leaving_allowed(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let to = tab.leaving.clone();
    if to.is_some() && tab.view {
        // The engine has already closed the page.
        let host = tab.host();
        tab.view = false;
        let command = HostCommand::Close { ask: false };
        out.extend(host.map(|host| Effect::Send { host, tab: id, command }));
    }
    match to {
        // `leaving` is still set, so that the page is not asked again.
        Some(Destination::Load(load)) => navigate(session, id, *load, out),
        Some(Destination::Step(delta)) => history::step(session, id, delta, out),
        None => remove(session, id, out),
    }
}

/// Keeps the tab on the page that it shows, and abandons a load that began in its place.
pub(super) fn leaving_refused(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    tab.closing = false;
    tab.leaving = None;
    if tab.phase == Phase::Loading {
        history::abandon(session, id, out);
    }
}
