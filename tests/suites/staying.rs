//! Links that must not leave the page: to downloads, to empty responses (204), to other programs; and pure redirects.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use regen_tests::site::{Answer, Request};
use regen_tests::{Browser, Site, eventually, within};

/// Returns a page with a large link, and a field that keeps what is typed.
fn link(to: &str) -> Answer {
    Answer::page(&format!(
        "<title>start</title><input id=typed style='position:fixed;left:0;top:300px;width:300px;height:40px'>\
         <a href='{to}' style='position:fixed;left:0;top:0;width:400px;height:200px;display:block'>go</a>\
         <pre id=out style='margin-top:400px'></pre><script>setInterval(() => out.textContent = 'typed: ' + typed.value, 100)</script>"
    ))
}

fn web(request: &Request) -> Option<Answer> {
    let other = |number: u8, path: &str| {
        let port = request.header("host").split(':').nth(1).unwrap_or_default();
        format!("http://127.0.0.{number}:{port}{path}")
    };
    let file = |name: &str, size: usize| {
        let disposition = format!("attachment; filename={name}");
        Answer::typed("application/zip", vec![b'z'; size]).with("Content-Disposition", &disposition)
    };
    Some(match request.path.as_str() {
        "/to-file" => link(&other(2, "/file.zip")),
        "/to-file-by-way" => link("/way"),
        "/way" => Answer::redirect(302, &other(2, "/file.zip")),
        "/file.zip" => file("file.zip", 4000),
        "/to-nothing" => link(&other(2, "/nothing")),
        "/nothing" => Answer { status: 204, ..Answer::page("") },
        "/to-mail" => link("mailto:somebody@example.org"),
        "/to-blank" => link("about:blank"),
        "/to-sent-on" => link(&other(2, "/sent-on")),
        "/sent-on" => Answer::redirect(302, &other(3, "/end")),
        "/to-goes-on" => link(&other(2, "/goes-on")),
        "/goes-on" => {
            Answer::page(&format!("<title>goes on</title><script>location.href = '{}'</script>", other(3, "/end")))
        }
        "/large-form" => Answer::page(&format!(
            "<title>large form</title><form id=form method=post action='{}'><textarea name=text hidden></textarea></form>\
             <script>form.text.value = 'word '.repeat(800000); setTimeout(() => form.submit(), 200)</script>",
            other(2, "/taken")
        )),
        "/holds-a-file" => Answer::page(
            "<title>holds a file</title><a id=file download=held.bin style='position:fixed;left:0;top:0;width:400px;height:200px;display:block'>save</a>\
             <script>file.href = 'data:application/octet-stream;base64,' + 'QUJD'.repeat(1000000)</script>",
        ),
        "/taken" => Answer::page(&format!("<title>taken</title>took {} bytes", request.body.len())),
        "/opens" => Answer::page(
            "<title>opens</title><style>a, button { position: fixed; left: 0; width: 300px; height: 60px; display: block }</style>\
             <a id=made target=_blank style='top:0'>made here</a>\
             <button style='top:100px' onclick=\"window.open('/opened', 'w')\">open</button>\
             <script>made.href = URL.createObjectURL(new Blob(['<title>made</title>made by the page'], { type: 'text/html' }))</script>",
        ),
        "/opened" => Answer::page(
            "<title>opened</title><input id=typed style='position:fixed;left:0;top:0;width:300px;height:40px'>\
             <pre id=out style='margin-top:100px'></pre><script>setInterval(() => \
             out.textContent = `opener: ${Boolean(window.opener)}, typed: ${typed.value}`, 100)</script>",
        ),
        "/end" => Answer::page("<title>end</title>the end"),
        "/round" if request.host == "127.0.0.1" => Answer::redirect(302, &other(2, "/round")),
        "/round" => Answer::redirect(302, &other(1, "/round")),
        "/asks-itself" if !request.header("accept").contains("xhtml") || request.method == "POST" => {
            Answer::redirect(307, &other(2, "/end"))
        }
        "/asks-itself" => Answer::page(
            "<title>asks itself</title><pre id=out></pre><script>Promise.allSettled([fetch(location.href), fetch(location.href, { method: 'POST', body: 'x' })])\
             .then((all) => out.textContent = all.map((one) => one.status))</script>",
        ),
        _ => return None,
    })
}

