//! What a host says about its pages. All of it is attacker-controlled: a host speaks only about tabs it was given, and
//! a main frame of another site is the end of that host.

use regen_net_config::site::Site;
use regen_proto::kernel::v1::page_event::Body;
use regen_proto::kernel::v1::{AdoptPopup, Load, NavigationCommitted, NewTab, PopupOpened, TlsState, host_command};

use super::address::without_credentials;
use super::bounds;
use super::consent;
use super::dialogs;
use super::events::{Effect, PageRequest};
use super::history;
use super::ids::{HostKey, TabId};
use super::navigation::navigate;
use super::saved::SavedSnapshot;
use super::secure;
use super::state::Session;
use super::stretches::refuse;
use super::strip::open;
use super::tab::{PageLoad, Phase, Segment, Tab};
use super::tabs::set_phase;
use super::views;

/// As many as the engine follows within a site.
const MAX_REDIRECTS: u32 = 20;

pub(super) fn event(session: &mut Session, host: &HostKey, id: TabId, event: Body, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id).filter(|tab| tab.view && tab.host().as_ref() == Some(host)) else {
        // Late news about a tab that has moved on or is closed; a refused popup must not linger.
        if let Body::PopupOpened(popup) = event {
            answer_popup(host, id, popup.token, true, out);
        }
        return;
    };
    let has_started = matches!(
        event,
        Body::LoadStarted(_) | Body::Committed(_) | Body::LoadFinished(_) | Body::LoadFailed(_) | Body::Handover(_)
    );
    if has_started && tab.is_starting {
        views::has_started(session, host, id, out);
    }
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let ask_window = |request| Effect::AskWindow { host: host.clone(), tab: id, request };
    match event {
        Body::LoadStarted(_) => {
            tab.progress = 0.0;
            if tab.phase != Phase::Recovering {
                tab.phase = Phase::Loading;
            }
            out.push(Effect::TabChanged(id));
        }
        Body::Committed(committed) => commit(session, host, id, committed, out),
        Body::LoadFinished(_) => {
            tab.progress = 1.0;
            if !matches!(tab.phase, Phase::Failed(_)) {
                tab.phase = Phase::Ready;
            }
            out.push(Effect::TabChanged(id));
        }
        Body::LoadFailed(failed) => {
            if secure::failed(session, id, &failed, out) {
                return;
            }
            let Some(tab) = session.tabs.get_mut(&id) else { return };
            tab.progress = 1.0;
            tab.pending = None;
            tab.before_commit = None;
            tab.tls = TlsState::Unspecified;
            // A host that failed to load a foreign address does not get to show it in the address bar.
            if host.site.may_show(&failed.url) {
                tab.segment_mut().url = without_credentials(&failed.url);
            }
            set_phase(session, id, Phase::Failed(failed.reason), out);
        }
        Body::Title(title) => {
            tab.segment_mut().title = title;
            out.extend([Effect::TabChanged(id), Effect::Save(id)]);
        }
        Body::Favicon(icon) => {
            tab.favicon = Some(icon);
            out.push(Effect::FaviconChanged(id));
        }
        Body::Progress(progress) => {
            tab.progress = progress.clamp(0.0, 1.0);
            out.push(Effect::TabChanged(id));
        }
        Body::Unresponsive(unresponsive) => {
            tab.unresponsive = unresponsive;
            out.push(Effect::TabChanged(id));
        }
        Body::FullScreen(full_screen) => {
            tab.full_screen = full_screen;
            out.push(Effect::TabChanged(id));
        }
        Body::Blocked(blocked) => {
            tab.blocked = blocked;
            out.push(Effect::TabChanged(id));
        }
        Body::Audible(audible) => {
            tab.audible = audible;
            out.push(Effect::TabChanged(id));
        }
        Body::Handover(load) => handover(session, host, id, load, out),
        Body::NewTab(wanted) => new_tab(session, host, id, wanted, out),
        Body::PopupOpened(popup) => popup_opened(session, host, id, &popup, out),
        Body::CloseRequested(_) => consent::leaving_allowed(session, id, out),
        Body::Dialog(said) => dialogs::shown(session, id, said, out),
        Body::LoadAbandoned(_) => history::abandon(session, id, out),
        Body::FileChooser(chooser) => out.push(ask_window(PageRequest::FileChooser(chooser))),
        Body::FindResult(result) => out.push(ask_window(PageRequest::FindResult(result))),
        Body::Outside(url) => out.push(ask_window(PageRequest::Outside(url))),
        // The window component keeps downloads.
        Body::Download(_) => {}
    }
}

