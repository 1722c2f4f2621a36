//! The tab strip: opens, closes, shows, moves and restores tabs.

use regen_net_config::host::is_throw_away;

use super::bounds;
use super::events::Effect;
use super::host_command::HostCommand;
use super::ids::TabId;
use super::navigation::navigate;
use super::saved::SavedTab;
use super::state::Session;
use super::tab::{PageLoad, Phase, Segment, Tab};
use super::tabs::{change, send_if_open};
use super::views::{ensure_view, leave_host};
use super::workspace_ends;

/// Maximum number of closed tabs that can be reopened.
const CLOSED: usize = 50;

pub(super) fn open(
    session: &mut Session,
    load: Option<PageLoad>,
    workspace: String,
    background: bool,
    opener: Option<TabId>,
    out: &mut Vec<Effect>,
) -> TabId {
    let id = new_id(session);
    workspace_ends::note(session, &workspace, out);
    let mut tab = Tab::new(id, workspace, vec![Segment::default()]);
    (tab.phase, tab.opened_from) = (Phase::Blank, opener);
    session.tabs.insert(id, tab);
    session.order.insert(place_beside(session, opener), id);
    if !background || session.active.is_none() {
        show(session, id, out);
    }
    out.extend([Effect::TabChanged(id), Effect::OrderChanged, Effect::SaveOrder, Effect::Save(id)]);
    if let Some(load) = load {
        navigate(session, id, load, out);
    }
    id
}

/// Returns the index for a new tab: beside its opener, after the tabs that the opener has opened before.
fn place_beside(session: &Session, opener: Option<TabId>) -> usize {
    let at = opener.and_then(|opener| session.order.iter().position(|tab| *tab == opener));
    let Some(at) = at else { return session.order.len() };
    let is_its = |id: &&TabId| session.tabs.get(id).is_some_and(|tab| tab.opened_from == opener);
    at + 1 + session.order.iter().skip(at + 1).take_while(is_its).count()
}

fn new_id(session: &mut Session) -> TabId {
    session.last_id = session.last_id.max(session.tabs.keys().next_back().copied().unwrap_or(0)) + 1;
    session.last_id
}

/// Opens the tab that was closed last again. The workspace that is shown goes first; a throw-away one is seen only from itself.
pub(super) fn reopen(session: &mut Session, out: &mut Vec<Effect>) {
    let current = session.workspace();
    let here = session.closed.iter().rposition(|tab| tab.workspace == current);
    let at = here.or_else(|| session.closed.iter().rposition(|tab| !is_throw_away(&tab.workspace)));
    if let Some(at) = at {
        let saved = session.closed.remove(at);
        adopt(session, saved, out);
    }
}

/// Adds a saved tab under a new identifier.
pub(super) fn adopt(session: &mut Session, saved: SavedTab, out: &mut Vec<Effect>) {
    let id = new_id(session);
    workspace_ends::note(session, &saved.workspace, out);
    session.tabs.insert(id, saved.revive(id));
    session.order.push(id);
    out.extend([Effect::Save(id), Effect::SaveOrder]);
    activate(session, id, out);
}

pub(super) fn restore(session: &mut Session, saved: Vec<SavedTab>, active: TabId, out: &mut Vec<Effect>) {
    let (mut first, mut front) = (None, None);
    for tab in saved {
        let before = tab.id;
        let id = if before == 0 || session.tabs.contains_key(&before) { new_id(session) } else { before };
        workspace_ends::note(session, &tab.workspace, out);
        front = front.or_else(|| (before != 0 && before == active).then_some(id));
        session.tabs.insert(id, tab.revive(id));
        session.last_id = session.last_id.max(id);
        session.order.push(id);
        bounds::enforce(session, id);
        first.get_or_insert(id);
        out.extend([Effect::Save(id), Effect::TabChanged(id)]);
    }
    out.extend([Effect::OrderChanged, Effect::SaveOrder]);
    // If the tab that was in front does not come back, the first one is shown.
    if let Some(shown) = front.or(first) {
        activate(session, shown, out);
    }
}

