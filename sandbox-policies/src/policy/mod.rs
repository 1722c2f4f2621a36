//! Policy files: the rights of every process, with a reason for each rule. Unknown keys, system calls and constants,
//! missing reasons and duplicates are errors that name the file and the line.
//!
//! `read` parses the files, `check` rejects unclear rules, `compare` finds the differences between two policies, and
//! `shipped` contains the files that are compiled in.

mod check;
mod compare;
mod error;
mod place;
mod read;
mod shipped;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use compare::{Difference, differences, looser};
pub use error::PolicyError;
pub use place::{Place, RuleAt};
use shipped::load;
pub use shipped::{ADMINISTRATORS, ROLES, SCHEMA, all};

/// Policy of one role.
#[derive(Debug, Clone, Serialize)]
pub struct Policy {
    /// Name of the role, the same as that of its file.
    pub role: String,
    /// Summary for auditors, in one sentence.
    pub summary: String,
    /// SHA-256 of the policy's files, one after the other: the included files, then its own.
    pub sha256: String,
    /// File name of the role's program, which is in the folder of the broker's program.
    pub program: String,
    /// Roles whose processes inherit this role's filter, which therefore allows what any of them may do.
    pub superset: Vec<String>,
    /// Maximum number of system calls that the role may be allowed.
    pub budget: u32,
    /// Landlock ABI version that enforces the whole policy; 0 if the role enters no domain.
    pub landlock_abi: u8,
    /// Oldest Landlock ABI version that is accepted. Rules that it cannot enforce are reported.
    pub landlock_minimum: u8,
    /// New namespaces of the role.
    pub namespaces: Namespaces,
    /// Memory limit and out-of-memory score; `None` for a process in the machine's own file view.
    pub memory: Option<Memory>,
    /// Complete file view, in mount order.
    pub mount: Vec<RuleAt<Mount>>,
    /// TCP ports that may be used.
    pub tcp: Vec<RuleAt<Tcp>>,
    /// System calls that are allowed.
    pub allow: Vec<RuleAt<Allow>>,
    /// System calls that are known to be tried, and are refused without a notification.
    pub refuse: Vec<RuleAt<Refuse>>,
    /// Complete environment.
    pub env: Vec<RuleAt<Env>>,
    /// Resource limits, soft and hard.
    pub limit: Vec<RuleAt<Limit>>,
}

/// Namespaces that a child does not share with the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Namespaces {
    /// Kinds of namespaces.
    pub new: Vec<Namespace>,
    /// Reason for this choice.
    pub reason: String,
}

/// Memory of a role, and its rank when the machine runs out of memory. The limits restrict the memory of one process,
/// and the sizes of the tmpfs mounts restrict files in memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Out-of-memory score, from 0 to 1000. The higher it is, the sooner the kernel ends the process.
    pub oom_score_adj: u16,
    /// Maximum memory of all processes of a sandbox, in bytes (proportional set size). The broker ends them beyond it.
    pub resident: u64,
    /// Reason for these values.
    pub reason: String,
}

/// JavaScript mode of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// JavaScript is compiled to machine code. This is the default.
    Jit,
    /// JavaScript is interpreted, and the kernel refuses memory for machine code (`regen --jitless`).
    Jitless,
}

/// Kind of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the kernel's own names")]
pub enum Namespace {
    User,
    Pid,
    Net,
    Mount,
    Ipc,
    Uts,
    Cgroup,
}

impl Namespace {
    /// Returns the file name of the namespace under `/proc/PID/ns`.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Pid => "pid",
            Self::Net => "net",
            Self::Mount => "mnt",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Cgroup => "cgroup",
        }
    }
}

