//! The policy files: what every process may do, with a reason for every rule. An unknown key, system call or constant, a
//! missing reason, a duplicate: each is an error with its file and line.
//!
//! `read` makes a policy of its files, `check` refuses what is unclear, `compare` says what differs between two, and
//! `shipped` has the files that are compiled in.

mod check;
mod compare;
mod read;
mod shipped;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use compare::{Difference, differences, looser};
use shipped::load;
pub use shipped::{ADMINISTRATORS, ROLES, SCHEMA, all};

/// Where a rule stands: file and line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A rule and its place.
#[derive(Debug, Clone, Serialize)]
pub struct Placed<T> {
    /// The rule.
    #[serde(flatten)]
    pub rule: T,
    /// Where it stands.
    #[serde(rename = "at_line")]
    pub place: Place,
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.rule
    }
}

/// What one role may do.
#[derive(Debug, Clone, Serialize)]
pub struct Policy {
    /// The role's name, as in the file's name.
    pub role: String,
    /// One sentence for an auditor.
    pub summary: String,
    /// SHA-256 of the files it was read from, one after the other: those that are included, then its own.
    pub sha256: String,
    /// The program that runs as this role, beside the broker's own.
    pub program: String,
    /// Roles below this process: their filters come on top of its own, which therefore allows what any of them may do.
    pub superset: Vec<String>,
    /// System calls that the role may be allowed at most.
    pub budget: u32,
    /// The Landlock that enforces all of this policy; 0: no domain.
    pub landlock_abi: u8,
    /// The oldest one that is accepted. What it lacks is optional, and is told.
    pub landlock_minimum: u8,
    /// Which namespaces are new.
    pub namespaces: Namespaces,
    /// Who goes first when the machine runs out of memory; nothing for a process in the machine's own view.
    pub memory: Option<Memory>,
    /// The whole file view, in order.
    pub mount: Vec<Placed<Mount>>,
    /// TCP ports.
    pub tcp: Vec<Placed<Tcp>>,
    /// System calls that are allowed.
    pub allow: Vec<Placed<Allow>>,
    /// System calls that are known to be tried, and refused without a word.
    pub refuse: Vec<Placed<Refuse>>,
    /// The whole environment.
    pub env: Vec<Placed<Env>>,
    /// Resource limits, soft and hard.
    pub limit: Vec<Placed<Limit>>,
}

/// The namespaces that a child does not share with the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Namespaces {
    /// Which.
    pub new: Vec<Namespace>,
    /// Why.
    pub reason: String,
}

/// How much memory there is for it, and who goes first when the machine runs out. What one process may take is in its limits, and
/// what files in memory may take in the sizes of its tmpfs mounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// From 0 to 1000: the higher, the sooner it is ended.
    pub oom_score_adj: u16,
    /// The most that its processes may have together, in bytes (proportional set size); the broker ends them beyond it.
    pub resident: u64,
    /// Why.
    pub reason: String,
}

/// Whether the engine may compile JavaScript to machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It may. What a browser does unless told otherwise.
    Jit,
    /// It may not, and the kernel refuses the memory for it (`regen --jitless`).
    Jitless,
}

/// One kind of namespace.
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
    /// Its name under `/proc/PID/ns`.
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

/// One entry of the file view.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// What kind of entry.
    pub kind: MountKind,
    /// The source on the outside (or a symlink's target). `{bin}`, `{multiarch}` and `{ublock}` are filled in.
    #[serde(default)]
    pub path: String,
    /// Where it appears; the same as `path` unless given.
    #[serde(default)]
    pub at: Option<String>,
    /// Upper bound of a tmpfs, such as `256M`.
    #[serde(default)]
    pub size: Option<String>,
    /// Files in it that may be executed, relative to it; `.` is the entry itself. Nothing else may.
    #[serde(default)]
    pub execute: Vec<String>,
    /// May be missing on a machine.
    #[serde(default)]
    pub optional: bool,
    /// Why the role needs it.
    pub reason: String,
}

/// Kinds of file view entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A folder or file of the machine: read-only, no setuid, no devices.
    ReadOnly,
    /// One program or library of Regen's: read-only.
    File,
    /// A symbolic link.
    Symlink,
    /// The site's storage: writable, nothing in it can be executed.
    Bucket,
    /// Files that the user chose for the site's pages: the broker puts them there, and they are read-only.
    Chosen,
    /// The profile's certificate authorities, over the machine's; absent where the profile adds none.
    CaBundle,
    /// Private memory: writable, nothing in it can be executed.
    Tmpfs,
    /// The five harmless device nodes.
    Devices,
    /// The process list of the child's own PID namespace.
    Proc,
    /// The socket of the user's display server.
    Display,
}

/// A TCP port that may be used.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// To listen on it.
    #[serde(default)]
    pub bind: Option<u16>,
    /// To connect to it; `any` is every port.
    #[serde(default)]
    pub connect: Option<Ports>,
    /// Why the role needs it.
    pub reason: String,
}

/// One port, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Ports {
    /// Every port.
    Any,
    /// This one.
    #[serde(untagged)]
    One(u16),
}

