//! Lock-down of processes that have no sandbox of their own, such as the broker and the launcher.

use crate::policy::{Policy, PolicyError};
use crate::seccomp::{self, Otherwise};
use crate::sys;

/// Reason why a process could not be locked down. The process must not continue.
#[derive(Debug, thiserror::Error)]
pub enum LockDownError {
    /// The role's policy cannot be loaded.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The seccomp filter cannot be built or loaded.
    #[error("cannot apply the seccomp filter: {0}")]
    Filter(#[from] seccomp::SeccompError),
    /// `no_new_privs` cannot be set.
    #[error("cannot set no_new_privs: {0}")]
    Privileges(std::io::Error),
}

/// Sets `no_new_privs` and loads the seccomp filter of a role that has no sandbox of its own.
///
/// Enters no Landlock domain. A process in a domain cannot inspect processes outside it in `/proc`, as the broker and
/// the dumper must, and it cannot mount, as the launcher's children must. The jail opens no files.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// If the policy cannot be loaded or the kernel refuses the filter.
pub fn enter(role: &str) -> Result<(), LockDownError> {
    let policy = Policy::of(role)?;
    let otherwise = otherwise(&policy);
    let filter = seccomp::filter(&policy, otherwise)?;
    sys::no_new_privileges().map_err(LockDownError::Privileges)?;
    seccomp::load(&filter, otherwise)?;
    Ok(())
}

/// Returns what a role's filter does with calls that its policy does not mention.
///
/// A jailed role notifies the broker. The launcher's filter is inherited by every sandbox, so it must not override
/// their notifications. The other roles have no process to notify.
#[must_use]
pub fn otherwise(policy: &Policy) -> Otherwise {
    match policy.role.as_str() {
        _ if policy.is_jailed() => Otherwise::Notify,
        "launcher" => Otherwise::RefuseUnlessNotified,
        _ => Otherwise::Refuse,
    }
}
