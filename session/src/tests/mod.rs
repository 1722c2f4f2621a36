//! Behaviour of the reducer: actions of the user, and the effects of the browser.

use regen_net_config::site::Site;

use super::*;

mod hosts;
mod leaving;
mod navigation;
mod private_network;
mod random;
mod secure;
mod views;
mod visits;
mod workspaces;
mod zooms;

const A: &str = "http://127.0.0.1:8000/a.html";
const B: &str = "http://127.0.0.2:8000/b.html";

fn key(url: &str) -> HostKey {
    HostKey { site: Site::of(url).unwrap(), workspace: String::new() }
}

fn open(session: &mut Session, url: &str) -> (TabId, Vec<Effect>) {
    let effects = reduce(
        session,
        Event::Open { load: Some(PageLoad::by_user(url)), workspace: String::new(), background: false, opener: None },
    );
    (*session.order.last().unwrap(), effects)
}

fn page(session: &mut Session, host: &str, tab: TabId, event: PageEvent) -> Vec<Effect> {
    reduce(session, Event::Page { host: key(host), tab, event })
}

fn committed(url: &str) -> PageEvent {
    PageEvent::Committed(Committed { url: url.into(), ..Committed::default() })
}

fn loaded(session: &mut Session, url: &str) -> TabId {
    let (tab, _) = open(session, url);
    reduce(session, Event::HostUp(key(url)));
    page(session, url, tab, committed(url));
    page(session, url, tab, PageEvent::LoadFinished);
    tab
}

fn snapshot(session: &mut Session, host: &str, tab: TabId, state: &[u8]) {
    let snapshot = SavedSnapshot { session_state: state.to_vec(), ..SavedSnapshot::default() };
    reduce(session, Event::Snapshot { host: key(host), tab, snapshot });
}

/// Starts the load of each view that was opened. Returns all views opened by then, in order.
fn starts_in_turn(session: &mut Session, mut opened: Vec<TabId>) -> Vec<TabId> {
    let mut started = 0;
    while let Some(tab) = opened.get(started).copied() {
        let effects = page(session, A, tab, PageEvent::LoadStarted);
        opened.extend(views_opened(&effects));
        started += 1;
    }
    opened
}

fn views_opened(effects: &[Effect]) -> Vec<TabId> {
    effects
        .iter()
        .filter_map(|effect| {
            let Effect::Send { tab, command: HostCommand::Open(_), .. } = effect else { return None };
            Some(*tab)
        })
        .collect()
}

fn handover(session: &mut Session, from: &str, tab: TabId, load: Load) -> Vec<Effect> {
    page(session, from, tab, PageEvent::Handover(load))
}

fn from(host: &str, url: &str) -> Load {
    let initiator = Origin::new(url::Url::parse(host).unwrap().origin().ascii_serialization());
    Load { url: url.into(), initiator, ..Load::default() }
}

fn form(body: &'static str) -> Method {
    Method::Post(Some(Form { body: bytes::Bytes::from_static(body.as_bytes()), content_type: "text/plain".into() }))
}

fn snapshot_of(effect: &Effect) -> Option<&SavedSnapshot> {
    let Effect::Send { command: HostCommand::Open(open), .. } = effect else { return None };
    open.snapshot.as_ref()
}

fn last_load(effects: &[Effect]) -> &Load {
    effects.iter().filter_map(load_of).last().expect("a load")
}

fn load_of(effect: &Effect) -> Option<&Load> {
    let Effect::Send { command, .. } = effect else { return None };
    if let HostCommand::Open(open) = command {
        return open.load.as_ref();
    }
    if let HostCommand::Navigate(load) = command { Some(load) } else { None }
}

const PUBLIC: &str = "http://evil.test/";
const ROUTER: &str = "http://router.lan/reboot";

/// Returns a tab that was clicked in A, was redirected by the server of B, and loads PUBLIC.
fn sent_on(session: &mut Session) -> TabId {
    let tab = loaded(session, A);
    snapshot(session, A, tab, b"state of a");
    reduce(session, Event::StillUsed(tab));
    handover(session, A, tab, from(A, B));
    page(session, A, tab, PageEvent::CloseRequested);
    reduce(session, Event::HostUp(key(B)));
    handover(session, B, tab, Load { continues: true, ..from(A, PUBLIC) });
    reduce(session, Event::HostUp(key(PUBLIC)));
    tab
}

