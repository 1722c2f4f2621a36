//! File in the profile that lists unfinished downloads, as JSON, so that they resume after the browser itself ended.
//!
//! A thread of its own writes it, so that a slow disk does not delay the event loop.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

/// Maximum number of listed downloads.
const MAX_RECORDS: usize = 1000;

/// An unfinished download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) site: String,
    pub(super) workspace: String,
    pub(super) url: String,
    /// Final path; the part lies beside it.
    pub(super) path: PathBuf,
    /// Size of the whole file in bytes; 0 if it is unknown.
    pub(super) total: u64,
    pub(super) referrer: String,
    pub(super) validator: String,
}

#[derive(Debug)]
pub(super) struct Journal {
    file: PathBuf,
    latest: Vec<Record>,
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    lists: Sender<Vec<Record>>,
    thread: JoinHandle<()>,
}

impl Journal {
    /// Reads the downloads that an earlier run of this profile left unfinished.
    pub(super) fn open(profile: &Path) -> (Self, Vec<Record>) {
        let file = profile.join("downloads.json");
        let read = fs::read(&file).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
        let records: Vec<Record> = read.unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!("{} cannot be read, so unfinished downloads are not resumed: {error}", file.display());
            }
            Vec::new()
        });
        (Self { file, latest: records.clone(), writer: None }, records.into_iter().take(MAX_RECORDS).collect())
    }

    /// Has the list written if it has changed.
    pub(super) fn keep(&mut self, records: Vec<Record>) {
        if records == self.latest {
            return;
        }
        self.latest.clone_from(&records);
        if self.writer.is_none() {
            self.writer = Writer::start(self.file.clone());
        }
        if let Some(writer) = &self.writer {
            // The thread ends only with this sender.
            let _ = writer.lists.send(records);
        }
    }

    /// Waits until the list is written.
    pub(super) fn flush(&mut self) {
        let Some(Writer { lists, thread }) = self.writer.take() else { return };
        drop(lists);
        if thread.join().is_err() {
            tracing::error!("{}: unfinished downloads are not listed: the writer panicked", self.file.display());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Writer {
    fn start(file: PathBuf) -> Option<Self> {
        let (lists, waiting) = channel();
        let started = std::thread::Builder::new().name("downloads".to_owned()).spawn(move || serve(&file, &waiting));
        match started {
            Ok(thread) => Some(Self { lists, thread }),
            Err(error) => {
                tracing::error!("unfinished downloads cannot be listed: {error}");
                None
            }
        }
    }
}

/// Writes the newest list that waits, until there will be no more.
fn serve(file: &Path, waiting: &Receiver<Vec<Record>>) {
    while let Ok(list) = waiting.recv() {
        let newest = waiting.try_iter().last().unwrap_or(list);
        if let Err(error) = write(file, &newest) {
            tracing::warn!("{}: unfinished downloads cannot be listed: {error}", file.display());
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

    #[test]
    fn unfinished_downloads_are_listed_and_a_damaged_list_is_empty() {
        let profile = tempfile::tempdir().unwrap();
        let record = Record {
            site: "https://a.test".into(),
            workspace: String::new(),
            url: "https://a.test/file".into(),
            path: "/tmp/file".into(),
            total: 7,
            referrer: String::new(),
            validator: "\"1\"".into(),
        };
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
}
