//! Settings, commands and the command bar: from the command line, a file, an administrator and the window.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

use std::process::Command;

use regen_tests::process;
use regen_tests::site::Answer;
use regen_tests::window::Display;
use regen_tests::{Browser, Site, eventually, programs, within};
use rustix::process::Signal;
use tempfile::TempDir;

fn titled_site() -> Site {
    Site::serve(|request| Some(Answer::page(&format!("<title>{}</title><p>here</p>", request.path))))
}

fn value(browser: &Browser, name: &str) -> String {
    browser.regen(&["settings", "get", name]).unwrap().trim().to_owned()
}

fn source(browser: &Browser, name: &str) -> String {
    browser.json(&["settings", "get", name])["settings"][0]["source"].as_str().unwrap().to_owned()
}

#[test]
fn a_setting_is_kept_over_a_kill_and_the_users_file_is_not_rewritten() {
    let browser = Browser::headless();
    let file = browser.profile().join("settings.toml");
    browser.regen(&["settings", "set", "tabs.sleep-after", "7.5"]).unwrap();
    process::signal(browser.broker(), Signal::KILL);
    eventually("the end", || browser.regen(&["status"]).is_err().then_some(()));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("# by hand\n{text}[histroy]\nrecord = false\n")).unwrap();
    browser.start();
    assert_eq!(
        (value(&browser, "tabs.sleep-after"), source(&browser, "tabs.sleep-after")),
        ("7.5".into(), "user".into())
    );
    let status = browser.status().to_string();
    assert!(status.contains("there is no setting “histroy.record”: did you mean history.record?"), "{status}");
    browser.regen(&["settings", "reset", "tabs.sleep-after"]).unwrap();
    assert_eq!(source(&browser, "tabs.sleep-after"), "default");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# by hand\n") && text.contains("[histroy]\nrecord = false\n"), "{text}");
    browser.quit();
    // Without a browser, the command changes the same file.
    browser.regen(&["settings", "set", "search.engine", "w"]).unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains("engine = \"w\""));
    browser.start();
    assert_eq!(value(&browser, "search.engine"), "w");
}

#[test]
fn what_is_wrong_is_refused_in_words_and_changes_nothing() {
    let browser = Browser::with_options(&["--headless", "--hibernate-after", "30"]);
    for (arguments, words) in [
        (&["tabs.sleep-after", "5"][..], "set by an option of this start"),
        (&["search.engine", "nobody"], "no search engine “nobody”"),
        (&["history.record", "maybe"], "neither on nor off"),
        (&["shortcuts.find", "f"], "needed to type"),
        (&["no.such", "1"], "invalid value"),
    ] {
        let failed = browser.regen(&[&["settings", "set"], arguments].concat()).unwrap_err();
        assert!(failed.message.contains(words), "{arguments:?}: {}", failed.message);
    }
    assert!(!browser.profile().join("settings.toml").exists());
    assert_eq!(source(&browser, "tabs.sleep-after"), "command line");
    std::fs::write(browser.profile().join("settings.toml"), "[tabs\n").unwrap();
    browser.quit();
    browser.start();
    let failed = browser.regen(&["settings", "set", "history.record", "off"]).unwrap_err();
    assert!(
        failed.message.contains("settings.toml has a mistake") && failed.message.contains("line 1"),
        "{}",
        failed.message
    );
    assert_eq!(std::fs::read_to_string(browser.profile().join("settings.toml")).unwrap(), "[tabs\n");
}

