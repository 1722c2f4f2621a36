//! Reports of hosts on downloads, and actions that follow from them.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::session::{HostKey, TabId};

pub(super) type ChildId = u64;

/// A download as its host numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostDownload {
    /// The host's process.
    pub child: ChildId,
    /// The tab whose page began it; it may show another page by now, or be closed.
    pub tab: TabId,
    /// The number.
    pub number: u64,
}

/// Request that fetches a file again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Address of the page that the file was linked from, as its policy allows to tell it; may be empty.
    pub referrer: String,
    /// `ETag` or `Last-Modified` of the file; empty: it has none, and only the whole file can be fetched.
    pub validator: String,
}

/// A file that a page wants to save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Address of the file.
    pub url: String,
    /// Name that the page or its server suggests.
    pub name: String,
    /// Bytes of the whole; 0: unknown.
    pub total: u64,
    /// `None`: it cannot be fetched again.
    pub source: Option<Source>,
}

/// Report of a host on one of its downloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A page wants to save a file.
    Wanted(Offer),
    /// Bytes have come.
    Received {
        /// Bytes so far, those of earlier tries included.
        received: u64,
        /// Bytes of the whole; 0: unknown.
        total: u64,
    },
    /// All bytes are in the file.
    Done {
        /// Bytes of the whole.
        received: u64,
    },
    /// Broken off.
    Failed {
        /// In words.
        error: String,
        /// Another try may help.
        try_again: bool,
        /// The file has become another one: the next try has to begin at its first byte.
        changed: bool,
    },
}

/// State that a person sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bytes are coming.
    Running,
    /// Broken off; goes on by itself.
    Interrupted,
    /// Whole, under its final name.
    Done,
    /// Given up.
    Failed,
    /// Stopped by its user.
    Cancelled,
}

/// A download as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The browser's number of it.
    pub id: u64,
    /// Address of the file.
    pub url: String,
    /// Name of the file.
    pub name: String,
    /// Bytes so far.
    pub received: u64,
    /// Bytes of the whole; 0: unknown.
    pub total: u64,
    /// State.
    pub progress: Progress,
    /// Why it does not go on, or not now; else empty.
    pub error: String,
}

/// Action that follows from an event.
#[derive(Debug)]
pub enum Action {
    /// Give a host the file that it writes.
    Write { to: HostDownload, file: OwnedFd },
    /// Tell a host to stop.
    Stop(HostDownload),
    /// Have a host fetch the rest of a file. Its position is where the rest goes.
    GoOn { to: HostDownload, url: String, source: Source, from: u64, total: u64, file: OwnedFd },
    /// Show a person how a download is.
    Show(Shown),
    /// Tell a person something.
    Tell(String),
    /// Ask about a site's files, or take the question back (0 files).
    Ask { host: HostKey, files: usize },
    /// Keep a host for its downloads, or do so no longer.
    Keep { host: HostKey, is_needed: bool },
    /// Call [`Downloads::try_again`] after this time.
    Later { id: u64, after: Duration },
}
