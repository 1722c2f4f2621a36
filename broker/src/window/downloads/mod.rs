//! Downloads belong to the browser: they outlive their page, its tab, its process and the browser itself.
//!
//! A host writes the bytes into a file that this component opened; it learns no path. A download whose host ends, or
//! whose connection breaks, resumes as soon as its host is up again, if the server confirms that the file is unchanged
//! (`Range` with `If-Range`). A download that cannot be requested again, such as the answer to a form, fails; the
//! received bytes stay in `NAME.part`.

mod download;
mod ended;
mod journal;
mod messages;
mod names;
mod orders;
mod permissions;

pub use self::messages::{Action, DownloadView, HostDownload, Offer, Order, Progress, Report, Source};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::download::{Download, State, Stop};
use self::ended::EndedDownloads;
use self::journal::{EndKind, Journal};
use self::permissions::{Decision, DownloadPermissions, QueuedFile};
use crate::message::ChildId;
use regen_session::{HostKey, TabId};

/// Maximum number of running downloads per site; further ones wait.
const MAX_RUNNING: usize = 8;
/// Maximum number of unfinished downloads per site; further ones are refused.
const MAX_UNFINISHED: usize = 1000;
/// First and longest delay before an interrupted download is retried.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Maximum number of tries without receiving a byte before a download fails: about three hours.
const MAX_TRIES: u32 = 200;
/// Lowest number that this component gives to a download; lower ones are the hosts'.
const OWN_NUMBERS: u64 = 1 << 32;

/// All downloads.
#[derive(Debug)]
pub struct Downloads {
    folder: PathBuf,
    journal: Journal,
    permissions: DownloadPermissions,
    /// Unfinished downloads.
    all: BTreeMap<u64, Download>,
    ended: EndedDownloads,
    last_id: u64,
    /// Files that wait for the user's permission.
    asked: HashMap<(ChildId, u64), Offer>,
    /// Processes that are ready for commands.
    ready: HashMap<HostKey, ChildId>,
    /// Hosts that must keep running for their downloads.
    kept: HashSet<HostKey>,
}

impl Downloads {
    /// Opens the downloads of earlier runs of this profile. `folder` is where files are saved.
    #[must_use]
    pub fn open(folder: PathBuf, profile: &Path) -> Self {
        let (journal, records) = Journal::open(profile);
        let mut downloads = Self {
            folder,
            journal,
            permissions: DownloadPermissions::default(),
            all: BTreeMap::new(),
            ended: EndedDownloads::default(),
            last_id: 0,
            asked: HashMap::new(),
            ready: HashMap::new(),
            kept: HashSet::new(),
        };
        for record in records {
            let id = downloads.next_id();
            if record.end.is_some() {
                downloads.ended.add(id, record);
                continue;
            }
            let Some((download, lost)) = Download::of_earlier_run(record, &downloads.folder) else { continue };
            downloads.all.insert(id, download);
            if let Some(error) = lost {
                downloads.fail(id, error, EndKind::Failed, &mut Vec::new());
            }
        }
        downloads
    }

    /// Starts to resume what an earlier run left unfinished.
    pub fn start(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.settle(&mut actions);
        actions
    }

    /// Handles a host's report. `gesture`: the user's last click, key or address in the download's tab.
    pub fn reported(
        &mut self,
        host: &HostKey,
        from: HostDownload,
        report: Report,
        gesture: Option<Instant>,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        match report {
            Report::Wanted(offer) => self.wanted(host, from, offer, gesture, now, &mut actions),
            Report::Received { received, total } => {
                if let Some((id, download)) = self.running(from) {
                    if received > download.received {
                        download.tries = 0;
                    }
                    (download.received, download.total) = (received, total);
                    actions.push(Action::Show(download.shown(id)));
                }
                // The most frequent report starts or ends nothing.
                return actions;
            }
            Report::Done { received } => {
                if let Some((id, download)) = self.running(from) {
                    download.received = received;
                    self.finish(id, &mut actions);
                }
            }
            Report::Failed { error, try_again, changed } => {
                // A file that failed needs no permission any more.
                if let Some(offer) = self.asked.remove(&(from.child, from.number)) {
                    self.permissions.withdraw(host, from.number);
                    actions.push(Action::Tell(format!("“{}” was not saved: {error}", offer.name)));
                    actions.push(self.question(host));
                }
                if let Some((id, download)) = self.unfinished_of(from) {
                    if let Some(source) = download.source.as_mut().filter(|_| changed) {
                        source.validator.clear();
                    }
                    self.broken(id, error, try_again, &mut actions);
                }
            }
        }
        self.settle(&mut actions);
        actions
    }

