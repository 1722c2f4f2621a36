//! Messages on their way to children, and the numbers of children.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use regen_proto::validate::BrokerToChild;
use regen_runtime::Sealed;

/// Number of a child; never reused.
pub type ChildId = u64;

/// Descriptor that travels with a message.
#[derive(Debug)]
pub enum Attachment {
    /// A socket or file.
    Fd(OwnedFd),
    /// A payload that is too large for a datagram.
    Payload(Sealed),
}

impl AsFd for Attachment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Fd(fd) => fd.as_fd(),
            Self::Payload(sealed) => sealed.as_fd(),
        }
    }
}

/// Message on its way to a child.
#[derive(Debug)]
pub struct Outgoing {
    /// The receiver.
    pub to: ChildId,
    /// The message.
    pub message: BrokerToChild,
    /// Descriptors that go with the message.
    pub attachments: Vec<Attachment>,
}

impl Outgoing {
    /// Returns a message without descriptors.
    #[must_use]
    pub fn new(to: ChildId, message: BrokerToChild) -> Self {
        Self { to, message, attachments: Vec::new() }
    }
}
