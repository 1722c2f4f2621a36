//! Hosts that sleep, save files, are stopped or die, and what becomes of their tabs.

use super::*;

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

#[test]
fn what_a_host_said_of_sound_and_scripts_ends_with_it() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    page(&mut session, A, tab, PageEvent::Audible(true));
    page(&mut session, A, tab, PageEvent::Unresponsive(true));
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
    page(&mut session, A, tab, PageEvent::LoadFinished);
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

#[test]
fn clearing_a_site_leaves_addresses_and_nothing_else_and_other_sites_alone() {
    let mut session = Session::default();
    let (one, other) = (loaded(&mut session, A), loaded(&mut session, B));
    for (tab, url) in [(one, A), (other, B)] {
        snapshot(&mut session, url, tab, b"words");
        assert_ne!(session.tabs[&tab].segment().snapshot, SavedSnapshot::default());
    }
    let effects = reduce(&mut session, Event::ClearSite(key(A)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::EndHost { host: its, .. } if *its == key(A))));
    assert!(effects.contains(&Effect::UnwantHost(key(A))) && effects.contains(&Effect::Save(one)));
    let shown = &session.tabs[&one];
    assert_eq!((&shown.phase, shown.view, shown.segment().url.as_str()), (&Phase::Lazy, false, A));
    assert_eq!(shown.segment().snapshot, SavedSnapshot::default());
    let neighbour = &session.tabs[&other];
    assert_ne!(neighbour.segment().snapshot, SavedSnapshot::default());
    assert_eq!(neighbour.phase, Phase::Ready);
    // The process may have sent a snapshot before it ended.
    snapshot(&mut session, A, one, b"late");
    reduce(&mut session, Event::ClearSite(key(A)));
    assert_eq!(session.tabs[&one].segment().snapshot, SavedSnapshot::default());
}
