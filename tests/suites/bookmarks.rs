//! Bookmarks: from the command line and the window, through files of other browsers, and over every end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use regen_tests::process::{self, is_alive};
use regen_tests::window::Display;
use regen_tests::{Browser, Site, eventually};
use rustix::process::Signal;
use tempfile::TempDir;

/// Returns title, address and folder of the bookmarks that these conditions select.
fn listed(browser: &Browser, conditions: &[&str]) -> Vec<(String, String, u64)> {
    let list = browser.json(&[&["bookmarks", "list"], conditions].concat());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let one = |one: &serde_json::Value| (text(&one["title"]), text(&one["url"]), one["folder"].as_u64().unwrap());
    list["bookmarks"].as_array().unwrap().iter().map(one).collect()
}

fn added(browser: &Browser, arguments: &[&str]) -> String {
    browser.json(&[&["bookmarks"], arguments].concat())["id"].as_u64().unwrap().to_string()
}

#[test]
fn bookmarks_are_kept_ordered_and_outlive_every_end() {
    let browser = Browser::headless();
    let folder = added(&browser, &["folder", "Reading", "--in", "1"]);
    let first = added(&browser, &["add", "a.example.org", "--title", "First", "--folder", &folder, "--tag", "later"]);
    let second = added(&browser, &["add", "https://b.example.org/x", "--folder", "1"]);
    browser.regen(&["bookmarks", "edit", &second, "--title", "Second", "--folder", "1", "--place", "0"]).unwrap();
    let wanted = vec![
        ("Second".to_owned(), "https://b.example.org/x".to_owned(), 1),
        ("Reading".to_owned(), String::new(), 1),
        ("First".to_owned(), "https://a.example.org/".to_owned(), folder.parse().unwrap()),
    ];
    assert_eq!(listed(&browser, &[]), wanted);
    assert_eq!(listed(&browser, &["LATER"]).len(), 1);
    assert_eq!(listed(&browser, &["--folder", "1"]).len(), 2);
    for (code, wrong) in [
        (4, &["remove", "999"][..]),
        (1, &["remove", "1"]),
        (1, &["edit", &folder, "--folder", &folder]),
        (1, &["add", "x.example.org", "--folder", &first]),
        (4, &["undo"]),
    ] {
        let refused = browser.regen(&[&["bookmarks"], wrong].concat()).unwrap_err();
        assert_eq!(refused.code, code, "{wrong:?}: {refused:?}");
    }
    assert_eq!(browser.json(&["bookmarks", "remove", &folder])["removed"], 2);
    assert_eq!(browser.json(&["bookmarks", "undo"])["restored"], 2);
    let broker = browser.broker();
    process::signal(broker, Signal::KILL);
    eventually("the broker's end", || (!is_alive(broker)).then_some(()));
    browser.start();
    assert_eq!(listed(&browser, &[]), wanted, "after a kill");
    browser.quit();
    browser.start();
    assert_eq!(listed(&browser, &[]), wanted, "after a normal end");
}

#[test]
fn files_of_other_browsers_come_in_and_go_out() {
    let browser = Browser::headless();
    let folder = TempDir::new().unwrap();
    let (file, out) = (folder.path().join("bookmarks.html"), folder.path().join("out.html"));
    let (file_name, out_name) = (file.to_str().unwrap(), out.to_str().unwrap());
    let entry =
        |n: u32| format!("<DT><A HREF=\"https://example.org/{n}?a=1&amp;b=2\" TAGS=\"t{n}\">Page &lt;{n}&gt;</A>\n");
    let many: String = (0..20_000).map(entry).collect();
    std::fs::write(&file, format!("<DL><p><DT><H3>Folder</H3><DL><p>{many}</DL></DL>")).unwrap();
    assert_eq!(browser.json(&["bookmarks", "import", file_name, "--folder", "1"])["imported"], 20_001);
    let found = listed(&browser, &["t19999"]);
    assert_eq!((found.len(), found[0].1.as_str()), (1, "https://example.org/19999?a=1&b=2"));
    assert_eq!(browser.json(&["bookmarks", "export", out_name])["exported"], 20_001);
    let again = Browser::headless();
    // The file has the two folders that are always there, too.
    assert_eq!(again.json(&["bookmarks", "import", out_name])["imported"], 20_003);
    assert_eq!(listed(&again, &["t19999"])[0].0, "Page <19999>");
    // Other files are refused in words.
    std::fs::write(&file, b"\xff\xfe\0garbage".repeat(1000)).unwrap();
    let refused = browser.regen(&["bookmarks", "import", file_name]).unwrap_err();
    assert!(refused.code == 1 && refused.message.contains("exported as HTML"), "{refused:?}");
    let refused = browser.regen(&["bookmarks", "import", "/there/is/none.html"]).unwrap_err();
    assert!(refused.message.contains("/there/is/none.html"), "{refused:?}");
}

#[test]
fn the_star_bookmarks_the_page_in_front_and_the_bar_opens_it() {
    let site = Site::pages(&[("/", "<title>A page</title><p>here"), ("/other", "<title>Other</title><p>there")]);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    browser.wait_for_state(1, "ready");
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    display.xdotool(&["key", "ctrl+d"]);
    let of_page = || listed(&browser, &["A page"]);
    eventually("the bookmark", || (of_page().len() == 1).then_some(()));
    assert_eq!(of_page(), [("A page".to_owned(), site.url(1, "/"), 2)]);
    // The panel has the keyboard: the name is typed, and Enter ends it. On a busy machine the first letters may come before
    // the panel; Ctrl+D then shows it again.
    eventually("the name to be changed", || {
        display.xdotool(&["key", "ctrl+d", "ctrl+a"]);
        display.xdotool(&["type", "--delay", "30", "Mine"]);
        display.xdotool(&["key", "Return"]);
        (listed(&browser, &["Mine"]).len() == 1).then_some(())
    });
    let id = browser.json(&["bookmarks", "list", "Mine"])["bookmarks"][0]["id"].as_u64().unwrap().to_string();
    browser.regen(&["bookmarks", "edit", &id, "--folder", "1"]).unwrap();
    browser.regen(&["tab", "goto", "1", &site.url(1, "/other"), "--wait"]).unwrap();
    // The bar is below the address, and its first entry at the left.
    eventually("the bar's entry to open the page", || {
        display.xdotool(&["mousemove", "30", "100", "click", "1"]);
        (browser.tab(1)["url"] == site.url(1, "/").as_str()).then_some(())
    });
}
