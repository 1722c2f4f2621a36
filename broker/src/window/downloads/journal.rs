//! File in the profile that lists unfinished downloads, as JSON, so that they resume after the browser itself ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
    written: Vec<Record>,
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
        (Self { file, written: records.clone() }, records.into_iter().take(MAX_RECORDS).collect())
    }

    /// Writes the list if it has changed.
    pub(super) fn keep(&mut self, records: Vec<Record>) {
        if records == self.written {
            return;
        }
        let beside = self.file.with_extension("json.new");
        let bytes = serde_json::to_vec(&records).map_err(io::Error::from);
        let written = bytes.and_then(|bytes| fs::write(&beside, bytes)).and_then(|()| fs::rename(&beside, &self.file));
        match written {
            Ok(()) => self.written = records,
            Err(error) => tracing::warn!("{}: unfinished downloads cannot be listed: {error}", self.file.display()),
        }
    }
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
        journal.keep(vec![record.clone()]);
        assert_eq!(Journal::open(profile.path()).1, [record]);
        journal.keep(Vec::new());
        assert!(Journal::open(profile.path()).1.is_empty());
        fs::write(profile.path().join("downloads.json"), "[{\"site\":").unwrap();
        assert!(Journal::open(profile.path()).1.is_empty());
    }
}
