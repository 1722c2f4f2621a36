//! Events of the main thread: what other threads, and through them other processes, ask of it.

use std::os::fd::OwnedFd;

use regen_proto::kernel::v1::{Heartbeat, HostCommand, ShowSite};
use regen_proto::net::v1::CommonRules;
use regen_proto::permissions::v1::SitePermissions;
use regen_proto::validate::ChildToBroker;

/// Work for the main thread.
#[derive(Debug)]
pub(crate) enum MainEvent {
    Command(Box<HostCommand>, Vec<OwnedFd>),
    /// Site assigned to a prelaunched process.
    Site(ShowSite),
    /// Permissions of the site.
    Permissions(SitePermissions),
    /// Session cookies of an earlier process of this site.
    Cookies(Vec<u8>),
    /// Heartbeat that the main thread answers, so that its hang counts as a hang of this host.
    Heartbeat(Heartbeat),
    /// Engine's page ID, and the number of further requests of that page that shields blocked.
    Blocked(u64, u32),
    /// Generic rules; `None` if the net-daemon could not be asked.
    Common(Option<Box<CommonRules>>),
    /// A net-daemon is available again.
    NetworkBack,
    Shutdown,
}

/// Returns the answer to a heartbeat.
pub(crate) fn alive(beat: Heartbeat) -> ChildToBroker {
    ChildToBroker::Heartbeat(beat)
}
