//! Behaviour of the reducer: actions of the user, and the effects of the browser.

use proptest::prelude::*;
use regen_net_config::site::Site;
use regen_proto::kernel::v1::host_command::Body as Command;
use regen_proto::kernel::v1::page_event::Body;
use regen_proto::kernel::v1::{
    Empty, Load, LoadFailed, LoadFinished, LoadStarted, NavigationCommitted, NewTab, PopupOpened,
};

use super::*;

mod leaving;
mod secure;
mod views;

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

fn page(session: &mut Session, host: &str, tab: TabId, event: Body) -> Vec<Effect> {
    reduce(session, Event::Page { host: key(host), tab, event })
}

fn committed(url: &str) -> Body {
    Body::Committed(NavigationCommitted { url: url.into(), ..NavigationCommitted::default() })
}

fn loaded(session: &mut Session, url: &str) -> TabId {
    let (tab, _) = open(session, url);
    reduce(session, Event::HostUp(key(url)));
    page(session, url, tab, committed(url));
    page(session, url, tab, Body::LoadFinished(LoadFinished {}));
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
        let effects = page(session, A, tab, Body::LoadStarted(LoadStarted {}));
        opened.extend(views_opened(&effects));
        started += 1;
    }
    opened
}

fn views_opened(effects: &[Effect]) -> Vec<TabId> {
    effects
        .iter()
        .filter_map(|effect| {
            let Effect::Send { tab, command: Command::Open(_), .. } = effect else { return None };
            Some(*tab)
        })
        .collect()
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
    page(&mut session, A, tab, Body::LoadFinished(LoadFinished {}));
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
fn a_host_that_commits_a_foreign_page_is_killed() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let effects = page(&mut session, A, tab, committed(B));
    assert!(effects.iter().any(|e| matches!(e, Effect::KillHost { host, .. } if *host == key(A))));
    assert_eq!(session.tabs[&tab].segment().url, A);
}

#[test]
fn a_host_cannot_speak_about_a_tab_of_another_host() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    loaded(&mut session, B);
    assert!(page(&mut session, B, tab, Body::Title("stolen".into())).is_empty());
    assert_eq!(session.tabs[&tab].segment().title, "");
}

#[test]
fn a_handover_moves_the_tab_and_keeps_history() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    snapshot(&mut session, A, tab, b"state of a");
    reduce(&mut session, Event::StillUsed(tab));
    let load = Load { url: B.into(), initiator: "http://127.0.0.1:8000".into(), ..Load::default() };
    page(&mut session, A, tab, Body::Handover(load));
    let effects = page(&mut session, A, tab, Body::CloseRequested(Empty {}));
    assert!(effects.contains(&Effect::WantHost(key(B))) && effects.contains(&Effect::UnwantHost(key(A))));
    reduce(&mut session, Event::HostUp(key(B)));
    page(&mut session, B, tab, committed(B));
    assert!(session.tabs[&tab].can_go_back() && !session.tabs[&tab].can_go_forward());

    let effects = reduce(&mut session, Event::History { tab, delta: -1 });
    assert!(effects.contains(&Effect::WantHost(key(A))));
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    let restored = effects
        .iter()
        .any(|effect| matches!(effect, Effect::Send { snapshot: Some(s), .. } if s.session_state == b"state of a"));
    assert!(restored, "{effects:?}");
    assert!(session.tabs[&tab].can_go_forward());
}

#[test]
fn the_last_snapshot_of_a_host_that_was_left_is_kept_with_its_own_stretch() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user(B) });
    snapshot(&mut session, A, tab, b"late");
    assert_eq!(session.tabs[&tab].segments[0].snapshot.session_state, b"late");
    assert!(session.tabs[&tab].segments[1].snapshot.session_state.is_empty());
}

