//! Verification that the kernel enforces a role's policy on a running process. It reads `/proc` from outside, and asks
//! neither the process nor the broker.

mod mounts;
mod surroundings;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use serde::Serialize;

use crate::policy::{Namespace, Policy, Resource};
use crate::spawn::{INSIDE_ID, outside_id};

pub use surroundings::Member;

/// Result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Name of the check.
    pub name: &'static str,
    /// Value that the kernel reports.
    pub found: String,
    /// Value that the policy requires; empty if any value is accepted.
    pub wanted: String,
    /// True if the value meets the requirement.
    pub holds: bool,
}

/// Results for one process.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Role of the process.
    pub role: String,
    /// Process id, in the PID namespace of the reader.
    pub pid: i32,
    /// Path of the program.
    pub program: String,
    /// Results of all checks.
    pub checks: Vec<Check>,
    /// Optional restrictions of the policy that this machine cannot enforce.
    pub lacks: Option<String>,
    /// Number of open descriptors, by kind.
    pub descriptors: BTreeMap<String, usize>,
    /// Id of the parent process.
    pub parent: i32,
    /// Control groups, one line each.
    pub cgroup: Vec<String>,
    /// Inode numbers of the namespaces, by name.
    pub namespaces: BTreeMap<String, String>,
    /// Processes of the PID namespace, if the role is jailed.
    pub members: Vec<Member>,
}

impl Report {
    /// Returns whether all checks hold.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

struct Process {
    pid: i32,
    status: BTreeMap<String, String>,
}

impl Process {
    fn read(pid: i32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        let status = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        Ok(Self { pid, status })
    }

    fn field(&self, name: &str) -> &str {
        self.status.get(name).map_or("", String::as_str)
    }

    fn file(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid))
    }

    fn link(&self, name: &str) -> io::Result<String> {
        Ok(fs::read_link(format!("/proc/{}/{name}", self.pid))?.to_string_lossy().into_owned())
    }

    fn parent(&self) -> i32 {
        self.field("PPid").parse().unwrap_or(0)
    }
}

/// Compares one process with its role's policy. `broker` is the process id of the broker, whose namespaces are the
/// machine's.
///
/// # Errors
/// If the process has ended or may not be inspected.
pub fn verify(policy: &Policy, pid: i32, broker: i32) -> io::Result<Report> {
    let process = Process::read(pid)?;
    let mut checks = Vec::new();
    let mut check = |name: &'static str, found: String, wanted: String| {
        let holds = wanted.is_empty() || found == wanted;
        checks.push(Check { name, found, wanted, holds });
    };
    check("Seccomp", process.field("Seccomp").to_owned(), "2".to_owned());
    // A process in a sandbox also has the launcher's filter.
    let is_inside = policy.is_jailed() || ["jail", "dumper"].contains(&policy.role.as_str());
    let filters = if is_inside { "2" } else { "1" };
    check("Seccomp_filters", process.field("Seccomp_filters").to_owned(), filters.to_owned());
    check("NoNewPrivs", process.field("NoNewPrivs").to_owned(), "1".to_owned());
    if is_inside {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            check(set, process.field(set).trim_start_matches('0').to_owned(), String::new());
        }
        let none = checks.iter().filter(|check| check.name.starts_with("Cap")).all(|check| check.found.is_empty());
        checks.retain(|check| !check.name.starts_with("Cap"));
        checks.push(Check {
            name: "capability sets",
            found: if none { "all five empty".to_owned() } else { "not empty".to_owned() },
            wanted: "all five empty".to_owned(),
            holds: none,
        });
    }
    let mut members = Vec::new();
    if policy.is_jailed() {
        checks.extend(jailed(policy, &process, broker)?);
        let (check, all) = surroundings::members(policy, &process)?;
        checks.push(check);
        members = all;
    }
    if policy.role == "dumper" {
        checks.push(leaves_its_role(&process)?);
        checks.extend(limits(policy, &process)?);
    }
    if policy.role != "broker" {
        let (found, wanted) = (descent(&process, broker), "the broker or its descendants");
        checks.push(Check { name: "started by", holds: found == wanted, found, wanted: wanted.to_owned() });
    }
    let mut namespaces = BTreeMap::new();
    for namespace in ALL_NAMESPACES {
        let number = process.link(&format!("ns/{}", namespace.file()))?;
        namespaces.insert(namespace.file().to_owned(), number.trim_matches(|c: char| !c.is_ascii_digit()).to_owned());
    }
    let program = process.link("exe")?;
    let cgroup = process.file("cgroup")?.lines().map(str::to_owned).collect();
    let lacks = crate::landlock::shortfall(policy, crate::sys::landlock_version());
    let descriptors = descriptors(&process)?;
    let (role, parent) = (policy.role.clone(), process.parent());
    Ok(Report { role, pid, program, checks, lacks, descriptors, parent, cgroup, namespaces, members })
}