#[test]
fn an_administrator_fixes_a_setting_for_everybody() {
    let (scratch, profile) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // An overlay over /etc keeps the machine's own files unchanged.
    let script = "mount -t tmpfs none \"$1\" && mkdir \"$1/u\" \"$1/w\" && \
                  mount -t overlay overlay -o \"lowerdir=/etc,upperdir=$1/u,workdir=$1/w\" /etc && mkdir -p /etc/regen && \
                  printf '[processes]\\njit = true\\n[defaults.search]\\nengine = \"startpage\"\\n' > /etc/regen/settings.toml && \
                  shift && exec \"$@\"";
    let regen = |arguments: &[&str]| {
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh"])
            .arg(scratch.path())
            .arg(programs().join("regen"))
            .args(["--profile", profile.path().to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    assert_eq!(regen(&["settings", "get", "search.engine"]), (Some(0), "startpage\n".to_owned()));
    let (code, said) = regen(&["settings", "set", "processes.jit", "off"]);
    assert!(code == Some(1) && said.contains("fixed by this machine's administrator"), "{said}");
    let (code, said) = regen(&["--headless", "--jitless", "--detach"]);
    assert!(code == Some(1) && said.contains("fixed by this machine's administrator"), "{said}");
    // Control: without the file, the option is taken.
    let browser = Browser::with_options(&["--headless", "--jitless"]);
    assert_eq!(value(&browser, "processes.jit"), "off");
}

#[test]
fn words_go_to_the_engine_that_the_user_chose_and_bangs_to_theirs() {
    let site = titled_site();
    let browser = Browser::headless();
    browser.regen(&["settings", "set", "search.engines", &format!("mine={}", site.url(1, "/find?q=%s"))]).unwrap();
    browser.regen(&["settings", "set", "search.engine", "mine"]).unwrap();
    let tab = browser.open("? example.org two");
    browser.wait_for_url(tab, &site.url(1, "/find?q=example.org+two"));
    browser.regen(&["tab", "goto", &tab.to_string(), "rust !mine", "--wait"]).unwrap();
    browser.wait_for_url(tab, &site.url(1, "/find?q=rust"));
}

#[test]
fn history_is_recorded_only_while_the_user_wants_it() {
    let site = titled_site();
    let browser = Browser::headless();
    browser.open(&site.url(1, "/one"));
    browser.regen(&["settings", "set", "history.record", "off"]).unwrap();
    browser.open(&site.url(1, "/two"));
    browser.regen(&["settings", "set", "history.record", "on"]).unwrap();
    browser.open(&site.url(1, "/three"));
    let listed = browser.json(&["history", "list"])["visits"].to_string();
    assert!(listed.contains("/one") && listed.contains("/three") && !listed.contains("/two"), "{listed}");
}

#[test]
fn a_command_runs_in_the_window_by_its_name_and_by_the_users_keys() {
    let site = titled_site();
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/one")]);
    browser.wait_for_url(1, &site.url(1, "/one"));
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    let count = || browser.status()["tabs"].as_array().unwrap().len();
    browser.regen(&["command", "duplicate-tab"]).unwrap();
    eventually("the duplicate", || (count() == 2).then_some(()));
    browser.regen(&["settings", "set", "shortcuts.duplicate-tab", "Ctrl+Shift+Y"]).unwrap();
    display.xdotool(&["key", "ctrl+shift+y"]);
    eventually("another duplicate", || (count() == 3).then_some(()));
    browser.regen(&["settings", "reset", "shortcuts.duplicate-tab"]).unwrap();
    display.xdotool(&["key", "ctrl+shift+y", "ctrl+w"]);
    eventually("the key to do nothing, and Ctrl+W to close a tab", || (count() == 2).then_some(()));
    let failed = browser.regen(&["command", "no-such"]).unwrap_err();
    assert!(failed.message.contains("invalid value"), "{}", failed.message);
    // Without a window, nothing can run it.
    let failed = Browser::headless().regen(&["command", "new-tab"]).unwrap_err();
    assert!(failed.message.contains("has no window"), "{}", failed.message);
}

#[test]
fn the_command_bar_finds_pages_and_runs_commands() {
    let site = titled_site();
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/first")]);
    browser.wait_for_url(1, &site.url(1, "/first"));
    browser.regen(&["tab", "goto", "1", &site.url(1, "/second"), "--wait"]).unwrap();
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    let types = |words: &str| {
        display.xdotool(&["key", "ctrl+k"]);
        display.xdotool(&["type", "--delay", "30", words]);
        display.xdotool(&["key", "Return"]);
    };
    types("first");
    eventually("the page of the history", || (browser.tab(1)["url"] == site.url(1, "/first")).then_some(()));
    types(">duplicate");
    eventually("the duplicate", || (browser.status()["tabs"].as_array().unwrap().len() == 2).then_some(()));
    types(":sleep");
    let shows = |url: &str| browser.status()["tabs"].as_array().unwrap().iter().any(|tab| tab["url"] == url);
    let shown = within(std::time::Duration::from_secs(20), || shows("regen://settings").then_some(()));
    assert!(shown.is_some(), "{}", browser.status()["tabs"]);
}
