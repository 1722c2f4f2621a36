//! File in the profile that lists downloads, as JSON, so that unfinished ones resume after the browser itself ended.
//!
//! A thread of its own writes it, so that a slow disk does not delay the event loop.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use regen_net_config::host::is_throw_away;
use serde::{Deserialize, Serialize};

use super::messages::Source;
use super::names::PartId;

/// Maximum number of listed downloads.
const MAX_RECORDS: usize = 5000;

/// End of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EndKind {
    Done,
    Failed,
    Cancelled,
}

/// End of a download, with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) kind: EndKind,
    pub(super) error: String,
    /// Seconds since 1970.
    pub(super) at: u64,
}

/// A download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) site: String,
    pub(super) workspace: String,
    pub(super) url: String,
    /// Final path; the part lies beside it.
    pub(super) path: PathBuf,
    #[serde(default)]
    pub(super) received: u64,
    /// Size of the whole file in bytes; 0 if it is unknown.
    pub(super) total: u64,
    pub(super) referrer: String,
    pub(super) validator: String,
    /// Set if it can be requested again.
    #[serde(default = "default_has_source")]
    pub(super) has_source: bool,
    /// Identity of its part; `None` in lists of earlier versions.
    #[serde(default)]
    pub(super) part: Option<PartId>,
    /// Set if it waits for the user.
    #[serde(default)]
    pub(super) is_paused: bool,
    /// `None`: it is not finished.
    #[serde(default)]
    pub(super) end: Option<End>,
}

const fn default_has_source() -> bool {
    true
}

impl Record {
    pub(super) fn source(&self) -> Option<Source> {
        let source = Source { referrer: self.referrer.clone(), validator: self.validator.clone() };
        self.has_source.then_some(source)
    }
}

#[derive(Debug)]
pub(super) struct Journal {
    file: PathBuf,
    latest: Vec<Record>,
    writer: Option<Writer>,
    /// Set while the last list could not be written: it is written again, although it is the same.
    has_failed: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Writer {
    lists: Sender<Vec<Record>>,
    thread: JoinHandle<()>,
}

impl Journal {
    /// Reads the downloads of earlier runs of this profile.
    pub(super) fn open(profile: &Path) -> (Self, Vec<Record>) {
        let file = profile.join("downloads.json");
        let read = fs::read(&file).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
        let records: Vec<Record> = read.unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!("{} cannot be read, so no download is listed or resumed: {error}", file.display());
            }
            Vec::new()
        });
        (
            Self { file, latest: records.clone(), writer: None, has_failed: Arc::default() },
            records.into_iter().take(MAX_RECORDS).collect(),
        )
    }

    /// Has the list written, without the downloads of throw-away workspaces, if it has changed, or could not be written before.
    pub(super) fn keep(&mut self, mut records: Vec<Record>) {
        records.retain(|record| !is_throw_away(&record.workspace));
        if records == self.latest && !self.has_failed.load(Ordering::Relaxed) {
            return;
        }
        self.latest.clone_from(&records);
        if self.writer.is_none() {
            self.writer = Writer::start(self.file.clone(), Arc::clone(&self.has_failed));
        }
        match &self.writer {
            // The thread ends only with this sender.
            Some(writer) => drop(writer.lists.send(records)),
            None => self.has_failed.store(true, Ordering::Relaxed),
        }
    }

    /// Waits until the list is written.
    pub(super) fn flush(&mut self) {
        let Some(Writer { lists, thread }) = self.writer.take() else { return };
        drop(lists);
        if thread.join().is_err() {
            tracing::error!("{}: downloads are not listed: the writer panicked", self.file.display());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Writer {
    fn start(file: PathBuf, has_failed: Arc<AtomicBool>) -> Option<Self> {
        let (lists, waiting) = channel();
        let work = move || serve(&file, &waiting, &has_failed);
        let started = std::thread::Builder::new().name("downloads".to_owned()).spawn(work);
        match started {
            Ok(thread) => Some(Self { lists, thread }),
            Err(error) => {
                tracing::error!("downloads cannot be listed: {error}");
                None
            }
        }
    }
}

/// Writes the newest list that waits, until there will be no more.
fn serve(file: &Path, waiting: &Receiver<Vec<Record>>, has_failed: &AtomicBool) {
    while let Ok(list) = waiting.recv() {
        let newest = waiting.try_iter().last().unwrap_or(list);
        let written = write(file, &newest);
        has_failed.store(written.is_err(), Ordering::Relaxed);
        if let Err(error) = written {
            tracing::warn!("{}: downloads cannot be listed: {error}", file.display());
        }
    }
}

fn write(file: &Path, records: &[Record]) -> io::Result<()> {
    let beside = file.with_extension("json.new");
    fs::write(&beside, serde_json::to_vec(records)?)?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            site: "https://a.test".into(),
            workspace: String::new(),
            url: "https://a.test/file".into(),
            path: "/tmp/file".into(),
            received: 3,
            total: 7,
            referrer: String::new(),
            validator: "\"1\"".into(),
            has_source: true,
            part: None,
            is_paused: false,
            end: None,
        }
    }

    #[test]
    fn unfinished_downloads_are_listed_and_a_damaged_list_is_empty() {
        let profile = tempfile::tempdir().unwrap();
        let record = record();
        let (mut journal, records) = Journal::open(profile.path());
        assert!(records.is_empty());
        for total in 0..100 {
            journal.keep(vec![Record { total, ..record.clone() }]);
        }
        journal.keep(vec![record.clone()]);
        journal.flush();
        assert_eq!(Journal::open(profile.path()).1, [record]);
        journal.keep(Vec::new());
        drop(journal);
        assert!(Journal::open(profile.path()).1.is_empty());
        fs::write(profile.path().join("downloads.json"), "[{\"site\":").unwrap();
        assert!(Journal::open(profile.path()).1.is_empty());
    }

    #[test]
    fn downloads_of_throw_away_workspaces_are_not_listed() {
        let profile = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(profile.path());
        journal.keep(vec![Record { workspace: "~1".into(), ..record() }, record()]);
        journal.flush();
        assert_eq!(Journal::open(profile.path()).1, [record()]);
    }

    #[test]
    fn a_list_of_an_earlier_version_is_read() {
        let profile = tempfile::tempdir().unwrap();
        let list = r#"[{"site":"https://a.test","workspace":"","url":"https://a.test/file","path":"/tmp/file","total":7,
            "referrer":"","validator":"\"1\""}]"#;
        fs::write(profile.path().join("downloads.json"), list).unwrap();
        assert_eq!(Journal::open(profile.path()).1, [Record { received: 0, ..record() }]);
    }

    #[test]
    fn a_list_that_could_not_be_written_is_written_later() {
        let profile = tempfile::tempdir().unwrap();
        let record = record();
        let (mut journal, _) = Journal::open(profile.path());
        // A folder in the place of the new file makes writing fail.
        let obstacle = profile.path().join("downloads.json.new");
        fs::create_dir(&obstacle).unwrap();
        journal.keep(vec![record.clone()]);
        journal.flush();
        assert!(Journal::open(profile.path()).1.is_empty(), "the control");
        fs::remove_dir(&obstacle).unwrap();
        journal.keep(vec![record.clone()]);
        journal.flush();
        assert_eq!(Journal::open(profile.path()).1, [record]);
    }
}
