//! Downloads belong to the browser: they outlive their page, its tab, its process and the browser itself.
//!
//! A host writes the bytes into a file that this component opened; it learns no path. A download whose host ends, or
//! whose connection breaks, resumes as soon as its host is up again, if the server confirms that the file is unchanged
//! (`Range` with `If-Range`). A download that cannot be requested again, such as the answer to a form, fails; the
//! received bytes stay in `NAME.part`.

mod download;
mod journal;
mod messages;
mod names;
mod permissions;

pub use self::messages::{Action, DownloadView, HostDownload, Offer, Progress, Report, Source};

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regen_net_config::site::Site;

use self::download::{Download, State};
use self::journal::Journal;
use self::permissions::{Decision, DownloadPermissions, QueuedFile};
use crate::message::ChildId;
use regen_session::{HostKey, TabId};

/// Maximum number of running downloads per site; further ones wait.
const MAX_RUNNING: usize = 8;
/// Maximum number of waiting downloads per site; further ones are refused.
const MAX_QUEUED: usize = 1000;
/// First and longest delay before an interrupted download is retried.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Maximum number of tries without receiving a byte before a download fails: about three hours.
const MAX_TRIES: u32 = 200;
/// Lowest number that this component gives to a download; lower ones are the hosts'.
const OWN_NUMBERS: u64 = 1 << 32;

/// All unfinished downloads.
#[derive(Debug)]
pub struct Downloads {
    folder: PathBuf,
    journal: Journal,
    permissions: DownloadPermissions,
    all: BTreeMap<u64, Download>,
    last_id: u64,
    /// Files that wait for the user's permission.
    asked: HashMap<(ChildId, u64), Offer>,
    /// Files that wait for a free place.
    queued: VecDeque<(HostKey, HostDownload, Offer)>,
    /// Processes that are ready for commands.
    ready: HashMap<HostKey, ChildId>,
    /// Hosts that must keep running for their downloads.
    kept: HashSet<HostKey>,
}

