//! Runs the chrome's own tests: its real files in Debian's Chromium, with messages that the bridge really sends,
//! checked by axe.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::Command;

#[test]
fn the_chrome_passes_its_tests_in_a_browser() {
    let said = run("chrome-ui", "node", &["--test", "--test-reporter=spec"]);
    assert!(said.contains("pass"), "no test ran: {said}");
}

#[test]
fn the_chromes_scripts_agree_with_the_types_of_the_bridge() {
    let said = run("../ui-shell/web", "npm", &["run", "check"]);
    assert!(said.contains("0 errors"), "nothing was checked: {said}");
}

/// Runs a command in a folder beside the tests, and returns its output once it has succeeded.
#[expect(clippy::disallowed_methods, reason = "runs the chrome's own tests")]
fn run(folder: &str, program: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.expect("Node.js is installed by ./x setup");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}