#[test]
fn a_failed_load_cannot_put_a_foreign_address_into_the_bar() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let failed = LoadFailed { url: "https://bank.example/login".into(), reason: "x".into(), ..LoadFailed::default() };
    page(&mut session, A, tab, Body::LoadFailed(failed));
    assert_eq!(session.tabs[&tab].segment().url, A);
    let own = LoadFailed { url: format!("{A}?gone"), reason: "x".into(), ..LoadFailed::default() };
    page(&mut session, A, tab, Body::LoadFailed(own));
    assert_eq!(session.tabs[&tab].segment().url, format!("{A}?gone"));
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
fn a_host_cannot_claim_another_initiator() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let lie = Load { url: B.into(), initiator: "https://bank.example".into(), ..Load::default() };
    let effects = page(&mut session, A, tab, Body::Handover(lie));
    assert!(effects.iter().any(|e| matches!(e, Effect::KillHost { .. })));
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
fn a_form_that_a_page_sends_by_itself_goes_with_its_own_origin() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let form = Load { method: "POST".into(), body: prost::bytes::Bytes::from_static(b"{}"), ..from(A, B) };
    handover(&mut session, A, tab, form);
    let effects = reduce(&mut session, Event::HostUp(key(B)));
    let sent = last_load(&effects);
    assert_eq!((sent.method.as_str(), sent.initiator.as_str()), ("POST", "http://127.0.0.1:8000"));
    // Only the window attests a click, never the page.
    assert!(!sent.user_gesture);
}

/// Returns a tab that was clicked in A, was redirected by the server of B, and loads PUBLIC.
fn sent_on(session: &mut Session) -> TabId {
    let tab = loaded(session, A);
    snapshot(session, A, tab, b"state of a");
    reduce(session, Event::StillUsed(tab));
    handover(session, A, tab, from(A, B));
    page(session, A, tab, Body::CloseRequested(Empty {}));
    reduce(session, Event::HostUp(key(B)));
    handover(session, B, tab, Load { continues: true, ..from(A, PUBLIC) });
    reduce(session, Event::HostUp(key(PUBLIC)));
    tab
}

#[test]
fn a_step_back_goes_past_a_server_that_only_sends_on() {
    let mut session = Session::default();
    let tab = sent_on(&mut session);
    page(&mut session, PUBLIC, tab, committed(PUBLIC));
    let urls: Vec<&str> = session.tabs[&tab].segments.iter().map(|segment| segment.url.as_str()).collect();
    assert_eq!(urls, [A, PUBLIC]);
    // A tab that a server redirected at once has nothing to go back to.
    let (id, _) = open(&mut session, B);
    reduce(&mut session, Event::HostUp(key(B)));
    handover(&mut session, B, id, Load { continues: true, ..from(B, A) });
    reduce(&mut session, Event::HostUp(key(A)));
    page(&mut session, A, id, committed(A));
    assert!(!session.tabs[&id].can_go_back());
}

#[test]
fn a_step_back_goes_past_a_page_that_goes_on_by_itself() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::StillUsed(tab));
    handover(&mut session, A, tab, from(A, B));
    page(&mut session, A, tab, Body::CloseRequested(Empty {}));
    reduce(&mut session, Event::HostUp(key(B)));
    page(&mut session, B, tab, committed(B));
    handover(&mut session, B, tab, from(B, PUBLIC));
    reduce(&mut session, Event::HostUp(key(PUBLIC)));
    page(&mut session, PUBLIC, tab, committed(PUBLIC));
    reduce(&mut session, Event::History { tab, delta: -1 });
    assert_eq!(session.tabs[&tab].segment().url, A);
    assert!(session.tabs[&tab].can_go_forward());
}

#[test]
fn servers_that_send_on_for_ever_are_followed_twenty_times() {
    let mut session = Session::default();
    let (tab, _) = open(&mut session, A);
    reduce(&mut session, Event::HostUp(key(A)));
    for (from_here, to) in [(A, B), (B, A)].into_iter().cycle().take(20) {
        handover(&mut session, from_here, tab, Load { continues: true, ..from(A, to) });
        assert_eq!(session.tabs[&tab].phase, Phase::Loading);
        reduce(&mut session, Event::HostUp(key(to)));
    }
    handover(&mut session, A, tab, Load { continues: true, ..from(A, B) });
    assert!(matches!(&session.tabs[&tab].phase, Phase::Refused(why) if why.contains("20 times")));
}

