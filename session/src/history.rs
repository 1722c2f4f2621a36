//! History across sites: a tab has a list of segments, each on one site. The engine steps inside a segment, the broker
//! between them.

use super::events::Effect;
use super::host_command::HostCommand;
use super::ids::TabId;
use super::leaving;
use super::revive::own_page;
use super::segments::refuse;
use super::state::Session;
use super::strip::remove;
use super::tab::{Destination, Phase};
use super::tabs::{send_if_open, set_phase};
use super::views::{ensure_view, leave_host};

/// Steps back or forward.
pub(super) fn step(session: &mut Session, id: TabId, delta: i32, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let inside = if delta < 0 { tab.segment().can_go_back } else { tab.segment().can_go_forward };
    if inside && tab.view {
        leaving::forget(session, id);
        send_if_open(session, id, HostCommand::GoHistory(delta.signum()), out);
        return;
    }
    let target = if delta < 0 { tab.earlier() } else { Some(tab.current + 1) };
    let Some(target) = target.filter(|target| *target < tab.segments.len()) else { return };
    if tab.opener_host.is_some() {
        return;
    }
    if leaving::asks(session, id, Destination::Step(delta), out) {
        return;
    }
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let left = tab.clone();
    tab.left = tab.current;
    tab.current = target;
    tab.leave_page();
    tab.upgraded = None;
    (tab.is_fresh, tab.goes_by_itself) = (false, false);
    let phase = if tab.segment().site.is_some() { Phase::Loading } else { own_page(&tab.segment().url) };
    set_phase(session, id, phase, out);
    leave_host(session, &left, out);
    ensure_view(session, id, out);
}

/// Goes back to the previous page after a load that turned out to be no page. If a page opened the tab for that load
/// alone, the tab is removed.
pub(super) fn abandon(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    if !tab.is_fresh {
        // The engine still shows the previous page.
        tab.pending = None;
        set_phase(session, id, Phase::Ready, out);
        return;
    }
    let is_of_a_page = tab.pending.as_ref().is_some_and(|pending| pending.from.is_some());
    let Some(before) = tab.current.checked_sub(1) else {
        tab.pending = None;
        if is_of_a_page {
            remove(session, id, out);
        } else {
            let why =
                "This address has no page to show: it is a file or empty. A saved file is listed in the downloads.";
            let url = tab.segment().url.clone();
            refuse(session, id, url, why.to_owned(), out);
        }
        return;
    };
    let left = tab.clone();
    tab.segments.truncate(tab.current);
    (tab.current, tab.left) = (before, before);
    tab.is_fresh = false;
    tab.upgraded = None;
    tab.leave_page();
    let phase = if tab.segment().site.is_some() { Phase::Loading } else { own_page(&tab.segment().url) };
    set_phase(session, id, phase, out);
    leave_host(session, &left, out);
    ensure_view(session, id, out);
}