/// Closes a tab. With `ask`, a loaded page may object first; closing again before the page is used overrules it.
pub(super) fn close(session: &mut Session, id: TabId, ask: bool, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    if ask && tab.view && matches!(tab.phase, Phase::Ready | Phase::Loading) && !tab.closing {
        tab.closing = true;
        tab.leaving = None;
        if let Some(host) = tab.host() {
            let command = HostCommand::Close { ask: true };
            out.push(Effect::Send { host, tab: id, command });
            return;
        }
    }
    remove(session, id, out);
}

pub(super) fn remove(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(workspace) = session.tabs.get(&id).map(|tab| tab.workspace.clone()) else { return };
    let index = session.strip(&workspace).position(|other| other == id);
    let Some(tab) = session.tabs.remove(&id) else { return };
    if tab.opener_host.is_none() && !tab.segment().url.is_empty() {
        session.closed.push(SavedTab::from(&tab));
        if session.closed.len() > CLOSED {
            session.closed.remove(0);
        }
        bounds::enforce_on_closed(&mut session.closed);
    }
    session.order.retain(|other| *other != id);
    out.extend([Effect::TabClosed(id), Effect::Forget(id), Effect::SaveOrder, Effect::OrderChanged]);
    leave_host(session, &tab, out);
    if session.active == Some(id) {
        session.active = None;
        // The right neighbour is shown next, or at the end the left one.
        let beside = index.and_then(|index| session.strip(&workspace).nth(index));
        let next = beside.or_else(|| session.strip(&workspace).last()).or_else(|| session.last_elsewhere());
        if let Some(next) = next {
            activate(session, next, out);
        }
    }
    workspace_ends::end_if_empty(session, &workspace, out);
}

pub(super) fn activate(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    if !session.tabs.contains_key(&id) {
        return;
    }
    show(session, id, out);
    out.extend([Effect::OrderChanged, Effect::SaveOrder]);
    wake(session, id, out);
    // The active tab goes first; otherwise it would wait for its turn behind others.
    if session.tabs.get(&id).is_some_and(|tab| !tab.view && matches!(tab.phase, Phase::Loading | Phase::Recovering)) {
        ensure_view(session, id, out);
    }
}

/// Loads a lazy tab.
pub(super) fn wake(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    if tab.phase == Phase::Lazy {
        tab.phase = Phase::Loading;
        ensure_view(session, id, out);
        out.push(Effect::TabChanged(id));
    }
}

pub(super) fn show(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    session.looks += 1;
    if let Some(tab) = session.tabs.get_mut(&id) {
        tab.looked_at = session.looks;
    }
    let before = session.active.replace(id);
    if before == Some(id) {
        return;
    }
    out.extend(before.map(Effect::LeftPage));
    for (tab, visible) in before.map(|tab| (tab, false)).into_iter().chain([(id, true)]) {
        send_if_open(session, tab, HostCommand::SetVisible(visible), out);
    }
}

/// Moves a tab to a place in the strip of its workspace.
pub(super) fn move_to(session: &mut Session, id: TabId, index: usize, out: &mut Vec<Effect>) {
    let workspace = session.tabs.get(&id).map(|tab| tab.workspace.clone()).unwrap_or_default();
    if let Some(from) = session.order.iter().position(|tab| *tab == id) {
        let before = session.strip(&workspace).filter(|tab| *tab != id).nth(index);
        session.order.remove(from);
        let place = before.and_then(|before| session.order.iter().position(|tab| *tab == before));
        session.order.insert(place.unwrap_or(session.order.len()), id);
        sort_pinned(session);
        out.extend([Effect::OrderChanged, Effect::SaveOrder]);
    }
}

pub(super) fn pin(session: &mut Session, id: TabId, pinned: bool, out: &mut Vec<Effect>) {
    if change(session, id, out, |tab| tab.pinned = pinned) {
        sort_pinned(session);
        out.extend([Effect::OrderChanged, Effect::SaveOrder]);
    }
}

fn sort_pinned(session: &mut Session) {
    let tabs = &session.tabs;
    session.order.sort_by_key(|id| tabs.get(id).is_none_or(|tab| !tab.pinned));
}
