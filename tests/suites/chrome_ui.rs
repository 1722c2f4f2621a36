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
#[expect(clippy::disallowed_methods, reason = "runs the chrome's own tests")]
fn the_chrome_passes_its_tests_in_a_browser() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("chrome-ui");
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec"])
        .current_dir(folder)
        .output()
        .expect("node is installed by ./x setup");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("pass"), "no test ran: {said}");
}