#[test]
fn a_link_to_a_file_of_another_site_leaves_the_page_where_it_is() {
    let mut session = Session::default();
    let tab = sent_on(&mut session);
    page(&mut session, PUBLIC, tab, Body::LoadAbandoned(Empty {}));
    assert_eq!((session.tabs[&tab].segment().url.as_str(), session.tabs[&tab].segments.len()), (A, 1));
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    let restored =
        |effect: &Effect| matches!(effect, Effect::Send { snapshot: Some(s), .. } if s.session_state == b"state of a");
    assert!(effects.iter().any(restored), "{effects:?}");
    // A new tab has no previous page to return to.
    let (id, _) = open(&mut session, B);
    reduce(&mut session, Event::HostUp(key(B)));
    page(&mut session, B, id, Body::LoadAbandoned(Empty {}));
    assert!(matches!(&session.tabs[&id].phase, Phase::Refused(why) if why.contains("downloads")));
}

#[test]
fn a_host_that_saves_a_file_stays_until_it_is_saved() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::Saving { host: key(A), is_saving: true });
    let effects = reduce(&mut session, Event::Close { tab, ask: false });
    assert!(!effects.contains(&Effect::UnwantHost(key(A))), "{effects:?}");
    let effects = reduce(&mut session, Event::Saving { host: key(A), is_saving: false });
    assert_eq!(effects, [Effect::UnwantHost(key(A))]);
    // A host with a tab stays.
    loaded(&mut session, B);
    reduce(&mut session, Event::Saving { host: key(B), is_saving: true });
    assert!(!session.can_sleep(&key(B)));
    assert!(reduce(&mut session, Event::Saving { host: key(B), is_saving: false }).is_empty());
}

#[test]
fn addresses_that_are_not_opened_say_why_and_start_nothing() {
    for url in ["file:///etc/passwd", "data:text/html,x", "javascript:alert(1)", "gopher://x/"] {
        let mut session = Session::default();
        let (tab, effects) = open(&mut session, url);
        assert!(!effects.iter().any(|e| matches!(e, Effect::WantHost(_))), "{url}");
        assert!(matches!(session.tabs[&tab].phase, Phase::Refused(_)), "{url}");
    }
}

#[test]
fn a_crash_brings_every_tab_of_that_site_back_and_no_other() {
    let mut session = Session::default();
    let (a1, b) = (loaded(&mut session, A), loaded(&mut session, B));
    let (a2, _) = open(&mut session, A);
    snapshot(&mut session, A, a1, b"one");
    let died = Event::HostDied { host: key(A), reason: "signal 9".into(), given_up: false };
    let effects = reduce(&mut session, died);
    assert!(effects.contains(&Effect::WantHost(key(A))));
    assert_eq!(session.tabs[&a1].phase, Phase::Recovering);
    assert_eq!(session.tabs[&b].phase, Phase::Ready);
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    assert_eq!(views_opened(&effects), [a2, a1], "the one that is looked at comes first");
}

#[test]
fn too_many_crashes_make_sad_tabs_until_the_user_reloads() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let died = Event::HostDied { host: key(A), reason: "signal 11".into(), given_up: true };
    let effects = reduce(&mut session, died);
    assert!(!effects.iter().any(|e| matches!(e, Effect::WantHost(_))));
    assert_eq!(session.tabs[&tab].phase, Phase::Sad("signal 11".into()));
    let effects = reduce(&mut session, Event::Reload { tab, bypass_cache: false });
    assert!(effects.contains(&Effect::WantHost(key(A))));
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
        let load = Load { url: B.into(), initiator: "http://127.0.0.1:8000".into(), ..Load::default() };
        Body::NewTab(NewTab { load: Some(load), background: false, user_gesture })
    };
    page(&mut session, A, tab, wanted(false));
    assert_eq!(session.order.len(), 1);
    page(&mut session, A, tab, wanted(true));
    assert_eq!(session.order.len(), 2);
}

