//! The policy files: parsing, and refusing what is unclear. An unknown key, a missing reason or a duplicate is an error.

use std::collections::HashSet;

use serde::Deserialize;

/// The compiled-in policies, by role.
const POLICIES: [(&str, &str); 4] = [
    ("tab-host", include_str!("../tab-host.toml")),
    ("net-daemon", include_str!("../net-daemon.toml")),
    ("agent-daemon", include_str!("../agent-daemon.toml")),
    ("ui-shell", include_str!("../ui-shell.toml")),
];

/// What one role may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The role's name, as in the file's name.
    pub role: String,
    /// One sentence for an auditor.
    pub summary: String,
    /// The program that runs as this role, beside the broker's own.
    pub program: String,
    /// Which namespaces are new.
    pub namespaces: Namespaces,
    /// The whole file view, in order.
    #[serde(default)]
    pub mount: Vec<Mount>,
    /// The whole environment.
    #[serde(default)]
    pub env: Vec<Env>,
    /// Resource limits, soft and hard.
    #[serde(default)]
    pub limit: Vec<Limit>,
}

/// The namespaces that a child does not share with the machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespaces {
    /// Which.
    pub new: Vec<Namespace>,
    /// Why.
    pub reason: String,
}

/// One kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
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

/// One entry of the file view.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// What kind of entry.
    pub kind: MountKind,
    /// The source on the outside (or a symlink's target). `{bin}` and `{multiarch}` are filled in.
    #[serde(default)]
    pub path: String,
    /// Where it appears; the same as `path` unless given.
    #[serde(default)]
    pub at: Option<String>,
    /// Upper bound of a tmpfs, such as `256M`.
    #[serde(default)]
    pub size: Option<String>,
    /// May be missing on a machine.
    #[serde(default)]
    pub optional: bool,
    /// Why the role needs it.
    pub reason: String,
}

/// Kinds of file view entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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

/// One environment variable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Env {
    /// Its name.
    pub name: String,
    /// Its value; without one, the user's own is passed on, if there is one.
    #[serde(default)]
    pub value: Option<String>,
    /// Why the role needs it.
    pub reason: String,
}

/// One resource limit.
#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the kernel's own names")]
pub enum Resource {
    Nofile,
    Nproc,
    Core,
    Fsize,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// No such role.
    #[error("there is no policy for the role “{0}”; the roles are tab-host, net-daemon, agent-daemon and ui-shell")]
    UnknownRole(String),
    /// Not TOML, an unknown key, or a missing one.
    #[error("{file}: {error}")]
    Syntax { file: String, error: Box<toml::de::Error> },
    /// Readable, but wrong.
    #[error("{file}: {what}")]
    Rule { file: String, what: String },
}

impl Mount {
    /// Where the entry appears inside.
    #[must_use]
    pub fn target(&self) -> &str {
        self.at.as_deref().unwrap_or(&self.path)
    }
}

impl Policy {
    /// The compiled-in policy of a role.
    ///
    /// # Errors
    /// For an unknown role, or a policy file with a mistake.
    pub fn of(role: &str) -> Result<Self, PolicyError> {
        let (_, text) =
            POLICIES.iter().find(|(name, _)| *name == role).ok_or_else(|| PolicyError::UnknownRole(role.to_owned()))?;
        Self::parse(&format!("sandbox-policies/{role}.toml"), text)
    }

    /// Parses one policy file; `file` is for messages.
    ///
    /// # Errors
    /// With the file, the line and what is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text)
            .map_err(|error| PolicyError::Syntax { file: file.to_owned(), error: Box::new(error) })?;
        policy.check().map_err(|what| PolicyError::Rule { file: file.to_owned(), what })?;
        Ok(policy)
    }

    fn check(&self) -> Result<(), String> {
        let mut targets = HashSet::new();
        for mount in &self.mount {
            let target = mount.target();
            if mount.kind != MountKind::Display && !target.starts_with('/') {
                return Err(format!("mount “{target}”: the place inside must be an absolute path; give it with `at`"));
            }
            if target.split('/').any(|part| part == "..") {
                return Err(format!("mount “{target}”: `..` is not allowed"));
            }
            if !targets.insert(target) {
                return Err(format!("mount “{target}” is given twice"));
            }
            if (mount.kind == MountKind::Tmpfs) != mount.size.is_some() {
                return Err(format!("mount “{target}”: a tmpfs has a size, and nothing else has"));
            }
            reasoned(&mount.reason, target)?;
        }
        let mut names = HashSet::new();
        for env in &self.env {
            if !names.insert(&env.name) {
                return Err(format!("the variable “{}” is given twice", env.name));
            }
            reasoned(&env.reason, &env.name)?;
        }
        for limit in &self.limit {
            reasoned(&limit.reason, "a limit")?;
        }
        for needed in [Namespace::User, Namespace::Pid, Namespace::Mount] {
            if !self.namespaces.new.contains(&needed) {
                return Err(format!("every role has a {needed:?} namespace of its own").to_lowercase());
            }
        }
        reasoned(&self.namespaces.reason, "namespaces")
    }
}

fn reasoned(reason: &str, rule: &str) -> Result<(), String> {
    if reason.trim().is_empty() { Err(format!("“{rule}” has no reason: say what needs it")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_policy_is_valid_and_named_like_its_file() {
        for (role, _) in POLICIES {
            assert_eq!(Policy::of(role).unwrap().role, role);
        }
    }

    #[test]
    fn only_the_net_daemon_shares_the_network() {
        for (role, _) in POLICIES {
            let isolated = Policy::of(role).unwrap().namespaces.new.contains(&Namespace::Net);
            assert_eq!(isolated, role != "net-daemon", "{role}");
        }
    }

    #[test]
    fn a_tab_host_has_fewer_than_forty_mounts() {
        assert!(Policy::of("tab-host").unwrap().mount.len() < 40);
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        let good = POLICIES[1].1;
        let bad = |from: &str, to: &str| {
            Policy::parse("x.toml", &good.replacen(from, to, 1)).map(|p| p.role).unwrap_err().to_string()
        };
        let unknown = bad("summary =", "colour = \"red\"\nsummary =");
        assert!(unknown.contains("x.toml") && unknown.contains("line 3") && unknown.contains("colour"), "{unknown}");
        assert!(bad("reason = \"the program itself\"", "reason = \" \"").contains("has no reason"));
        assert!(bad("at = \"/lib\"", "at = \"/lib64\"").contains("given twice"));
        assert!(bad("at = \"/lib\"", "at = \"/../lib\"").contains(".."));
        assert!(bad("\"pid\", ", "").contains("pid namespace"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = Policy::parse("x.toml", &text);
        }
    }
}