/// Entry of the file view.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Kind of the entry.
    pub kind: MountKind,
    /// Path outside the sandbox, or the target of a symlink. `{bin}`, `{multiarch}` and `{ublock}` are replaced.
    #[serde(default)]
    pub path: String,
    /// Path inside the sandbox; the same as `path` if not given.
    #[serde(default)]
    pub at: Option<String>,
    /// Maximum size of a tmpfs, such as `256M`.
    #[serde(default)]
    pub size: Option<String>,
    /// Files that may be executed, relative to the entry; `.` is the entry itself. No other file may be executed.
    #[serde(default)]
    pub execute: Vec<String>,
    /// True if the source may be missing on a machine.
    #[serde(default)]
    pub optional: bool,
    /// Reason why the role needs it.
    pub reason: String,
}

/// Kind of a file view entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// Folder or file of the machine: read-only, no setuid, no devices.
    ReadOnly,
    /// Program or library of Regen: read-only.
    File,
    /// Symbolic link.
    Symlink,
    /// Storage of the site or role: writable, without execution.
    Bucket,
    /// Files that the user chose for the site's pages, provided by the broker: read-only.
    Chosen,
    /// Certificate authorities of the profile, mounted over the machine's; absent if the profile adds none.
    CaBundle,
    /// Private memory: writable, without execution.
    Tmpfs,
    /// Device nodes null, zero, full, random and urandom.
    Devices,
    /// `/proc` of the child's own PID namespace.
    Proc,
    /// Socket of the user's display server.
    Display,
}

/// TCP port that may be used.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Port to which the role may bind.
    #[serde(default)]
    pub bind: Option<u16>,
    /// Port to which the role may connect; `any` is every port.
    #[serde(default)]
    pub connect: Option<Ports>,
    /// Reason why the role needs it.
    pub reason: String,
}

/// A single port, or every port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Ports {
    /// Every port.
    Any,
    /// A single port.
    #[serde(untagged)]
    One(u16),
}

/// System calls that are allowed for the same reason.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Names of the system calls.
    pub calls: Vec<String>,
    /// Conditions on the arguments, all of which must hold.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Maximum number of times that each call is allowed, counted by the broker for each child.
    #[serde(default)]
    pub times: Option<u32>,
    /// Mode in which the rule applies; both if not given.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Reason why the role needs them.
    pub reason: String,
}

/// System calls that are refused without a notification.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// Names of the system calls.
    pub calls: Vec<String>,
    /// Conditions on the arguments, all of which must hold.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Error that the caller gets, such as `EPERM`.
    pub errno: String,
    /// Reason why the refusal is harmless, and the code that makes the calls.
    pub reason: String,
}

/// Condition on one argument: `is`, or `one_of`, or `has` and `lacks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Index of the argument, from 0.
    pub arg: u32,
    /// Exact value.
    #[serde(default)]
    pub is: Option<Value>,
    /// Accepted values.
    #[serde(default)]
    pub one_of: Vec<Value>,
    /// Bits that must all be set.
    #[serde(default)]
    pub has: Option<Value>,
    /// Bits that must all be clear.
    #[serde(default)]
    pub lacks: Option<Value>,
}

/// Number, or constants of the C library joined with `|`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
#[expect(missing_docs, reason = "the names are self-explanatory")]
pub enum Value {
    Number(u64),
    Name(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arg = self.arg;
        if let Some(value) = &self.is {
            return write!(f, "argument {arg} is {value}");
        }
        match (&self.has, &self.lacks) {
            (Some(has), Some(lacks)) => return write!(f, "argument {arg} has {has} and none of {lacks}"),
            (Some(has), None) => return write!(f, "argument {arg} has {has}"),
            (None, Some(lacks)) => return write!(f, "argument {arg} has none of {lacks}"),
            (None, None) => {}
        }
        let names: Vec<String> = self.one_of.iter().map(ToString::to_string).collect();
        write!(f, "argument {arg} is {}", names.join(" or "))
    }
}

/// Environment variable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Env {
    /// Name of the variable.
    pub name: String,
    /// Value of the variable; if not given, the user's own value is passed on if there is one.
    #[serde(default)]
    pub value: Option<String>,
    /// Mode in which the rule applies; both if not given.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Reason why the role needs it.
    pub reason: String,
}

