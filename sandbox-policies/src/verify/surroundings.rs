//! Surroundings of a process: its tracer, the other processes in its namespaces, its environment and its memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use serde::Serialize;

use super::{Check, Process};
use crate::DISPLAY_FOLDER;
use crate::policy::{MountKind, Namespace, Policy};

/// A process in the PID namespace of a verified process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Process id, in the PID namespace of the reader.
    pub pid: i32,
    /// Name of the process, which it can change itself.
    pub name: String,
    /// Id of the parent process.
    pub parent: i32,
}

/// Namespaces that only a jail and its descendants may be in.
const OWN: [Namespace; 5] = [Namespace::Pid, Namespace::Mount, Namespace::Net, Namespace::Ipc, Namespace::User];

/// Checks that nothing traces a process.
pub(super) fn tracer(process: &Process) -> Check {
    let tracer = process.field("TracerPid");
    let found = match tracer.parse::<i32>().ok().filter(|pid| *pid > 0) {
        None => "no process".to_owned(),
        Some(pid) => {
            let name = Process::read(pid).map(|tracer| tracer.field("Name").to_owned()).unwrap_or_default();
            format!("process {pid} ({name})")
        }
    };
    Check { name: "traced by", holds: found == "no process", found, wanted: "no process".to_owned() }
}

/// Compares the environment of a role's own program with the policy.
pub(super) fn environment(policy: &Policy, process: &Process) -> io::Result<Check> {
    let text = process.file("environ")?;
    let found: BTreeMap<&str, &str> = text.split('\0').filter_map(|pair| pair.split_once('=')).collect();
    let wrong = wrong_variables(policy, &found);
    let wanted = "as in the policy";
    let found = if wrong.is_empty() { format!("{} variables, {wanted}", found.len()) } else { wrong.join("; ") };
    Ok(Check { name: "environment", holds: wrong.is_empty(), found, wanted: wanted.to_owned() })
}

fn wrong_variables(policy: &Policy, found: &BTreeMap<&str, &str>) -> Vec<String> {
    let has_display = policy.mount.iter().any(|rule| rule.kind == MountKind::Display);
    let mut wrong = Vec::new();
    for (name, value) in found {
        match policy.env.iter().find(|env| env.name == **name) {
            None if has_display && is_of_display(name, value) => {}
            None => wrong.push(format!("{name} is in no rule")),
            Some(env) if env.value.as_deref().is_some_and(|wanted| wanted != *value) => {
                wrong.push(format!("{name} is “{value}”"));
            }
            Some(_) => {}
        }
    }
    let missing = policy.env.iter().filter(|env| env.value.is_some() && !found.contains_key(env.name.as_str()));
    wrong.extend(missing.map(|env| format!("{} is missing", env.name)));
    wrong
}

/// Returns whether the jail sets this variable to such a value for a role that is granted the display.
fn is_of_display(name: &str, value: &str) -> bool {
    match name {
        "GDK_BACKEND" => ["wayland", "x11"].contains(&value),
        "WAYLAND_DISPLAY" => value == format!("{DISPLAY_FOLDER}/wayland-0"),
        "XAUTHORITY" => value == format!("{DISPLAY_FOLDER}/xauthority"),
        "DISPLAY" => value.strip_prefix(':').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())),
        _ => false,
    }
}

/// Compares the resident memory of one process with the limit of its whole role.
pub(super) fn memory(policy: &Policy, process: &Process) -> Option<Check> {
    let limit = policy.memory.as_ref()?.resident >> 20;
    let found = process.field("VmRSS").trim_end_matches(" kB").parse::<u64>().ok()? >> 10;
    let (holds, wanted) = (found <= limit, format!("{limit} MB or less"));
    Some(Check { name: "resident memory", holds, found: format!("{found} MB"), wanted })
}

/// Checks that only the jail and its descendants are in the namespaces of a jailed process. Also returns all processes
/// of its PID namespace.
pub(super) fn members(policy: &Policy, process: &Process) -> io::Result<(Check, Vec<Member>)> {
    let mut shared = BTreeMap::new();
    for namespace in OWN.iter().filter(|namespace| policy.namespaces.new.contains(namespace)) {
        shared.insert(namespace.file(), process.link(&format!("ns/{}", namespace.file()))?);
    }
    let jail = first_of_namespace(process.pid);
    let (mut members, mut foreign) = (Vec::new(), BTreeSet::new());
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let link = |namespace: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).ok();
        let shares: Vec<&str> = shared
            .iter()
            .filter(|(namespace, its)| link(namespace).is_some_and(|link| link.to_string_lossy() == its.as_str()))
            .map(|(namespace, _)| *namespace)
            .collect();
        if shares.is_empty() {
            continue;
        }
        // A process that ended meanwhile is skipped.
        let Ok(other) = Process::read(pid) else { continue };
        let (name, parent) = (other.field("Name").to_owned(), other.parent());
        if !descends_from(pid, jail) {
            foreign.insert(format!("process {pid} ({name}), started by {parent}, is in its {}", shares.join(", ")));
        }
        if shares.contains(&Namespace::Pid.file()) {
            members.push(Member { pid, name, parent });
        }
    }
    let wanted = "its jail and the jail's descendants";
    let found = if foreign.is_empty() { wanted.to_owned() } else { foreign.into_iter().collect::<Vec<_>>().join("; ") };
    Ok((Check { name: "namespace members", holds: found == wanted, found, wanted: wanted.to_owned() }, members))
}

/// Returns the first process of the PID namespace that a process is in.
fn first_of_namespace(pid: i32) -> i32 {
    let mut at = pid;
    // A process is never its own ancestor, and the search stops at one that has ended, so the loop ends.
    while let Ok(process) = Process::read(at)
        && process.field("NSpid").split_whitespace().last() != Some("1")
        && process.parent() > 0
    {
        at = process.parent();
    }
    at
}

fn descends_from(pid: i32, ancestor: i32) -> bool {
    let mut at = pid;
    while at > 1 {
        if at == ancestor {
            return true;
        }
        at = Process::read(at).map_or(0, |process| process.parent());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_of_the_policy_and_of_a_display_that_it_has() {
        let of = |role: &str, more: &[(&'static str, &'static str)]| {
            let policy = Policy::of(role).unwrap();
            let set = policy.env.iter().filter_map(|env| Some((env.name.as_str(), env.value.as_deref()?)));
            wrong_variables(&policy, &set.chain(more.iter().copied()).collect())
        };
        let (x11, backend) = (("DISPLAY", ":77"), ("GDK_BACKEND", "x11"));
        assert_eq!(of("ui-shell", &[]), Vec::<String>::new());
        assert_eq!(of("ui-shell", &[x11, backend]), Vec::<String>::new());
        assert_eq!(of("agent-daemon", &[x11]), ["DISPLAY is in no rule"], "it has no display");
        assert_eq!(of("ui-shell", &[("DISPLAY", "elsewhere.test:0")]), ["DISPLAY is in no rule"]);
        assert_eq!(of("ui-shell", &[("LD_PRELOAD", "/tmp/x.so")]), ["LD_PRELOAD is in no rule"]);
        assert_eq!(of("ui-shell", &[("XAUTHORITY", "/etc/passwd")]), ["XAUTHORITY is in no rule"]);
    }
}
