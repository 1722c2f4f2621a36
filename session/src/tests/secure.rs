//! HTTPS only and consent to unencrypted pages.

use super::*;

#[test]
fn without_encryption_a_page_is_opened_only_when_its_user_agrees() {
    const PLAIN: &str = "http://plain.test/a";
    const SECURE: &str = "https://plain.test/a";
    let mut session = Session::default();
    reduce(&mut session, Event::HttpsOnly { site: None, on: Some(true) });
    let (tab, effects) = open(&mut session, PLAIN);
    assert!(effects.contains(&Effect::WantHost(key(SECURE))), "it is asked for over https: {effects:?}");
    reduce(&mut session, Event::HostUp(key(SECURE)));
    let failed =
        || PageEvent::LoadFailed(LoadFailed { url: SECURE.into(), reason: "refused".into(), is_its_own: true });
    let effects = page(&mut session, SECURE, tab, failed());
    assert!(matches!(&session.tabs[&tab].phase, Phase::Insecure(why) if why.contains("refused")));
    assert!(effects.contains(&Effect::UnwantHost(key(SECURE))));
    assert_eq!(session.tabs[&tab].segment().url, PLAIN);
    assert_eq!(session.tabs[&tab].segments.len(), 1, "what never was there is no step back");
    // Nothing opens it without consent: not a reload, not an activation, not a restart.
    reduce(&mut session, Event::Reload { tab, bypass_cache: false });
    assert_eq!(session.tabs[&tab].segment().url, SECURE);
    reduce(&mut session, Event::HostUp(key(SECURE)));
    page(&mut session, SECURE, tab, failed());
    let saved = SavedTab::from(&session.tabs[&tab]);
    let mut next = Session { https_only: session.https_only.clone(), ..Session::default() };
    let effects = reduce(&mut next, Event::Restore { tabs: vec![saved], active: 0 });
    assert!(effects.contains(&Effect::WantHost(key(SECURE))) && !effects.contains(&Effect::WantHost(key(PLAIN))));
    let effects = reduce(&mut session, Event::AllowInsecure(tab));
    assert!(effects.contains(&Effect::WantHost(key(PLAIN))), "{effects:?}");
    // The consent holds for the whole site.
    let (_, effects) = open(&mut session, "http://www.plain.test/b");
    assert!(!effects.iter().any(|effect| *effect == Effect::WantHost(key(SECURE))));
    // After a page has loaded encrypted, a later failure is an ordinary one.
    let (other, _) = open(&mut session, "http://fine.test/");
    reduce(&mut session, Event::HostUp(key("https://fine.test/")));
    page(&mut session, "https://fine.test/", other, committed("https://fine.test/"));
    let broken = LoadFailed { url: "https://fine.test/x".into(), reason: "gone".into(), is_its_own: true };
    page(&mut session, "https://fine.test/", other, PageEvent::LoadFailed(broken));
    assert!(matches!(session.tabs[&other].phase, Phase::Failed(_)));
}

#[test]
fn a_server_that_sends_its_visitors_back_without_encryption_is_not_followed() {
    let mut session = Session::default();
    reduce(&mut session, Event::HttpsOnly { site: None, on: Some(true) });
    let (tab, _) = open(&mut session, "http://plain.test/");
    reduce(&mut session, Event::HostUp(key("https://plain.test/")));
    let back = Load { url: "http://plain.test/".into(), continues: true, ..Load::default() };
    page(&mut session, "https://plain.test/", tab, PageEvent::Handover(back));
    assert!(matches!(&session.tabs[&tab].phase, Phase::Insecure(why) if why.contains("redirects encrypted")));
    // A form does not leave a page unencrypted either.
    let start = loaded(&mut session, "https://a.test/");
    let form = Load {
        url: "http://plain.test/".into(),
        method: form("x"),
        initiator: Origin::new("https://a.test"),
        user_gesture: true,
        ..Load::default()
    };
    page(&mut session, "https://a.test/", start, PageEvent::Handover(form));
    assert!(matches!(&session.tabs[&start].phase, Phase::Insecure(why) if why.contains("Nothing was sent")));
}

fn insisting() -> Session {
    let mut session = Session::default();
    reduce(&mut session, Event::HttpsOnly { site: None, on: Some(true) });
    session
}

fn failed(url: &str, is_its_own: bool) -> PageEvent {
    PageEvent::LoadFailed(LoadFailed { url: url.into(), reason: "x".into(), is_its_own })
}

