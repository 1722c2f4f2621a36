//! Navigations from the internet to the private network.

use super::*;

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
