//! Errors of the start.

use std::io;
use std::path::PathBuf;

use regen_sandbox::lock_down::LockDownError;
use regen_sandbox::policy::PolicyError;
use regen_settings::SettingError;
use regen_store::StoreError;

use super::certificates::CertificateError;
use crate::profile::ProfileError;

/// Reason that a browser cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The profile is in use, or cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A policy is invalid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An administrator fixed what an option would set.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// An additional certificate authority cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The kernel does not confine the broker.
    #[error("the broker cannot lock itself down; run `regen doctor`: {0}")]
    LockDown(#[from] LockDownError),
    /// A file of the user's cannot be read.
    #[error("{what}: {}: {error}", path.display())]
    File {
        /// Content of the file.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Reason.
        error: io::Error,
    },
    /// A file of the user's is too large.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Maximum size.
        limit: usize,
    },
    /// The system refuses something that the start needs.
    #[error("{step}: {error}")]
    Step {
        /// Failed step.
        step: &'static str,
        /// Reason.
        error: io::Error,
    },
}

/// Returns the error for a failed step.
pub(super) fn failed(step: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::Step { step, error }
}
