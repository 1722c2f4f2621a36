use adblock::resources::{MimeType, PermissionMask, Resource, ResourceType};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::shields::lists::{List, as_rules};

const LIST: &str = "||tracker.test^
@@||tracker.test/allowed.js$script
||evil.test^
/banner.
1.2.3.4
!#if env_firefox || ext_ubol
||firefox.test^
!#else
||others.test^
!#endif
!#if ext_ublock && !env_safari
||ublock.test^
!#endif
||param.test^$removeparam=click
||param.test^$removeparam=other
@@||param.test/kept$removeparam=click
||page.test/policy$csp=script-src 'self'
page.test##.own
##.generic
##.generic > .deep
@@||quiet.test^$generichide
page.test##div:has-text(words)
||stub.test^$script,redirect=stub.js
page.test##+js(set, a, b)
page.test##+js(trusted, a)
";

fn shields(level: ShieldsLevel) -> Shields {
    shields_of(level, false)
}

fn shields_of(level: ShieldsLevel, is_trusted: bool) -> Shields {
    let list = List { name: "mine".to_owned(), text: as_rules(LIST), is_trusted };
    let script = |name: &str, content: &str, permission| Resource {
        name: name.to_owned(),
        aliases: Vec::new(),
        kind: ResourceType::Mime(MimeType::ApplicationJavascript),
        content: BASE64_STANDARD.encode(content),
        dependencies: Vec::new(),
        permission,
    };
    let resources = vec![
        script("stub.js", "0", PermissionMask::default()),
        script("set.js", "function set(a, b) {}", PermissionMask::default()),
        script("trusted.js", "function trusted(a) {}", scriptlets::TRUSTED),
    ];
    let lists = [list];
    let rules = Rules::of(rules::engine(&lists), &lists, resources, String::new());
    let shields = Shields::with(Some(rules), Own::in_folder(Path::new("/nowhere")));
    shields.set(&Settings { level: level.into(), ..Settings::default() });
    shields
}

fn request(url: &str) -> CheckRequest {
    let (page, kind) = ("https://page.test/".to_owned(), "script".to_owned());
    CheckRequest { url: url.to_owned(), page, kind, method: "GET".to_owned(), waited_us: 0 }
}

fn asking() -> ShieldsContext {
    ShieldsContext::of("https://page.test".to_owned(), String::new())
}

#[tokio::test]
async fn what_a_rule_names_is_blocked_however_it_is_spelt() {
    let (shields, asking) = (shields(ShieldsLevel::Balanced), asking());
    for url in [
        "https://tracker.test/x.js",
        "https://TRACKER.test/x.js",
        "https://a.tracker.test./x.js",
        "https://tracker.test:8443/x.js",
        "https://1.2.3.4/",
        "https://others.test/",
        "https://ublock.test/",
    ] {
        let verdict = shields.check(&asking, &request(url)).await;
        assert!(verdict.blocked && verdict.list == "mine", "{url}: {verdict:?}");
    }
    for url in ["https://21.2.3.45/", "https://firefox.test/", "https://page.test/banner.js", "https://other.test/"] {
        assert!(!shields.check(&asking, &request(url)).await.blocked, "{url}");
    }
    assert!(shields.check(&asking, &request("https:///")).await.blocked, "a URL that cannot be parsed is blocked");
    let fetched = CheckRequest { kind: "xmlhttprequest".to_owned(), ..request("https://param.test/?click=1&b=2") };
    let found = shields.check(&asking, &fetched).await;
    assert_eq!((found.blocked, found.rewritten_url.as_str()), (false, "https://param.test/?b=2"));
    let kept = CheckRequest { url: "https://param.test/kept?click=1&other=2&b=3".to_owned(), ..fetched.clone() };
    assert_eq!(shields.check(&asking, &kept).await.rewritten_url, "https://param.test/kept?click=1&b=3");
    assert_eq!(shields.log().blocked, 8);
}

#[tokio::test]
async fn strict_is_about_the_sites_own_too_and_off_about_nothing() {
    let own = || request("https://page.test/banner.js");
    assert!(shields(ShieldsLevel::Strict).check(&asking(), &own()).await.blocked);
    assert!(!shields(ShieldsLevel::Off).check(&asking(), &request("https://tracker.test/")).await.blocked);
    assert!(shields(ShieldsLevel::Unspecified).check(&asking(), &request("https://tracker.test/")).await.blocked);
}

#[tokio::test]
async fn a_host_is_refused_unless_something_of_it_may_be_sent() {
    let (shields, asking) = (shields(ShieldsLevel::Balanced), asking());
    for host in ["tracker.test", "TRACKER.test.", "evil.test", "1.2.3.4"] {
        assert!(shields.check_host(&asking, host).await.blocked, "{host}");
    }
    assert!(!shields.check_host(&asking, "2001:db8::1").await.blocked);
    let allowed = shields.check(&asking, &request("https://tracker.test/allowed.js")).await;
    assert!(!allowed.blocked && allowed.rule.starts_with("@@"), "{allowed:?}");
    assert!(!shields.check_host(&asking, "tracker.test").await.blocked, "a request to it was just allowed");
    assert!(shields.check_host(&asking, "evil.test").await.blocked);
    let other = ShieldsContext::of("https://other.test".to_owned(), String::new());
    assert!(shields.check_host(&other, "tracker.test").await.blocked, "it was not allowed for another site");
}

