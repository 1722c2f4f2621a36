//! Leaving a page that its user has used: the page is asked first, as `beforeunload` lets it object, wherever its tab goes.

use regen_proto::kernel::v1::CloseView;
use regen_proto::kernel::v1::host_command::Body as Command;

use super::history;
use super::reduce::{navigate, remove, send_if_open};
use super::state::{Effect, PageLoad, Phase, Session, Tab, TabId};

/// Destination of a tab whose page is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// An address.
    Load(Box<PageLoad>),
    /// Steps in its history, to another site.
    Step(i32),
}

/// Asks the page of a tab before the tab leaves it. Returns whether it was asked: then its consent takes the tab there. Its user
/// insists by asking once more meanwhile; a page changes nothing of where its user wants to go.
pub(super) fn asks(session: &mut Session, id: TabId, to: Destination, out: &mut Vec<Effect>) -> bool {
    let Some(tab) = session.tabs.get_mut(&id) else { return false };
    let goes_on = matches!(&to, Destination::Load(load) if load.load.continues);
    if !is_by_user(&to) && tab.leaving.as_ref().is_some_and(is_by_user) {
        return true;
    }
    // A page that nobody has used has nothing to object to.
    if !tab.is_used || goes_on || tab.leaving.is_some() || !can_object(tab) {
        tab.leaving = None;
        return false;
    }
    tab.leaving = Some(to);
    send_if_open(session, id, Command::Close(CloseView { ask_before_unload: true }), out);
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

/// Carries out what a page agreed to, or closes a tab whose page wants to be closed.
pub(super) fn agreed(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let to = tab.leaving.clone();
    if to.is_some() && tab.view {
        // The engine has no page for it any more.
        let host = tab.host();
        tab.view = false;
        let command = Command::Close(CloseView { ask_before_unload: false });
        out.extend(host.map(|host| Effect::Send { host, tab: id, command, snapshot: None }));
    }
    match to {
        // `leaving` is still set, so that the page is not asked again.
        Some(Destination::Load(load)) => navigate(session, id, *load, out),
        Some(Destination::Step(delta)) => history::step(session, id, delta, out),
        None => remove(session, id, out),
    }
}

/// Forgets the question: the user does something else in the tab.
pub(super) fn forget(session: &mut Session, id: TabId) {
    if let Some(tab) = session.tabs.get_mut(&id) {
        (tab.closing, tab.leaving) = (false, None);
    }
}

/// Keeps the tab on the page that it shows, whatever began to load in its place.
pub(super) fn stays(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    tab.closing = false;
    tab.leaving = None;
    if tab.phase == Phase::Loading {
        history::abandon(session, id, out);
    }
}
