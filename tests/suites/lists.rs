//! Filter lists that the user adds: from a file or a URL, updated, and refused if they are invalid.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::{Arc, Mutex};

use regen_tests::site::{Answer, Request};
use regen_tests::tls::Authority;
use regen_tests::{Browser, Site};
use serde_json::Value;

/// Returns whether a script at this URL would be blocked in a page.
fn is_blocked(browser: &Browser, url: &str) -> bool {
    let words = ["--json", "shields", "test", url, "--page", "https://page.test/", "--type", "script"];
    let output = browser.command(&words);
    let verdict: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no verdict: {}", String::from_utf8_lossy(&output.stderr)));
    verdict["blocked"] == true
}

fn list(browser: &Browser, name: &str) -> Option<Value> {
    let output = browser.command(&["--json", "shields", "lists"]);
    let lists: Value = serde_json::from_slice(&output.stdout).unwrap();
    lists.as_array().unwrap().iter().find(|list| list["name"] == name).cloned()
}

#[test]
fn a_list_from_a_file_holds_until_it_is_removed() {
    let browser = Browser::headless();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.txt");
    std::fs::write(&file, "! Title: Mine\n||bad.test^\nworse.test\n").unwrap();
    let path = file.to_str().unwrap();
    assert!(!is_blocked(&browser, "https://bad.test/x.js"), "control: blocked without the list");
    browser.regen(&["shields", "lists", "--add", path]).unwrap();
    let mine = list(&browser, "mine").unwrap();
    assert_eq!((&mine["title"], &mine["rules"], &mine["url"]), (&"Mine".into(), &2.into(), &"".into()), "{mine}");
    assert!(is_blocked(&browser, "https://bad.test/x.js") && is_blocked(&browser, "https://sub.worse.test/x.js"));
    let again = browser.regen(&["shields", "lists", "--add", path]).unwrap_err();
    assert!(again.code == 2 && again.message.contains("already"), "{again:?}");
    browser.quit();
    browser.start();
    assert!(is_blocked(&browser, "https://bad.test/x.js"), "the list was lost in the restart");
    browser.regen(&["shields", "lists", "--remove", "mine"]).unwrap();
    assert!(!is_blocked(&browser, "https://bad.test/x.js"));
    assert!(list(&browser, "mine").is_none());
    assert_eq!(browser.regen(&["shields", "lists", "--remove", "mine"]).unwrap_err().code, 2);
    // An invalid list is refused, with the number of the wrong line.
    for (text, word) in [
        ("<!DOCTYPE html>\n<p>404", "line 1 is of a web page"),
        ("||a.test^\n||b.test^$nonsense\n", "line 2 is not a rule"),
        ("||a.test^\n!#if ext_ublock\n", "line 2 begins a branch"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = browser.regen(&["shields", "lists", "--add", path]).unwrap_err();
        assert!(refused.message.contains(word), "{refused:?}");
    }
    assert!(browser.regen(&["shields", "lists", "--add", "/nowhere"]).unwrap_err().message.contains("/nowhere"));
}

/// Ten thousand rules, and regular expressions with exponential backtracking in other engines.
#[test]
fn a_large_list_and_one_with_regex_bombs_hold_nothing_up() {
    let browser = Browser::headless();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.txt");
    let hosts: String = (0..10_000).map(|number| format!("||host{number}.test^$script\n")).collect();
    std::fs::write(&file, format!("{hosts}/^https?:\\/\\/(a+)+b$/\n/(x+x+)+y/$script\n")).unwrap();
    browser.regen(&["shields", "lists", "--add", file.to_str().unwrap()]).unwrap();
    assert!(is_blocked(&browser, "https://host9999.test/x.js") && !is_blocked(&browser, "https://host10000.test/x.js"));
    // Each command has a timeout of five seconds.
    assert!(!is_blocked(&browser, &format!("https://{}.test/", "a".repeat(60))));
    assert!(!is_blocked(&browser, &format!("https://c.test/{}", "x".repeat(1500))));
    let site = Site::pages(&[("/", "<p>here")]);
    browser.open(&site.url(1, "/"));
}

#[test]
fn a_list_from_an_address_is_kept_fresh_and_what_is_none_does_not_take_its_place() {
    let authority = Authority::new("test authority");
    let (certificate, key) = authority.issue(&["127.0.0.1", "127.0.0.2"], |_| {});
    let now = Arc::new(Mutex::new(("||first.test^\n".to_owned(), "\"1\"".to_owned())));
    let served = Arc::clone(&now);
    let site = Site::serve_tls(&certificate, &key, move |request: &Request| {
        let (text, etag) = served.lock().unwrap().clone();
        Some(match request.path.as_str() {
            "/moved.txt" => Answer::redirect(302, "/list.txt"),
            "/down.txt" => Answer::redirect(302, "http://127.0.0.1:1/list.txt"),
            "/huge.txt" => Answer::typed("text/plain", vec![b'x'; 33 << 20]),
            "/list.txt" if request.header("if-none-match") == etag => Answer { status: 304, ..Answer::page("") },
            "/list.txt" => Answer::typed("text/plain", text.into_bytes()).with("ETag", &etag),
            _ => return None,
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let browser = Browser::with_options(&["--headless", "--extra-ca", file.to_str().unwrap()]);
    let add = |url: &str, more: &[&str]| browser.regen(&[&["shields", "lists", "--add", url], more].concat());
    add(&site.url(1, "/moved.txt"), &["--name", "theirs"]).unwrap();
    assert!(is_blocked(&browser, "https://first.test/x.js"));
    let update = || browser.command(&["shields", "lists", "--update"]).status.code();
    // An unchanged list is not downloaded again.
    drop(site.take_requests());
    assert_eq!(update(), Some(0));
    assert_eq!(site.requests("/list.txt")[0].header("if-none-match"), "\"1\"");
    *now.lock().unwrap() = ("||second.test^\n".to_owned(), "\"2\"".to_owned());
    assert_eq!(update(), Some(0));
    assert!(is_blocked(&browser, "https://second.test/x.js") && !is_blocked(&browser, "https://first.test/x.js"));
    // The server sends an error page instead: the list before is kept, and the error is shown.
    *now.lock().unwrap() = ("<html>down for maintenance".to_owned(), "\"3\"".to_owned());
    assert_eq!(update(), Some(1));
    let theirs = list(&browser, "theirs").unwrap();
    assert!(theirs["error"].as_str().unwrap().contains("line 1 is of a web page"), "{theirs}");
    assert!(is_blocked(&browser, "https://second.test/x.js"));
    *now.lock().unwrap() = ("||third.test^\n".to_owned(), "\"4\"".to_owned());
    assert_eq!(update(), Some(0));
    assert_eq!(list(&browser, "theirs").unwrap()["error"], "");
    // Lists that are missing, too large, or redirect to plain HTTP are refused.
    for (path, word) in [("/none.txt", "404"), ("/huge.txt", "length limit"), ("/down.txt", "not encrypted")] {
        let refused = add(&site.url(1, path), &[]).unwrap_err();
        assert!(refused.message.contains(word), "{path}: {refused:?}");
    }
    assert!(add("http://127.0.0.1:1/list.txt", &[]).unwrap_err().message.contains("--sha256"));
    let other = add(&site.url(2, "/list.txt"), &["--name", "pinned", "--sha256", &"0".repeat(64)]).unwrap_err();
    assert!(other.message.contains("SHA-256"), "{other:?}");
    assert!(list(&browser, "pinned").is_none());
    assert_eq!(browser.status()["refused_messages"]["system_calls"], 0, "a system call was refused");
    // Updates use the chosen route.
    drop(site.take_requests());
    browser.regen(&["route", "set", "block"]).unwrap();
    assert_eq!(update(), Some(1));
    assert!(site.take_requests().is_empty());
}
