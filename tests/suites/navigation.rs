//! Navigation between sites: the process that shows each page, and the referrer, cookies and form data of the request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use regen_tests::site::{Answer, Request};
use regen_tests::{Browser, Site, eventually};

/// Returns a page with a large link.
fn link(to: &str, attributes: &str) -> String {
    format!("<body style='margin:0'><a href='{to}' {attributes} style='display:block;width:400px;height:300px'>go</a>")
}

fn web() -> Site {
    Site::serve(|request: &Request| {
        let port = request.header("host").rsplit(':').next().unwrap_or_default().to_owned();
        let other = |path: &str| format!("http://127.0.0.2:{port}{path}");
        Some(match request.path.split('?').next()? {
            "/link" => Answer::page(&link(&other("/target"), "")),
            "/blank" => Answer::page(&link(&other("/target"), "target=_blank")),
            "/same" => Answer::page(&link("/target", "")),
            "/redirecting" => Answer::page(&link("/redirect", "")),
            "/redirect" => Answer::redirect(302, &other("/target")),
            "/scripted" => Answer::page(&format!("<script>setTimeout(() => location = '{}', 200)</script>", other("/target"))),
            "/frame" => Answer::page(&format!("<title>outer</title><p>outer page</p><iframe src='{}'></iframe>", other("/inner"))),
            "/inner" => Answer::page("<p>inner</p><script>setTimeout(() => location = '/inner2', 100)</script>"),
            "/inner2" => Answer::page("<p>inner two"),
            "/post" => Answer::page(&format!(
                "<body style='margin:0'><form method=post action='{}'><input name=name value='a b&c'><input name=more value='ü'>
                 <button style='display:block;width:400px;height:300px'>send</button></form>", other("/target"))),
            "/auto-post" => Answer::page(&format!(
                "<form method=post action='{}'><input name=a value=b></form><script>setTimeout(() => document.forms[0].submit(), 100)</script>", other("/target"))),
            "/set" => Answer::page("<p>cookies set")
                .with("Set-Cookie", "strict=1; SameSite=Strict; Max-Age=1000")
                .with("Set-Cookie", "lax=1; SameSite=Lax; Max-Age=1000"),
            "/login" => Answer::page(&format!(
                "<body style='margin:0'><button style='display:block;width:400px;height:300px' onclick=\"open('{}', 'auth', 'width=300,height=200')\">log in</button>
                 <p id=out>waiting</p><script>onmessage = (event) => out.textContent = 'token ' + event.data + ' from ' + event.origin</script>",
                other("/authorize"))),
            "/authorize" => Answer::page("<script>opener.postMessage('t0ken', '*'); setTimeout(close, 200)</script>"),
            "/target" => Answer::page(&format!(
                "<title>target</title><pre>cookies [{}] referer [{}] origin [{}] method [{}] body [{}] fetch-site [{}]</pre>
                 <script>document.write('referrer (' + document.referrer + ')')</script>",
                request.header("cookie"), request.header("referer"), request.header("origin"), request.method, request.body,
                request.header("sec-fetch-site"))),
            _ => return None,
        })
    })
}

fn click_through(browser: &Browser, site: &Site, from: &str) -> u64 {
    let tab = browser.open(&site.url(1, from));
    browser.input(tab, &["--click", "100,100"]);
    browser.wait_for_url(tab, &site.url(2, "/target"));
    tab
}

#[test]
fn a_link_to_another_site_moves_the_tab_to_another_process() {
    let (site, browser) = (web(), Browser::headless());
    let tab = browser.open(&site.url(1, "/link"));
    let first = browser.pid_of_tab(tab);
    browser.input(tab, &["--click", "100,100"]);
    browser.wait_for_url(tab, &site.url(2, "/target"));
    assert_ne!(browser.pid_of_tab(tab), first);
    assert_eq!(browser.tab(tab)["site"], "http://127.0.0.2");
    assert_eq!(site.requests("/target").len(), 1, "the first process also sent a request to the other site");
}

#[test]
fn history_leads_back_and_forward_across_sites() {
    let (site, browser) = (web(), Browser::headless());
    let tab = click_through(&browser, &site, "/link");
    let id = tab.to_string();
    browser.regen(&["tab", "back", &id]).unwrap();
    let there = browser.wait_for_url(tab, &site.url(1, "/link"));
    assert_eq!((&there["can_go_back"], &there["can_go_forward"]), (&false.into(), &true.into()));
    browser.regen(&["tab", "forward", &id]).unwrap();
    let there = browser.wait_for_url(tab, &site.url(2, "/target"));
    assert_eq!((&there["can_go_back"], &there["can_go_forward"]), (&true.into(), &false.into()));
}

#[test]
fn a_link_within_the_site_stays_in_the_process() {
    let (site, browser) = (web(), Browser::headless());
    let tab = browser.open(&site.url(1, "/same"));
    let first = browser.pid_of_tab(tab);
    browser.input(tab, &["--click", "100,100"]);
    browser.wait_for_url(tab, &site.url(1, "/target"));
    assert_eq!(browser.pid_of_tab(tab), first);
}

#[test]
fn a_redirect_or_a_script_to_another_site_moves_the_tab_too() {
    let (site, browser) = (web(), Browser::headless());
    let tab = click_through(&browser, &site, "/redirecting");
    assert_eq!(browser.tab(tab)["site"], "http://127.0.0.2");
    let scripted = browser.json(&["tab", "open", &site.url(1, "/scripted")])["id"].as_u64().unwrap();
    browser.wait_for_url(scripted, &site.url(2, "/target"));
    let direct = browser.json(&["tab", "open", &site.url(1, "/redirect")])["id"].as_u64().unwrap();
    browser.wait_for_url(direct, &site.url(2, "/target"));
    assert_eq!(browser.pid_of_tab(direct), browser.pid_of_tab(scripted));
}

#[test]
fn a_subframe_of_another_site_never_moves_the_tab() {
    let (site, browser) = (web(), Browser::headless());
    let tab = browser.open(&site.url(1, "/frame"));
    let _inner = site.wait_for_request("/inner2");
    let shown = browser.wait_for_url(tab, &site.url(1, "/frame"));
    assert_eq!(shown["title"], "outer");
    assert!(browser.text(tab).contains("outer page"));
    assert_eq!(browser.pids_of("tab-host").len(), 1);
}

#[test]
fn the_other_site_learns_where_the_user_came_from() {
    let (site, browser) = (web(), Browser::headless());
    let tab = click_through(&browser, &site, "/link");
    let arrived = site.wait_for_request("/target");
    assert_eq!(arrived.header("referer"), site.url(1, "/"));
    assert!(browser.text(tab).contains(&format!("referrer ({})", site.url(1, "/"))));
}

#[test]
fn a_form_arrives_at_the_other_site_whole_and_with_its_origin() {
    let (site, browser) = (web(), Browser::headless());
    let tab = browser.open(&site.url(1, "/post"));
    browser.input(tab, &["--click", "100,150"]);
    browser.wait_for_url(tab, &site.url(2, "/target"));
    let arrived = site.wait_for_request("/target");
    assert_eq!((arrived.method.as_str(), arrived.body.as_str()), ("POST", "name=a+b%26c&more=%C3%BC"));
    assert_eq!(arrived.header("origin"), site.url(1, ""));
    assert_eq!(arrived.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(site.requests("/target").len(), 1);
}

#[test]
fn a_form_that_a_page_sends_by_itself_goes_as_the_web_has_it() {
    let (site, browser) = (web(), Browser::headless());
    let _keeper = browser.open(&site.url(2, "/set"));
    // The end of a sign-in at another site: a form that is submitted without a click.
    let tab = browser.open(&site.url(1, "/auto-post"));
    browser.wait_for_url(tab, &site.url(2, "/target"));
    let arrived = site.wait_for_request("/target");
    assert_eq!((arrived.method.as_str(), arrived.header("origin")), ("POST", site.url(1, "").as_str()));
    assert!(!arrived.header("cookie").contains("lax=1") && !arrived.header("cookie").contains("strict=1"));
}

#[test]
fn same_site_cookies_are_sent_as_the_web_has_it() {
    let (site, browser) = (web(), Browser::headless());
    let keeper = browser.open(&site.url(2, "/set"));
    // The user's own navigation sends all cookies.
    let direct = browser.open(&site.url(2, "/target"));
    let text = browser.text(direct);
    assert!(text.contains("strict=1") && text.contains("lax=1"), "{text}");
    // A link from another site is a safe top-level navigation: lax cookies, no strict ones.
    let linked = click_through(&browser, &site, "/link");
    let text = browser.text(linked);
    assert!(text.contains("lax=1") && !text.contains("strict=1"), "{text}");
    // A form from another site sends neither.
    let posted = browser.open(&site.url(1, "/post"));
    browser.input(posted, &["--click", "100,150"]);
    browser.wait_for_url(posted, &site.url(2, "/target"));
    let text = browser.text(posted);
    assert!(text.contains("method [POST]") && !text.contains("lax=1") && !text.contains("strict=1"), "{text}");
    assert!(browser.text(keeper).contains("cookies set"));
}

#[test]
fn a_new_window_link_opens_a_tab_in_its_own_sites_process() {
    let (site, browser) = (web(), Browser::headless());
    let tab = browser.open(&site.url(1, "/blank"));
    browser.input(tab, &["--click", "100,100"]);
    let opened = eventually("the new tab", || {
        let status = browser.status();
        status["tabs"].as_array().unwrap().iter().find(|t| t["title"] == "target").cloned()
    });
    assert_eq!(opened["site"], "http://127.0.0.2");
    assert_ne!(opened["pid"], browser.tab(tab)["pid"]);
}

#[test]
fn a_login_popup_of_another_site_talks_to_its_opener() {
    let (site, browser) = (web(), Browser::headless());
    let tab = browser.open(&site.url(1, "/login"));
    browser.input(tab, &["--click", "100,100"]);
    browser.wait_for_text(tab, "token t0ken from http://127.0.0.2");
    eventually("the popup to close itself", || (browser.status()["tabs"].as_array().unwrap().len() == 1).then_some(()));
}

#[test]
fn addresses_that_are_no_web_pages_are_refused_with_words() {
    let browser = Browser::headless();
    for (address, word) in [
        ("file:///etc/passwd", "files of this computer"),
        ("data:text/html,<h1>x</h1>", "pretend to be any site"),
        ("javascript:alert(1)", "whatever page is open"),
        ("gopher://old.example/", "not a web address"),
    ] {
        let tab = browser.json(&["tab", "open", address, "--wait"]);
        assert_eq!(tab["state"], "refused", "{tab}");
        assert!(tab["reason"].as_str().unwrap().contains(word), "{tab}");
        assert_eq!(tab["pid"], 0);
    }
    assert!(browser.pids_of("tab-host").is_empty());
}