#[tokio::test]
async fn own_rules_about_a_site_are_for_its_own_tab_host() {
    let text = "bank.test##.own-secret\n##.everywhere\n/own-path\n/at-bank$domain=bank.test\n\
        ||bank.test^$csp=script-src 'none'";
    let own = || vec![List { name: OWN_RULES.to_owned(), text: text.to_owned(), is_trusted: false }];
    let rules = Rules::of(rules::engine(&own()), &own(), Vec::new(), String::new());
    let elsewhere = rules::engine(&rules::lists_elsewhere(own()));
    let rules = rules.with_own(elsewhere, rules::engine(&own()), Vec::new());
    let shields = Shields::with(Some(rules), Own::in_folder(Path::new("/nowhere")));
    shields.set(&Settings { level: ShieldsLevel::Balanced.into(), ..Settings::default() });
    let page = "https://www.bank.test/".to_owned();
    let at_bank = |path: &str| CheckRequest { page: page.clone(), ..request(&format!("https://cdn.test{path}")) };
    let document = DocumentRequest { url: page.clone(), is_main_frame: true, page: page.clone() };
    let frame = DocumentRequest { is_main_frame: false, page: "https://page.test/".to_owned(), ..document.clone() };
    // The control: the bank's own tab-host.
    let bank = ShieldsContext::of("https://bank.test".to_owned(), String::new());
    let met = shields.begin(&bank, document.clone()).await;
    assert!(met.hide.iter().any(|selector| selector == ".own-secret") && !met.policy.is_empty(), "{met:?}");
    assert!(shields.check(&bank, &at_bank("/at-bank")).await.blocked);
    for request in [document, frame] {
        let met = shields.begin(&asking(), request).await;
        assert!(!format!("{met:?}").contains("secret") && met.policy.is_empty(), "{met:?}");
    }
    assert!(!shields.check(&asking(), &at_bank("/at-bank")).await.blocked);
    assert!(shields.check(&asking(), &at_bank("/own-path")).await.blocked, "the page of a popup of another site");
}

#[tokio::test]
async fn a_document_meets_what_the_lists_have_for_it() {
    let on = shields(ShieldsLevel::Balanced);
    let begin = |url: &str| DocumentRequest { url: url.to_owned(), is_main_frame: true, page: url.to_owned() };
    let rules = on.begin(&asking(), begin("https://page.test/policy")).await;
    assert_eq!((rules.policy.as_str(), rules.generic), ("script-src 'self'", true));
    assert_eq!(rules.hide, [".own"]);
    assert!(rules.procedural.len() == 1 && rules.procedural[0].contains("has-text"), "{rules:?}");
    assert!(rules.script.contains("set(\"a\", \"b\")"), "{}", rules.script);
    assert!(!rules.script.contains("trusted"), "an untrusted list may not use it: {}", rules.script);
    let trusted = shields_of(ShieldsLevel::Balanced, true).begin(&asking(), begin("https://page.test/")).await;
    assert!(trusted.script.contains("trusted(\"a\")"), "the control: {}", trusted.script);
    assert!(!on.begin(&asking(), begin("https://quiet.test/")).await.generic);
    let seen = HideRequest { classes: vec!["generic".to_owned(), "other".to_owned()], ..HideRequest::default() };
    let mut hidden = on.hidden(&asking(), seen.clone()).await;
    hidden.sort();
    assert_eq!(hidden, [".generic", ".generic > .deep"]);
    let stub = on.check(&asking(), &request("https://stub.test/x.js")).await;
    assert_eq!((stub.blocked, stub.stand_in.as_str()), (true, "data:application/javascript;base64,MA=="));
    let off = shields(ShieldsLevel::Off);
    assert_eq!(off.begin(&asking(), begin("https://page.test/policy")).await, DocumentRules::default());
    assert!(off.hidden(&asking(), seen).await.is_empty());
}

#[tokio::test]
async fn own_rules_are_about_the_sites_own_requests_too_and_what_is_opened_is_reached() {
    let text = "||page.test/banner.js\n||page.test^$third-party\n@@||page.test/banner.js?kept\n||ws.page.test^$websocket,script";
    let own = || vec![List { name: OWN_RULES.to_owned(), text: text.to_owned(), is_trusted: false }];
    let rules = Rules::of(rules::engine(&own()), &own(), Vec::new(), String::new());
    let rules = rules.with_own(rules::engine(&[]), rules::engine(&own()), Vec::new());
    let shields = Shields::with(Some(rules), Own::in_folder(Path::new("/nowhere")));
    shields.set(&Settings { level: ShieldsLevel::Balanced.into(), ..Settings::default() });
    let blocked = shields.check(&asking(), &request("https://page.test/banner.js")).await;
    assert!(blocked.blocked && blocked.list == OWN_RULES, "{blocked:?}");
    for url in ["https://page.test/banner.js?kept", "https://page.test/other.js"] {
        assert!(!shields.check(&asking(), &request(url)).await.blocked, "{url}");
    }
    // User rules are not disclosed to a site that only claims to show the page.
    let elsewhere = ShieldsContext::of("https://evil.test".to_owned(), String::new());
    assert!(!shields.check(&elsewhere, &request("https://page.test/banner.js")).await.blocked);
    // A WebSocket to the site itself, and a document of a host that is blocked otherwise.
    assert!(shields.check_host(&asking(), "ws.page.test").await.blocked);
    let opened = asking();
    let document = CheckRequest { kind: DOCUMENT.to_owned(), ..request("https://ws.page.test/") };
    assert!(!shields.check(&opened, &document).await.blocked);
    assert!(!shields.check_host(&opened, "ws.page.test").await.blocked);
    shields.set(&Settings { level: ShieldsLevel::Off.into(), ..Settings::default() });
    assert!(!shields.check(&asking(), &request("https://page.test/banner.js")).await.blocked);
}
