//! Views of hosts: limits on live and starting views, and the hosts that are still wanted.

use super::events::Effect;
use super::host_command::{HostCommand, OpenView};
use super::ids::{HostKey, TabId};
use super::load::Load;
use super::rules::allow;
use super::saved::SavedSnapshot;
use super::state::{HostPhase, Session};
use super::tab::{Phase, Tab};
use super::tabs::send_if_open;

/// Maximum number of live views per site. Each takes a process and about 40 MB.
pub(super) const MAX_VIEWS: usize = 40;

/// Maximum number of views of one host that start at a time: for each, the host's main thread waits for a new process.
const MAX_STARTING: usize = 8;

/// Extra views that may start for a tab that is shown as soon as it is opened.
const MORE_IF_SHOWN: usize = 4;

/// Opens the tab's view, unless it already has one or too many views of its host are starting.
pub(super) fn open(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let visible = session.active == Some(id);
    if must_wait(session, id, if visible { MAX_STARTING + MORE_IF_SHOWN } else { MAX_STARTING }) {
        return;
    }
    let Some(tab) = session.tabs.get_mut(&id).filter(|tab| !tab.view) else { return };
    let Some(host) = tab.host() else { return };
    tab.zoom = session.zooms.of(&host);
    tab.view = true;
    tab.is_starting = true;
    let host_of_tab = host.clone();
    let segment = tab.segment();
    let snapshot =
        (segment.snapshot.size() > 0).then(|| segment.snapshot.clone()).or_else(|| what_the_site_kept(tab, &host));
    // If the snapshot is older than the last commit, the committed address is loaded on top of it.
    let is_stale = snapshot.as_ref().is_none_or(|snapshot| snapshot.url != segment.url);
    let load = tab
        .pending
        .clone()
        .map(|pending| pending.load)
        .or_else(|| is_stale.then(|| Load::by_user(segment.url.clone())));
    let fallback_url = segment.url.clone();
    let command = HostCommand::Open(OpenView { load, snapshot, visible, fallback_url, zoom: tab.zoom });
    let zoom = tab.zoom;
    out.push(Effect::Send { host: host.clone(), tab: id, command });
    if (zoom - 1.0).abs() > 0.001 {
        // A view without a snapshot opens at 100 %.
        out.push(Effect::Send { host, tab: id, command: HostCommand::Zoom(zoom) });
    }
    discard_beyond(session, &host_of_tab, id, out);
}

/// Returns the form state that the site's nearest other segment of this tab saved, so that `sessionStorage` lives as
/// long as the tab. The snapshot holds nothing else.
fn what_the_site_kept(tab: &Tab, host: &HostKey) -> Option<SavedSnapshot> {
    let earlier = tab.segments.iter().enumerate().filter(|(index, segment)| {
        *index != tab.current && segment.site.as_ref() == Some(&host.site) && !segment.snapshot.form.is_empty()
    });
    let (_, nearest) = earlier.min_by_key(|(index, _)| index.abs_diff(tab.current))?;
    Some(SavedSnapshot { form: nearest.snapshot.form.clone(), ..SavedSnapshot::default() })
}

/// Unloads tabs of a site beyond [`MAX_VIEWS`], least recently activated first. The tab that is shown, plays sound,
/// loads or has an opener stays.
fn discard_beyond(session: &mut Session, host: &HostKey, opened: TabId, out: &mut Vec<Effect>) {
    let views = session.tabs.values().filter(|tab| tab.view && tab.host().as_ref() == Some(host)).count();
    let may_sleep = |tab: &&Tab| {
        let is_its = tab.view && tab.host().as_ref() == Some(host) && tab.opener_host.is_none();
        let rests = matches!(tab.phase, Phase::Ready | Phase::Failed(_)) && tab.pending.is_none();
        let is_used = tab.id == opened || session.active == Some(tab.id) || tab.pinned || tab.audible || tab.closing;
        let is_used = is_used || tab.dialog.is_some() || tab.full_screen;
        is_its && rests && !is_used
    };
    let mut candidates: Vec<(u64, TabId)> =
        session.tabs.values().filter(may_sleep).map(|tab| (tab.looked_at, tab.id)).collect();
    candidates.sort_unstable();
    for (_, id) in candidates.into_iter().take(views.saturating_sub(MAX_VIEWS)) {
        send_if_open(session, id, HostCommand::Close { ask: false }, out);
        if let Some(tab) = session.tabs.get_mut(&id) {
            tab.phase = Phase::Lazy;
            tab.view = false;
            tab.end_document();
            tab.left = tab.current;
            out.push(Effect::TabChanged(id));
        }
    }
}