struct Scene {
    site: Site,
    browser: Browser,
    tab: u64,
}

impl Scene {
    /// Types into a page and clicks on its link.
    fn click_in(path: &str) -> Self {
        let site = Site::serve(web);
        let browser = Browser::headless();
        let tab = browser.open(&site.url(1, path));
        browser.wait_for_text(tab, "typed:");
        browser.input(tab, &["--click", "50,320"]);
        browser.input(tab, &["--type", "draft"]);
        browser.wait_for_text(tab, "typed: draft");
        browser.input(tab, &["--click", "100,100"]);
        Self { site, browser, tab }
    }

    /// Asserts that the page is still shown with the typed text, and that history has no forward entry.
    fn stays(&self, path: &str) {
        self.browser.wait_for_url(self.tab, &self.site.url(1, path));
        self.browser.wait_for_text(self.tab, "typed: draft");
        assert_eq!(self.browser.tab(self.tab)["can_go_forward"], false);
    }

    fn saved(&self, name: &str) {
        let file = self.browser.downloads().join(name);
        eventually("the file", || std::fs::metadata(&file).ok().filter(|file| file.len() == 4000));
    }
}

#[test]
fn a_link_to_a_file_of_another_site_saves_it_and_leaves_the_page() {
    let scene = Scene::click_in("/to-file");
    scene.saved("file.zip");
    scene.stays("/to-file");
    scene.browser.regen(&["session", "save"]).unwrap();
    scene.browser.regen(&["kill", "tab", &scene.tab.to_string()]).unwrap();
    scene.stays("/to-file");
    assert_eq!(scene.site.requests("/file.zip").len(), 1, "the file was downloaded again");
}

#[test]
fn a_link_that_is_sent_on_to_a_file_saves_it_and_leaves_the_page() {
    let scene = Scene::click_in("/to-file-by-way");
    scene.saved("file.zip");
    scene.stays("/to-file-by-way");
}

#[test]
fn an_answer_without_a_page_leaves_the_page() {
    let scene = Scene::click_in("/to-nothing");
    let _ = scene.site.wait_for_request("/nothing");
    scene.stays("/to-nothing");
}

#[test]
fn an_address_for_another_program_leaves_the_page() {
    let scene = Scene::click_in("/to-mail");
    scene.browser.input(scene.tab, &["--click", "100,100"]);
    scene.stays("/to-mail");
}

#[test]
fn a_link_to_an_empty_page_opens_one() {
    let scene = Scene::click_in("/to-blank");
    scene.browser.wait_for_url(scene.tab, "about:blank");
}

#[test]
fn a_step_back_goes_past_servers_and_pages_that_only_send_on() {
    for path in ["/to-sent-on", "/to-goes-on"] {
        let scene = Scene::click_in(path);
        scene.browser.wait_for_url(scene.tab, &scene.site.url(3, "/end"));
        scene.browser.regen(&["tab", "back", &scene.tab.to_string()]).unwrap();
        scene.browser.wait_for_url(scene.tab, &scene.site.url(1, path));
        scene.browser.wait_for_text(scene.tab, "typed: draft");
        assert_eq!(scene.browser.tab(scene.tab)["can_go_back"], false, "{path}");
    }
}

#[test]
fn servers_that_send_each_other_round_are_followed_for_a_while() {
    let site = Site::serve(web);
    let browser = Browser::headless();
    let tab = browser.json(&["tab", "open", &site.url(1, "/round")])["id"].as_u64().unwrap();
    // Each redirect to the other site starts a process.
    let refused = within(Duration::from_secs(90), || Some(browser.tab(tab)).filter(|tab| tab["state"] == "refused"));
    let refused = refused.expect("the redirects to be stopped");
    assert!(refused["reason"].as_str().unwrap().contains("more than 20 times"), "{refused}");
    let asked = site.requests("/round").len();
    assert!((20..=22).contains(&asked), "{asked}");
}

