//! Events that a host reports about its pages. All of them are attacker-controlled: a host may speak only about tabs it
//! was given, and it is killed if a main frame shows another site.

use regen_net_config::site::Site;

use super::address::without_credentials;
use super::bounds;
use super::consent;
use super::dialogs;
use super::events::Effect;
use super::history;
use super::host_command::HostCommand;
use super::ids::{HostKey, TabId};
use super::load::{Load, Method, Origin};
use super::navigation::navigate;
use super::page_event::{Committed, NewTab, PageEvent, PopupOpened};
use super::saved::SavedSnapshot;
use super::secure;
use super::segments::refuse;
use super::state::Session;
use super::strip::open;
use super::tab::{PageLoad, Phase, Segment, Tab};
use super::tabs::set_phase;
use super::views;

/// Maximum number of redirects across sites: the engine's own limit within a site.
const MAX_REDIRECTS: u32 = 20;

pub(super) fn event(session: &mut Session, host: &HostKey, id: TabId, event: PageEvent, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id).filter(|tab| tab.view && tab.host().as_ref() == Some(host)) else {
        // A late event about a tab that has moved on or is closed; only a popup needs an answer.
        if let PageEvent::PopupOpened(popup) = event {
            answer_popup(host, id, popup.token, true, out);
        }
        return;
    };
    let has_started = matches!(
        event,
        PageEvent::LoadStarted
            | PageEvent::Committed(_)
            | PageEvent::LoadFinished
            | PageEvent::LoadFailed(_)
            | PageEvent::Handover(_)
    );
    if has_started && tab.is_starting {
        views::has_started(session, host, id, out);
    }
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    match event {
        PageEvent::LoadStarted => {
            tab.progress = 0.0;
            if tab.phase != Phase::Recovering {
                tab.phase = Phase::Loading;
            }
            out.push(Effect::TabChanged(id));
        }
        PageEvent::Committed(committed) => commit(session, host, id, committed, out),
        PageEvent::LoadFinished => {
            tab.progress = 1.0;
            if !matches!(tab.phase, Phase::Failed(_)) {
                tab.phase = Phase::Ready;
            }
            out.push(Effect::TabChanged(id));
        }
        PageEvent::LoadFailed(failed) => {
            if secure::failed(session, id, &failed, out) {
                return;
            }
            let Some(tab) = session.tabs.get_mut(&id) else { return };
            tab.progress = 1.0;
            tab.pending = None;
            tab.before_commit = None;
            tab.tls = None;
            // A host may not put another site's address in the address bar.
            if host.site.may_show(&failed.url) {
                tab.segment_mut().url = without_credentials(&failed.url);
            }
            set_phase(session, id, Phase::Failed(failed.reason), out);
        }
        PageEvent::Title(title) => {
            tab.segment_mut().title = title;
            out.extend([Effect::TabChanged(id), Effect::Save(id), Effect::Titled(id)]);
        }
        PageEvent::Favicon(icon) => {
            tab.favicon = Some(icon);
            out.push(Effect::FaviconChanged(id));
        }
        PageEvent::Progress(progress) => {
            tab.progress = progress.clamp(0.0, 1.0);
            out.push(Effect::TabChanged(id));
        }
        PageEvent::Unresponsive(unresponsive) => {
            tab.unresponsive = unresponsive;
            out.push(Effect::TabChanged(id));
        }
        PageEvent::FullScreen(full_screen) => {
            tab.full_screen = full_screen;
            out.push(Effect::TabChanged(id));
        }
        PageEvent::Blocked(blocked) => {
            tab.blocked = blocked;
            out.push(Effect::TabChanged(id));
        }
        PageEvent::Audible(audible) => {
            tab.audible = audible;
            out.push(Effect::TabChanged(id));
        }
        PageEvent::Handover(load) => handover(session, host, id, load, out),
        PageEvent::NewTab(wanted) => new_tab(session, host, id, wanted, out),
        PageEvent::PopupOpened(popup) => popup_opened(session, host, id, &popup, out),
        PageEvent::CloseRequested => consent::leaving_allowed(session, id, out),
        PageEvent::Dialog(said) => dialogs::shown(session, id, said, out),
        PageEvent::LoadAbandoned => history::abandon(session, id, out),
    }
}

