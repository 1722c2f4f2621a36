//! The reducer: one event in, the next state and its effects out.

use regen_net_config::site::Site;
use regen_proto::kernel::v1::host_command::Body as Command;
use regen_proto::kernel::v1::{CloseView, Empty, Load, Reload, TlsState};

use super::address::without_credentials;
use super::bounds;
use super::dialog;
use super::history;
use super::leaving::{self, Destination};
use super::page;
use super::private_network;
use super::saved::SavedTab;
use super::secure;
use super::state::{Effect, Event, HostKey, HostPhase, PageLoad, Phase, Segment, Session, Tab, TabId};
use super::views;

/// How many closed tabs can be reopened.
const CLOSED: usize = 50;
const ZOOM: std::ops::RangeInclusive<f64> = 0.25..=5.0;

/// Takes one step. Events about tabs or hosts that are gone change nothing.
///
/// The hosts that the new state wants, and no longer wants, come last among the effects: they are the difference of the two
/// states, so that no step can forget to say it.
pub fn reduce(session: &mut Session, event: Event) -> Vec<Effect> {
    let mut before = session.hosts.clone();
    if let Event::HostDied { host, .. } = &event {
        before.remove(host);
    }
    let mut effects = Vec::new();
    step(session, event, &mut effects);
    for (host, _) in before.iter().filter(|(host, _)| !session.hosts.contains_key(*host)) {
        effects.push(Effect::UnwantHost(host.clone()));
    }
    let is_new = |(host, phase): &(&HostKey, &HostPhase)| {
        **phase == HostPhase::Starting && before.get(*host) != Some(&HostPhase::Starting)
    };
    let mut wanted: Vec<HostKey> = session.hosts.iter().filter(is_new).map(|(host, _)| host.clone()).collect();
    wanted.sort_unstable();
    effects.extend(wanted.into_iter().map(Effect::WantHost));
    effects
}

fn step(session: &mut Session, event: Event, out: &mut Vec<Effect>) {
    match event {
        Event::Open { load, workspace, background, opener } => {
            open(session, load, workspace, background, opener, out);
        }
        Event::Close { tab, ask } => close(session, tab, ask, out),
        Event::StillUsed(tab) => {
            if let Some(tab) = session.tabs.get_mut(&tab) {
                tab.closing = false;
                tab.is_used = true;
            }
        }
        Event::Saving { host, is_saving } => saving(session, host, is_saving),
        Event::Activate(tab) => activate(session, tab, out),
        Event::Move { tab, index } => move_to(session, tab, index, out),
        Event::ReopenClosed => {
            if let Some(saved) = session.closed.pop() {
                adopt(session, saved, out);
            }
        }
        Event::Duplicate(tab) => {
            if let Some(saved) = session.tabs.get(&tab).map(SavedTab::from) {
                adopt(session, saved, out);
            }
        }
        Event::Navigate { tab, load } => navigate(session, tab, load, out),
        Event::AnswerDialog { tab, answer } => dialog::answer(session, tab, answer, out),
        Event::History { tab, delta } => history::step(session, tab, delta, out),
        Event::Reload { tab, bypass_cache } => {
            leaving::forget(session, tab);
            reload(session, tab, bypass_cache, out);
        }
        Event::Stop(tab) => {
            leaving::forget(session, tab);
            send_if_open(session, tab, Command::Stop(Empty {}), out);
        }
        Event::Zoom { tab, zoom } => {
            let zoom = zoom.clamp(*ZOOM.start(), *ZOOM.end());
            if change(session, tab, out, |tab| tab.zoom = zoom) {
                send_if_open(session, tab, Command::Zoom(zoom), out);
            }
        }
        Event::Mute { tab, muted } => {
            if change(session, tab, out, |tab| tab.muted = muted) {
                send_if_open(session, tab, Command::Mute(muted), out);
            }
        }
        Event::Pin { tab, pinned } => pin(session, tab, pinned, out),
        Event::Restore { tabs, active } => restore(session, tabs, active, out),
        Event::StopScript(tab) => stop_script(session, tab, out),
        Event::AllowInsecure(tab) => secure::agree(session, tab, out),
        Event::AllowPrivate(tab) => private_network::agree(session, tab, out),
        Event::SiteFound { host, side } => private_network::found(session, &host, side, out),
        Event::HttpsOnly { site, on } => session.https_only.choose(site.as_ref(), on),
        Event::Sleep(host) => sleep(session, &host, out),
        Event::HostUp(host) => host_up(session, &host, out),
        Event::HostDied { host, reason, given_up } => host_died(session, &host, &reason, given_up, out),
        Event::Page { host, tab, event } => page::event(session, &host, tab, event, out),
        Event::Snapshot { host, tab, snapshot } => page::snapshot(session, &host, tab, snapshot, out),
    }
}