fn any_event() -> impl Strategy<Value = Event> {
    let url = prop_oneof![Just(A), Just(B), Just("https://example.org/"), Just("file:///x"), Just("about:blank")];
    let tab = 0_u64..6;
    prop_oneof![
        (url.clone(), any::<bool>()).prop_map(|(url, background)| Event::Open {
            load: Some(PageLoad::by_user(url)),
            workspace: String::new(),
            background,
            opener: None
        }),
        (tab.clone(), any::<bool>()).prop_map(|(tab, ask)| Event::Close { tab, ask }),
        tab.clone().prop_map(Event::Activate),
        (tab.clone(), 0_usize..9).prop_map(|(tab, index)| Event::Move { tab, index }),
        Just(Event::ReopenClosed),
        (tab.clone(), url.clone()).prop_map(|(tab, url)| Event::Navigate { tab, load: PageLoad::by_user(url) }),
        (tab.clone(), -2_i32..3).prop_map(|(tab, delta)| Event::History { tab, delta }),
        (tab.clone(), any::<bool>()).prop_map(|(tab, bypass_cache)| Event::Reload { tab, bypass_cache }),
        (tab.clone(), any::<bool>()).prop_map(|(tab, pinned)| Event::Pin { tab, pinned }),
        prop_oneof![Just(A), Just(B)].prop_map(|url| Event::HostUp(key(url))),
        (prop_oneof![Just(A), Just(B)], any::<bool>()).prop_map(|(url, given_up)| Event::HostDied {
            host: key(url),
            reason: "x".into(),
            given_up
        }),
        (tab, prop_oneof![Just(A), Just(B)], url).prop_map(|(tab, host, url)| Event::Page {
            host: key(host),
            tab,
            event: committed(url)
        }),
    ]
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
        page(&mut session, A, opener, Body::PopupOpened(popup));
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
    assert_eq!((load.url.as_str(), load.initiator.as_str()), (B, key(A).site.as_str()));
    assert!(effects.contains(&Effect::WantHost(key(B))));
    assert!(!session.tabs.contains_key(&made), "what a page made is gone with it");
}

proptest! {
    #[test]
    fn whatever_happens_the_session_stays_whole(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut session = Session::default();
        for event in events {
            reduce(&mut session, event);
            let mut order = session.order.clone();
            order.sort_unstable();
            prop_assert_eq!(order, session.tabs.keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(session.active.is_some(), !session.tabs.is_empty());
            for tab in session.tabs.values() {
                prop_assert!(tab.current < tab.segments.len());
                if let Some(host) = tab.host().filter(|_| tab.view) {
                    prop_assert!(tab.opener_host.is_some() || host.site.may_show(&tab.segment().url)
                        || tab.pending.is_some());
                    prop_assert_eq!(session.hosts.get(&host), Some(&HostPhase::Up));
                }
            }
        }
    }
}

#[test]
fn a_site_that_nobody_looks_at_sleeps_and_wakes_when_somebody_does() {
    let mut session = Session::default();
    let open = |session: &mut Session, url: &str| {
        let load = Some(PageLoad::by_user(url));
        reduce(session, Event::Open { load, workspace: String::new(), background: false, opener: None });
        let tab = session.active.unwrap();
        let host = session.tabs[&tab].host().unwrap();
        reduce(session, Event::HostUp(host.clone()));
        session.tabs.get_mut(&tab).unwrap().phase = Phase::Ready;
        session.tabs.get_mut(&tab).unwrap().pending = None;
        (tab, host)
    };
    let (first, host) = open(&mut session, "http://a.test/");
    let (_second, _) = open(&mut session, "http://b.test/");
    for keep in [
        |tab: &mut Tab| tab.pinned = true,
        |tab: &mut Tab| tab.audible = true,
        |tab: &mut Tab| tab.phase = Phase::Loading,
    ] {
        let mut awake = session.clone();
        keep(awake.tabs.get_mut(&first).unwrap());
        assert!(reduce(&mut awake, Event::Sleep(host.clone())).is_empty());
    }
    let effects = reduce(&mut session, Event::Sleep(host.clone()));
    assert!(effects.contains(&Effect::UnwantHost(host.clone())));
    assert_eq!((&session.tabs[&first].phase, session.tabs[&first].view), (&Phase::Lazy, false));
    let effects = reduce(&mut session, Event::Activate(first));
    assert!(effects.contains(&Effect::WantHost(host.clone())));
    assert!(!session.can_sleep(&host), "it is looked at");
}

#[test]
fn a_stopped_script_ends_its_page_and_the_others_of_the_site_come_back() {
    let mut session = Session::default();
    let mut open = |url: &str| {
        let load = Some(PageLoad::by_user(url));
        reduce(&mut session, Event::Open { load, workspace: String::new(), background: false, opener: None });
        session.active.unwrap()
    };
    let (looping, other) = (open("http://a.test/loop"), open("http://a.test/"));
    let host = session.tabs[&other].host().unwrap();
    reduce(&mut session, Event::HostUp(host.clone()));
    let effects = reduce(&mut session, Event::StopScript(looping));
    let ended = |effect: &Effect| matches!(effect, Effect::EndHost { host: ended, .. } if *ended == host);
    assert!(effects.iter().any(ended), "{effects:?}");
    let effects = reduce(&mut session, Event::HostDied { host: host.clone(), reason: "asked".into(), given_up: false });
    assert!(effects.contains(&Effect::WantHost(host.clone())));
    assert_eq!(session.tabs[&other].phase, Phase::Recovering);
    assert!(matches!(&session.tabs[&looping].phase, Phase::Sad(reason) if reason.contains("stopped")));
    let effects = reduce(&mut session, Event::HostUp(host));
    let opened = |tab: u64| effects.iter().any(|effect| matches!(effect, Effect::Send { tab: of, .. } if *of == tab));
    assert!(opened(other) && !opened(looping));
}

fn handover(session: &mut Session, from: &str, tab: TabId, load: Load) -> Vec<Effect> {
    page(session, from, tab, Body::Handover(load))
}

fn from(host: &str, url: &str) -> Load {
    let initiator = url::Url::parse(host).unwrap().origin().ascii_serialization();
    Load { url: url.into(), initiator, ..Load::default() }
}

fn last_load(effects: &[Effect]) -> &Load {
    effects.iter().filter_map(load_of).last().expect("a load")
}

fn load_of(effect: &Effect) -> Option<&Load> {
    let Effect::Send { command, .. } = effect else { return None };
    if let Command::Open(open) = command {
        return open.load.as_ref();
    }
    if let Command::Navigate(load) = command { Some(load) } else { None }
}

#[test]
fn the_address_is_the_committed_one_until_a_pages_navigation_commits() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    session.tabs.get_mut(&tab).unwrap().tls = regen_proto::kernel::v1::TlsState::Valid;
    handover(&mut session, A, tab, from(A, B));
    let shown = &session.tabs[&tab];
    assert_eq!((shown.address(), shown.tls), (A, regen_proto::kernel::v1::TlsState::Unspecified));
    reduce(&mut session, Event::HostUp(key(B)));
    assert_eq!(session.tabs[&tab].address(), A, "its server has not answered");
    page(&mut session, B, tab, committed(B));
    assert_eq!(session.tabs[&tab].address(), B);
    // The control: what the user opens is shown while it loads.
    reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user(A) });
    assert_eq!(session.tabs[&tab].address(), A);
}

