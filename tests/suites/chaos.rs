//! Crash-injection campaigns, as a CI job runs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use regen_tests::Browser;
use regen_tests::window::Display;
use tempfile::TempDir;

/// Of the same seed, so that what fails here fails again.
const SEED: &str = "1";
const FAULTS: usize = 200;

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
    // What went wrong is in the records, whatever the exit code.
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
    // What was done is not done again, and a budget that cannot be kept fails.
    let again = [&["chaos", "run", scenario], &options[2..4], &["--budget", "p50=1ms"]].concat();
    let failed = regen().regen(&again).unwrap_err();
    assert_eq!(failed.code, 1);
    assert_eq!(std::fs::read_to_string(&records).unwrap().lines().count(), 7);
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
    // The control: without a display there is no such campaign.
    let none = regen().regen(&["chaos", "random", "--roles", "ui-shell", "--faults", "1"]).unwrap_err();
    assert_eq!(none.code, 2, "{none:?}");
}
