//! Previous sessions: offers, restoring of tabs and logins, and encryption of secrets on the disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};

use regen_store::codec;
use regen_tests::process::{is_alive, signal};
use regen_tests::site::{Answer, Request};
use regen_tests::{Browser, SessionBus, Site, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Value of the session cookie that the site sets at login.
const SECRET: &str = "b7f0c2d1e9a84f3c";

/// A site that sets cookies at `/login`, and shows the cookies of each request.
fn site_with_login() -> Site {
    Site::serve(|request: &Request| {
        let page = Answer::page(&format!("<title>t</title><p>cookies: [{}]", request.header("cookie")));
        Some(match request.path.as_str() {
            "/login" => page
                .with("Set-Cookie", &format!("sid={SECRET}; Path=/; HttpOnly; SameSite=Strict"))
                .with("Set-Cookie", "theme=dark; Path=/; Max-Age=86400"),
            _ => page,
        })
    })
}

/// Loads a URL in a tab, and returns the cookies that the site got.
fn cookies_seen(browser: &Browser, tab: u64, url: &str) -> String {
    browser.regen(&["tab", "goto", &tab.to_string(), url, "--wait"]).unwrap();
    let text = browser.regen(&["tab", "text", &tab.to_string()]).unwrap();
    let header = text.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    // Sorted, because the order of creation is not preserved.
    let mut cookies: Vec<&str> = header.split("; ").collect();
    cookies.sort_unstable();
    cookies.join("; ")
}

fn restored(browser: &Browser, url: &str) -> u64 {
    let status = browser.status();
    let tabs = status["tabs"].as_array().unwrap();
    tabs.iter().find(|tab| tab["url"] == url).unwrap_or_else(|| panic!("{tabs:#?}"))["id"].as_u64().unwrap()
}

fn kill_the_broker(browser: &Browser) {
    let broker = browser.broker();
    signal(broker, Signal::KILL);
    eventually("the broker to be gone", || (!is_alive(broker)).then_some(()));
}

/// Waits until the broker has saved a site's session cookies.
fn wait_until_kept(browser: &Browser) {
    let is_kept = |folder: &Path| {
        let mut files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.any(|file| file.file_name().to_string_lossy().starts_with("cookies-"))
    };
    eventually("the session cookies to be kept", || {
        let sessions = std::fs::read_dir(browser.profile().join("sessions")).ok()?;
        sessions.flatten().any(|session| is_kept(&session.path())).then_some(())
    });
}

/// Returns whether any file below a folder contains this text.
fn holds(folder: &Path, needle: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => holds(&entry.path(), needle),
        Ok(kind) if kind.is_file() => {
            let bytes = std::fs::read(entry.path()).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        }
        _ => false,
    })
}

#[test]
fn a_login_outlives_its_process_and_the_browser_and_only_its_own_site_has_it() {
    let (site, browser) = (site_with_login(), Browser::headless());
    let tab = browser.open(&site.url(1, "/login"));
    let both = format!("sid={SECRET}; theme=dark");
    eventually("the login to be kept", || (cookies_seen(&browser, tab, &site.url(1, "/a")) == both).then_some(()));
    let old = browser.pid_of_tab(tab);
    wait_until_kept(&browser);
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    eventually("another process", || (browser.pid_of_tab(tab) != old && browser.pid_of_tab(tab) != 0).then_some(()));
    browser.wait_for_state(tab, "ready");
    assert_eq!(cookies_seen(&browser, tab, &site.url(1, "/b")), both);
    // Another site on the same server gets no cookies.
    let other = browser.open(&site.url(2, "/"));
    assert_eq!(cookies_seen(&browser, other, &site.url(2, "/c")), "");
    // Closing the last tab of a site does not end the session.
    browser.regen(&["tab", "close", &tab.to_string()]).unwrap();
    eventually("its process to end", || (browser.pids_of("tab-host").len() == 1).then_some(()));
    let tab = browser.open(&site.url(1, "/d"));
    assert_eq!(cookies_seen(&browser, tab, &site.url(1, "/e")), both);

    // The files contain the address, but not the secret.
    browser.regen(&["session", "save"]).unwrap();
    assert!(holds(&browser.profile().join("sessions"), &site.url(1, "/e")), "control: the address is not found");
    for folder in ["sessions", "store"] {
        assert!(!holds(&browser.profile().join(folder), SECRET), "{folder}");
    }
    assert_eq!(browser.status()["broker"]["secrets"], "a key file");

    kill_the_broker(&browser);
    browser.start();
    browser.regen(&["session", "restore"]).unwrap();
    let tab = restored(&browser, &site.url(1, "/e"));
    assert_eq!(cookies_seen(&browser, tab, &site.url(1, "/f")), both);
    // Dismissing the session drops session cookies, but not persistent ones.
    kill_the_broker(&browser);
    browser.start();
    browser.regen(&["session", "dismiss"]).unwrap();
    let tab = browser.open(&site.url(1, "/g"));
    assert_eq!(cookies_seen(&browser, tab, &site.url(1, "/h")), "theme=dark");
}