#[test]
fn credentials_in_an_address_are_neither_shown_nor_saved_nor_carried_to_another_site() {
    let mut session = Session::default();
    let secret = "http://bank.test:443@127.0.0.1:8000/a.html";
    let (tab, _) = open(&mut session, secret);
    assert_eq!(session.tabs[&tab].address(), A);
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    assert_eq!(last_load(&effects).url, secret, "the user's own are for the server");
    page(&mut session, A, tab, committed(secret));
    assert_eq!(session.tabs[&tab].address(), A);
    let saved = SavedTab::from(&session.tabs[&tab]);
    assert!(saved.segments.iter().all(|segment| !segment.url.contains('@')), "{saved:?}");
    handover(&mut session, A, tab, from(A, "http://user:word@127.0.0.2:8000/b.html"));
    let effects = reduce(&mut session, Event::HostUp(key(B)));
    assert_eq!(last_load(&effects).url, B);
}

#[test]
fn a_host_has_no_say_in_the_form_that_its_server_sends_on() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    handover(&mut session, A, tab, from(A, B));
    reduce(&mut session, Event::HostUp(key(B)));
    // B's host claims that its server redirected the click on A back to A, as a form.
    let forged = Load {
        url: "http://127.0.0.1:8000/transfer".into(),
        method: "POST".into(),
        body: prost::bytes::Bytes::from_static(b"{}"),
        referrer: "http://127.0.0.1:8000/".into(),
        continues: true,
        ..from(A, A)
    };
    handover(&mut session, B, tab, forged);
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    let load = last_load(&effects);
    assert_eq!((load.method.as_str(), load.body.len(), load.redirected), ("", 0, true), "{load:?}");
}

