//! `regen crashes`: shows and exports crash reports, read from the profile.

use std::path::Path;

use regen_broker::profile::Profile;
use regen_crash_reports::{self as crash_reports, Crash};
use serde_json::json;

use crate::arguments::{CrashesCommand, Output};
use crate::client::Failure;
use crate::render::print_json;

pub(crate) fn run(folder: Option<&Path>, command: CrashesCommand, output: Output) -> Result<(), Failure> {
    let profile = Profile::find(folder)?;
    let (all, unreadable) = crash_reports::list(profile.root())?;
    unreadable.iter().for_each(|line| eprintln!("regen: cannot read {line}"));
    match command {
        CrashesCommand::List => list(&all, output),
        CrashesCommand::Show { id } => show(find(&all, &id)?, output),
        CrashesCommand::Export { id, minidump: true, output: path } => {
            let crash = find(&all, &id)?;
            if let Some(why) = crash.minidump.strip_prefix("none: ") {
                return Err(Failure::NotFound(format!("{} has no minidump: {why}", crash.id)));
            }
            std::fs::copy(crash_reports::folder(profile.root()).join(&crash.minidump), &path)
                .map_err(|error| Failure::Other(format!("cannot write {}: {error}", path.display())))?;
            print_path(&path, output);
        }
        CrashesCommand::Export { id, minidump: false, output: path } => {
            let crash = find(&all, &id)?;
            let text = serde_json::to_string_pretty(crash).map_err(|error| Failure::Other(error.to_string()))?;
            std::fs::write(&path, text + "\n")
                .map_err(|error| Failure::Other(format!("cannot write {}: {error}", path.display())))?;
            print_path(&path, output);
        }
    }
    Ok(())
}

/// Prints where a file was written.
fn print_path(path: &Path, output: Output) {
    match output {
        Output::Json => print_json(&json!({ "path": path })),
        Output::Text => println!("{}", path.display()),
    }
}

/// Finds a report by its ID or by `last`.
fn find<'a>(all: &'a [Crash], id: &str) -> Result<&'a Crash, Failure> {
    let found = if id == "last" { all.last() } else { all.iter().find(|crash| crash.id == id) };
    found.ok_or_else(|| Failure::NotFound(format!("there is no crash report “{id}”: `regen crashes list` shows them")))
}

fn list(all: &[Crash], output: Output) {
    if output == Output::Json {
        print_json(&json!(all));
        return;
    }
    for Crash { id, site, reason, .. } in all {
        println!("{id}  {}  {reason}", site.as_deref().unwrap_or("–"));
    }
    if all.is_empty() {
        println!("no crash reports");
    }
}

fn show(crash: &Crash, output: Output) {
    if output == Output::Json {
        print_json(&json!(crash));
        return;
    }
    let Crash { id, time, role, site, pid, reason, state, crashes_before, lived_s, resources, minidump, build, .. } =
        crash;
    println!("{id}\n{role} {} · process {pid} · {build}", site.as_deref().unwrap_or(""));
    println!("died at {time} after {lived_s:.1} s in state {state}; {crashes_before} earlier crashes");
    println!("reason: {reason}");
    if let Some(call) = &crash.refused_call {
        println!("last refused system call: {call}");
    }
    println!(
        "memory {} MB · {} helpers · {} threads · {} descriptors",
        resources.resident_kb >> 10,
        resources.helpers,
        resources.threads,
        resources.descriptors
    );
    println!("minidump: {minidump}");
    if crash.log.is_empty() {
        println!("its log is empty");
    } else {
        println!("last lines of its log:");
        crash.log.iter().for_each(|line| println!("  {line}"));
    }
}
