//! Downloads that have ended, as the user's list shows them: the newest 200.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::download::Download;
use super::journal::{End, EndKind, Record};
use super::messages::{DownloadView, Progress};
use super::names;

/// Maximum number of downloads that are listed after their end.
const MAX_ENDED: usize = 200;

#[derive(Debug, Default)]
pub(super) struct EndedDownloads {
    all: BTreeMap<u64, Record>,
}

impl EndedDownloads {
    /// Lists a download that ended before. Returns the number of one that is listed no longer for it.
    pub(super) fn add(&mut self, id: u64, record: Record) -> Option<u64> {
        self.all.insert(id, record);
        if self.all.len() <= MAX_ENDED {
            return None;
        }
        let oldest = self.all.iter().min_by_key(|(id, record)| (record.end.as_ref().map_or(0, |end| end.at), **id));
        let oldest = *oldest?.0;
        self.all.remove(&oldest);
        Some(oldest)
    }

    /// Takes a download off the list, if it is on it.
    pub(super) fn remove(&mut self, id: u64) -> Option<Record> {
        self.all.remove(&id)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Record> {
        self.all.get(&id)
    }

    /// Takes all downloads off the list. Returns their numbers.
    pub(super) fn clear(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.all).into_keys().collect()
    }

    pub(super) fn shown(&self) -> impl Iterator<Item = DownloadView> {
        self.all.iter().filter_map(|(id, record)| shown(*id, record))
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        self.all.values().cloned()
    }
}

/// Returns the record of a download that ends now.
pub(super) fn record(download: &Download, kind: EndKind, error: &str) -> Record {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Record { is_paused: false, end: Some(End { kind, error: error.to_owned(), at }), ..download.record() }
}

/// Returns an ended download as shown to the user.
pub(super) fn shown(id: u64, record: &Record) -> Option<DownloadView> {
    let end = record.end.as_ref()?;
    let progress = match end.kind {
        EndKind::Done => Progress::Done,
        EndKind::Failed => Progress::Failed,
        EndKind::Cancelled => Progress::Cancelled,
    };
    Some(DownloadView {
        id,
        url: record.url.clone(),
        name: names::shown(&record.path),
        path: record.path.clone(),
        received: record.received,
        total: record.total,
        progress,
        error: end.error.clone(),
        can_resume: record.has_source && end.kind != EndKind::Done,
        ended_at: end.at,
    })
}