#[test]
fn the_user_is_asked_about_what_failed_for_want_of_encryption_and_about_nothing_else() {
    let mut session = insisting();
    // A failing route is no reason to go unencrypted.
    let (tab, _) = open(&mut session, "http://a.test/");
    reduce(&mut session, Event::HostUp(key("https://a.test/")));
    page(&mut session, "https://a.test/", tab, failed("https://a.test/", false));
    assert!(matches!(session.tabs[&tab].phase, Phase::Failed(_)));
    // Neither is the failure of another page, requested meanwhile or reached by a redirect.
    reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user("http://a.test/") });
    reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user("https://b.test/") });
    reduce(&mut session, Event::HostUp(key("https://b.test/")));
    page(&mut session, "https://b.test/", tab, failed("https://b.test/", true));
    assert!(matches!(session.tabs[&tab].phase, Phase::Failed(_)));
    let (tab, _) = open(&mut session, "http://c.test/");
    reduce(&mut session, Event::HostUp(key("https://c.test/")));
    let on = Load { url: "https://b.test/".into(), continues: true, ..Load::default() };
    page(&mut session, "https://c.test/", tab, PageEvent::Handover(on));
    page(&mut session, "https://b.test/", tab, failed("https://b.test/", true));
    assert!(matches!(session.tabs[&tab].phase, Phase::Failed(_)));
    // Consent in one workspace does not hold in another.
    let (tab, _) = open(&mut session, "http://d.test/");
    reduce(&mut session, Event::HostUp(key("https://d.test/")));
    page(&mut session, "https://d.test/", tab, failed("https://d.test/", true));
    reduce(&mut session, Event::AllowInsecure(tab));
    assert_eq!(session.tabs[&tab].segment().url, "http://d.test/");
    let load = Some(PageLoad::by_user("http://d.test/"));
    let other = Event::Open { load, workspace: "other".into(), background: false, opener: None };
    reduce(&mut session, other);
    assert_eq!(session.tabs[session.order.last().unwrap()].segment().url, "https://d.test/");
}

#[test]
fn pages_from_before_encryption_was_insisted_on_are_not_asked_for_again_as_they_were() {
    const PLAIN: &str = "http://a.test/";
    const SECURE: &str = "https://a.test/";
    let mut session = Session::default();
    let tab = loaded(&mut session, "http://z.test/");
    reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user(PLAIN) });
    reduce(&mut session, Event::HostUp(key(PLAIN)));
    page(&mut session, PLAIN, tab, committed(PLAIN));
    let died = |host: &str| Event::HostDied { host: key(host), reason: "x".into(), given_up: false };
    reduce(&mut session, Event::HttpsOnly { site: None, on: Some(true) });
    assert_eq!(session.tabs[&tab].segment().url, PLAIN, "what is open stays");
    // If its process dies, the restored page is encrypted.
    reduce(&mut session, died(PLAIN));
    let effects = reduce(&mut session, Event::HostUp(key(PLAIN)));
    assert!(views_opened(&effects).is_empty() && effects.contains(&Effect::WantHost(key(SECURE))), "{effects:?}");
    assert_eq!(session.tabs[&tab].segments.len(), 2, "in its place");
    // Without encryption, repeated attempts add no history, and back leads to the previous page.
    for _ in 0..3 {
        reduce(&mut session, Event::HostUp(key(SECURE)));
        page(&mut session, SECURE, tab, failed(SECURE, true));
        assert!(matches!(session.tabs[&tab].phase, Phase::Insecure(_)));
        assert_eq!(session.tabs[&tab].segments.len(), 2);
        reduce(&mut session, Event::Reload { tab, bypass_cache: false });
    }
    reduce(&mut session, Event::History { tab, delta: -1 });
    assert_eq!(session.tabs[&tab].segment().url, "https://z.test/");
    // A link within a site that its process follows by itself does not avoid the upgrade.
    let mut session = Session::default();
    let tab = loaded(&mut session, PLAIN);
    reduce(&mut session, Event::HttpsOnly { site: None, on: Some(true) });
    let effects = page(&mut session, PLAIN, tab, committed("http://www.a.test/next"));
    assert!(effects.contains(&Effect::WantHost(key(SECURE))));
    assert_eq!(session.tabs[&tab].segment().url, "https://www.a.test/next");
}

#[test]
fn servers_that_send_a_load_back_and_forth_without_encryption_are_not_followed_for_ever() {
    let mut session = insisting();
    let (tab, _) = open(&mut session, "http://a.test/");
    reduce(&mut session, Event::HostUp(key("https://a.test/")));
    let mut hops = 0;
    while session.tabs[&tab].phase == Phase::Loading && hops < 50 {
        let url = if hops % 2 == 0 { "http://www.a.test/" } else { "http://a.test/" };
        let on = Load { url: url.into(), continues: true, ..Load::default() };
        page(&mut session, "https://a.test/", tab, PageEvent::Handover(on));
        hops += 1;
    }
    assert!(matches!(session.tabs[&tab].phase, Phase::Insecure(_)) && hops < 20, "{hops} hops");
}