/// Describes whether a process descends from the broker.
fn descent(process: &Process, broker: i32) -> String {
    let mut parent = process.parent();
    while parent > 1 && parent != broker {
        // The children of a process that has ended belong to the first process, so the search stops there.
        parent = Process::read(parent).map_or(0, |process| process.parent());
    }
    if parent == broker { "the broker or its descendants" } else { "another process" }.to_owned()
}

const ALL_NAMESPACES: [Namespace; 7] = [
    Namespace::User,
    Namespace::Pid,
    Namespace::Net,
    Namespace::Mount,
    Namespace::Ipc,
    Namespace::Uts,
    Namespace::Cgroup,
];

fn jailed(policy: &Policy, process: &Process, broker: i32) -> io::Result<Vec<Check>> {
    let mut checks = Vec::new();
    let mut check = |name: &'static str, found: String, wanted: String| {
        let holds = found == wanted;
        checks.push(Check { name, found, wanted, holds });
    };
    let outside = outside_id(&policy.role).to_string();
    let same = |field: &str| -> String {
        let all: BTreeSet<&str> = process.field(field).split_whitespace().collect();
        all.into_iter().collect::<Vec<_>>().join(" ")
    };
    check("user id outside", same("Uid"), outside.clone());
    let map: Vec<String> = process.file("uid_map")?.split_whitespace().map(str::to_owned).collect();
    // The kernel shows the map relative to the reader's user namespace, which is the broker's.
    check("uid_map", map.join(" "), format!("{INSIDE_ID} {outside} 1"));
    check("id in its PID namespace", inside_id(process), "2 or later".to_owned());
    if let Some(last) = checks.last_mut() {
        last.holds = last.found.parse::<i32>().is_ok_and(|id| id >= 2);
    }
    if let Some(memory) = &policy.memory {
        let found = process.file("oom_score_adj")?.trim().to_owned();
        // A process may raise its score, but not lower it.
        let holds = found.parse::<u16>().is_ok_and(|found| found >= memory.oom_score_adj);
        checks.push(Check { name: "oom_score_adj", found, wanted: format!("{} or more", memory.oom_score_adj), holds });
    }
    checks.push(namespaces(policy, process, broker)?);
    checks.push(mounts::check(policy, process, broker)?);
    checks.push(surroundings::tracer(process));
    checks.extend(surroundings::memory(policy, process));
    // The engine's helpers get their environment from the role's program.
    if process.link("exe")?.ends_with(&format!("/{}", policy.program)) {
        checks.push(surroundings::environment(policy, process)?);
    }
    checks.extend(limits(policy, process)?);
    Ok(checks)
}