#[test]
fn a_tab_waits_for_its_host_and_then_loads() {
    let mut session = Session::default();
    let (tab, effects) = open(&mut session, A);
    assert!(effects.contains(&Effect::WantHost(key(A))));
    assert!(views_opened(&effects).is_empty());
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    assert_eq!(views_opened(&effects), [tab]);
    page(&mut session, A, tab, committed(A));
    page(&mut session, A, tab, PageEvent::LoadFinished);
    assert_eq!(session.tabs[&tab].phase, Phase::Ready);
}

#[test]
fn two_tabs_of_a_site_share_a_host_and_two_workspaces_do_not() {
    let mut session = Session::default();
    loaded(&mut session, A);
    let (_, effects) = open(&mut session, A);
    assert!(!effects.iter().any(|e| matches!(e, Effect::WantHost(_))));
    let effects = reduce(
        &mut session,
        Event::Open { load: Some(PageLoad::by_user(A)), workspace: "work".into(), background: false, opener: None },
    );
    assert!(effects.iter().any(|e| matches!(e, Effect::WantHost(key) if key.workspace == "work")));
}

#[test]
fn a_host_cannot_speak_about_a_tab_of_another_host() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    loaded(&mut session, B);
    assert!(page(&mut session, B, tab, PageEvent::Title("stolen".into())).is_empty());
    assert_eq!(session.tabs[&tab].segment().title, "");
}

#[test]
fn a_handover_moves_the_tab_and_keeps_history() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    snapshot(&mut session, A, tab, b"state of a");
    reduce(&mut session, Event::StillUsed(tab));
    let load = Load { url: B.into(), initiator: Origin::new("http://127.0.0.1:8000"), ..Load::default() };
    page(&mut session, A, tab, PageEvent::Handover(load));
    let effects = page(&mut session, A, tab, PageEvent::CloseRequested);
    assert!(effects.contains(&Effect::WantHost(key(B))) && effects.contains(&Effect::UnwantHost(key(A))));
    reduce(&mut session, Event::HostUp(key(B)));
    page(&mut session, B, tab, committed(B));
    assert!(session.tabs[&tab].can_go_back() && !session.tabs[&tab].can_go_forward());

    let effects = reduce(&mut session, Event::History { tab, delta: -1 });
    assert!(effects.contains(&Effect::WantHost(key(A))));
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    let restored =
        effects.iter().any(|effect| matches!(snapshot_of(effect), Some(s) if s.session_state == b"state of a"));
    assert!(restored, "{effects:?}");
    assert!(session.tabs[&tab].can_go_forward());
}

#[test]
fn the_last_snapshot_of_a_host_that_was_left_is_kept_with_its_own_segment() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user(B) });
    snapshot(&mut session, A, tab, b"late");
    assert_eq!(session.tabs[&tab].segments[0].snapshot.session_state, b"late");
    assert!(session.tabs[&tab].segments[1].snapshot.session_state.is_empty());
}

#[test]
fn a_snapshot_of_the_page_that_was_left_goes_to_that_page_even_between_two_of_its_site() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    snapshot(&mut session, A, tab, b"first");
    for url in [B, A] {
        reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user(url) });
        reduce(&mut session, Event::HostUp(key(url)));
        page(&mut session, url, tab, committed(url));
    }
    snapshot(&mut session, A, tab, b"third");
    reduce(&mut session, Event::History { tab, delta: -1 });
    snapshot(&mut session, A, tab, b"third, last words");
    let states: Vec<&[u8]> = session.tabs[&tab].segments.iter().map(|s| s.snapshot.session_state.as_slice()).collect();
    assert_eq!(states, [b"first".as_slice(), b"", b"third, last words"]);
}

#[test]
fn going_on_with_a_tab_takes_back_the_wish_to_close_it() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::Close { tab, ask: true });
    assert!(session.tabs.contains_key(&tab), "its page is asked first");
    reduce(&mut session, Event::StillUsed(tab));
    reduce(&mut session, Event::Close { tab, ask: true });
    assert!(session.tabs.contains_key(&tab), "and asked again");
    reduce(&mut session, Event::Close { tab, ask: true });
    assert!(!session.tabs.contains_key(&tab), "insisting closes");
}

#[test]
fn tabs_come_back_in_their_order_and_the_one_that_was_in_front_is_in_front() {
    let mut session = Session::default();
    let ids: Vec<TabId> = (0..4).map(|_| loaded(&mut session, A)).collect();
    reduce(&mut session, Event::Move { tab: ids[1], index: 3 });
    let strip = session.order.clone();
    let saved: Vec<SavedTab> = strip.iter().map(|id| SavedTab::from(&session.tabs[id])).collect();
    let mut later = Session::default();
    reduce(&mut later, Event::Restore { tabs: saved.clone(), active: ids[0] });
    assert_eq!((later.order.clone(), later.active), (strip.clone(), Some(ids[0])));
    // The identifiers are taken by now: the tabs are restored under new ones.
    reduce(&mut later, Event::Restore { tabs: saved, active: ids[3] });
    let index = strip.iter().position(|id| *id == ids[3]).unwrap();
    assert_eq!(later.active, Some(later.order[4 + index]));
}