#[test]
fn only_a_navigation_moves_a_tab() {
    let site = Site::serve(web);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/asks-itself"));
    browser.wait_for_text(tab, "rejected,rejected");
    assert_eq!(site.requests("/asks-itself").len(), 3);
    assert_eq!(browser.tab(tab)["url"], site.url(1, "/asks-itself"));
}

#[test]
fn a_tab_that_is_opened_for_a_file_says_so() {
    let site = Site::serve(web);
    let browser = Browser::headless();
    let tab = browser.json(&["tab", "open", &site.url(1, "/file.zip")])["id"].as_u64().unwrap();
    let tab = eventually("the tab's reason", || Some(browser.tab(tab)).filter(|tab| tab["state"] == "refused"));
    assert!(tab["reason"].as_str().unwrap().contains("downloads"), "{tab}");
    eventually("the file", || browser.downloads().join("file.zip").exists().then_some(()));
}

#[test]
fn a_large_form_reaches_another_site_soon() {
    let site = Site::serve(web);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/large-form"));
    // If the engine laid the text out, this would take several times the deadline.
    browser.wait_for_text(tab, "took 4000005 bytes");
    assert_eq!(site.requests("/taken").len(), 1);
}

#[test]
fn a_link_to_what_a_page_made_itself_opens_it() {
    let site = Site::serve(web);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/opens"));
    browser.wait_for_text(tab, "made here");
    browser.input(tab, &["--click", "50,30"]);
    browser.wait_for_text(tab + 1, "made by the page");
}

#[test]
fn a_window_that_a_page_opened_is_back_after_a_kill_and_a_restart() {
    let site = Site::serve(web);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/opens"));
    browser.wait_for_text(tab, "open");
    browser.input(tab, &["--click", "50,130"]);
    browser.wait_for_text(tab + 1, "opener: true");
    browser.input(tab + 1, &["--click", "50,20"]);
    browser.input(tab + 1, &["--type", "draft"]);
    browser.wait_for_text(tab + 1, "typed: draft");
    browser.regen(&["session", "save"]).unwrap();
    browser.regen(&["kill", "tab", &(tab + 1).to_string()]).unwrap();
    // The restored page has no opener, because that one has been reloaded as another document.
    browser.wait_for_text(tab + 1, "opener: false, typed: draft");
    let urls = |status: &serde_json::Value| -> Vec<String> {
        status["tabs"].as_array().unwrap().iter().map(|tab| tab["url"].as_str().unwrap().to_owned()).collect()
    };
    let before = urls(&browser.status());
    assert_eq!(before, [site.url(1, "/opens"), site.url(1, "/opened")]);
    // A click into a page that is still being restored is lost with it.
    browser.wait_for_state(tab, "ready");
    browser.wait_for_text(tab, "open");
    browser.input(tab, &["--click", "50,130"]);
    eventually("a third tab", || (browser.status()["tabs"].as_array()?.len() == 3).then_some(()));
    eventually("the third tab's page", || {
        (urls(&browser.status()).iter().filter(|url| url.ends_with("/opened")).count() == 2).then_some(())
    });
    browser.quit();
    browser.start();
    browser.regen(&["session", "restore"]).unwrap();
    assert_eq!(urls(&browser.status()).iter().filter(|url| url.ends_with("/opened")).count(), 2);
}

#[test]
fn a_file_that_a_page_holds_in_an_address_is_saved_whole() {
    let site = Site::serve(web);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/holds-a-file"));
    browser.wait_for_text(tab, "save");
    let pid = browser.pid_of_tab(tab);
    browser.input(tab, &["--click", "100,100"]);
    let file = browser.downloads().join("held.bin");
    eventually("the file", || std::fs::metadata(&file).ok().filter(|file| file.len() == 3_000_000));
    assert_eq!(browser.pid_of_tab(tab), pid, "the page's process was replaced");
}
