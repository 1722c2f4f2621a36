//! Compares verdicts with those of uBlock Origin's own engine, on requests made from its lists' rules.
//!
//! Known differences: the `adblock` crate skips rules with options that it does not support (`strict1p`, `strict3p`,
//! `to=`), and treats exceptions with `redirect-rule` as exceptions from blocking. A bare host name matches that host
//! here, and text anywhere in a URL there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use regen_tests::Browser;
use serde_json::Value;

/// Minimum share of requests per list with the same verdict, in percent.
const AGREEMENT: f64 = 99.5;

#[derive(Default)]
struct Tally {
    requests: usize,
    /// Requests blocked only by Regen.
    more: usize,
    /// Requests blocked only by the other engine.
    fewer: usize,
}

fn lines(text: &[u8]) -> Vec<Value> {
    std::str::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "runs another engine")]
fn verdicts_are_those_of_another_engine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("agreement");
    let output =
        Command::new("node").args(["expected.js", regen_sandbox::UBLOCK]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = lines(&output.stdout);
    assert!(expected.len() >= 2000, "{}", expected.len());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &output.stdout).unwrap();
    let browser = Browser::headless();
    // Strict, because balanced never blocks a site's requests to itself.
    browser.regen(&["shields", "level", "strict"]).unwrap();
    let said = browser.command(&["shields", "test", "--requests", file.path().to_str().unwrap()]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = lines(&said.stdout);
    assert_eq!(said.len(), expected.len());
    let mut tallies = BTreeMap::<&str, Tally>::new();
    let mut differences = String::new();
    for (theirs, ours) in expected.iter().zip(&said) {
        let tally = tallies.entry(theirs["list"].as_str().unwrap()).or_default();
        tally.requests += 1;
        match (ours["blocked"] == true, theirs["blocked"] == true) {
            (true, false) => tally.more += 1,
            (false, true) => tally.fewer += 1,
            _ => continue,
        }
        let of = |verdict: &Value| format!("{} {}", verdict["blocked"], verdict["rule"]);
        let (kind, page, url) = (&theirs["type"], &theirs["page"], &theirs["url"]);
        let _ = writeln!(differences, "{kind} {page} {url}: here {}, there {}", of(ours), of(theirs));
    }
    println!("{differences}");
    let mut too_few = Vec::new();
    for (list, Tally { requests, more, fewer }) in &tallies {
        #[expect(clippy::cast_precision_loss, reason = "there are only thousands")]
        let agreement = 100.0 * (requests - more - fewer) as f64 / *requests as f64;
        println!("{list}: {agreement:.1} % of {requests} agree; {more} blocked only here, {fewer} only there");
        if agreement < AGREEMENT {
            too_few.push(list);
        }
    }
    assert!(too_few.is_empty(), "{too_few:?} differ too often");
    assert_eq!(tallies["harmless"].more, 0);
}
