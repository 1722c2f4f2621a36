//! An unfinished download.

use std::fs::OpenOptions;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use regen_net_config::site::Site;
use regen_session::HostKey;

use super::journal::Record;
use super::messages::{Action, DownloadView, HostDownload, Progress, Source};
use super::names::{self, PartId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// The host waits for a file to write into, until fewer downloads of its site run.
    Queued(HostDownload),
    /// A host writes it.
    Running(HostDownload),
    /// Waits for its host, or for its next try, for this reason.
    Interrupted(String),
    /// Waits for the user.
    Paused,
}

/// Consequence of the user's order for a download that its host has been told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The download ends.
    Cancel,
    /// The download waits for the user.
    Pause,
    /// The download goes on after all: the user resumed it before the host had stopped.
    Restart,
}

#[derive(Debug)]
pub(super) struct Download {
    pub(super) host: HostKey,
    pub(super) url: String,
    pub(super) path: PathBuf,
    /// Identity of its part. The file of that name is another one if it does not match.
    pub(super) part: Option<PartId>,
    pub(super) received: u64,
    pub(super) total: u64,
    pub(super) source: Option<Source>,
    pub(super) state: State,
    /// Number of tries since a byte was received.
    pub(super) tries: u32,
    /// Set while its host has been told to stop.
    pub(super) stop: Option<Stop>,
    /// Set if it may start as soon as its host is up and has room.
    pub(super) is_due: bool,
}

impl Download {
    /// Returns a recorded download, which waits to be tried again, unless the user paused it; `None` without a valid site.
    pub(super) fn from_record(record: Record) -> Option<Self> {
        let mut download = Self {
            source: record.source(),
            host: HostKey { site: Site::parse(&record.site).ok()?, workspace: record.workspace },
            url: record.url,
            path: record.path,
            part: record.part,
            received: 0,
            total: record.total,
            state: if record.is_paused { State::Paused } else { State::Interrupted(String::new()) },
            tries: 0,
            stop: None,
            is_due: !record.is_paused,
        };
        download.received = download.size_of_part().unwrap_or(0);
        Some(download)
    }

    /// Returns an unfinished download of an earlier run, with the reason if it cannot go on.
    pub(super) fn of_earlier_run(record: Record, folder: &Path) -> Option<(Self, Option<&'static str>)> {
        let (received, has_source, knows_part) = (record.received, record.has_source, record.part.is_some());
        let mut download = Self::from_record(record)?;
        if !knows_part && let Some((part, size)) = names::part(&download.path) {
            (download.part, download.received) = (Some(part), size);
        }
        let lost = match download.size_of_part() {
            None if received > 0 => Some("its part was removed"),
            // A list of an earlier version does not count bytes.
            None => None,
            Some(_) if !has_source => Some("the browser ended, and the file cannot be requested again"),
            Some(_) => None,
        };
        if lost.is_none()
            && let Err(error) = download.ensure_part(folder)
        {
            tracing::warn!(path = %download.path.display(), "the part of a download cannot be made: {error}");
        }
        Some((download, lost))
    }

    /// Returns the path as logs may name it.
    pub(super) fn recorded_path(&self) -> std::borrow::Cow<'_, str> {
        if self.host.is_throw_away() { "(throw-away)".into() } else { self.path.to_string_lossy() }
    }

    /// Returns the size of the part in bytes; `None` if it is gone, or another file has its name.
    pub(super) fn size_of_part(&self) -> Option<u64> {
        names::part(&self.path).filter(|(part, _)| Some(*part) == self.part).map(|(_, size)| size)
    }

    /// Returns the download as shown to the user.
    pub(super) fn shown(&self, id: u64) -> DownloadView {
        let (progress, error) = match &self.state {
            _ if self.stop == Some(Stop::Pause) => (Progress::Paused, ""),
            State::Queued(_) => (Progress::Queued, ""),
            State::Running(_) => (Progress::Running, ""),
            State::Interrupted(error) => (Progress::Interrupted, error.as_str()),
            State::Paused => (Progress::Paused, ""),
        };
        DownloadView {
            id,
            url: self.url.clone(),
            name: names::shown(&self.path),
            path: self.path.clone(),
            received: self.received,
            total: self.total,
            progress,
            error: error.to_owned(),
            can_resume: self.source.is_some(),
            ended_at: 0,
        }
    }

    /// Returns whether the end of the browser would interrupt it.
    pub(super) fn is_busy(&self) -> bool {
        self.state != State::Paused && !matches!(self.stop, Some(Stop::Pause | Stop::Cancel))
    }

    /// Makes a new part if it is gone, under another name if that is taken.
    pub(super) fn ensure_part(&mut self, folder: &Path) -> io::Result<()> {
        if self.size_of_part().is_some() {
            return Ok(());
        }
        let (part, path) = names::create(folder, &names::shown(&self.path))?;
        (self.part, self.path, self.received) = (Some(part), path, 0);
        Ok(())
    }

    /// Starts to write it: to the host that waits for a file, or else to this one. Returns `None` if it is complete.
    pub(super) fn begin(&mut self, folder: &Path, to: HostDownload) -> io::Result<Option<Action>> {
        self.is_due = false;
        self.ensure_part(folder)?;
        let file = self.reopen()?;
        if let State::Queued(to) = self.state {
            tracing::info!(path = %self.recorded_path(), "download started");
            self.state = State::Running(to);
            return Ok(Some(Action::Write { to, file }));
        }
        if self.received > 0 && self.received == self.total {
            return Ok(None);
        }
        let source = self.source.clone().ok_or_else(|| io::Error::other("the file cannot be requested again"))?;
        tracing::info!(path = %self.recorded_path(), from = self.received, "download resumed");
        self.state = State::Running(to);
        self.tries += 1;
        let (url, from, total) = (self.url.clone(), self.received, self.total);
        Ok(Some(Action::GoOn { to, url, source, from, total, file }))
    }

    /// Opens the part for appending, and truncates it first if there is no validator.
    pub(super) fn reopen(&mut self) -> io::Result<OwnedFd> {
        let mut part = OpenOptions::new();
        part.write(true).mode(0o600);
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

    pub(super) fn record(&self) -> Record {
        let source = self.source.clone().unwrap_or_default();
        Record {
            site: self.host.site.as_str().to_owned(),
            workspace: self.host.workspace.clone(),
            url: self.url.clone(),
            path: self.path.clone(),
            received: self.received,
            total: self.total,
            referrer: source.referrer,
            validator: source.validator,
            has_source: self.source.is_some(),
            part: self.part,
            is_paused: !self.is_busy(),
            end: None,
        }
    }
}
