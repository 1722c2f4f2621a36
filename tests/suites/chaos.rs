//! Fault-injection campaigns (`regen chaos`), as a CI job runs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use regen_tests::process::{is_alive, signal};
use regen_tests::site::Answer;
use regen_tests::window::Display;
use regen_tests::{Browser, DEADLINE, Site, eventually, within};
use rustix::process::Signal;
use tempfile::TempDir;

/// A fixed seed, so that failures can be reproduced.
const SEED: &str = "1";
const FAULTS: usize = 200;

/// Number of times a busy browser is killed, unless `REGEN_KILLS` is set.
const KILLS: u64 = 20;
/// Maximum number of user actions before a kill.
const BUSY: u64 = 20;
/// Maximum number of open tabs.
const MAX_TABS: usize = 8;

fn regen() -> Browser {
    Browser::not_started(&["--headless"]).without_profile()
}

#[test]
fn two_hundred_faults_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let records = folder.path().join("chaos.jsonl");
    let faults = FAULTS.to_string();
    let outcome = regen().regen(&[
        "--json",
        "chaos",
        "random",
        "--seed",
        SEED,
        "--faults",
        &faults,
        "--resume",
        records.to_str().unwrap(),
    ]);
    // Violations are in the records, whatever the exit code is.
    let text = std::fs::read_to_string(&records).unwrap();
    let wrong: Vec<&str> = text.lines().filter(|line| !line.contains("\"violations\":[]")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let report: serde_json::Value = serde_json::from_str(&outcome.unwrap()).unwrap();
    assert_eq!((&report["holds"], &report["faults"]), (&true.into(), &FAULTS.into()));
    let pairs = report["by_role_and_fault"].as_array().unwrap().len();
    assert!(pairs > 50, "{pairs} pairs of a role and a fault");
}

#[test]
fn a_scenario_is_carried_out_reported_and_held_to_its_budget() {
    let folder = TempDir::new().unwrap();
    let junit = folder.path().join("chaos.xml");
    let records = folder.path().join("chaos.jsonl");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/a-bad-day.toml");
    let options = ["--junit", junit.to_str().unwrap(), "--resume", records.to_str().unwrap(), "--budget", "max=20s"];
    let report = regen().json(&[&["chaos", "run", scenario], options.as_slice()].concat());
    assert_eq!((&report["holds"], &report["faults"]), (&true.into(), &7.into()), "{report:#}");
    let cases = std::fs::read_to_string(&junit).unwrap();
    assert_eq!((cases.matches("<testcase ").count(), cases.matches("<failure").count()), (8, 0), "{cases}");
    // Resuming skips the recorded steps, and an exceeded budget is a failure.
    let again = [&["chaos", "run", scenario], &options[2..4], &["--budget", "p50=1ms"]].concat();
    let failed = regen().regen(&again).unwrap_err();
    assert_eq!(failed.code, 1);
    assert_eq!(std::fs::read_to_string(&records).unwrap().lines().count(), 7);
    for word in ["regen.version", "kernel", "timestamp=", "time="] {
        assert!(cases.contains(word), "{word}: {cases}");
    }
    let wrong = regen().regen(&["chaos", "run", scenario, "--junit", "/nowhere/chaos.xml"]).unwrap_err();
    assert!(wrong.code == 2 && wrong.message.contains("/nowhere/chaos.xml"), "{}", wrong.message);
    // A profile without a running browser is an error, and no browser is started for it.
    let nobody = folder.path().join("nobody");
    let wrong = regen().regen(&["chaos", "run", scenario, "--attack-profile", nobody.to_str().unwrap()]).unwrap_err();
    assert!(wrong.code == 3 && !nobody.exists(), "{}", wrong.message);
    let wrong = regen().regen(&["chaos", "random", "--budget", "soon"]).unwrap_err();
    assert!(wrong.code == 2 && wrong.message.contains("p95=800ms"), "{}", wrong.message);
    let wrong = regen().regen(&["chaos", "run", "/there/is/none.toml"]).unwrap_err();
    assert_eq!(wrong.code, 4, "{}", wrong.message);
}

