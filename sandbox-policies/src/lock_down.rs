//! The two processes that live in the machine's own view, the broker and its launcher, lock themselves down.

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

/// Locks the broker down. Must be called while it has one thread, after its launcher was forked. It has no Landlock domain:
/// a process in one may not look at others in `/proc`, and looking after its children is what the broker is for.
///
/// # Errors
/// When the kernel cannot enforce its filter.
pub fn broker() -> Result<(), LockDownError> {
    lock_down("broker", Otherwise::Refuse)
}

/// Locks the launcher down. It has no Landlock domain: a process in one may not mount anything, and its children build
/// their file views by mounting.
///
/// # Errors
/// When the kernel cannot enforce its filter.
pub fn launcher() -> Result<(), LockDownError> {
    lock_down("launcher", Otherwise::RefuseUnlessNotified)
}

fn lock_down(role: &str, otherwise: Otherwise) -> Result<(), LockDownError> {
    let filter = seccomp::filter(&Policy::of(role)?, otherwise)?;
    sys::no_new_privileges().map_err(LockDownError::Privileges)?;
    seccomp::load(&filter, otherwise)?;
    Ok(())
}