pub(super) fn open(
    session: &mut Session,
    load: Option<PageLoad>,
    workspace: String,
    background: bool,
    opener: Option<TabId>,
    out: &mut Vec<Effect>,
) -> TabId {
    let id = new_id(session);
    let tab = Tab {
        id,
        workspace,
        segments: vec![Segment::default()],
        current: 0,
        left: 0,
        phase: Phase::Blank,
        view: false,
        is_starting: false,
        opener_host: None,
        opened_from: opener,
        pending: None,
        before_commit: None,
        upgraded: None,
        state_size: 0,
        looked_at: 0,
        progress: 0.0,
        tls: TlsState::Unspecified,
        zoom: 1.0,
        muted: false,
        audible: false,
        unresponsive: false,
        full_screen: false,
        blocked: 0,
        pinned: false,
        favicon: None,
        closing: false,
        leaving: None,
        dialog: None,
        is_fresh: false,
        redirects: 0,
        is_used: false,
        goes_by_itself: false,
    };
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

/// A tab that a page opened stands beside it, after those that it has opened before: in the order in which they were asked for.
fn place_beside(session: &Session, opener: Option<TabId>) -> usize {
    let at = opener.and_then(|opener| session.order.iter().position(|tab| *tab == opener));
    let Some(at) = at else { return session.order.len() };
    let is_its = |id: &&TabId| session.tabs.get(id).is_some_and(|tab| tab.opened_from == opener);
    at + 1 + session.order.iter().skip(at + 1).take_while(is_its).count()
}

fn new_id(session: &mut Session) -> TabId {
    session.next_id = session.next_id.max(session.tabs.keys().next_back().copied().unwrap_or(0)) + 1;
    session.next_id
}

/// Takes a saved tab in, under its old name where that is free.
fn adopt(session: &mut Session, saved: SavedTab, out: &mut Vec<Effect>) {
    let id = new_id(session);
    session.tabs.insert(id, saved.revive(id));
    session.order.push(id);
    out.extend([Effect::Save(id), Effect::SaveOrder]);
    activate(session, id, out);
}

fn restore(session: &mut Session, saved: Vec<SavedTab>, active: TabId, out: &mut Vec<Effect>) {
    let (mut first, mut front) = (None, None);
    for tab in saved {
        let before = tab.id;
        let id = if before == 0 || session.tabs.contains_key(&before) { new_id(session) } else { before };
        front = front.or_else(|| (before != 0 && before == active).then_some(id));
        session.tabs.insert(id, tab.revive(id));
        session.next_id = session.next_id.max(id);
        session.order.push(id);
        bounds::enforce(session, id);
        first.get_or_insert(id);
        out.extend([Effect::Save(id), Effect::TabChanged(id)]);
    }
    out.extend([Effect::OrderChanged, Effect::SaveOrder]);
    // Where the one that was in front does not come back, the first one is.
    if let Some(shown) = front.or(first) {
        activate(session, shown, out);
    }
}

/// Removes a tab; asks its page first where `ask` says so and there is a page that could object. Asking twice in a row,
/// without using the page in between, is insisting.
fn close(session: &mut Session, id: TabId, ask: bool, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    if ask && tab.view && matches!(tab.phase, Phase::Ready | Phase::Loading) && !tab.closing {
        tab.closing = true;
        tab.leaving = None;
        if let Some(host) = tab.host() {
            let command = Command::Close(CloseView { ask_before_unload: true });
            out.push(Effect::Send { host, tab: id, command, snapshot: None });
            return;
        }
    }
    remove(session, id, out);
}

pub(super) fn remove(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.remove(&id) else { return };
    if tab.opener_host.is_none() && !tab.segment().url.is_empty() {
        session.closed.push(SavedTab::from(&tab));
        if session.closed.len() > CLOSED {
            session.closed.remove(0);
        }
        bounds::enforce_on_closed(&mut session.closed);
    }
    let index = session.order.iter().position(|other| *other == id);
    session.order.retain(|other| *other != id);
    out.extend([Effect::TabClosed(id), Effect::Forget(id), Effect::SaveOrder, Effect::OrderChanged]);
    leave_host(session, &tab, out);
    if session.active == Some(id) {
        session.active = None;
        // The right neighbour takes its place, or the left one at the end.
        let next = index.and_then(|index| session.order.get(index).or(session.order.last())).copied();
        if let Some(next) = next {
            activate(session, next, out);
        }
    }
}

/// Closes the tab's view. Its host is no longer wanted when that was the last one.
pub(super) fn leave_host(session: &mut Session, tab: &Tab, out: &mut Vec<Effect>) {
    out.push(Effect::LeftPage(tab.id));
    let Some(host) = tab.host() else { return };
    if tab.view {
        let command = Command::Close(CloseView { ask_before_unload: false });
        out.push(Effect::Send { host: host.clone(), tab: tab.id, command, snapshot: None });
    }
    let still_needed = session
        .tabs
        .values()
        .any(|other| other.id != tab.id && other.host().as_ref() == Some(&host) && !matches!(other.phase, Phase::Lazy));
    if let Some(tab) = session.tabs.get_mut(&tab.id) {
        tab.is_starting = false;
    }
    if still_needed || session.saving.contains(&host) {
        views::open_next(session, &host, out);
    } else {
        session.hosts.remove(&host);
    }
}

fn activate(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    if !session.tabs.contains_key(&id) {
        return;
    }
    show(session, id, out);
    out.extend([Effect::OrderChanged, Effect::SaveOrder]);
    wake(session, id, out);
    // Behind others it would wait for its turn.
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

fn show(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
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
        send_if_open(session, tab, Command::SetVisible(visible), out);
    }
}

fn move_to(session: &mut Session, id: TabId, index: usize, out: &mut Vec<Effect>) {
    if let Some(from) = session.order.iter().position(|tab| *tab == id) {
        session.order.remove(from);
        session.order.insert(index.min(session.order.len()), id);
        sort_pinned(session);
        out.extend([Effect::OrderChanged, Effect::SaveOrder]);
    }
}

fn pin(session: &mut Session, id: TabId, pinned: bool, out: &mut Vec<Effect>) {
    if change(session, id, out, |tab| tab.pinned = pinned) {
        sort_pinned(session);
        out.extend([Effect::OrderChanged, Effect::SaveOrder]);
    }
}

fn sort_pinned(session: &mut Session) {
    let tabs = &session.tabs;
    session.order.sort_by_key(|id| tabs.get(id).is_none_or(|tab| !tab.pinned));
}

fn change(session: &mut Session, id: TabId, out: &mut Vec<Effect>, what: impl FnOnce(&mut Tab)) -> bool {
    let Some(tab) = session.tabs.get_mut(&id) else { return false };
    what(tab);
    out.extend([Effect::TabChanged(id), Effect::Save(id)]);
    true
}

pub(super) fn send_if_open(session: &Session, id: TabId, command: Command, out: &mut Vec<Effect>) {
    if let Some(tab) = session.tabs.get(&id).filter(|tab| tab.view)
        && let Some(host) = tab.host()
    {
        out.push(Effect::Send { host, tab: id, command, snapshot: None });
    }
}

/// Takes a tab to a URL, in whichever process that URL belongs.
pub(super) fn navigate(session: &mut Session, id: TabId, load: PageLoad, out: &mut Vec<Effect>) {
    // Within a site the engine asks the page.
    let is_elsewhere = session.tabs.get(&id).is_some_and(|tab| !is_on_site(tab, &load.load.url));
    if is_elsewhere && leaving::asks(session, id, Destination::Load(Box::new(load.clone())), out) {
        return;
    }
    let Some(load) = secure::look(session, id, load, out) else { return };
    let url = without_credentials(&load.load.url);
    let site = match Site::of(&url) {
        Ok(site) => Some(site),
        Err(_) if url == "about:blank" => None,
        Err(error) => {
            refuse(session, id, url, error.to_string(), out);
            return;
        }
    };
    if site.as_ref().is_some_and(|site| private_network::stops(session, id, &load, site, out)) {
        return;
    }
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    if load.from.is_none() {
        tab.redirects = 0;
        tab.goes_by_itself = false;
    }
    let stays = site.is_some() && tab.opener_host.is_none() && tab.segment().site == site;
    if stays {
        tab.phase = Phase::Loading;
        tab.progress = 0.0;
        if tab.view {
            tab.pending = Some(load.clone());
            send_if_open(session, id, Command::Navigate(load.load), out);
        } else {
            tab.pending = Some(load);
            ensure_view(session, id, out);
        }
        out.push(Effect::TabChanged(id));
        return;
    }
    let Some(site) = site else {
        history::replace_shown(session, id, Segment::default(), out);
        set_phase(session, id, Phase::Blank, out);
        return;
    };
    let address = tab.address().to_owned();
    history::replace_shown(session, id, Segment { site: Some(site), url, ..Segment::default() }, out);
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    tab.before_commit = load.from.is_some().then_some(address);
    tab.pending = Some(load);
    tab.progress = 0.0;
    set_phase(session, id, Phase::Loading, out);
    ensure_view(session, id, out);
}

fn is_on_site(tab: &Tab, url: &str) -> bool {
    Site::of(url).ok().is_some_and(|site| tab.segment().site.as_ref() == Some(&site))
}

/// Shows a page of Regen's own that says why an address is not opened.
pub(super) fn refuse(session: &mut Session, id: TabId, url: String, why: String, out: &mut Vec<Effect>) {
    let segment = Segment { url: without_credentials(&url), ..Segment::default() };
    history::replace_shown(session, id, segment, out);
    set_phase(session, id, Phase::Refused(why), out);
}

pub(super) fn set_phase(session: &mut Session, id: TabId, phase: Phase, out: &mut Vec<Effect>) {
    if let Some(tab) = session.tabs.get_mut(&id) {
        tab.phase = phase;
        out.extend([Effect::TabChanged(id), Effect::Save(id)]);
    }
}

fn reload(session: &mut Session, id: TabId, bypass_cache: bool, out: &mut Vec<Effect>) {
    let shown = session.tabs.get(&id);
    let is_forbidden = shown.is_some_and(|tab| session.forbids(&tab.segment().url, &tab.workspace));
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    match tab.phase {
        Phase::Sad(_) | Phase::Lazy => {
            tab.phase = Phase::Loading;
            if let Some(host) = tab.host()
                && session.hosts.get(&host) == Some(&HostPhase::GivenUp)
            {
                session.hosts.remove(&host);
            }
            ensure_view(session, id, out);
            out.push(Effect::TabChanged(id));
        }
        Phase::Insecure(_) => secure::ask_anew(session, id, out),
        // Its question stays until it is answered.
        Phase::Private(_) => {}
        Phase::Refused(_) => {
            let url = tab.segment().url.clone();
            navigate(session, id, PageLoad::by_user(url), out);
        }
        // Encryption may have been insisted on since it was opened.
        _ if tab.opener_host.is_none() && is_forbidden => secure::ask_anew(session, id, out),
        Phase::Blank | Phase::Loading | Phase::Ready | Phase::Failed(_) | Phase::Recovering => {
            send_if_open(session, id, Command::Reload(Reload { bypass_cache }), out);
        }
    }
}

/// Asks for the tab's host, and for a view in it if the host is already there.
pub(super) fn ensure_view(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get(&id) else { return };
    let Some(host) = tab.host() else { return };
    let is_by_user = tab.pending.as_ref().is_none_or(|pending| pending.from.is_none());
    if session.forbids(&tab.segment().url, &host.workspace) {
        secure::ask_anew(session, id, out);
        return;
    }
    if is_by_user {
        private_network::allow(session, &host, out);
    }
    match session.hosts.get(&host) {
        Some(HostPhase::Up) => views::open(session, id, out),
        Some(HostPhase::Starting) => {}
        Some(HostPhase::GivenUp) | None => {
            session.hosts.insert(host, HostPhase::Starting);
        }
    }
}

fn host_up(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    session.hosts.insert(host.clone(), HostPhase::Up);
    for id in views::without_view(session, host) {
        ensure_view(session, id, out);
    }
}

/// A host that nobody looks at any more may end when it has saved its last file.
fn saving(session: &mut Session, host: HostKey, is_saving: bool) {
    if is_saving {
        session.saving.insert(host.clone());
        // A host that died too often waits for its user.
        session.hosts.entry(host).or_insert(HostPhase::Starting);
        return;
    }
    if !session.saving.remove(&host) {
        return;
    }
    let is_wanted = |tab: &Tab| tab.host().as_ref() == Some(&host) && !matches!(tab.phase, Phase::Lazy);
    if !session.tabs.values().any(is_wanted) {
        session.hosts.remove(&host);
    }
}

fn stop_script(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id).filter(|tab| tab.view) else { return };
    let Some(host) = tab.host() else { return };
    tab.phase = Phase::Sad("you stopped its script".to_owned());
    tab.leaving = None;
    tab.end_document();
    // Nothing that its process still says counts; another tab of the site needs a process all the same.
    tab.view = false;
    out.push(Effect::TabChanged(id));
    out.push(Effect::EndHost { host, reason: "the user stopped its script".to_owned() });
}