#[test]
fn a_login_of_a_moment_ago_is_on_disk_when_saving_returns() {
    let (site, browser) = (site_with_login(), Browser::headless());
    browser.open(&site.url(1, "/login"));
    browser.regen(&["session", "save"]).unwrap();
    kill_the_broker(&browser);
    browser.start();
    browser.regen(&["session", "restore"]).unwrap();
    let tab = restored(&browser, &site.url(1, "/login"));
    assert_eq!(cookies_seen(&browser, tab, &site.url(1, "/a")), format!("sid={SECRET}; theme=dark"));
}

#[test]
fn some_tabs_come_back_and_the_rest_can_for_days() {
    let (site, browser) = (site_with_login(), Browser::headless());
    let urls: Vec<String> = (0..4).map(|number| site.url(1, &format!("/{number}"))).collect();
    let tabs: Vec<u64> = urls.iter().map(|url| browser.open(url)).collect();
    browser.regen(&["session", "save"]).unwrap();
    kill_the_broker(&browser);
    browser.start();
    let listed = browser.json(&["session", "list"]);
    assert_eq!(listed["saved"]["tabs"], 4, "{listed:#}");
    let wrong = browser.regen(&["session", "restore", "--tab", "999"]).unwrap_err();
    assert!(wrong.code == 4 && wrong.message.contains("no tab 999"), "{wrong:?}");
    let (second, third) = (tabs[1].to_string(), tabs[2].to_string());
    browser.regen(&["session", "restore", "--tab", &second, "--tab", &third]).unwrap();
    let shown = |browser: &Browser| -> Vec<String> {
        let status = browser.status();
        status["tabs"].as_array().unwrap().iter().map(|tab| tab["url"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(shown(&browser), urls[1..3]);
    // A restored session is not offered again, but is kept after another start.
    browser.quit();
    browser.start();
    let listed = browser.json(&["session", "list"]);
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{listed:#}");
    let dismissed = sessions.iter().find(|session| session["dismissed"] == true).unwrap();
    assert_eq!((&dismissed["tabs"], &listed["saved"]["tabs"]), (&json!(4), &json!(2)));
    browser.regen(&["session", "dismiss"]).unwrap();
    let none = browser.regen(&["session", "restore"]).unwrap_err();
    assert!(none.code == 4 && none.message.contains("regen session restore --session"), "{none:?}");
    browser.regen(&["session", "restore", "--session", &dismissed["session"].to_string()]).unwrap();
    let mut all = shown(&browser);
    all.sort();
    assert_eq!(all, urls);
}

#[test]
fn the_last_session_comes_back_by_itself_where_that_is_wanted_and_not_when_it_is_old() {
    let (site, browser) = (site_with_login(), Browser::headless());
    browser.open(&site.url(1, "/kept"));
    browser.regen(&["session", "automatic", "on"]).unwrap();
    browser.quit();
    browser.start();
    let tab = restored(&browser, &site.url(1, "/kept"));
    browser.wait_for_state(tab, "ready");
    // The session is not restored automatically after a crash.
    browser.regen(&["session", "save"]).unwrap();
    kill_the_broker(&browser);
    browser.start();
    assert_eq!(browser.status()["tabs"], json!([]));
    assert_eq!(browser.status()["saved_session"]["clean"], false);
    browser.regen(&["session", "restore"]).unwrap();
    browser.quit();
    // The session is not restored automatically after a day.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let newest = std::fs::read_dir(browser.profile().join("sessions")).unwrap().flatten();
    let newest = newest.filter(|entry| entry.file_name().to_string_lossy().starts_with("session-"));
    let newest = newest.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap()).unwrap().path();
    // The record as the store writes it: clean, dismissed, restored, time.
    let old = (true, false, false, now - 25 * 3600);
    std::fs::write(newest.join("meta"), codec::encode(u64::MAX / 2, &old).unwrap()).unwrap();
    browser.start();
    assert_eq!(browser.status()["tabs"], json!([]));
    let offer = browser.status()["saved_session"].clone();
    assert_eq!((&offer["stale"], &offer["tabs"]), (&json!(true), &json!(1)), "the session is not offered: {offer}");
    browser.regen(&["session", "automatic", "off"]).unwrap();
    browser.regen(&["session", "restore"]).unwrap();
    browser.quit();
    browser.start();
    assert_eq!(browser.status()["tabs"], json!([]), "a session was restored although this is off");
    assert_eq!(browser.json(&["session", "automatic"])["automatic"], Value::Bool(false));
}

/// A session bus with an unlocked GNOME keyring.
struct Keyring {
    bus: SessionBus,
    keyring: Child,
    _home: tempfile::TempDir,
}

impl Keyring {
    #[expect(clippy::disallowed_methods, reason = "a test starts what a desktop would")]
    fn start() -> Self {
        use std::io::Write;
        let home = tempfile::tempdir().unwrap();
        let bus = SessionBus::start::<&str>(home.path(), &[]);
        let mut keyring = Command::new("gnome-keyring-daemon")
            .args(["--unlock", "--foreground", "--components=secrets"])
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .env("DBUS_SESSION_BUS_ADDRESS", bus.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        keyring.stdin.take().unwrap().write_all(b"password").unwrap();
        // The daemon creates its control socket when it is ready.
        eventually("the keyring", || home.path().join("keyring/control").exists().then_some(()));
        Self { bus, keyring, _home: home }
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ = self.keyring.kill();
        let _ = self.keyring.wait();
    }
}

#[test]
fn the_key_is_in_the_secret_service_where_there_is_one() {
    let keyring = Keyring::start();
    let site = site_with_login();
    let browser =
        Browser::not_started(&["--headless"]).with_variable("DBUS_SESSION_BUS_ADDRESS", keyring.bus.address());
    browser.start();
    assert_eq!(browser.status()["broker"]["secrets"], "the Secret Service");
    assert!(!browser.profile().join("secret.key").exists());
    let tab = browser.open(&site.url(1, "/login"));
    eventually("the login", || cookies_seen(&browser, tab, &site.url(1, "/a")).starts_with("sid=").then_some(()));
    wait_until_kept(&browser);
    browser.regen(&["session", "save"]).unwrap();
    kill_the_broker(&browser);
    browser.start();
    browser.regen(&["session", "restore"]).unwrap();
    let tab = restored(&browser, &site.url(1, "/a"));
    assert_eq!(cookies_seen(&browser, tab, &site.url(1, "/b")), format!("sid={SECRET}; theme=dark"));
    browser.regen(&["session", "save"]).unwrap();
    kill_the_broker(&browser);
    drop(keyring);
    // Without the keyring the tabs are restored, but not the login.
    browser.start();
    assert_eq!(browser.status()["broker"]["secrets"], "a key file");
    browser.regen(&["session", "restore"]).unwrap();
    let tab = restored(&browser, &site.url(1, "/b"));
    assert_eq!(cookies_seen(&browser, tab, &site.url(1, "/c")), "theme=dark", "undecryptable cookies were restored");
    browser.regen(&["policy", "verify"]).unwrap();
}
