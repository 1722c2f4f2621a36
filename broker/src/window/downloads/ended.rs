//! Downloads that have ended, as the user's list shows them: the newest 200.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use regen_session::HostKey;

use super::download::Download;
use super::journal::{End, EndKind, Record};
use super::messages::{DownloadView, Progress};
use super::names;

/// Maximum number of downloads that are listed after their end.
const MAX_ENDED: usize = 200;
/// Longest address that is kept of an ended download, in characters.
const MAX_ADDRESS: usize = 8000;

#[derive(Debug, Default)]
pub(super) struct EndedDownloads {
    all: BTreeMap<u64, Record>,
}

impl EndedDownloads {
    /// Lists an ended download. Returns the number of the oldest one if that had to make room.
    pub(super) fn add(&mut self, id: u64, record: Record) -> Option<u64> {
        self.all.insert(id, record);
        if self.all.len() <= MAX_ENDED {
            return None;
        }
        self.all.pop_first().map(|(oldest, _)| oldest)
    }

    /// Takes a download off the list, if it is on it.
    pub(super) fn remove(&mut self, id: u64) -> Option<Record> {
        self.all.remove(&id)
    }

    /// Takes the downloads of a site off the list. Returns their numbers.
    pub(super) fn remove_site(&mut self, host: &HostKey) -> Vec<u64> {
        let is_its = |record: &Record| record.site == host.site.as_str() && record.workspace == host.workspace;
        let gone: Vec<u64> = self.all.iter().filter(|(_, record)| is_its(record)).map(|(id, _)| *id).collect();
        self.all.retain(|id, _| !gone.contains(id));
        gone
    }

    /// Takes the downloads of a workspace off the list. Returns their numbers.
    pub(super) fn remove_workspace(&mut self, workspace: &str) -> Vec<u64> {
        let gone = self.all.extract_if(.., |_, record| record.workspace == workspace);
        gone.map(|(id, _)| id).collect()
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
    // A `data:` address may be as large as its file.
    let url = download.url.chars().take(MAX_ADDRESS).collect();
    // A cancelled download has no part any more.
    let part = download.part.filter(|_| kind != EndKind::Cancelled);
    Record { url, part, is_paused: false, end: Some(End { kind, error: error.to_owned(), at }), ..download.record() }
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
