//! Events of the children's component: what the event loop hears from processes and from work that was done about them.

use std::os::fd::OwnedFd;

use regen_session::{HostKey, Load, SavedSnapshot, TabId};
use regen_supervisor::Key;

use super::memory::Measurement;
use super::refused_calls::RefusedCall;
use super::violation::Violation;
use crate::codec::child::ChildMessage;
use crate::message::ChildId;

/// End of a process, as the launcher saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Cause, in words.
    pub cause: String,
    /// The process exited with code 0.
    pub clean: bool,
    /// Status as `wait` returns it; `None` for a process that never ran.
    pub status: Option<i32>,
}

/// A child that ended.
#[derive(Debug)]
pub struct ChildEnd {
    /// Identity for the supervisor.
    pub key: Key,
    /// Reason for people.
    pub reason: String,
}

/// A process of a child, for the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// The identity for the supervisor.
    pub key: Key,
    /// The process id; 0 until its Hello.
    pub pid: i32,
    /// Names and ids of its helpers.
    pub helpers: Vec<(String, i32)>,
}

/// Event about a child.
#[derive(Debug)]
pub enum Event {
    /// A child sent a message, which has passed all checks that need no knowledge of the session.
    Message { child: ChildId, message: ChildMessage, descriptors: Vec<OwnedFd>, sender: i32 },
    /// A child did what its role may not.
    Violation { child: ChildId, violation: Violation },
    /// A process of a child was refused a system call.
    RefusedCall { child: ChildId, refused: RefusedCall },
    /// A process could not be started.
    NotStarted { key: Key, reason: String },
    /// A process is gone, and everything that it announced before has been read.
    Ended { child: ChildId, exit: Exit },
    /// The memory of some children was measured.
    Measured(Vec<Measurement>),
    /// The proportional memory of a child was added up, KB.
    Summed { child: ChildId, proportional_kb: u64 },
    /// A snapshot was read. It belongs to the page that was there when the snapshot was announced.
    Snapshot { child: ChildId, host: HostKey, tab: TabId, snapshot: Result<SavedSnapshot, String> },
    /// A host's session cookies were read.
    Cookies { child: ChildId, host: HostKey, cookies: Result<Vec<u8>, String> },
    /// The body of a form that a tab takes to another site was read.
    Form { child: ChildId, tab: TabId, load: Load, content_type: String, body: Result<Vec<u8>, String> },
}

impl Event {
    /// Returns the kind of event, for the measurement of the event loop's steps.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Violation { .. } => "violation",
            Self::RefusedCall { .. } => "refused call",
            Self::NotStarted { .. } | Self::Ended { .. } => "end of a child",
            Self::Measured(_) | Self::Summed { .. } => "memory",
            Self::Snapshot { .. } | Self::Cookies { .. } | Self::Form { .. } => "payload",
        }
    }
}
