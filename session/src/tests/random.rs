//! Random events: the session stays consistent.

use proptest::prelude::*;

use super::*;

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