#[test]
fn the_window_dies_in_every_way_and_no_page_notices() {
    let display = Display::start(1400, 900);
    let browser = regen().with_variable("DISPLAY", &display.name());
    let report = browser.json(&["chaos", "random", "--window", "--roles", "ui-shell", "--faults", "13"]);
    assert_eq!((&report["holds"], &report["faults"]), (&true.into(), &13.into()), "{report:#}");
    // Control: without a display, the window cannot be attacked.
    let none = regen().regen(&["chaos", "random", "--roles", "ui-shell", "--faults", "1"]).unwrap_err();
    assert_eq!(none.code, 2, "{none:?}");
}

/// Tabs that must survive: their addresses, by id, that were saved and have not changed since.
type TextByTab = BTreeMap<u64, String>;

/// Runs a random user action. Returns `None` when the browser has been killed.
fn do_something(browser: &Browser, site: &Site, kept: &mut TextByTab, random: &mut fastrand::Rng) -> Option<()> {
    let tabs = browser.regen(&["--json", "tab", "list"]).ok()?;
    let tabs: serde_json::Value = serde_json::from_str(&tabs).unwrap();
    let tabs: TextByTab =
        tabs.as_array().unwrap().iter().map(|tab| (id(tab), tab["url"].as_str().unwrap().into())).collect();
    let url = site.url(1, &format!("/{}", random.u32(..)));
    let any = random.choice(tabs.keys()).copied();
    match (random.u8(0..6), any) {
        (0, _) => {
            browser.regen(&["session", "save"]).ok()?;
            *kept = tabs;
        }
        (1, Some(tab)) => drop(browser.regen(&["tab", "activate", &tab.to_string()]).ok()?),
        (2, Some(tab)) => {
            kept.remove(&tab);
            browser.regen(&["tab", "goto", &tab.to_string(), &url, "--wait"]).ok()?;
        }
        (3, Some(tab)) if tabs.len() > 2 => {
            kept.remove(&tab);
            browser.regen(&["tab", "close", &tab.to_string()]).ok()?;
        }
        _ if tabs.len() < MAX_TABS => drop(browser.regen(&["tab", "open", &url]).ok()?),
        _ => {}
    }
    Some(())
}

fn id(tab: &serde_json::Value) -> u64 {
    tab["id"].as_u64().unwrap()
}

#[test]
fn a_busy_browser_that_is_killed_anywhere_opens_its_store_every_time() {
    let site = Site::serve(|_| Some(Answer::page("<title>t</title><p>here")));
    let browser = Browser::headless();
    browser.open(&site.url(1, "/first"));
    let kills = std::env::var("REGEN_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (mut kept, mut sure) = (TextByTab::new(), 0);
    for kill in 0..kills {
        let mut random = fastrand::Rng::with_seed(kill);
        let broker = browser.broker();
        // The kill may hit any point of an action.
        let (begun, enough) = (AtomicU64::new(0), random.u64(1..=BUSY));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                within(DEADLINE * 6, || (begun.load(Ordering::SeqCst) >= enough).then_some(()));
                signal(broker, Signal::KILL);
            });
            while do_something(&browser, &site, &mut kept, &mut random).is_some() {
                begun.fetch_add(1, Ordering::SeqCst);
            }
        });
        assert!(begun.load(Ordering::SeqCst) >= enough, "kill {kill}: the browser died before it was killed");
        eventually("the broker to be gone", || (!is_alive(broker)).then_some(()));
        browser.start();
        let files = std::fs::read_dir(browser.profile()).unwrap().flatten();
        let aside = files.map(|file| file.file_name()).find(|name| name.to_string_lossy().contains("unreadable"));
        assert_eq!(aside, None, "kill {kill}");
        browser.regen(&["session", "restore"]).unwrap();
        let status = browser.status();
        let tabs: Vec<(u64, &str)> =
            status["tabs"].as_array().unwrap().iter().map(|tab| (id(tab), tab["url"].as_str().unwrap())).collect();
        for url in kept.values() {
            assert!(tabs.iter().any(|(_, other)| other == url), "kill {kill}: {url} is not in {tabs:?}");
        }
        sure += kept.len();
        // Restored tabs have new ids.
        kept = tabs
            .into_iter()
            .filter(|(_, url)| kept.values().any(|kept| kept == url))
            .map(|(id, url)| (id, url.into()))
            .collect();
    }
    assert!(sure > 0, "control: no tab was ever saved");
}
