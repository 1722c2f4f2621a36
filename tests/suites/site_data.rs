//! Reports on a site, and the removal of its data: nothing of it may be left, and nothing of other sites be lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use regen_tests::traces::{TOKEN, files_with, storing_site};
use regen_tests::{Browser, eventually};

/// Returns the files below a folder that contain [`TOKEN`].
fn files_with_token(folder: &Path) -> Vec<String> {
    files_with(folder, TOKEN)
}

#[test]
fn nothing_is_left_of_a_site_that_is_cleared_and_its_neighbour_keeps_everything() {
    let site = storing_site();
    let browser = Browser::headless();
    let (one, other) = (browser.open(&site.url(1, "/")), browser.open(&site.url(2, "/")));
    for tab in [one, other] {
        browser.wait_for_text(tab, "found 0, stored");
        browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
        browser.wait_for_text(tab, "found 2, stored");
    }
    browser.regen(&["session", "save"]).unwrap();
    let known = browser.json(&["site", "show", &site.url(1, "/")]);
    assert_eq!(known["pid"].as_i64(), Some(browser.pid_of_tab(one).into()), "{known}");
    assert!(known["storage_files"].as_u64() > Some(0) && known["memory_kb"].as_u64() > Some(1000), "{known}");
    // Control: the word is found on the disk before.
    assert!(files_with_token(&browser.profile()).len() > 2);

    let cleared = browser.json(&["site", "clear", &site.url(1, "/")]);
    assert_eq!(cleared["site"], known["site"]);
    browser.regen(&["tab", "goto", &other.to_string(), "about:blank"]).unwrap();
    let elsewhere = browser.json(&["site", "show", &site.url(2, "/")]);
    assert!(elsewhere["storage_files"].as_u64() > Some(0), "the other site's storage stays: {elsewhere}");
    browser.regen(&["site", "clear", &site.url(2, "/")]).unwrap();
    assert_eq!(files_with_token(&browser.profile().join("buckets")), Vec::<String>::new());

    // The page that was in front was loaded anew, and found nothing.
    browser.regen(&["tab", "activate", &one.to_string()]).unwrap();
    browser.regen(&["tab", "wait", &one.to_string()]).unwrap();
    browser.wait_for_text(one, "found 0, stored");
}

#[test]
fn clearing_a_site_that_has_no_process_or_is_unknown_does_no_harm() {
    let site = storing_site();
    let browser = Browser::headless();
    browser.regen(&["site", "clear", &site.url(1, "/")]).unwrap();
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, "found 0, stored");
    browser.regen(&["tab", "close", &tab.to_string()]).unwrap();
    eventually("the end of the process", || {
        (browser.json(&["site", "show", &site.url(1, "/")])["pid"] == 0).then_some(())
    });
    browser.regen(&["site", "clear", &site.url(1, "/")]).unwrap();
    assert_eq!(files_with_token(&browser.profile().join("buckets")), Vec::<String>::new());
    let failed = browser.regen(&["site", "clear", "about:blank"]).unwrap_err();
    assert_eq!(failed.code, 2, "{}", failed.message);
}

#[test]
fn a_cleared_site_is_not_restored_with_what_it_had_after_a_crash() {
    let site = storing_site();
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, "found 0, stored");
    browser.input(tab, &["--click", "120,115"]);
    browser.input(tab, &["--type", "secret words"]);
    browser.wait_for_text(tab, "typed: secret words");
    browser.regen(&["session", "save"]).unwrap();
    // Control: a killed page has them again.
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    browser.wait_for_text(tab, "typed: secret words");
    browser.regen(&["site", "clear", &site.url(1, "/")]).unwrap();
    browser.regen(&["tab", "wait", &tab.to_string()]).unwrap();
    browser.wait_for_text(tab, "found 0, stored");
    browser.regen(&["session", "save"]).unwrap();
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    browser.wait_for_state(tab, "ready");
    browser.wait_for_text(tab, "stored");
    assert!(!browser.text(tab).contains("secret words"), "{}", browser.text(tab));
}
