//! Errors of connections. Every layer uses them; they use nothing.

use regen_proto::net::v1::FailureKind;

/// Reason why a connection could not be opened, worded for the error page.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ConnectError {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// Cause of a connection that failed on one hop of a route.
#[derive(Debug)]
pub(crate) enum HopError {
    /// The target failed. Other hops would fail, too.
    Target(ConnectError),
    /// The hop failed. The next one is tried.
    Down(ConnectError),
}

impl HopError {
    /// Returns an error of the target.
    pub(crate) fn target(kind: FailureKind, message: String) -> Self {
        Self::Target(ConnectError { kind, message })
    }

    /// Returns an error of the hop.
    pub(crate) fn down(message: String) -> Self {
        Self::Down(ConnectError { kind: FailureKind::Route, message })
    }

    /// Returns the error itself, where it does not matter whose it is.
    pub(crate) fn into_inner(self) -> ConnectError {
        match self {
            Self::Target(error) | Self::Down(error) => error,
        }
    }
}
