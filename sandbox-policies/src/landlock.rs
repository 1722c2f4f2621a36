//! The Landlock domain of a policy: files, TCP ports, abstract sockets and signals. A process cannot leave its domain.
//!
//! The file view decides which files exist; the domain decides what may be done with them. Writable files cannot be
//! executed; of the read-only files, only those that the policy names can.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

use crate::policy::{MountKind, Policy, Ports};
use crate::sys;

/// Newest Landlock ABI version that this code uses.
pub const KNOWN: u8 = 6;

/// Reason why a Landlock domain could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// The ruleset could not be created or enforced.
    #[error("cannot enter the Landlock domain: {0}")]
    Ruleset(#[from] landlock::RulesetError),
    /// A path of the policy could not be opened.
    #[error("cannot open a path for the Landlock domain: {0}")]
    Path(#[from] landlock::PathFdError),
    /// The kernel enforces less than was requested.
    #[error("cannot enter the Landlock domain: the kernel enforces only part of it; run `regen doctor`")]
    Partly,
    /// The kernel's Landlock is older than the policy's minimum, or switched off.
    #[error("Landlock is too old: the kernel has version {has}, the policy needs {needs}; run `regen doctor`")]
    TooOld { has: u8, needs: u8 },
}

fn read() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

/// Returns the rights for writable folders: all except executing files, creating device nodes and device ioctls.
fn write() -> BitFlags<AccessFs> {
    read() | (AccessFs::from_write(ABI::V6) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev))
}

/// Describes what a Landlock version below the policy's cannot enforce; `None` if it enforces everything.
#[must_use]
pub fn shortfall(policy: &Policy, version: u8) -> Option<String> {
    if policy.landlock_abi == 0 || version >= policy.landlock_abi {
        return None;
    }
    let since =
        [(3, "file truncation"), (4, "TCP ports"), (5, "ioctls on devices"), (6, "signals and abstract sockets")];
    let missing: Vec<&str> = since.iter().filter(|(abi, _)| *abi > version).map(|(_, what)| *what).collect();
    Some(format!(
        "the kernel has Landlock version {version} of {} and does not restrict {}",
        policy.landlock_abi,
        missing.join(", ")
    ))
}

fn abi(version: u8) -> ABI {
    match version {
        0 | 1 => ABI::V1,
        2 => ABI::V2,
        3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        _ => ABI::V6,
    }
}

/// Enters the Landlock domain of a policy. `fill_in` returns the real path of a policy path, or `None` to skip it.
///
/// # Errors
/// If the kernel cannot enforce the domain. The caller must then start nothing.
pub fn enter(policy: &Policy, fill_in: &dyn Fn(&str) -> Option<PathBuf>) -> Result<(), DomainError> {
    let version = sys::landlock_version().min(policy.landlock_abi).min(KNOWN);
    if version < policy.landlock_minimum {
        return Err(DomainError::TooOld { has: version, needs: policy.landlock_minimum });
    }
    let (files, known) = (AccessFs::from_all(abi(version)), version);
    let every_port = policy.tcp.iter().any(|rule| rule.connect == Some(Ports::Any));
    let mut ports: BitFlags<AccessNet> = AccessNet::BindTcp.into();
    if !every_port {
        ports |= AccessNet::ConnectTcp;
    }
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(files)?;
    if known >= 4 {
        ruleset = ruleset.handle_access(ports)?;
    }
    if known >= 6 {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    }
    let mut domain = Domain { rules: ruleset.create()?, files };
    // Every folder of the file view may be listed: the engine searches a folder for its extension.
    domain = domain.add(Path::new("/"), AccessFs::ReadDir.into())?;
    for mount in &policy.mount {
        let target = mount.target();
        let access = match mount.kind {
            MountKind::ReadOnly
            | MountKind::File
            | MountKind::Chosen
            | MountKind::CaBundle
            | MountKind::Proc
            | MountKind::Display => read(),
            MountKind::Bucket | MountKind::Tmpfs => write(),
            MountKind::Devices => read() | AccessFs::WriteFile,
            MountKind::Symlink => continue,
        };
        let Some(place) = fill_in(target) else { continue };
        domain = domain.add(&place, access)?;
        for file in &mount.execute {
            let file = if file == "." { place.clone() } else { place.join(file) };
            if file.exists() {
                domain = domain.add(&file, AccessFs::Execute | AccessFs::ReadFile)?;
            }
        }
    }
    let mut rules = domain.rules;
    for rule in policy.tcp.iter().filter(|_| known >= 4) {
        if let Some(port) = rule.bind {
            rules = rules.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
        if let Some(Ports::One(port)) = rule.connect {
            rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
    }
    let status = rules.restrict_self()?;
    if status.ruleset == landlock::RulesetStatus::FullyEnforced { Ok(()) } else { Err(DomainError::Partly) }
}

/// A domain under construction, with the file rights that this kernel supports.
struct Domain {
    rules: RulesetCreated,
    files: BitFlags<AccessFs>,
}

impl Domain {
    fn add(self, place: &Path, access: BitFlags<AccessFs>) -> Result<Self, DomainError> {
        if !place.exists() {
            return Ok(self);
        }
        // Landlock rejects folder rights on a file, and rights that the kernel does not know.
        let fitting = if place.is_dir() { self.files } else { self.files & AccessFs::from_file(ABI::V6) };
        let rules = self.rules.add_rule(PathBeneath::new(PathFd::new(place)?, access & fitting))?;
        Ok(Self { rules, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_kernel_cannot_enforce_is_said() {
        let policy = Policy::of("tab-host").unwrap();
        assert_eq!(shortfall(&policy, 6), None);
        assert_eq!(shortfall(&policy, 7), None);
        let debian = shortfall(&policy, 2).unwrap();
        assert!(
            debian.contains("version 2 of 6") && debian.contains("TCP ports") && debian.contains("signals"),
            "{debian}"
        );
        assert_eq!(shortfall(&Policy::of("broker").unwrap(), 2), None);
    }
}