#[test]
fn a_form_that_is_sent_on_with_its_body_keeps_the_one_that_was_sent() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let body = prost::bytes::Bytes::from_static(b"{\"entries\":[]}");
    let form = Load { method: "POST".into(), body: body.clone(), user_gesture: true, ..from(A, B) };
    handover(&mut session, A, tab, form);
    reduce(&mut session, Event::HostUp(key(B)));
    const C: &str = "http://127.0.0.3:8000/c.html";
    let other = prost::bytes::Bytes::from_static(b"{\"entries\":[1]}");
    let on = Load { method: "POST".into(), body: other, continues: true, ..from(A, C) };
    handover(&mut session, B, tab, on);
    let effects = reduce(&mut session, Event::HostUp(key(C)));
    let load = last_load(&effects);
    assert_eq!((load.method.as_str(), &load.body, load.redirected), ("POST", &body, true));
    assert_eq!(load.initiator, "http://127.0.0.1:8000", "who began it is who sent the form");
}

#[test]
fn a_redirect_that_nobody_expects_is_the_hosts_own_initiative() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    // The load has committed, so no redirect can follow. Speaking for another origin is then a lie.
    let effects = handover(&mut session, A, tab, Load { continues: true, ..from(B, B) });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::KillHost { .. })));
}

const PUBLIC: &str = "http://evil.test/";
const ROUTER: &str = "http://router.lan/reboot";

fn found(session: &mut Session, url: &str, side: Side) -> Vec<Effect> {
    reduce(session, Event::SiteFound { host: key(url), side })
}

#[test]
fn a_page_from_the_internet_does_not_take_its_tab_to_a_private_address() {
    for target in [A, "http://localhost:631/", "http://[::1]/", "http://192.168.1.1/"] {
        let mut session = Session::default();
        let tab = loaded(&mut session, PUBLIC);
        found(&mut session, PUBLIC, Side::Public);
        let effects = handover(&mut session, PUBLIC, tab, from(PUBLIC, target));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::WantHost(_))), "{target}");
        let shown = &session.tabs[&tab];
        assert!(matches!(shown.phase, Phase::Private(_)), "{target}: {:?}", shown.phase);
        assert_eq!(shown.address(), target);
        // The user goes on, which is the user's own navigation.
        let effects = reduce(&mut session, Event::AllowPrivate(tab));
        assert!(effects.contains(&Effect::WantHost(key(target))), "{target}");
        assert!(session.networks.may_be_private(&key(target)));
        assert!(session.tabs[&tab].can_go_back());
    }
}

#[test]
fn a_redirect_of_what_the_user_opened_does_not_lead_inside_either() {
    let mut session = Session::default();
    let (tab, _) = open(&mut session, PUBLIC);
    reduce(&mut session, Event::HostUp(key(PUBLIC)));
    found(&mut session, PUBLIC, Side::Public);
    handover(&mut session, PUBLIC, tab, Load { continues: true, ..from(PUBLIC, A) });
    assert!(matches!(session.tabs[&tab].phase, Phase::Private(_)));
}

#[test]
fn a_name_that_turns_out_to_be_private_is_asked_about() {
    let mut session = Session::default();
    let tab = loaded(&mut session, PUBLIC);
    found(&mut session, PUBLIC, Side::Public);
    handover(&mut session, PUBLIC, tab, from(PUBLIC, ROUTER));
    assert!(!session.networks.may_be_private(&key(ROUTER)), "nobody but a page wanted it");
    reduce(&mut session, Event::HostUp(key(ROUTER)));
    found(&mut session, ROUTER, Side::Private);
    assert!(matches!(session.tabs[&tab].phase, Phase::Private(_)));
    let effects = reduce(&mut session, Event::AllowPrivate(tab));
    assert!(effects.contains(&Effect::WantHost(key(ROUTER))) && session.networks.may_be_private(&key(ROUTER)));
    // The site is known to be private from now on: the next page is stopped at once.
    let other = loaded(&mut session, PUBLIC);
    handover(&mut session, PUBLIC, other, from(PUBLIC, ROUTER));
    assert!(matches!(session.tabs[&other].phase, Phase::Private(_)));
}

