//! The history of visited pages: what is recorded, found, completed and deleted, and that it outlives every end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use regen_tests::process::{self, is_alive};
use regen_tests::site::Answer;
use regen_tests::window::Display;
use regen_tests::{Browser, Site, eventually, within};
use rustix::process::Signal;

/// Serves pages that are titled after their path, and `/hop`, which redirects to `/two`.
fn titled_site() -> Site {
    Site::serve(|request| {
        Some(match request.path.as_str() {
            "/hop" => Answer::redirect(302, "/two"),
            "/wanders" => Answer::page(
                "<title>wanders</title><p>here</p><script>for (let n = 0; n < 90; n++) history.pushState(0, '', '/w' + n);
                 document.title = 'wandered'</script>",
            ),
            "/links" => Answer::page("<title>links</title><a href='regen://history' style='position:fixed;inset:0'>out</a>"),
            path => Answer::page(&format!("<title>title of {path}</title><p>here</p>")),
        })
    })
}

/// Returns the addresses of the visits that meet these conditions, newest first.
fn visited(browser: &Browser, conditions: &[&str]) -> Vec<String> {
    let listed = browser.json(&[&["history", "list"], conditions].concat());
    listed["visits"].as_array().unwrap().iter().map(|visit| visit["url"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_page_is_recorded_when_its_user_goes_there_and_not_for_every_load() {
    let site = titled_site();
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/one"));
    let id = tab.to_string();
    for path in ["/two", "/hop", "/three"] {
        browser.regen(&["tab", "goto", &id, &site.url(1, path), "--wait"]).unwrap();
    }
    browser.regen(&["tab", "reload", &id]).unwrap();
    browser.regen(&["tab", "wait", &id]).unwrap();
    let other = browser.open(&site.url(2, "/one"));
    let all = [site.url(2, "/one"), site.url(1, "/three"), site.url(1, "/two"), site.url(1, "/one")];
    assert_eq!(visited(&browser, &[]), all);
    // A process that dies is restored; that is no visit either.
    process::signal(browser.pid_of_tab(other), Signal::KILL);
    browser.wait_for_state(other, "ready");
    assert_eq!(visited(&browser, &[]), all);
    assert_eq!(visited(&browser, &["TITLE", "three"]), [site.url(1, "/three")]);
    assert_eq!(visited(&browser, &["--site", &site.url(2, "/")]), [site.url(2, "/one")]);
    assert_eq!(visited(&browser, &["--since", "1h", "-n", "1"]), [site.url(2, "/one")]);
    assert_eq!(visited(&browser, &["--until", "1h"]), Vec::<String>::new());
}

#[test]
fn a_page_cannot_fill_the_history_nor_open_it() {
    let site = titled_site();
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/wanders"));
    eventually("the script's end", || (browser.tab(tab)["title"] == "wandered").then_some(()));
    assert_eq!(browser.tab(tab)["url"], site.url(1, "/w89"));
    assert_eq!(visited(&browser, &[]), [site.url(1, "/wanders")]);
    let tab = browser.open(&site.url(1, "/links"));
    browser.input(tab, &["--click", "100,100"]);
    eventually("the refusal", || browser.log().contains("“regen:” addresses are not handed").then_some(()));
    assert_eq!(browser.tab(tab)["url"], site.url(1, "/links"));
    // Control: its user may.
    browser.regen(&["tab", "goto", &tab.to_string(), "regen://history"]).unwrap();
    let shown = browser.tab(tab);
    let facts = ["url", "title", "state"].map(|fact| shown[fact].as_str().unwrap());
    assert_eq!(facts, ["regen://history", "History", "blank"]);
}

#[test]
fn visits_are_deleted_with_a_way_back_and_outlive_every_end() {
    let site = titled_site();
    let browser = Browser::headless();
    for (number, path) in [(1, "/one"), (1, "/two"), (2, "/one")] {
        browser.open(&site.url(number, path));
    }
    let all = visited(&browser, &[]);
    assert_eq!(all.len(), 3);
    let refused = browser.regen(&["history", "delete"]).unwrap_err();
    assert!(refused.code == 2 && refused.message.contains("--all"), "{refused:?}");
    let refused = browser.regen(&["history", "list", "--since", "yesterday"]).unwrap_err();
    assert!(refused.code == 2 && refused.message.contains("30d"), "{refused:?}");
    assert_eq!(browser.regen(&["history", "undo"]).unwrap_err().code, 4);
    assert_eq!(browser.json(&["history", "delete", "--site", &site.url(1, "/")])["deleted"], 2);
    assert_eq!(visited(&browser, &[]), [site.url(2, "/one")]);
    assert_eq!(browser.json(&["history", "undo"])["restored"], 2);
    assert_eq!(visited(&browser, &[]), all);
    // Deleted addresses are not written anywhere, the audit log included.
    browser.regen(&["history", "delete", "two"]).unwrap();
    let log = browser.regen(&["audit"]).unwrap();
    assert!(log.contains("delete history") && !log.contains("/two"), "{log}");
    let left = visited(&browser, &[]);
    let broker = browser.broker();
    process::signal(broker, Signal::KILL);
    eventually("the broker's end", || (!is_alive(broker)).then_some(()));
    browser.start();
    assert_eq!(visited(&browser, &[]), left, "after a kill");
    browser.open(&site.url(1, "/three"));
    browser.quit();
    browser.start();
    assert_eq!(visited(&browser, &[]).len(), left.len() + 1, "after a normal end");
    assert_eq!(browser.json(&["history", "delete", "--all"])["deleted"], left.len() + 1);
    browser.quit();
    browser.start();
    assert_eq!(visited(&browser, &[]), Vec::<String>::new());
}

#[test]
fn the_address_bar_completes_and_the_page_of_the_history_opens_what_is_chosen() {
    let site = titled_site();
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/first/page")]);
    browser.wait_for_state(1, "ready");
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    browser.regen(&["tab", "goto", "1", &site.url(1, "/second"), "--wait"]).unwrap();
    let (prefix, whole) = (format!("127.0.0.1:{}/fi", site.port()), site.url(1, "/first/page"));
    display.xdotool(&["key", "ctrl+l"]);
    display.xdotool(&["type", "--delay", "40", &prefix]);
    eventually("the list of suggestions", || {
        // The list is drawn below the bar, over a white page.
        let share = display.screenshot().share([0xff; 3], 170, 95, 900, 30);
        (share < 0.999).then_some(())
    });
    display.xdotool(&["key", "Return"]);
    browser.wait_for_url(1, &whole);
    browser.wait_for_state(1, "ready");
    display.xdotool(&["key", "ctrl+h"]);
    let opened = eventually("the page of the history", || {
        let tabs = browser.json(&["tab", "list"]);
        tabs.as_array()?.iter().find(|tab| tab["url"] == "regen://history").and_then(|tab| tab["id"].as_u64())
    });
    // The newest visit is below the heading of its day.
    eventually("the visit to open", || {
        display.xdotool(&["mousemove", "420", "224", "click", "1"]);
        (browser.tab(opened)["url"] == whole.as_str()).then_some(())
    });
    // A built-in page has the keyboard in the chrome: what is typed right after Ctrl+L is an address.
    display.xdotool(&["key", "ctrl+h"]);
    let again = eventually("the page of the history again", || {
        let tabs = browser.json(&["tab", "list"]);
        let shown = tabs.as_array()?.iter().find(|tab| tab["active"] == true && tab["url"] == "regen://history");
        shown.and_then(|tab| tab["id"].as_u64())
    });
    let typed = site.url(2, "/typed");
    eventually("the typed address", || {
        display.xdotool(&["key", "ctrl+l"]);
        display.xdotool(&["type", "--delay", "20", &typed]);
        display.xdotool(&["key", "Return"]);
        within(Duration::from_secs(3), || (browser.tab(again)["url"] == typed.as_str()).then_some(()))
    });
}
