//! Events for GTK's thread.

use std::os::fd::OwnedFd;

use regen_proto::kernel::v1::{Heartbeat, ShellUpdate};
use regen_proto::page::v1::FromPage;
use tokio::sync::OwnedSemaphorePermit;

/// The broker's number for a tab-host.
pub(crate) type HostId = u64;

/// Events for GTK's thread.
#[derive(Debug)]
pub(crate) enum MainEvent {
    /// An update from the broker.
    Update(Box<ShellUpdate>),
    /// A message from a tab-host, with its descriptor. Its permit limits unread messages per host and is released once the message is
    /// handled.
    Page(HostId, FromPage, Option<OwnedFd>, OwnedSemaphorePermit),
    /// The surface channel of a host is open.
    Attached(HostId),
    /// The surface channel of a host is closed: the host is gone.
    Detached(HostId),
    Heartbeat(Heartbeat),
    Shutdown,
}