fn sleep(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    if !session.can_sleep(host) {
        return;
    }
    for tab in session.tabs.values_mut().filter(|tab| tab.host().as_ref() == Some(host)) {
        tab.phase = Phase::Lazy;
        tab.view = false;
        tab.end_document();
        // What the process still says is about what is here now.
        tab.left = tab.current;
        out.push(Effect::TabChanged(tab.id));
    }
    session.hosts.remove(host);
}

fn host_died(session: &mut Session, host: &HostKey, reason: &str, given_up: bool, out: &mut Vec<Effect>) {
    let mut affected = Vec::new();
    let mut unsent = Vec::new();
    let mut elsewhere = Vec::new();
    // It takes no commands any more, those that follow from the removals below among them.
    session.hosts.insert(host.clone(), HostPhase::Starting);
    for tab in session.tabs.values_mut().filter(|tab| tab.host().as_ref() == Some(host)) {
        tab.view = false;
        tab.end_document();
        let leaving = tab.leaving.take();
        // A window that a page opened becomes a tab like any other: the page that knew it is gone.
        if tab.segment().site.is_some() {
            tab.opener_host = None;
        }
        // A page whose script was stopped would only run it again: it waits, like one that crashes too often.
        if matches!(tab.phase, Phase::Lazy | Phase::Sad(_) | Phase::Insecure(_) | Phase::Private(_)) {
            continue;
        }
        // A dead page cannot object.
        if let Some(Destination::Load(load)) = leaving {
            elsewhere.push((tab.id, *load));
            continue;
        }
        // A form that was on its way may have arrived: only the user may send it once more.
        if let Some(form) = tab.pending.take_if(|pending| pending.load.method == "POST") {
            unsent.push((tab.id, form.load.url));
            tab.phase = Phase::Lazy;
            continue;
        }
        tab.phase = if given_up { Phase::Sad(reason.to_owned()) } else { Phase::Recovering };
        let is_gone = tab.closing || (tab.opener_host.is_some() && Site::of(&tab.segment().url).is_err());
        if tab.opener_host.take().is_some() && !is_gone {
            // Another site was shown in it: the tab goes there anew, with the page that opened it as the initiator.
            let initiator = host.site.as_str().to_owned();
            let load = Load { url: tab.segment().url.clone(), initiator, user_gesture: true, ..Load::default() };
            *tab.segment_mut() = Segment::default();
            elsewhere.push((tab.id, PageLoad { load, from: Some(host.clone()) }));
            continue;
        }
        affected.push((tab.id, is_gone, (tab.pinned, tab.looked_at)));
    }
    // Each that comes back is a process: of many, those that were looked at last; the others when they are looked at.
    let active = session.active;
    affected.sort_by_key(|(id, _, use_of)| std::cmp::Reverse((active == Some(*id), *use_of)));
    for (id, ..) in affected.iter().filter(|(_, is_gone, _)| !is_gone).skip(views::MAX_VIEWS) {
        if let Some(tab) = session.tabs.get_mut(id).filter(|tab| tab.pending.is_none()) {
            tab.phase = if given_up { Phase::Sad(reason.to_owned()) } else { Phase::Lazy };
        }
    }
    for (id, is_gone, _) in &affected {
        // A tab that was on its way out does not come back, nor does a window whose document lived in its opener's process alone.
        if *is_gone {
            remove(session, *id, out);
        } else {
            out.push(Effect::TabChanged(*id));
        }
    }
    for (id, url) in unsent {
        let why =
            "The process ended while a form was being sent here. It is not sent again by itself: go back to the form.";
        refuse(session, id, url, why.to_owned(), out);
    }
    for (id, load) in elsewhere {
        navigate(session, id, load, out);
    }
    // One that is looked at now, because another went, wants it, too.
    let waits = |tab: &Tab| matches!(tab.phase, Phase::Loading | Phase::Recovering);
    let wanted = session.tabs.values().any(|tab| waits(tab) && tab.host().as_ref() == Some(host));
    let wanted = wanted || session.saving.contains(host);
    session.hosts.remove(host);
    if given_up {
        session.hosts.insert(host.clone(), HostPhase::GivenUp);
    } else if wanted {
        session.hosts.insert(host.clone(), HostPhase::Starting);
    }
}