impl Downloads {
    /// Opens the downloads that an earlier run of this profile left unfinished. `folder` is where files are saved.
    #[must_use]
    pub fn open(folder: PathBuf, profile: &Path) -> Self {
        let (journal, records) = Journal::open(profile);
        let mut downloads = Self {
            folder,
            journal,
            permissions: DownloadPermissions::default(),
            all: BTreeMap::new(),
            last_id: 0,
            asked: HashMap::new(),
            queued: VecDeque::new(),
            ready: HashMap::new(),
            kept: HashSet::new(),
        };
        for record in records {
            let Ok(site) = Site::parse(&record.site) else { continue };
            // The user removed the part, so the download is not resumed.
            let Ok(part) = fs::metadata(names::partial(&record.path)) else { continue };
            downloads.add(Download {
                host: HostKey { site, workspace: record.workspace },
                url: record.url,
                path: record.path,
                received: part.len(),
                total: record.total,
                source: Some(Source { referrer: record.referrer, validator: record.validator }),
                state: State::Interrupted("the browser ended".to_owned()),
                tries: 0,
                is_cancelled: false,
            });
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
                    actions.push(Action::Show(download.shown(id, Progress::Running, "")));
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
                if let Some((id, download)) = self.running(from) {
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
        let waiting = |download: &Download| download.host == *host && matches!(download.state, State::Interrupted(_));
        let ids: Vec<u64> = self.all.iter().filter(|(_, download)| waiting(download)).map(|(id, _)| *id).collect();
        ids.into_iter().flat_map(|id| self.try_again(id)).collect()
    }

    /// Notes that a host's process ended, and interrupts its downloads.
    pub fn host_ended(&mut self, host: &HostKey, child: ChildId) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.ready.get(host) == Some(&child) {
            self.ready.remove(host);
        }
        self.asked.retain(|(owner, _), _| *owner != child);
        self.queued.retain(|(_, from, _)| from.child != child);
        self.permissions.host_gone(host);
        actions.push(self.question(host));
        let lost = |download: &Download| matches!(download.state, State::Running(from) if from.child == child);
        let lost: Vec<u64> = self.all.iter().filter(|(_, download)| lost(download)).map(|(id, _)| *id).collect();
        for id in lost {
            self.broken(id, "the page's process ended".to_owned(), true, &mut actions);
        }
        self.settle(&mut actions);
        actions
    }

    /// Resumes an interrupted download, if its host is up.
    pub fn try_again(&mut self, id: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(download) = self.all.get_mut(&id) else { return actions };
        let (State::Interrupted(_), Some(child)) = (&download.state, self.ready.get(&download.host)) else {
            return actions;
        };
        let Some(source) = download.source.clone() else { return actions };
        match download.reopen() {
            Ok(_) if download.received > 0 && download.received == download.total => self.finish(id, &mut actions),
            Ok(file) => {
                let to = HostDownload { child: *child, tab: 0, number: OWN_NUMBERS + id };
                tracing::info!(path = %download.path.display(), from = download.received, "download resumed");
                download.state = State::Running(to);
                download.tries += 1;
                let (url, from, total) = (download.url.clone(), download.received, download.total);
                actions.push(Action::Show(download.shown(id, Progress::Running, "")));
                actions.push(Action::GoOn { to, url, source, from, total, file });
            }
            Err(error) => self.fail(id, &error.to_string(), Progress::Failed, &mut actions),
        }
        self.settle(&mut actions);
        actions
    }

    /// Cancels a download for the user.
    pub fn cancel(&mut self, id: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(download) = self.all.get_mut(&id) else { return actions };
        download.is_cancelled = true;
        match download.state {
            State::Running(from) => actions.push(Action::Stop(from)),
            State::Interrupted(_) => self.fail(id, "", Progress::Cancelled, &mut actions),
        }
        self.settle(&mut actions);
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

    /// Returns all unfinished downloads, for a new window.
    #[must_use]
    pub fn shown(&self) -> Vec<DownloadView> {
        let shown = |(id, download): (&u64, &Download)| match &download.state {
            State::Running(_) => download.shown(*id, Progress::Running, ""),
            State::Interrupted(why) => download.shown(*id, Progress::Interrupted, why),
        };
        self.all.iter().map(shown).collect()
    }

    /// Returns the number of unfinished downloads.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.all.len() + self.queued.len()
    }

    fn add(&mut self, download: Download) -> u64 {
        self.last_id += 1;
        self.all.insert(self.last_id, download);
        self.last_id
    }

    fn running(&mut self, from: HostDownload) -> Option<(u64, &mut Download)> {
        let is_meant = |download: &Download| matches!(download.state, State::Running(at) if (at.child, at.number) == (from.child, from.number));
        self.all.iter_mut().find(|(_, download)| is_meant(download)).map(|(id, download)| (*id, download))
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
        let is_known = self.running(from).is_some()
            || self.queued.iter().any(|(_, queued, _)| (queued.child, queued.number) == (from.child, from.number));
        if is_known || from.number >= OWN_NUMBERS {
            actions.push(Action::Stop(from));
            return;
        }
        let queued = self.queued.iter().filter(|(_, queued, _)| queued.child == from.child).count();
        if queued >= MAX_QUEUED {
            actions.push(Action::Tell(format!(
                "“{}” is not saved: {MAX_QUEUED} files of its site are already waiting. Try again later.",
                offer.name
            )));
            actions.push(Action::Stop(from));
            return;
        }
        self.queued.push_back((host.clone(), from, offer));
    }

    /// Starts waiting downloads of sites that run fewer than [`MAX_RUNNING`].
    fn start_queued(&mut self, actions: &mut Vec<Action>) {
        let mut running: HashMap<ChildId, usize> = HashMap::new();
        for download in self.all.values() {
            if let State::Running(from) = download.state {
                *running.entry(from.child).or_default() += 1;
            }
        }
        for (host, from, offer) in std::mem::take(&mut self.queued) {
            let of_child = running.entry(from.child).or_default();
            if *of_child >= MAX_RUNNING {
                self.queued.push_back((host, from, offer));
                continue;
            }
            match names::create(&self.folder, &offer.name) {
                Ok((file, path)) => {
                    *of_child += 1;
                    tracing::info!(path = %path.display(), "download started");
                    actions.push(Action::Write { to: from, file: file.into() });
                    let Offer { url, total, source, .. } = offer;
                    let state = State::Running(from);
                    let download =
                        Download { host, url, path, received: 0, total, source, state, tries: 0, is_cancelled: false };
                    let id = self.add(download);
                    actions.extend(self.all.get(&id).map(|one| Action::Show(one.shown(id, Progress::Running, ""))));
                }
                Err(error) => {
                    actions.push(Action::Tell(format!("“{}” cannot be saved: {error}", offer.name)));
                    actions.push(Action::Stop(from));
                }
            }
        }
    }

    fn finish(&mut self, id: u64, actions: &mut Vec<Action>) {
        let Some(mut download) = self.all.remove(&id) else { return };
        match names::keep(&names::partial(&download.path), &download.path) {
            Ok(path) => {
                tracing::info!(path = %path.display(), "download finished");
                (download.path, download.total) = (path, download.received);
                actions.push(Action::Show(download.shown(id, Progress::Done, "")));
            }
            Err(error) => actions.push(Action::Show(download.shown(id, Progress::Failed, &error.to_string()))),
        }
    }

    /// Interrupts or fails a download whose host or connection is gone.
    fn broken(&mut self, id: u64, error: String, try_again: bool, actions: &mut Vec<Action>) {
        let Some(download) = self.all.get_mut(&id) else { return };
        if download.is_cancelled {
            return self.fail(id, "", Progress::Cancelled, actions);
        }
        if !try_again || download.source.is_none() || download.tries >= MAX_TRIES {
            return self.fail(id, &error, Progress::Failed, actions);
        }
        // Only bytes in the file count.
        download.received = fs::metadata(names::partial(&download.path)).map_or(0, |part| part.len());
        tracing::info!(path = %download.path.display(), received = download.received, "download interrupted: {error}");
        actions.push(Action::Show(download.shown(id, Progress::Interrupted, &error)));
        let after = PAUSES.0.saturating_mul(1 << download.tries.min(8)).min(PAUSES.1);
        download.state = State::Interrupted(error);
        actions.push(Action::Later { id, after });
    }

    /// Ends an unfinished download. The received bytes stay unless the user cancelled it.
    fn fail(&mut self, id: u64, error: &str, progress: Progress, actions: &mut Vec<Action>) {
        let Some(download) = self.all.remove(&id) else { return };
        let part = names::partial(&download.path);
        let left = if progress == Progress::Cancelled {
            names::remove(&part);
            None
        } else {
            names::left_over(&part)
        };
        let error = match left {
            Some(part) => format!("{error}; the received bytes are in {}", part.display()),
            None => error.to_owned(),
        };
        tracing::info!(path = %download.path.display(), ?progress, error, "download ended");
        actions.push(Action::Show(download.shown(id, progress, &error)));
    }

    /// Starts what may start, updates which hosts are needed, and lists the unfinished downloads on disk.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        self.start_queued(actions);
        let mut needed: HashSet<HostKey> = self.all.values().map(|download| download.host.clone()).collect();
        needed.extend(self.queued.iter().map(|(host, ..)| host.clone()));
        needed.extend(self.permissions.questions().map(|(host, ..)| host.clone()));
        let keep = |host: &HostKey, is_needed| Action::Keep { host: host.clone(), is_needed };
        actions.extend(needed.difference(&self.kept).map(|host| keep(host, true)));
        actions.extend(self.kept.difference(&needed).map(|host| keep(host, false)));
        self.kept = needed;
        self.journal.keep(self.all.values().filter_map(Download::record).collect());
    }

    /// Lists the unfinished downloads for the next run, and removes empty parts.
    pub fn end(&mut self) {
        self.all.retain(|_, download| names::left_over(&names::partial(&download.path)).is_some());
        self.journal.keep(self.all.values().filter_map(Download::record).collect());
        self.journal.flush();
    }
}

#[cfg(test)]
mod tests;
