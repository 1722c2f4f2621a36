//! Processes without a sandbox, the broker, its launcher and the jail, lock themselves down.

use crate::policy::{Policy, PolicyError};
use crate::seccomp::{self, Otherwise};
use crate::sys;

/// Why a process cannot lock itself down. It must not go on.
#[derive(Debug, thiserror::Error)]
pub enum LockDownError {
    /// Its policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Its filter.
    #[error("seccomp: {0}")]
    Filter(#[from] seccomp::SeccompError),
    /// The system.
    #[error("no new privileges: {0}")]
    Privileges(std::io::Error),
}

/// Locks this process down as a role that has no sandbox: the broker, the launcher, or the jail. It has no Landlock domain: a
/// process in one may not look at others in `/proc`, and looking after its children is what the broker is for; nor may it mount
/// anything, and the launcher's children build their file views by mounting; and the jail opens nothing.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// When the kernel cannot enforce the role's filter.
pub fn enter(role: &str) -> Result<(), LockDownError> {
    let policy = Policy::of(role)?;
    let otherwise = otherwise(&policy);
    let filter = seccomp::filter(&policy, otherwise)?;
    sys::no_new_privileges().map_err(LockDownError::Privileges)?;
    seccomp::load(&filter, otherwise)?;
    Ok(())
}

/// What becomes of calls that a policy does not mention. Only a process in a sandbox has somebody to ask; the launcher's filter
/// is above every sandbox's, which must still be able to.
#[must_use]
pub fn otherwise(policy: &Policy) -> Otherwise {
    match policy.role.as_str() {
        _ if policy.is_jailed() => Otherwise::Notify,
        "launcher" => Otherwise::RefuseUnlessNotified,
        _ => Otherwise::Refuse,
    }
}
