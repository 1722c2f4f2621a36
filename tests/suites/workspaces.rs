//! Workspaces: what one keeps from the others, what deleting one leaves, and what a throw-away one writes down.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;

use regen_tests::site::Answer;
use regen_tests::traces::{TOKEN, files_with, storing_site};
use regen_tests::{Browser, Site, eventually};
use serde_json::Value;

fn open_in(browser: &Browser, url: &str, workspace: &str) -> u64 {
    browser.json(&["tab", "open", url, "--wait", "--workspace", workspace])["id"].as_u64().unwrap()
}

fn named(browser: &Browser, name: &str) -> Value {
    let all = browser.json(&["workspace", "list"]);
    let found = all.as_array().unwrap().iter().find(|one| one["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

/// Returns the folders in memory of this user's browsers.
fn in_memory() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/dev/shm").unwrap().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("/regen-")).collect()
}

fn in_memory_with(word: &str) -> Vec<String> {
    in_memory().iter().flat_map(|folder| files_with(folder, word)).collect()
}

#[test]
fn a_throw_away_workspace_leaves_nothing_on_the_disk() {
    let site = storing_site();
    let browser = Browser::headless();
    let (url, host) = (format!("{}?{TOKEN}", site.url(3, "/in")), site.url(3, "/"));
    let host = host.trim_start_matches("http://").split(':').next().unwrap();
    let elsewhere = Site::pages(&[("/", "<p>page</p>")]);
    browser.open(&elsewhere.url(1, "/"));
    browser.regen(&["shields", "rules", "--add", "||blocked-here.test^"]).unwrap();
    let id = browser.json(&["workspace", "create", "--throw-away"])["created"].as_str().unwrap().to_owned();
    let tab = open_in(&browser, &url, &id);
    browser.wait_for_text(tab, "found 0, stored");
    // Typed text, which a crash could leave, and which the page finds again after it.
    browser.input(tab, &["--click", "120,115"]);
    browser.input(tab, &["--type", TOKEN]);
    browser.wait_for_text(tab, &format!("typed: {TOKEN}"));
    browser.regen(&["session", "save"]).unwrap();
    // Control: it is in memory, where the search finds it. The engine writes after a while.
    eventually("the page's storage", || {
        let files = in_memory_with(TOKEN).join("\n");
        ["cookies", "localstorage"].iter().all(|part| files.contains(part)).then_some(())
    });
    browser.regen(&["kill", "tab", &tab.to_string(), "--signal", "SEGV"]).unwrap();
    browser.wait_for_state(tab, "ready");
    browser.wait_for_text(tab, &format!("typed: {TOKEN}"));
    browser.wait_for_text(tab, "found 2, stored");
    // Failed and blocked requests are told by logs elsewhere.
    for address in [format!("http://127.0.0.3:1/{TOKEN}"), format!("http://{TOKEN}.blocked-here.test/")] {
        let other = browser.json(&["tab", "open", &address, "--workspace", &id])["id"].as_u64().unwrap();
        browser.wait_for_state(other, "failed");
        browser.regen(&["tab", "close", &other.to_string()]).unwrap();
    }
    assert!(!browser.regen(&["shields", "log", "--json"]).unwrap().contains(TOKEN));
    browser.regen(&["route", "set", "direct", "--workspace", &id]).unwrap();
    browser.regen(&["shields", "level", "strict", "--workspace", &id]).unwrap();
    browser.regen(&["session", "save"]).unwrap();
    let traces =
        |browser: &Browser| [files_with(&browser.profile(), TOKEN), files_with(&browser.profile(), host)].concat();
    assert_eq!(traces(&browser), Vec::<String>::new());
    browser.regen(&["tab", "close", &tab.to_string()]).unwrap();
    eventually("the end of what was in memory", || in_memory_with(TOKEN).is_empty().then_some(()));
    assert_eq!(named(&browser, "Throw-away"), Value::Null);
    browser.quit();
    assert_eq!(traces(&browser), Vec::<String>::new());

    // Control: in another workspace the same leaves traces of both.
    browser.start();
    let tab = open_in(&browser, &url, "");
    browser.wait_for_text(tab, "found 0, stored");
    browser.regen(&["session", "save"]).unwrap();
    assert!(!files_with(&browser.profile(), TOKEN).is_empty() && !files_with(&browser.profile(), host).is_empty());
}

#[test]
fn what_a_killed_browser_left_in_memory_is_gone_after_the_next_start() {
    let site = storing_site();
    let browser = Browser::headless();
    let id = browser.json(&["workspace", "create", "--throw-away"])["created"].as_str().unwrap().to_owned();
    let tab = open_in(&browser, &site.url(1, &format!("/{TOKEN}-killed")), &id);
    browser.wait_for_text(tab, "found 0, stored");
    let word = format!("{TOKEN}-killed");
    let ours = eventually("the page's storage", || {
        in_memory().into_iter().find(|folder| !files_with(folder, TOKEN).is_empty() && folder.exists())
    });
    let broker = browser.broker();
    regen_tests::process::signal(broker, rustix::process::Signal::KILL);
    eventually("the end of the broker", || (!regen_tests::process::is_alive(broker)).then_some(()));
    browser.start();
    assert!(!ours.join("buckets").exists(), "{}", ours.display());
    assert_eq!(files_with(&browser.profile(), &word), Vec::<String>::new());
    let sessions = browser.json(&["session", "list"]);
    assert!(!sessions.to_string().contains(&word), "{sessions}");
}

#[test]
fn deleting_a_workspace_removes_everything_that_its_sites_left() {
    let site = storing_site();
    let browser = Browser::headless();
    browser.regen(&["workspace", "create", "Shopping"]).unwrap();
    let kept = open_in(&browser, &site.url(2, "/"), "");
    let tab = open_in(&browser, &site.url(1, &format!("/{TOKEN}")), "Shopping");
    browser.wait_for_text(tab, "found 0, stored");
    browser.wait_for_text(kept, "stored");
    browser.regen(&["workspace", "always", &site.url(9, "/"), "shopping"]).unwrap();
    browser.regen(&["route", "set", "direct", "--workspace", "Shopping"]).unwrap();
    browser.regen(&["shields", "level", "strict", "--workspace", "Shopping"]).unwrap();
    let shopping = named(&browser, "Shopping");
    assert_eq!(
        (&shopping["route"], &shopping["shields"], &shopping["sites"][0]),
        (&Value::from("direct → block"), &Value::from("strict"), &Value::from("127.0.0.9"),)
    );
    browser.regen(&["session", "save"]).unwrap();
    browser.quit();
    browser.start();
    // The earlier session, which could come back, is searched as well.
    assert_eq!(named(&browser, "Shopping")["colour"], shopping["colour"]);
    let buckets = browser.profile().join("buckets");
    assert!(!files_with(&buckets.join("shopping"), TOKEN).is_empty());
    assert!(browser.json(&["history", "list"]).to_string().contains(TOKEN));
    let again = open_in(&browser, &site.url(1, "/"), "Shopping");
    browser.wait_for_text(again, "found 2, stored");
    browser.regen(&["workspace", "delete", "Shopping"]).unwrap();
    assert!(!buckets.join("shopping").exists());
    assert!(!browser.json(&["history", "list"]).to_string().contains(TOKEN));
    let left = files_with(&browser.profile(), &format!("/{TOKEN}"));
    assert_eq!(left, Vec::<String>::new());
    assert!(!files_with(&buckets, TOKEN).is_empty(), "the other workspace keeps its own");
    assert_eq!(browser.json(&["route", "show"])["workspaces"], serde_json::json!({}));
    let refused = browser.regen(&["workspace", "delete", "Default"]).unwrap_err();
    assert!(refused.message.contains("always exists"), "{}", refused.message);
    assert_eq!(browser.regen(&["workspace", "switch", "Shopping"]).unwrap_err().code, 4);
}

#[test]
fn a_site_always_opens_in_its_workspace_wherever_it_is_asked_for() {
    let site = Site::serve(|request| {
        let cookies = request.header("cookie").to_owned();
        let link = "<a id=to style='position:fixed;inset:0' href='http://127.0.0.2:PORT/'>go</a>";
        let port = request.header("host").rsplit(':').next().unwrap_or_default().to_owned();
        let page = format!("{}<p>cookies: {cookies}.</p>", link.replace("PORT", &port));
        Some(Answer::page(&page).with("set-cookie", "seen=yes; max-age=99"))
    });
    let browser = Browser::headless();
    browser.regen(&["workspace", "create", "Bank", "--colour", "green"]).unwrap();
    browser.regen(&["workspace", "always", &site.url(2, "/"), "Bank"]).unwrap();
    let direct = browser.json(&["tab", "open", &site.url(2, "/"), "--wait"]);
    assert_eq!(direct["workspace"], "bank");
    // A click on a link of another workspace's page opens a tab there, and that page stays.
    let from = browser.open(&site.url(1, "/"));
    browser.input(from, &["--click", "200,200"]);
    let opened = eventually("the tab in the other workspace", || {
        let status = browser.status();
        let tabs = status["tabs"].as_array().unwrap().clone();
        tabs.into_iter().find(|tab| tab["workspace"] == "bank" && tab["id"] != direct["id"] && tab["state"] == "ready")
    });
    assert!(browser.text(opened["id"].as_u64().unwrap()).contains("cookies: seen=yes"));
    assert_eq!(browser.tab(from)["url"], site.url(1, "/"));
    // The page that was left is there when its user comes back, and its links still work.
    browser.regen(&["tab", "activate", &from.to_string()]).unwrap();
    browser.wait_for_text(from, "cookies: seen=yes");
    assert_eq!(named(&browser, "Bank")["tabs"], 2);
    // A tab that is moved starts with nothing.
    browser.regen(&["workspace", "move", &from.to_string(), "Bank"]).unwrap();
    let moved = eventually("the moved tab", || {
        let tabs = browser.status()["tabs"].as_array().unwrap().clone();
        let is_it = |tab: &&Value| tab["url"] == site.url(1, "/").as_str() && tab["state"] == "ready";
        (tabs.len() == 3).then(|| tabs.iter().find(is_it).cloned()).flatten()
    });
    assert_eq!(moved["workspace"], "bank");
    assert!(browser.text(moved["id"].as_u64().unwrap()).contains("cookies: ."));
}
