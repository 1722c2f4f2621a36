//! Violations: what a child may not do. Any of them ends that child, and no other.

use regen_proto::validate::{Kind, Refusal};

use crate::observe::Refused;

/// Messages that may wait for a child that does not read.
pub(super) const SEND_QUEUE: usize = 4096;

/// Reason for ending a child: it did what its role may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("sent {0:?} messages faster than allowed")]
    TooFrequent(Kind),
    /// A message that makes no sense, or not at this time.
    #[error("sent {0}")]
    Malformed(String),
    #[error("sent {0}")]
    Oversized(String),
    #[error("does not read its channel: {SEND_QUEUE} messages wait")]
    DoesNotRead,
}

impl Violation {
    /// Returns the reason under which the status counts it.
    #[must_use]
    pub fn refused(&self) -> Refused {
        match self {
            Self::Refused(refusal) => refusal.into(),
            Self::Malformed(_) => Refused::Malformed,
            Self::Oversized(_) => Refused::Oversized,
            Self::TooFrequent(_) | Self::DoesNotRead => Refused::TooFrequent,
        }
    }
}
