//! An unfinished download.

use std::fs::OpenOptions;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::journal::Record;
use super::messages::{DownloadView, HostDownload, Progress, Source};
use super::names;
use regen_session::HostKey;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// A host writes it.
    Running(HostDownload),
    /// Waits for its host, or for its next try, for this reason.
    Interrupted(String),
}

#[derive(Debug)]
pub(super) struct Download {
    pub(super) host: HostKey,
    pub(super) url: String,
    pub(super) path: PathBuf,
    pub(super) received: u64,
    pub(super) total: u64,
    pub(super) source: Option<Source>,
    pub(super) state: State,
    /// Number of tries since a byte was received.
    pub(super) tries: u32,
    pub(super) is_cancelled: bool,
}

impl Download {
    pub(super) fn shown(&self, id: u64, progress: Progress, error: &str) -> DownloadView {
        DownloadView {
            id,
            url: self.url.clone(),
            name: names::shown(&self.path),
            received: self.received,
            total: self.total,
            progress,
            error: error.to_owned(),
        }
    }

    /// Opens the part for appending, and truncates it first if there is no validator.
    pub(super) fn reopen(&mut self) -> io::Result<OwnedFd> {
        let mut part = OpenOptions::new();
        part.write(true).create(true).truncate(false).mode(0o600);
        // A symbolic link that was put there meanwhile is not followed.
        part.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let mut part = part.open(names::partial(&self.path))?;
        let has_validator = self.source.as_ref().is_some_and(|source| !source.validator.is_empty());
        if !has_validator {
            part.set_len(0)?;
        }
        self.received = part.seek(SeekFrom::End(0))?;
        Ok(part.into())
    }

    pub(super) fn record(&self) -> Option<Record> {
        let source = self.source.as_ref()?;
        Some(Record {
            site: self.host.site.as_str().to_owned(),
            workspace: self.host.workspace.clone(),
            url: self.url.clone(),
            path: self.path.clone(),
            total: self.total,
            referrer: source.referrer.clone(),
            validator: source.validator.clone(),
        })
    }
}
