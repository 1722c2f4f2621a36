//! Builds the chrome's scripts and styles out of `web/`, for which Node.js is needed.
#![expect(clippy::disallowed_methods, reason = "runs while the program is built, not in it")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for input in ["src", "build.mjs", "index.html", "style.css", "package-lock.json"] {
        println!("cargo:rerun-if-changed=web/{input}");
    }
    let web = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("web");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("web");
    if !web.join("node_modules").exists() {
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&web))?;
    }
    run(Command::new("node").arg("build.mjs").arg(&out).current_dir(&web))
}

fn run(command: &mut Command) -> Result<(), Box<dyn std::error::Error>> {
    let words = format!("{command:?}");
    let status = command.status().map_err(|error| format!("{words}: {error}: install Node.js with `./x setup`"))?;
    if status.success() { Ok(()) } else { Err(format!("{words} failed: {status}").into()) }
}