fn commit(session: &mut Session, host: &HostKey, id: TabId, mut committed: NavigationCommitted, out: &mut Vec<Effect>) {
    committed.url = without_credentials(&committed.url);
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    if tab.opener_host.is_none() && !host.site.may_show(&committed.url) {
        let reason = format!("committed {} in a process for {}", shorten(&committed.url), host.site);
        out.push(Effect::KillHost { host: host.clone(), reason });
        return;
    }
    tab.pending = None;
    tab.before_commit = None;
    tab.upgraded = None;
    tab.closing = false;
    tab.is_fresh = false;
    tab.redirects = 0;
    if !committed.same_document {
        let before = tab.current.checked_sub(1).filter(|_| std::mem::take(&mut tab.goes_by_itself));
        if let Some(before) = before.and_then(|before| tab.segments.get_mut(before)) {
            before.is_passage = true;
        }
        tab.is_used = false;
        let was_audible = tab.audible;
        tab.end_document();
        // The engine says when that changes.
        tab.audible = was_audible;
        tab.tls = committed.tls();
        if tab.favicon.take().is_some() {
            out.push(Effect::FaviconChanged(id));
        }
        tab.phase = Phase::Loading;
        tab.blocked = 0;
    }
    let is_popup = tab.opener_host.is_some();
    let segment = tab.segment_mut();
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
        // A page of its opener's site comes back as a tab like any other when their process is gone.
        segment.site = Site::of(&segment.url).ok().filter(|site| *site == host.site);
    }
    out.extend([Effect::TabChanged(id), Effect::Save(id)]);
    // Its process follows links within its site by itself; from here on it does not.
    let (url, workspace) = (tab.segment().url.clone(), tab.workspace.clone());
    if !committed.same_document && !is_popup && session.forbids(&url, &workspace) {
        navigate(session, id, PageLoad::by_user(url), out);
    }
}

/// The main frame wants to go to another site: another host takes the tab, with what the page may say about itself.
fn handover(session: &mut Session, host: &HostKey, id: TabId, mut load: Load, out: &mut Vec<Effect>) {
    load.redirected |= load.continues;
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    // Without such a load it is the host's own initiative, whatever it says.
    if let Some(PageLoad { load: pending, .. }) = tab.pending.clone().filter(|_| load.continues) {
        // A server sent on what the broker itself had this host load: its initiator is the initiator of this. Method and body
        // are those of that load (307, 308) or none; the host has no say.
        let keeps_body = load.method == "POST" && pending.method == "POST";
        let initial = if keeps_body { pending } else { Load { method: String::new(), ..without_body(pending) } };
        load = Load { url: load.url, redirected: true, continues: true, ..initial };
        tab.redirects += 1;
        if tab.redirects > MAX_REDIRECTS {
            let why = format!("Its servers sent it on more than {MAX_REDIRECTS} times, and it would go on.");
            refuse(session, id, load.url, why, out);
            return;
        }
        check_and_go(session, host, id, load, out);
        return;
    }
    if tab.opener_host.is_some() {
        // A window that turns out to have no opener becomes a tab like any other; a gesture has opened it.
        load.user_gesture |= tab.pending.take().is_some_and(|pending| pending.load.user_gesture);
        *tab.segment_mut() = Segment::default();
    }
    // A page that goes on by itself, as one that only sends to another does, is no step back for its user.
    let goes_by_itself = !tab.is_used && !tab.is_fresh && !tab.segment().can_go_back;
    tab.goes_by_itself = goes_by_itself && tab.opener_host.is_none();
    let from_here = !load.initiator.is_empty() && host.site.may_show(&load.initiator);
    if !from_here {
        let reason = format!("claimed a navigation of {} for itself", shorten(&load.initiator));
        out.push(Effect::KillHost { host: host.clone(), reason });
        return;
    }
    // What a page may say about itself is its own affair, as long as it says it about itself.
    if !host.site.may_show(&load.referrer) {
        load.referrer.clear();
    }
    check_and_go(session, host, id, load, out);
}