/// Checks that a dumper has left its role's network and file view, and has no writable mount outside `/dev`.
fn leaves_its_role(process: &Process) -> io::Result<Check> {
    let mut kept = Vec::new();
    for namespace in [Namespace::Net, Namespace::Mount] {
        let file = format!("ns/{}", namespace.file());
        if process.link(&file)? == fs::read_link(format!("/proc/{}/{file}", process.parent()))?.to_string_lossy() {
            kept.push(format!("the role's {} namespace", namespace.file()));
        }
    }
    for line in process.file("mountinfo")?.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(place), Some(options)) = (fields.get(4), fields.get(5)) else { continue };
        if !place.starts_with("/dev/") && options.split(',').any(|option| option == "rw") {
            kept.push((*place).to_owned());
        }
    }
    let (wanted, found) = ("none", kept.join(", "));
    let found = if found.is_empty() { wanted.to_owned() } else { found };
    Ok(Check { name: "remaining role access", holds: found == wanted, found, wanted: wanted.to_owned() })
}

/// Returns the process id in the process's own PID namespace.
fn inside_id(process: &Process) -> String {
    process.field("NSpid").split_whitespace().last().unwrap_or("").to_owned()
}

fn namespaces(policy: &Policy, process: &Process, broker: i32) -> io::Result<Check> {
    let mut own = Vec::new();
    for namespace in ALL_NAMESPACES {
        let file = format!("ns/{}", namespace.file());
        if process.link(&file)? != fs::read_link(format!("/proc/{broker}/{file}"))?.to_string_lossy() {
            own.push(namespace.file());
        }
    }
    let mut wanted: Vec<&str> = policy.namespaces.new.iter().map(|namespace| namespace.file()).collect();
    own.sort_unstable();
    wanted.sort_unstable();
    let (found, wanted) = (own.join(" "), wanted.join(" "));
    Ok(Check { name: "own namespaces", holds: found == wanted, found, wanted })
}

fn limits(policy: &Policy, process: &Process) -> io::Result<Vec<Check>> {
    let text = process.file("limits")?;
    let mut checks = Vec::new();
    for limit in &policy.limit {
        let (name, line) = match limit.resource {
            Resource::Nofile => ("limit nofile", "Max open files"),
            Resource::Nproc => ("limit nproc", "Max processes"),
            Resource::Core => ("limit core", "Max core file size"),
            Resource::Fsize => ("limit fsize", "Max file size"),
            Resource::Data => ("limit data", "Max data size"),
        };
        let rest = text.lines().find_map(|row| row.strip_prefix(line)).unwrap_or("");
        let hard: Option<u64> = rest.split_whitespace().nth(1).and_then(|hard| hard.parse().ok());
        let found = hard.map_or_else(|| "unlimited".to_owned(), |hard| hard.to_string());
        let holds = hard.is_some_and(|hard| hard <= limit.value);
        checks.push(Check { name, found, wanted: format!("{} or less", limit.value), holds });
    }
    Ok(checks)
}

fn descriptors(process: &Process) -> io::Result<BTreeMap<String, usize>> {
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", process.pid))?.flatten() {
        // A descriptor that was closed meanwhile is skipped.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy();
        let kind = match target.split_once(':') {
            Some(("anon_inode", what)) => what.trim_matches(['[', ']']).to_owned(),
            Some((kind @ ("socket" | "pipe"), _)) => kind.to_owned(),
            _ if target.starts_with("/memfd:") => "memfd".to_owned(),
            _ if target.starts_with("/dev/") => "device".to_owned(),
            _ => "file".to_owned(),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    Ok(kinds)
}

/// Returns the jail of a role's process, which is its parent.
///
/// # Errors
/// If the process has ended.
pub fn jail_of(pid: i32) -> io::Result<i32> {
    Ok(Process::read(pid)?.parent())
}

/// Returns the launcher of a broker, if it is running.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn launcher_of(broker: i32) -> io::Result<Option<i32>> {
    child_of(broker, "regen-broker")
}

/// Returns the dumper beside a role, if it is running. It ends after a crash.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn dumper_of(jail: i32) -> io::Result<Option<i32>> {
    child_of(jail, "regen-jail")
}

fn child_of(parent: i32, name: &str) -> io::Result<Option<i32>> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // A process that ended meanwhile is skipped.
        let Ok(process) = Process::read(pid) else { continue };
        if process.parent() == parent && process.field("Name") == name {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}