fn commit(session: &mut Session, host: &HostKey, id: TabId, mut committed: Committed, out: &mut Vec<Effect>) {
    committed.url = without_credentials(&committed.url);
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    if tab.opener_host.is_none() && !host.site.may_show(&committed.url) {
        let reason = format!("committed {} in a process for {}", shorten(&committed.url), host.site);
        out.push(Effect::KillHost { host: host.clone(), reason });
        return;
    }
    let pending = tab.pending.take();
    let was_fresh = std::mem::take(&mut tab.is_fresh);
    tab.before_commit = None;
    tab.upgraded = None;
    tab.closing = false;
    tab.redirects = 0;
    if !committed.same_document {
        let before = tab.current.checked_sub(1).filter(|_| std::mem::take(&mut tab.goes_by_itself));
        if let Some(before) = before.and_then(|before| tab.segments.get_mut(before)) {
            before.is_passage = true;
        }
        tab.is_used = false;
        let was_audible = tab.audible;
        tab.end_document();
        // The engine reports when this changes.
        tab.audible = was_audible;
        tab.tls = committed.tls;
        if tab.favicon.take().is_some() {
            out.push(Effect::FaviconChanged(id));
        }
        tab.phase = Phase::Loading;
        tab.blocked = 0;
    }
    let is_popup = tab.opener_host.is_some();
    let segment = tab.segment_mut();
    // A page that is reloaded, restored or moved to one of its parts is no visit.
    let is_visit = was_fresh || without_fragment(&segment.url) != without_fragment(&committed.url);
    if segment.url != committed.url {
        // A page that changes its address within the document keeps its title.
        if !committed.same_document {
            segment.title.clear();
        }
        segment.url = committed.url;
    }
    segment.can_go_back = committed.can_go_back;
    segment.can_go_forward = committed.can_go_forward;
    if is_popup {
        // A page on its opener's site is restored as a normal tab if their process dies.
        segment.site = Site::of(&segment.url).ok().filter(|site| *site == host.site);
    }
    out.extend([Effect::TabChanged(id), Effect::Save(id)]);
    // The host follows links within its site by itself; an address that must be encrypted is loaded anew here.
    let (url, workspace) = (tab.segment().url.clone(), tab.workspace.clone());
    if !committed.same_document && !is_popup && session.forbids(&url, &workspace) {
        navigate(session, id, PageLoad::by_user(url), out);
    } else if is_visit {
        let typed = pending.is_some_and(|pending| pending.from.is_none());
        out.push(Effect::Visited { tab: id, typed, same_document: committed.same_document });
    }
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(page, _)| page)
}

/// Takes a main frame's navigation to another site to that site's host, with what the page may say about itself.
fn handover(session: &mut Session, host: &HostKey, id: TabId, mut load: Load, out: &mut Vec<Effect>) {
    load.redirected |= load.continues;
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    // Without a pending load, the navigation is the host's own initiative, whatever it claims.
    if let Some(PageLoad { load: pending, .. }) = tab.pending.clone().filter(|_| load.continues) {
        // A server redirected a load that the broker gave to this host, so the initiator stays the same. Method and
        // body are those of that load (307, 308) or none; the host cannot change them.
        let keeps_form = load.is_post() && pending.is_post();
        let method = if keeps_form { pending.method } else { Method::Get };
        load = Load { url: load.url, method, redirected: true, continues: true, ..pending };
        tab.redirects += 1;
        if tab.redirects > MAX_REDIRECTS {
            let why = format!("Its servers redirected more than {MAX_REDIRECTS} times. Opening was stopped.");
            refuse(session, id, load.url, why, out);
            return;
        }
        check_and_go(session, host, id, load, out);
        return;
    }
    if tab.opener_host.is_some() {
        // A popup that turns out to have no opener becomes a normal tab; a gesture has opened it.
        load.user_gesture |= tab.pending.take().is_some_and(|pending| pending.load.user_gesture);
        *tab.segment_mut() = Segment::default();
    }
    // A page that redirects by itself is skipped by a step back.
    let goes_by_itself = !tab.is_used && !tab.is_fresh && !tab.segment().can_go_back;
    tab.goes_by_itself = goes_by_itself && tab.opener_host.is_none();
    if !is_from(host, &load) {
        let claim = load.initiator.as_ref().map_or("nobody", Origin::as_str);
        let reason = format!("claimed {} as the initiator of its navigation", shorten(claim));
        out.push(Effect::KillHost { host: host.clone(), reason });
        return;
    }
    // The host chooses the referrer, but only from its own site.
    load.referrer = load.referrer.filter(|referrer| host.site.may_show(referrer));
    check_and_go(session, host, id, load, out);
}

/// Returns whether the initiator that a host states is a page of its own site.
fn is_from(host: &HostKey, load: &Load) -> bool {
    load.initiator.as_ref().is_some_and(|initiator| host.site.may_show(initiator.as_str()))
}

fn check_and_go(session: &mut Session, host: &HostKey, id: TabId, load: Load, out: &mut Vec<Effect>) {
    match &load.method {
        Method::Get | Method::Post(Some(_)) => {}
        Method::Post(None) => {
            let why = "This form was not sent to the other site: its content is larger than 32 MB, cannot be read, \
                       or uses a way of sending that Regen does not support. Go back to the form to change it.";
            refuse(session, id, load.url, why.to_owned(), out);
            return;
        }
        Method::Other(method) => {
            let why = format!("A page tried to open an address with the method {}.", shorten(method));
            refuse(session, id, load.url, why, out);
            return;
        }
    }
    // Credentials in a link only help to pass for another site.
    let load = Load { url: without_credentials(&load.url), ..load };
    navigate(session, id, PageLoad { load, from: Some(host.clone()) }, out);
}