    /// Takes the user's answer whether a site may save files.
    pub fn answered(&mut self, host: &HostKey, allow: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        let child = self.ready.get(host).copied();
        for QueuedFile { tab, download } in self.permissions.answer(host, allow) {
            let Some(child) = child else { continue };
            let Some(offer) = self.asked.remove(&(child, download)) else { continue };
            let from = HostDownload { child, tab, number: download };
            if allow {
                self.take(host, from, offer, &mut actions);
            } else {
                actions.push(Action::Stop(from));
            }
        }
        actions.push(self.question(host));
        self.settle(&mut actions);
        actions
    }

    /// Notes that a host is ready, and resumes its downloads.
    pub fn host_ready(&mut self, host: &HostKey, child: ChildId) -> Vec<Action> {
        self.ready.insert(host.clone(), child);
        for download in self.all.values_mut().filter(|download| download.host == *host) {
            download.is_due |= matches!(download.state, State::Interrupted(_));
        }
        let mut actions = Vec::new();
        self.settle(&mut actions);
        actions
    }

    /// Notes that a host's process ended, and interrupts its downloads.
    pub fn host_ended(&mut self, host: &HostKey, child: ChildId) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.ready.get(host) == Some(&child) {
            self.ready.remove(host);
        }
        self.asked.retain(|(owner, _), _| *owner != child);
        self.permissions.host_gone(host);
        actions.push(self.question(host));
        let lost = |download: &Download| matches!(download.state, State::Running(from) | State::Queued(from) if from.child == child);
        let lost: Vec<u64> = self.all.iter().filter(|(_, download)| lost(download)).map(|(id, _)| *id).collect();
        for id in lost {
            self.broken(id, "the page's process ended".to_owned(), true, &mut actions);
        }
        self.settle(&mut actions);
        actions
    }

    /// Resumes an interrupted download, if its host is up and has room.
    pub fn try_again(&mut self, id: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(download) = self.all.get_mut(&id) {
            download.is_due |= matches!(download.state, State::Interrupted(_));
            self.settle(&mut actions);
        }
        actions
    }

    /// Forgets a tab that is closed. Its downloads continue.
    pub fn tab_closed(&mut self, tab: TabId) {
        self.permissions.tab_closed(tab);
    }

    /// Returns the sites that the user is asked about, with the number of files that wait and one of their tabs.
    pub fn questions(&self) -> impl Iterator<Item = (&HostKey, usize, TabId)> {
        self.permissions.questions()
    }

    /// Returns all downloads in the order in which they began, for a new window.
    #[must_use]
    pub fn shown(&self) -> Vec<DownloadView> {
        let unfinished = self.all.iter().map(|(id, download)| download.shown(*id));
        let mut shown: Vec<DownloadView> = unfinished.chain(self.ended.shown()).collect();
        shown.sort_by_key(|view| view.id);
        shown
    }

    /// Returns the number of downloads that the end of the browser would interrupt.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.all.values().filter(|download| download.is_busy()).count()
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Returns a download that its host writes, or will write.
    fn unfinished_of(&mut self, from: HostDownload) -> Option<(u64, &mut Download)> {
        let is_meant = |download: &Download| matches!(download.state, State::Running(at) | State::Queued(at) if (at.child, at.number) == (from.child, from.number));
        self.all.iter_mut().find(|(_, download)| is_meant(download)).map(|(id, download)| (*id, download))
    }

    fn running(&mut self, from: HostDownload) -> Option<(u64, &mut Download)> {
        self.unfinished_of(from).filter(|(_, download)| matches!(download.state, State::Running(_)))
    }

    /// Saves a page's file after a click; otherwise the user decides.
    fn wanted(
        &mut self,
        host: &HostKey,
        from: HostDownload,
        offer: Offer,
        gesture: Option<Instant>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let waiting = QueuedFile { tab: from.tab, download: from.number };
        match self.permissions.wanted(host, waiting, gesture, now) {
            Decision::Save => self.take(host, from, offer, actions),
            Decision::Ask => {
                self.asked.insert((from.child, from.number), offer);
                actions.push(self.question(host));
            }
            Decision::Refuse => actions.push(Action::Stop(from)),
        }
    }

    fn question(&self, host: &HostKey) -> Action {
        let files = self.permissions.questions().find(|(asked, ..)| *asked == host).map_or(0, |(_, files, _)| files);
        Action::Ask { host: host.clone(), files }
    }

    fn take(&mut self, host: &HostKey, from: HostDownload, offer: Offer, actions: &mut Vec<Action>) {
        if self.unfinished_of(from).is_some() || from.number >= OWN_NUMBERS {
            actions.push(Action::Stop(from));
            return;
        }
        if self.all.values().filter(|download| download.host == *host).count() >= MAX_UNFINISHED {
            actions.push(Action::Tell(format!(
                "“{}” is not saved: {MAX_UNFINISHED} files of its site are not finished. Try again later.",
                offer.name
            )));
            actions.push(Action::Stop(from));
            return;
        }
        let Offer { url, name, total, source } = offer;
        match names::create(&self.folder, &name) {
            Ok((part, path)) => {
                let download = Download {
                    host: host.clone(),
                    url,
                    path,
                    part: Some(part),
                    received: 0,
                    total,
                    source,
                    state: State::Queued(from),
                    tries: 0,
                    stop: None,
                    is_due: true,
                };
                let id = self.next_id();
                actions.push(Action::Show(download.shown(id)));
                self.all.insert(id, download);
            }
            Err(error) => {
                actions.push(Action::Tell(format!("“{name}” cannot be saved: {error}")));
                actions.push(Action::Stop(from));
            }
        }
    }

    /// Starts and resumes downloads of sites that run fewer than [`MAX_RUNNING`].
    fn start_waiting(&mut self, actions: &mut Vec<Action>) {
        let mut running: HashMap<ChildId, usize> = HashMap::new();
        let mut waiting = Vec::new();
        for (id, download) in &self.all {
            match &download.state {
                State::Running(from) => *running.entry(from.child).or_default() += 1,
                State::Queued(from) => waiting.push((*id, from.child)),
                State::Interrupted(_) if download.is_due => {
                    waiting.extend(self.ready.get(&download.host).map(|child| (*id, *child)));
                }
                State::Interrupted(_) | State::Paused => {}
            }
        }
        for (id, child) in waiting {
            let of_child = running.entry(child).or_default();
            if *of_child < MAX_RUNNING && self.begin(id, child, actions) {
                *of_child += 1;
            }
        }
    }

    /// Has a host write a download, from its first byte or from where it was interrupted. Returns whether it runs.
    fn begin(&mut self, id: u64, child: ChildId, actions: &mut Vec<Action>) -> bool {
        let Some(download) = self.all.get_mut(&id) else { return false };
        match download.begin(&self.folder, HostDownload { child, tab: 0, number: OWN_NUMBERS + id }) {
            Ok(Some(action)) => {
                actions.extend([action, Action::Show(download.shown(id))]);
                return true;
            }
            Ok(None) => self.finish(id, actions),
            Err(error) => {
                if let State::Queued(from) = download.state {
                    actions.push(Action::Stop(from));
                }
                self.fail(id, &error.to_string(), EndKind::Failed, actions);
            }
        }
        false
    }

    fn finish(&mut self, id: u64, actions: &mut Vec<Action>) {
        let Some(mut download) = self.all.remove(&id) else { return };
        if download.size_of_part().is_none() {
            return self.list_ended(id, &download, EndKind::Failed, "its part was removed", actions);
        }
        match names::keep(&names::partial(&download.path), &download.path) {
            Ok(path) => {
                tracing::info!(path = %download.recorded_path(), "download finished");
                (download.path, download.total) = (path, download.received);
                self.list_ended(id, &download, EndKind::Done, "", actions);
            }
            Err(error) => self.list_ended(id, &download, EndKind::Failed, &error.to_string(), actions),
        }
    }

    /// Interrupts or fails a download whose host or connection is gone, or that its host stopped for the user.
    fn broken(&mut self, id: u64, error: String, try_again: bool, actions: &mut Vec<Action>) {
        let Some(download) = self.all.get_mut(&id) else { return };
        let stop = download.stop.take();
        if stop == Some(Stop::Cancel) {
            return self.fail(id, "", EndKind::Cancelled, actions);
        }
        if stop.is_none() && !try_again || download.source.is_none() || download.tries >= MAX_TRIES {
            return self.fail(id, &error, EndKind::Failed, actions);
        }
        // Only bytes in the file count.
        download.received = download.size_of_part().unwrap_or(0);
        tracing::info!(path = %download.recorded_path(), received = download.received, "download interrupted: {error}");
        match stop {
            Some(Stop::Pause) => download.state = State::Paused,
            Some(_) => (download.state, download.is_due) = (State::Interrupted(String::new()), true),
            None => {
                let after = PAUSES.0.saturating_mul(1 << download.tries.min(8)).min(PAUSES.1);
                download.state = State::Interrupted(error);
                actions.push(Action::Later { id, after });
            }
        }
        actions.push(Action::Show(download.shown(id)));
    }

    /// Ends an unfinished download. The received bytes stay unless the user cancelled it.
    fn fail(&mut self, id: u64, error: &str, kind: EndKind, actions: &mut Vec<Action>) {
        let Some(download) = self.all.remove(&id) else { return };
        let part = names::partial(&download.path);
        let left = if download.size_of_part().is_none() {
            None
        } else if kind == EndKind::Cancelled {
            names::remove(&part);
            None
        } else {
            names::left_over(&part)
        };
        let error = match left {
            Some(part) => format!("{error}; the received bytes are in {}", part.display()),
            None => error.to_owned(),
        };
        let told = if download.host.is_throw_away() { "(throw-away)" } else { error.as_str() };
        tracing::info!(path = %download.recorded_path(), ?kind, error = told, "download ended");
        self.list_ended(id, &download, kind, &error, actions);
    }

    fn list_ended(&mut self, id: u64, download: &Download, kind: EndKind, error: &str, actions: &mut Vec<Action>) {
        let record = ended::record(download, kind, error);
        actions.extend(ended::shown(id, &record).map(Action::Show));
        actions.extend(self.ended.add(id, record).map(Action::Gone));
    }

    /// Starts what may start, updates which hosts are needed, and lists the downloads on disk.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        self.start_waiting(actions);
        let busy = self.all.values().filter(|download| download.state != State::Paused);
        let mut needed: HashSet<HostKey> = busy.map(|download| download.host.clone()).collect();
        needed.extend(self.permissions.questions().map(|(host, ..)| host.clone()));
        let keep = |host: &HostKey, is_needed| Action::Keep { host: host.clone(), is_needed };
        actions.extend(needed.difference(&self.kept).map(|host| keep(host, true)));
        actions.extend(self.kept.difference(&needed).map(|host| keep(host, false)));
        self.kept = needed;
        self.list();
    }

    fn list(&mut self) {
        let unfinished = self.all.values().map(|download| match download.stop {
            // A host that does not stop any more must not bring it back.
            Some(Stop::Cancel) => ended::record(download, EndKind::Cancelled, ""),
            Some(Stop::Pause | Stop::Restart) | None => download.record(),
        });
        self.journal.keep(self.ended.records().chain(unfinished).collect());
    }

    /// Lists the downloads for the next run, and removes empty parts.
    pub fn end(&mut self) {
        for download in self.all.values_mut() {
            let Some(size) = download.size_of_part() else { continue };
            download.received = size;
            names::left_over(&names::partial(&download.path));
        }
        self.list();
        self.journal.flush();
    }
}

#[cfg(test)]
mod tests;
