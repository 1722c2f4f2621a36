//! Facts about processes, read from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;

use rustix::process::{Pid, Signal};

/// Returns a field of `/proc/PID/status`.
#[must_use]
pub fn status_field(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::trim));
    value.map(str::to_owned)
}

/// Returns whether a process exists and is not a zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    status_field(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

/// Returns the identity of one of a process's namespaces.
#[must_use]
pub fn namespace(pid: i32, kind: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a namespace").to_string_lossy().into_owned()
}

/// Returns every descendant of `root`, with its name.
#[must_use]
pub fn descendants(root: i32) -> BTreeMap<i32, String> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if let (Some(parent), Some(name)) = (status_field(pid, "PPid"), status_field(pid, "Name")) {
            parents.insert(pid, (parent.parse::<i32>().unwrap_or(0), name));
        }
    }
    let mut found = BTreeMap::new();
    loop {
        let before = found.len();
        for (pid, (parent, name)) in &parents {
            if *parent == root || found.contains_key(parent) {
                found.insert(*pid, name.clone());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Kills a process that the test started, if there is one, and waits until it is gone.
pub fn kill(process: &mut Option<Child>) {
    if let Some(mut process) = process.take() {
        signal(i32::try_from(process.id()).expect("a process id"), Signal::KILL);
        let _ = process.wait();
    }
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: i32, signal: Signal) {
    // The process may already have ended.
    let _ = rustix::process::kill_process(Pid::from_raw(pid).expect("a process id"), signal);
}

/// Returns the processor time that a process has used, in hundredths of a second.
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn cpu_ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u64> = after_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    fields[11] + fields[12]
}

/// Returns the proportional set size (PSS) of a process, MB.
#[must_use]
pub fn pss(pid: i32) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a process");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