#[test]
fn a_private_site_opens_private_sites_and_a_public_one_stays_public() {
    let mut session = Session::default();
    let tab = loaded(&mut session, ROUTER);
    found(&mut session, ROUTER, Side::Private);
    handover(&mut session, ROUTER, tab, from(ROUTER, A));
    assert_eq!(session.tabs[&tab].phase, Phase::Loading);
    found(&mut session, PUBLIC, Side::Public);
    found(&mut session, PUBLIC, Side::Private);
    loaded(&mut session, PUBLIC);
    assert!(!session.networks.may_be_private(&key(PUBLIC)), "it was public once");
}

#[test]
fn a_host_that_runs_is_granted_anew_when_its_site_may_be_private() {
    let mut session = Session::default();
    let tab = loaded(&mut session, PUBLIC);
    found(&mut session, PUBLIC, Side::Public);
    handover(&mut session, PUBLIC, tab, from(PUBLIC, ROUTER));
    let effects = reduce(
        &mut session,
        Event::Open {
            load: Some(PageLoad::by_user(ROUTER)),
            workspace: String::new(),
            background: false,
            opener: None,
        },
    );
    assert!(effects.contains(&Effect::GrantAnew(key(ROUTER))));
}

#[test]
fn a_question_about_a_private_address_comes_back_as_a_question() {
    let mut session = Session::default();
    let tab = loaded(&mut session, PUBLIC);
    found(&mut session, PUBLIC, Side::Public);
    handover(&mut session, PUBLIC, tab, from(PUBLIC, A));
    let saved = SavedTab::from(&session.tabs[&tab]);
    let mut later = Session::default();
    let effects = reduce(&mut later, Event::Restore { tabs: vec![saved], active: 0 });
    assert!(matches!(later.tabs.values().next().unwrap().phase, Phase::Private(_)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::WantHost(_))));
}

#[test]
fn what_a_host_said_of_sound_and_scripts_ends_with_it() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    page(&mut session, A, tab, Body::Audible(true));
    page(&mut session, A, tab, Body::Unresponsive(true));
    reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user(B) });
    let moved = &session.tabs[&tab];
    assert!(!moved.audible && !moved.unresponsive);
}

#[test]
fn stopping_the_script_of_a_sites_only_tab_starts_nothing() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let effects = reduce(&mut session, Event::StopScript(tab));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::EndHost { .. })));
    // Messages of a process that is ending are ignored.
    page(&mut session, A, tab, Body::LoadFinished(LoadFinished {}));
    let effects = reduce(&mut session, Event::HostDied { host: key(A), reason: "killed".into(), given_up: false });
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::WantHost(_))), "{effects:?}");
    assert!(matches!(session.tabs[&tab].phase, Phase::Sad(_)));
}

#[test]
fn of_very_many_tabs_of_a_site_those_in_use_are_live_and_the_others_sleep() {
    let mut session = Session::default();
    let tabs: Vec<TabId> = (0..200).map(|_| loaded(&mut session, A)).collect();
    let live = |session: &Session| session.tabs.values().filter(|tab| tab.view).map(|tab| tab.id).collect::<Vec<_>>();
    assert_eq!(live(&session), tabs[160..], "the latest");
    assert!(tabs[..160].iter().all(|tab| session.tabs[tab].phase == Phase::Lazy));
    // A pinned tab and the active one are not unloaded.
    reduce(&mut session, Event::Pin { tab: tabs[160], pinned: true });
    let effects = reduce(&mut session, Event::Activate(tabs[0]));
    assert_eq!(views_opened(&effects), [tabs[0]]);
    assert!(session.tabs[&tabs[160]].view && !session.tabs[&tabs[161]].view);
    // A crash leaves no tab sad, and as many views are restored as there were.
    let effects = reduce(&mut session, Event::HostDied { host: key(A), reason: "killed".into(), given_up: false });
    assert!(effects.contains(&Effect::WantHost(key(A))));
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    let back = starts_in_turn(&mut session, views_opened(&effects));
    assert_eq!(back.len(), 40);
    assert_eq!(back[0], tabs[0], "the one that is looked at comes first");
    assert!(back.contains(&tabs[0]) && back.contains(&tabs[160]));
    assert_eq!(session.tabs.len(), 200);
    assert!(!session.tabs.values().any(|tab| matches!(tab.phase, Phase::Sad(_))));
}
