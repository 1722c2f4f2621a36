//! Asks a page that the user has used before its tab leaves it: `beforeunload` lets it object.

use super::events::Effect;
use super::host_command::HostCommand;
use super::ids::TabId;
use super::state::Session;
use super::tab::{Destination, Phase, Tab};
use super::tabs::send_if_open;

/// Asks the page of a tab before the tab leaves it. Returns whether it was asked; its consent then takes the tab there.
/// A user who navigates again meanwhile overrules the page, and the page cannot replace the user's destination.
pub(super) fn asks(session: &mut Session, id: TabId, to: Destination, out: &mut Vec<Effect>) -> bool {
    let Some(tab) = session.tabs.get_mut(&id) else { return false };
    let goes_on = matches!(&to, Destination::Load(load) if load.load.continues);
    if !is_by_user(&to) && tab.leaving.as_ref().is_some_and(is_by_user) {
        return true;
    }
    // A page without user input has nothing to object to.
    if !tab.is_used || goes_on || tab.leaving.is_some() || !can_object(tab) {
        tab.leaving = None;
        return false;
    }
    tab.leaving = Some(to);
    send_if_open(session, id, HostCommand::Close { ask: true }, out);
    true
}

fn is_by_user(to: &Destination) -> bool {
    match to {
        Destination::Load(load) => load.from.is_none(),
        Destination::Step(_) => true,
    }
}

fn can_object(tab: &Tab) -> bool {
    let is_there = matches!(tab.phase, Phase::Ready | Phase::Loading) && !tab.is_fresh && tab.pending.is_none();
    tab.view && is_there && !tab.unresponsive && tab.opener_host.is_none()
}

/// Cancels the question because the user does something else in the tab.
pub(super) fn forget(session: &mut Session, id: TabId) {
    if let Some(tab) = session.tabs.get_mut(&id) {
        (tab.closing, tab.leaving) = (false, None);
    }
}