/// System calls that are allowed, all for the same reason.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// By name.
    pub calls: Vec<String>,
    /// Only where all of these hold.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Only so often in the life of a process, the broker counting.
    #[serde(default)]
    pub times: Option<u32>,
    /// Only in this mode; in both unless given.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Why the role needs them.
    pub reason: String,
}

/// System calls that are refused without a notification.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// By name.
    pub calls: Vec<String>,
    /// Only where all of these hold.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// What the caller is told.
    pub errno: String,
    /// Why it is harmless, and who tries.
    pub reason: String,
}

/// A condition on one argument: `is`, or `one_of`, or `has` and `lacks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Which argument, from 0.
    pub arg: u32,
    /// It is exactly this.
    #[serde(default)]
    pub is: Option<Value>,
    /// It is one of these.
    #[serde(default)]
    pub one_of: Vec<Value>,
    /// It has all of these bits.
    #[serde(default)]
    pub has: Option<Value>,
    /// It has none of these bits.
    #[serde(default)]
    pub lacks: Option<Value>,
}

/// A number, or constants of the C library joined with `|`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
#[expect(missing_docs, reason = "each name says it")]
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

/// One environment variable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Env {
    /// Its name.
    pub name: String,
    /// Its value; without one, the user's own is passed on, if there is one.
    #[serde(default)]
    pub value: Option<String>,
    /// Only in this mode; in both unless given.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Why the role needs it.
    pub reason: String,
}

/// One resource limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Which.
    pub resource: Resource,
    /// Soft and hard.
    pub value: u64,
    /// Why this value.
    pub reason: String,
}

/// What can be limited.
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

/// A program that runs in a role's sandbox in the place of the role's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Where it is, inside and outside.
    pub program: PathBuf,
    /// What it is told.
    pub arguments: Vec<String>,
    /// What else is put into its file view, read-only, at the same place.
    pub files: Vec<PathBuf>,
    /// It takes the place of the dumper beside the role, which is not started, and enters the dumper's filter itself.
    pub as_dumper: bool,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// No such role.
    #[error("there is no policy for the role “{0}”; the roles are {roles}", roles = ROLES.join(", "))]
    UnknownRole(String),
    /// Not TOML, an unknown key, or a missing one.
    #[error("{file}: {error}")]
    Syntax { file: String, error: Box<toml::de::Error> },
    /// Readable, but wrong.
    #[error("{place}: {what}")]
    Rule { place: Place, what: String },
    /// An administrator's file that allows more than the policy it replaces.
    #[error("{file} would allow more than the policy that Regen ships, and is not used: {}", .what.join("; "))]
    Looser { file: String, what: Vec<String> },
    /// A file that cannot be read.
    #[error("{file}: {error}")]
    Io { file: String, error: std::io::Error },
}

impl Mount {
    /// Where the entry appears inside.
    #[must_use]
    pub fn target(&self) -> &str {
        self.at.as_deref().unwrap_or(&self.path)
    }
}

impl Policy {
    /// The policy of a role, as this machine uses it: the shipped one, or an administrator's stricter one.
    ///
    /// # Errors
    /// For an unknown role, or a policy file with a mistake.
    pub fn of(role: &str) -> Result<Self, PolicyError> {
        Self::in_mode(role, Mode::Jit)
    }

    /// The same, in another mode.
    ///
    /// # Errors
    /// For an unknown role, or a policy file with a mistake.
    pub fn in_mode(role: &str, mode: Mode) -> Result<Self, PolicyError> {
        Ok(load(role)?.only(mode))
    }

    /// Without the rules that are for another mode.
    fn only(mut self, mode: Mode) -> Self {
        let fits = |wanted: Option<Mode>| wanted.is_none_or(|wanted| wanted == mode);
        self.allow.retain(|rule| fits(rule.mode));
        self.env.retain(|rule| fits(rule.mode));
        self
    }

    /// With a guest's files in the file view, in the place of the role's program.
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
            let reason = "the guest's own".to_owned();
            let execute = vec![".".to_owned()];
            let rule =
                Mount { kind: MountKind::ReadOnly, path, at: None, size: None, execute, optional: false, reason };
            self.mount.push(Placed { rule, place: place.clone() });
        }
        self
    }

    /// Reads one policy without includes; `file` is for messages.
    ///
    /// # Errors
    /// With the file, the line and what is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let policy = read::policy(file, text, &shipped::included)?;
        for mode in [Mode::Jit, Mode::Jitless] {
            check::check(&policy.clone().only(mode))?;
        }
        Ok(policy)
    }

    /// The role has a file view of its own, and so a jail; the broker and the launcher have not.
    #[must_use]
    pub fn is_jailed(&self) -> bool {
        self.namespaces.new.contains(&Namespace::Mount)
    }

    /// The names of all system calls that are allowed, in order, each once.
    #[must_use]
    pub fn calls(&self) -> std::collections::BTreeSet<&str> {
        let counted = self.allow.iter().filter(|allow| allow.times.is_none());
        counted.flat_map(|allow| allow.calls.iter().map(String::as_str)).collect()
    }
}