fn without_body(load: Load) -> Load {
    Load { body: prost::bytes::Bytes::new(), body_size: 0, content_type: String::new(), ..load }
}

fn check_and_go(session: &mut Session, host: &HostKey, id: TabId, load: Load, out: &mut Vec<Effect>) {
    let method = load.method.as_str();
    if !(method.is_empty() || method == "GET" || method == "POST") {
        let why = format!("A page tried to open an address with the method {}.", shorten(method));
        refuse(session, id, load.url, why, out);
        return;
    }
    if method == "POST" && load.body.is_empty() {
        let why = "This form could not be carried over to the other site: what it holds is larger than 32 MB, cannot be read, \
                   or is sent there in a way that Regen does not follow. Nothing was sent; go back to the form to change it.";
        refuse(session, id, load.url, why.to_owned(), out);
        return;
    }
    // A page has no use for credentials that are not its own, but to pass for another site.
    let load = Load { url: without_credentials(&load.url), ..load };
    navigate(session, id, PageLoad { load, from: Some(host.clone()) }, out);
}

/// What the other site learns: at most the origin that the host may speak for.
fn with_own_referrer(load: Load) -> Load {
    let referrer = if load.referrer.is_empty() { String::new() } else { format!("{}/", load.initiator) };
    Load { referrer, ..load }
}

fn new_tab(session: &mut Session, host: &HostKey, id: TabId, wanted: NewTab, out: &mut Vec<Effect>) {
    let Some(load) = wanted.load else { return };
    if !wanted.user_gesture {
        return;
    }
    let from_here = !load.initiator.is_empty() && host.site.may_show(&load.initiator);
    let quiet = load.method.is_empty() || load.method == "GET";
    if from_here && quiet {
        let load = Load { url: without_credentials(&load.url), ..with_own_referrer(load) };
        let load = PageLoad { load, from: Some(host.clone()) };
        open(session, Some(load), host.workspace.clone(), wanted.background, Some(id), out);
    }
}

/// A popup that keeps its opener runs in the opener's host.
fn popup_opened(session: &mut Session, host: &HostKey, opener: TabId, popup: &PopupOpened, out: &mut Vec<Effect>) {
    // It would be shown in its opener's process: there is no other address to ask for.
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
        let load = Load { url: popup.url.clone(), user_gesture: true, ..Load::default() };
        tab.pending = Some(PageLoad { load, from: Some(host.clone()) });
    }
    answer_popup(host, id, popup.token, false, out);
    out.push(Effect::TabChanged(id));
}

fn answer_popup(host: &HostKey, tab: TabId, token: u64, refused: bool, out: &mut Vec<Effect>) {
    let command = host_command::Body::AdoptPopup(AdoptPopup { token, refused });
    out.push(Effect::Send { host: host.clone(), tab, command, snapshot: None });
}

/// Keeps a snapshot with the stretch of history that it belongs to: the one that is shown, or, for a host that the tab has
/// just left, the nearest one of its site.
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

/// The stretch of history that a host's snapshot of a tab belongs to.
fn owner_of_snapshot(tab: &Tab, host: &HostKey) -> Option<usize> {
    if tab.workspace != host.workspace || tab.opener_host.as_ref().is_some_and(|opener| opener != host) {
        return None;
    }
    // A host that the tab has just left speaks about what was left.
    let shown_here = tab.segment().site.as_ref() == Some(&host.site);
    let current = if shown_here && tab.view { tab.current } else { tab.left };
    let its = tab.segments.iter().enumerate().filter(|(_, segment)| segment.site.as_ref() == Some(&host.site));
    its.map(|(index, _)| index).min_by_key(|index| index.abs_diff(current))
}

impl Session {
    /// Returns whether a host shows this tab: only then does it speak about it.
    #[must_use]
    pub fn shows(&self, host: &HostKey, tab: TabId) -> bool {
        self.tabs.get(&tab).is_some_and(|tab| tab.view && tab.host().as_ref() == Some(host))
    }

    /// The address of the page that a host's snapshot of a tab belongs to, if it may have one.
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