fn must_wait(session: &Session, id: TabId, limit: usize) -> bool {
    let Some(host) = session.tabs.get(&id).and_then(Tab::host) else { return false };
    let is_starting = |tab: &&Tab| tab.view && tab.is_starting && tab.host().as_ref() == Some(&host);
    session.tabs.values().filter(is_starting).count() >= limit
}

/// Notes that the view's process has started, and lets the next view start.
pub(super) fn has_started(session: &mut Session, host: &HostKey, id: TabId, out: &mut Vec<Effect>) {
    let was_starting = session.tabs.get_mut(&id).is_some_and(|tab| std::mem::take(&mut tab.is_starting));
    if was_starting {
        open_next(session, host, out);
    }
}

/// Opens the next view that waits.
pub(super) fn open_next(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    if session.hosts.get(host) != Some(&HostPhase::Up) {
        return;
    }
    if let Some(id) = without_view(session, host).first() {
        ensure_view(session, *id, out);
    }
}

/// Returns the tabs of a host that should have a view and have none: the shown one first, then the most recently
/// activated.
pub(super) fn without_view(session: &Session, host: &HostKey) -> Vec<TabId> {
    let wants = |tab: &&Tab| {
        let rests = matches!(tab.phase, Phase::Lazy | Phase::Sad(_) | Phase::Insecure(_) | Phase::Private(_));
        !tab.view && !rests && tab.host().as_ref() == Some(host)
    };
    let mut waiting: Vec<&Tab> = session.tabs.values().filter(wants).collect();
    waiting.sort_by_key(|tab| std::cmp::Reverse((session.active == Some(tab.id), tab.looked_at)));
    waiting.into_iter().map(|tab| tab.id).collect()
}

/// Requests the tab's host, and opens a view in it if the host is already up.
pub(super) fn ensure_view(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get(&id) else { return };
    let Some(host) = tab.host() else { return };
    let is_by_user = tab.pending.as_ref().is_none_or(|pending| pending.from.is_none());
    if session.forbids(&tab.segment().url, &host.workspace) {
        session.to_upgrade.push(id);
        return;
    }
    if is_by_user {
        allow(session, &host, out);
    }
    match session.hosts.get(&host) {
        Some(HostPhase::Up) => open(session, id, out),
        Some(HostPhase::Starting) => {}
        Some(HostPhase::GivenUp) | None => {
            session.hosts.insert(host, HostPhase::Starting);
        }
    }
}

/// Closes the tab's view, and drops the host if it was the last one that needs it.
pub(super) fn leave_host(session: &mut Session, tab: &Tab, out: &mut Vec<Effect>) {
    out.push(Effect::LeftPage(tab.id));
    let Some(host) = tab.host() else { return };
    if tab.view {
        let command = HostCommand::Close { ask: false };
        out.push(Effect::Send { host: host.clone(), tab: tab.id, command });
    }
    let still_needed = session
        .tabs
        .values()
        .any(|other| other.id != tab.id && other.host().as_ref() == Some(&host) && !matches!(other.phase, Phase::Lazy));
    if let Some(tab) = session.tabs.get_mut(&tab.id) {
        tab.is_starting = false;
    }
    if still_needed || session.saving.contains(&host) {
        open_next(session, &host, out);
    } else {
        session.hosts.remove(&host);
    }
}
