//! Files, TCP ports, abstract sockets and signals: the Landlock domain of a policy, entered for all time.
//!
//! The file view says what is there; this says what may be done with it. Nothing that can be written can be executed, and
//! of what cannot be written only what the policy names.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

use crate::policy::{MountKind, Policy, Ports};

/// The rights that this code knows how to give; a newer kernel refuses no more than these.
const KNOWN: ABI = ABI::V6;

/// Why a domain cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// The kernel's Landlock is too old, or switched off.
    #[error("Landlock: {0}")]
    Ruleset(#[from] landlock::RulesetError),
    /// A path of the policy cannot be opened.
    #[error("Landlock: {0}")]
    Path(#[from] landlock::PathFdError),
    /// The kernel enforces less than was asked for.
    #[error("Landlock: the kernel does not enforce all of the policy")]
    Partly,
    /// A policy for another version.
    #[error("Landlock: the policy wants version {0}, which this build does not know")]
    Unknown(u8),
}

fn read() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

/// Everything that can be done with files of one's own, but to execute them or to make devices.
fn write() -> BitFlags<AccessFs> {
    read() | (AccessFs::from_write(KNOWN) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev))
}

/// Enters the domain of a policy. `fill_in` gives the real path for one in the policy, or nothing for one that is not there.
///
/// # Errors
/// When the kernel cannot enforce all of it: then nothing may be started.
pub fn enter(policy: &Policy, fill_in: &dyn Fn(&str) -> Option<PathBuf>) -> Result<(), DomainError> {
    if policy.landlock_abi > 6 {
        return Err(DomainError::Unknown(policy.landlock_abi));
    }
    let every_port = policy.tcp.iter().any(|rule| rule.connect == Some(Ports::Any));
    let mut ports: BitFlags<AccessNet> = AccessNet::BindTcp.into();
    if !every_port {
        ports |= AccessNet::ConnectTcp;
    }
    let mut domain = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(ports)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    // What is in the file view may be listed; the engine looks for its extension in a folder.
    domain = add(domain, Path::new("/"), AccessFs::ReadDir.into())?;
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
        domain = add(domain, &place, access)?;
        for file in &mount.execute {
            let file = if file == "." { place.clone() } else { place.join(file) };
            if file.exists() {
                domain = add(domain, &file, AccessFs::Execute | AccessFs::ReadFile)?;
            }
        }
    }
    for rule in &policy.tcp {
        if let Some(port) = rule.bind {
            domain = domain.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
        if let Some(Ports::One(port)) = rule.connect {
            domain = domain.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
    }
    let status = domain.restrict_self()?;
    if status.ruleset == landlock::RulesetStatus::FullyEnforced { Ok(()) } else { Err(DomainError::Partly) }
}

fn add(domain: RulesetCreated, place: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, DomainError> {
    if !place.exists() {
        return Ok(domain);
    }
    // Rights on folders mean nothing for a file, and are refused there.
    let access = if place.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
    Ok(domain.add_rule(PathBeneath::new(PathFd::new(place)?, access))?)
}
