//! Navigations: what a page and its server may start, and where a step back leads.

use super::*;

#[test]
fn a_host_that_commits_a_foreign_page_is_killed() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let effects = page(&mut session, A, tab, committed(B));
    assert!(effects.iter().any(|e| matches!(e, Effect::KillHost { host, .. } if *host == key(A))));
    assert_eq!(session.tabs[&tab].segment().url, A);
}

#[test]
fn a_failed_load_cannot_put_a_foreign_address_into_the_bar() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let failed = LoadFailed { url: "https://bank.example/login".into(), reason: "x".into(), ..LoadFailed::default() };
    page(&mut session, A, tab, PageEvent::LoadFailed(failed));
    assert_eq!(session.tabs[&tab].segment().url, A);
    let own = LoadFailed { url: format!("{A}?gone"), reason: "x".into(), ..LoadFailed::default() };
    page(&mut session, A, tab, PageEvent::LoadFailed(own));
    assert_eq!(session.tabs[&tab].segment().url, format!("{A}?gone"));
}

#[test]
fn a_host_cannot_claim_another_initiator() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let lie = Load { url: B.into(), initiator: Origin::new("https://bank.example"), ..Load::default() };
    let effects = page(&mut session, A, tab, PageEvent::Handover(lie));
    assert!(effects.iter().any(|e| matches!(e, Effect::KillHost { .. })));
}

#[test]
fn a_form_that_a_page_sends_by_itself_goes_with_its_own_origin() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let load = Load { method: form("{}"), ..from(A, B) };
    handover(&mut session, A, tab, load);
    let effects = reduce(&mut session, Event::HostUp(key(B)));
    let sent = last_load(&effects);
    assert_eq!((&sent.method, &sent.initiator), (&form("{}"), &Origin::new("http://127.0.0.1:8000")));
    // Only the window attests a click, never the page.
    assert!(!sent.user_gesture);
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
    page(&mut session, A, tab, PageEvent::CloseRequested);
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
    page(&mut session, PUBLIC, tab, PageEvent::LoadAbandoned);
    assert_eq!((session.tabs[&tab].segment().url.as_str(), session.tabs[&tab].segments.len()), (A, 1));
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    let restored = |effect: &Effect| matches!(snapshot_of(effect), Some(s) if s.session_state == b"state of a");
    assert!(effects.iter().any(restored), "{effects:?}");
    // A new tab has no previous page to return to.
    let (id, _) = open(&mut session, B);
    reduce(&mut session, Event::HostUp(key(B)));
    page(&mut session, B, id, PageEvent::LoadAbandoned);
    assert!(matches!(&session.tabs[&id].phase, Phase::Refused(why) if why.contains("downloads")));
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
fn the_address_is_the_committed_one_until_a_pages_navigation_commits() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    session.tabs.get_mut(&tab).unwrap().tls = Some(TlsState::Valid);
    handover(&mut session, A, tab, from(A, B));
    let shown = &session.tabs[&tab];
    assert_eq!((shown.address(), shown.tls), (A, None));
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
        method: form("{}"),
        referrer: Some("http://127.0.0.1:8000/".into()),
        continues: true,
        ..from(A, A)
    };
    handover(&mut session, B, tab, forged);
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    let load = last_load(&effects);
    assert_eq!((&load.method, load.redirected), (&Method::Get, true), "{load:?}");
}

#[test]
fn a_form_that_is_sent_on_with_its_body_keeps_the_one_that_was_sent() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let sent = form("{\"entries\":[]}");
    let load = Load { method: sent.clone(), user_gesture: true, ..from(A, B) };
    handover(&mut session, A, tab, load);
    reduce(&mut session, Event::HostUp(key(B)));
    const C: &str = "http://127.0.0.3:8000/c.html";
    let on = Load { method: form("{\"entries\":[1]}"), continues: true, ..from(A, C) };
    handover(&mut session, B, tab, on);
    let effects = reduce(&mut session, Event::HostUp(key(C)));
    let load = last_load(&effects);
    assert_eq!((&load.method, load.redirected), (&sent, true));
    assert_eq!(load.initiator, Origin::new("http://127.0.0.1:8000"), "who began it is who sent the form");
}

#[test]
fn a_redirect_that_nobody_expects_is_the_hosts_own_initiative() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    // The load has committed, so no redirect can follow. Speaking for another origin is then a lie.
    let effects = handover(&mut session, A, tab, Load { continues: true, ..from(B, B) });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::KillHost { .. })));
}

#[test]
fn a_built_in_page_is_opened_by_its_user_alone_and_comes_back() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let load = PageLoad::by_user("regen://history");
    let effects = reduce(&mut session, Event::Navigate { tab, load });
    assert!(effects.iter().all(|effect| !matches!(effect, Effect::Visited { .. })));
    let shown = &session.tabs[&tab];
    assert_eq!(
        (shown.phase.clone(), shown.address(), shown.segment().title.as_str()),
        (Phase::Blank, "regen://history", "History")
    );
    let saved = SavedTab::from(shown);
    assert_eq!(saved.revive(9).phase, Phase::Blank);
    reduce(&mut session, Event::History { tab, delta: -1 });
    assert_eq!(session.tabs[&tab].address(), A);
    reduce(&mut session, Event::History { tab, delta: 1 });
    assert_eq!((session.tabs[&tab].phase.clone(), session.tabs[&tab].address()), (Phase::Blank, "regen://history"));
    // A page may not open one.
    let tab = loaded(&mut session, B);
    handover(&mut session, B, tab, from(B, "regen://history"));
    assert!(matches!(session.tabs[&tab].phase, Phase::Refused(_)), "{:?}", session.tabs[&tab].phase);
}