/// Resource limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Resource that is limited.
    pub resource: Resource,
    /// Value of the soft and the hard limit.
    pub value: u64,
    /// Reason for this value.
    pub reason: String,
}

/// Resource that can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the kernel's own names")]
pub enum Resource {
    Nofile,
    Nproc,
    Core,
    Fsize,
    Data,
}

/// Program that runs in a role's sandbox instead of the role's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Path of the program, the same inside and outside the sandbox.
    pub program: PathBuf,
    /// Arguments of the program, without its own name.
    pub arguments: Vec<String>,
    /// Further files for its file view, read-only, at the same path as outside.
    pub files: Vec<PathBuf>,
    /// True if the guest runs instead of the dumper beside the role. It then enters the dumper's filter itself.
    pub as_dumper: bool,
}

impl Mount {
    /// Returns the path of the entry inside the sandbox.
    #[must_use]
    pub fn target(&self) -> &str {
        self.at.as_deref().unwrap_or(&self.path)
    }
}

impl Policy {
    /// Returns the policy of a role for [`Mode::Jit`]: the shipped one, or an administrator's stricter one.
    ///
    /// # Errors
    /// If the role is unknown or a policy file is invalid.
    pub fn of(role: &str) -> Result<Self, PolicyError> {
        Self::in_mode(role, Mode::Jit)
    }

    /// Returns the policy of a role for a given mode: the shipped one, or an administrator's stricter one.
    ///
    /// # Errors
    /// If the role is unknown or a policy file is invalid.
    pub fn in_mode(role: &str, mode: Mode) -> Result<Self, PolicyError> {
        Ok(load(role)?.only(mode))
    }

    /// Removes the rules of the other mode.
    fn only(mut self, mode: Mode) -> Self {
        let fits = |wanted: Option<Mode>| wanted.is_none_or(|wanted| wanted == mode);
        self.allow.retain(|rule| fits(rule.mode));
        self.env.retain(|rule| fits(rule.mode));
        self
    }

    /// Replaces the role's program in the file view with a guest's files.
    #[must_use]
    pub fn with_guest(mut self, guest: &Guest) -> Self {
        let place = Place { file: "the command line".to_owned(), line: 1 };
        let own = format!("/regen/{}", self.program);
        self.mount.retain(|mount| mount.target() != own);
        for file in std::iter::once(&guest.program).chain(&guest.files) {
            let path = file.to_string_lossy().into_owned();
            if self.mount.iter().any(|mount| mount.target() == path) {
                continue;
            }
            let reason = "given for the guest".to_owned();
            let execute = vec![".".to_owned()];
            let rule =
                Mount { kind: MountKind::ReadOnly, path, at: None, size: None, execute, optional: false, reason };
            self.mount.push(RuleAt { rule, place: place.clone() });
        }
        self
    }

    /// Parses and checks a policy. It may include the shared files that are compiled in. `file` names it in errors.
    ///
    /// # Errors
    /// If the policy is invalid. The error names the file, and the line if it is known.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let policy = read::policy(file, text, &shipped::included)?;
        for mode in [Mode::Jit, Mode::Jitless] {
            check::check(&policy.clone().only(mode))?;
        }
        Ok(policy)
    }

    /// Returns whether the role has a file view of its own, and so a jail. The broker and the launcher have none.
    #[must_use]
    pub fn is_jailed(&self) -> bool {
        self.namespaces.new.contains(&Namespace::Mount)
    }

    /// Returns the names of all allowed system calls, sorted, each once. Calls that `times` limits are left out.
    #[must_use]
    pub fn calls(&self) -> std::collections::BTreeSet<&str> {
        let counted = self.allow.iter().filter(|allow| allow.times.is_none());
        counted.flat_map(|allow| allow.calls.iter().map(String::as_str)).collect()
    }
}
