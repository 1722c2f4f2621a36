//! Reports of hosts about downloads, and the actions that follow.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use regen_session::{HostKey, TabId};

use crate::message::ChildId;

/// Identifies a download by its host's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostDownload {
    /// The host's process.
    pub child: ChildId,
    /// Tab whose page began it; it may show another page by now, or be closed.
    pub tab: TabId,
    /// Number that the host gave it.
    pub number: u64,
}

/// Data to request a file again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Referrer, as the page's policy allows; may be empty.
    pub referrer: String,
    /// `ETag` or `Last-Modified` of the file. If it is empty, only the whole file can be requested.
    pub validator: String,
}

/// A file that a page wants to save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Address of the file.
    pub url: String,
    /// Name that the page or its server suggests.
    pub name: String,
    /// Size of the whole file in bytes; 0 if it is unknown.
    pub total: u64,
    /// Data to request the file again; `None` if it cannot be.
    pub source: Option<Source>,
}

/// Report of a host about one of its downloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A page wants to save a file.
    Wanted(Offer),
    /// Progress of a download.
    Received {
        /// Bytes so far, including those of earlier tries.
        received: u64,
        /// Size of the whole file in bytes; 0 if it is unknown.
        total: u64,
    },
    /// The file is complete.
    Done {
        /// Size of the whole file in bytes.
        received: u64,
    },
    /// The download failed or was interrupted.
    Failed {
        /// Reason.
        error: String,
        /// Set if another try may help.
        try_again: bool,
        /// Set if the file has changed: the next try must begin at its first byte.
        changed: bool,
    },
}

/// State of a download as shown to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Waits until fewer downloads of its site run.
    Queued,
    /// The download is running.
    Running,
    /// Waits for the user.
    Paused,
    /// Interrupted; it resumes automatically.
    Interrupted,
    /// Complete, under its final name.
    Done,
    /// Failed; it does not resume.
    Failed,
    /// Cancelled by the user.
    Cancelled,
}

/// A download as shown to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadView {
    /// Number that the browser gave it.
    pub id: u64,
    /// Address of the file.
    pub url: String,
    /// Name of the file.
    pub name: String,
    /// Path of the complete file.
    pub path: PathBuf,
    /// Bytes so far.
    pub received: u64,
    /// Size of the whole file in bytes; 0 if it is unknown.
    pub total: u64,
    /// State.
    pub progress: Progress,
    /// Reason of a failure or interruption; else empty.
    pub error: String,
    /// Set if it can be requested again, and so be paused, resumed and retried.
    pub can_resume: bool,
    /// Time of its end in seconds since 1970; 0 if it has not ended.
    pub ended_at: u64,
}

/// Order of the user about a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// End it, and remove its part.
    Cancel(u64),
    /// Stop it until the user resumes it.
    Pause(u64),
    /// Go on, or try again.
    Resume(u64),
    /// Remove one that has ended from the list. Its file stays.
    Forget(u64),
    /// Remove all that have ended from the list.
    ForgetEnded,
    /// Show the file in the desktop's file manager.
    ShowFolder(u64),
}

/// Action that follows from an event.
#[derive(Debug)]
pub enum Action {
    /// Give a host the file that it writes.
    Write { to: HostDownload, file: OwnedFd },
    /// Tell a host to stop a download.
    Stop(HostDownload),
    /// Have a host fetch the rest of a file. The file's position is where the rest goes.
    GoOn { to: HostDownload, url: String, source: Source, from: u64, total: u64, file: OwnedFd },
    /// Show the state of a download.
    Show(DownloadView),
    /// Show a download no longer.
    Gone(u64),
    /// Show a file in the desktop's file manager.
    ShowFolder(PathBuf),
    /// Show a notice.
    Tell(String),
    /// Ask the user about a site's files, or withdraw the question (0 files).
    Ask { host: HostKey, files: usize },
    /// Keep a host running for its downloads, or no longer.
    Keep { host: HostKey, is_needed: bool },
    /// Call [`Downloads::try_again`] after this time.
    Later { id: u64, after: Duration },
}