fn new_tab(session: &mut Session, host: &HostKey, id: TabId, wanted: NewTab, out: &mut Vec<Effect>) {
    let NewTab { load, background, user_gesture } = wanted;
    if !user_gesture || !is_from(host, &load) || load.method != Method::Get {
        return;
    }
    // The new page learns no more than the origin that opened it.
    let origin = load.initiator.as_ref().map(|origin| format!("{origin}/"));
    let referrer = load.referrer.as_ref().and(origin);
    let load = Load { url: without_credentials(&load.url), referrer, ..load };
    let load = PageLoad { load, from: Some(host.clone()) };
    open(session, Some(load), host.workspace.clone(), background, Some(id), out);
}

/// Adopts or refuses a popup that keeps its opener; it runs in the opener's host.
fn popup_opened(session: &mut Session, host: &HostKey, opener: TabId, popup: &PopupOpened, out: &mut Vec<Effect>) {
    // A popup cannot be upgraded to HTTPS: it is shown in its opener's process.
    let is_forbidden = session.forbids(&popup.url, &host.workspace);
    if !popup.user_gesture || is_forbidden {
        answer_popup(host, opener, popup.token, true, out);
        return;
    }
    let id = open(session, None, host.workspace.clone(), false, Some(opener), out);
    if let Some(tab) = session.tabs.get_mut(&id) {
        tab.opener_host = Some(host.clone());
        tab.view = true;
        tab.phase = Phase::Loading;
        tab.segment_mut().url = without_credentials(&popup.url);
        tab.before_commit = Some(String::new());
        let load = Load::by_user(popup.url.clone());
        tab.pending = Some(PageLoad { load, from: Some(host.clone()) });
    }
    answer_popup(host, id, popup.token, false, out);
    let is_of_site = Site::of(&popup.url).is_ok_and(|site| site == host.site);
    let zoom = session.zooms.of(host);
    if is_of_site && let Some(tab) = session.tabs.get_mut(&id) {
        tab.zoom = zoom;
        out.push(Effect::Send { host: host.clone(), tab: id, command: HostCommand::Zoom(zoom) });
    }
    out.push(Effect::TabChanged(id));
}

fn answer_popup(host: &HostKey, tab: TabId, token: u64, refused: bool, out: &mut Vec<Effect>) {
    let command = HostCommand::AdoptPopup { token, refused };
    out.push(Effect::Send { host: host.clone(), tab, command });
}

/// Stores a snapshot in the segment it belongs to: the shown one or, for a host that the tab has just left, the nearest
/// one of its site.
pub(super) fn snapshot(
    session: &mut Session,
    host: &HostKey,
    id: TabId,
    mut snapshot: SavedSnapshot,
    out: &mut Vec<Effect>,
) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let owner = owner_of_snapshot(tab, host);
    if let Some(segment) = owner.and_then(|index| tab.segments.get_mut(index)) {
        if snapshot.url.is_empty() {
            snapshot.url.clone_from(&segment.url);
        }
        segment.snapshot = snapshot;
        out.push(Effect::Save(id));
        out.extend(bounds::enforce(session, id).into_iter().map(Effect::Save));
    }
}

/// Returns the index of the segment that a host's snapshot of a tab belongs to.
fn owner_of_snapshot(tab: &Tab, host: &HostKey) -> Option<usize> {
    if tab.workspace != host.workspace || tab.opener_host.as_ref().is_some_and(|opener| opener != host) {
        return None;
    }
    // A host that the tab has just left reports about the segment that was left.
    let shown_here = tab.segment().site.as_ref() == Some(&host.site);
    let current = if shown_here && tab.view { tab.current } else { tab.left };
    let its = tab.segments.iter().enumerate().filter(|(_, segment)| segment.site.as_ref() == Some(&host.site));
    its.map(|(index, _)| index).min_by_key(|index| index.abs_diff(current))
}

impl Session {
    /// Returns whether a host shows this tab; only then may it speak about the tab.
    #[must_use]
    pub fn shows(&self, host: &HostKey, tab: TabId) -> bool {
        self.tabs.get(&tab).is_some_and(|tab| tab.view && tab.host().as_ref() == Some(host))
    }

    /// Returns the address of the page that a host's snapshot of a tab belongs to, if the host may send one.
    #[must_use]
    pub fn snapshot_address(&self, host: &HostKey, tab: TabId) -> Option<String> {
        let tab = self.tabs.get(&tab)?;
        let segment = tab.segments.get(owner_of_snapshot(tab, host)?)?;
        Some(segment.url.clone())
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(120).collect()
}