#[test]
fn a_restored_session_is_lazy_but_for_its_first_tab() {
    let mut first = Session::default();
    loaded(&mut first, A);
    loaded(&mut first, B);
    let saved: Vec<SavedTab> = first.order.iter().map(|id| SavedTab::from(&first.tabs[id])).collect();
    let mut session = Session::default();
    let effects = reduce(&mut session, Event::Restore { tabs: saved, active: 0 });
    assert_eq!(effects.iter().filter(|e| matches!(e, Effect::WantHost(_))).count(), 1);
    assert_eq!(session.tabs[&session.order[1]].phase, Phase::Lazy);
    let second = session.order[1];
    let effects = reduce(&mut session, Event::Activate(second));
    assert!(effects.contains(&Effect::WantHost(key(B))));
}

#[test]
fn a_closed_tab_can_be_reopened_with_its_history() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    snapshot(&mut session, A, tab, b"state");
    let effects = reduce(&mut session, Event::Close { tab, ask: false });
    assert!(effects.contains(&Effect::UnwantHost(key(A))));
    reduce(&mut session, Event::ReopenClosed);
    let again = &session.tabs[&session.active.unwrap()];
    assert_eq!(again.segment().snapshot.session_state, b"state");
}

#[test]
fn a_page_opens_tabs_only_for_the_user() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let wanted = |user_gesture| {
        let load = Load { url: B.into(), initiator: Origin::new("http://127.0.0.1:8000"), ..Load::default() };
        PageEvent::NewTab(NewTab { load, background: false, user_gesture })
    };
    page(&mut session, A, tab, wanted(false));
    assert_eq!(session.order.len(), 1);
    page(&mut session, A, tab, wanted(true));
    assert_eq!(session.order.len(), 2);
}

#[test]
fn tabs_that_a_page_opens_stand_beside_it_in_the_order_they_were_asked_for() {
    let mut session = Session::default();
    let opener = loaded(&mut session, A);
    let (last, _) = open(&mut session, A);
    let mut opened = |background| {
        let load = Some(PageLoad::by_user(A));
        let before = session.order.clone();
        reduce(&mut session, Event::Open { load, workspace: String::new(), background, opener: Some(opener) });
        *session.order.iter().find(|tab| !before.contains(tab)).unwrap()
    };
    let (first, second, third) = (opened(true), opened(true), opened(false));
    assert_eq!(session.order, [opener, first, second, third, last]);
}

#[test]
fn a_window_that_a_page_opened_outlives_their_process_as_a_tab() {
    let mut session = Session::default();
    let opener = loaded(&mut session, A);
    let mut opened = |url: &str| {
        let popup = PopupOpened { token: 1, url: url.to_owned(), user_gesture: true };
        page(&mut session, A, opener, PageEvent::PopupOpened(popup));
        let tab = session.active.unwrap();
        page(&mut session, A, tab, committed(url));
        tab
    };
    let inner = format!("blob:{A}");
    let (own, other, made) = (opened("http://127.0.0.1:8000/popup"), opened(B), opened(&inner));
    let kept: Vec<bool> = [own, other, made].iter().map(|tab| session.tabs[tab].is_kept()).collect();
    assert_eq!(kept, [true, false, false]);
    snapshot(&mut session, A, own, b"of the popup");
    let effects = reduce(&mut session, Event::HostDied { host: key(A), reason: "signal 9".into(), given_up: false });
    assert_eq!(session.tabs[&own].phase, Phase::Recovering);
    assert_eq!(session.tabs[&own].host(), Some(key(A)), "it is a tab of its site");
    assert_eq!(session.tabs[&own].segment().snapshot.session_state, b"of the popup");
    // The other site's address is only known from the process: the tab navigates there with that page as the initiator.
    let load = &session.tabs[&other].pending.as_ref().unwrap().load;
    assert_eq!((load.url.as_str(), &load.initiator), (B, &Origin::new(key(A).site.as_str())));
    assert!(effects.contains(&Effect::WantHost(key(B))));
    assert!(!session.tabs.contains_key(&made), "what a page made is gone with it");
}
