//! The store's thread. It writes records, and keeps running when the disk is full or fails.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::StoreError;
use super::chunks::key_of_chunk;
use super::contents::{set_aside, try_open};
use super::database::{contained, copy_folder, now, sled_path};
use super::history::{self, key_of_tab};
use super::jobs::{Job, PendingState};
use super::mirror::{COMMON, Damage, Mirror};
use super::saved::{
    AUDIT_HEAD, DNS, HSTS, HTTPS_ONLY, META, Meta, ORDER, PERMISSIONS, ROUTES, SETTINGS, SHIELDS, VPN,
    WORKSPACE_SHIELDS, WORKSPACES, WorkspaceLevels, ZOOMS, epoch_of, group_of, key_of_cookies, read_session,
};
use super::secrets::Vault;
use regen_session::SavedTab;

/// Maximum sleep of the store's thread when there is nothing to save.
const IDLE: Duration = Duration::from_secs(3600);
/// Delay before a failed store is opened again.
const RETRY: Duration = Duration::from_secs(1);
/// Free disk space needed to open a failed store again, in bytes.
const ROOM: usize = 1 << 20;
/// Number of written bytes after which sled's size is checked.
const COMPACT_AFTER: u64 = 64 << 20;

/// State of the store's thread.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) profile: PathBuf,
    pub(super) vault: Vault,
    pub(super) epoch: u64,
    pub(super) health: Arc<Health>,
    pub(super) waiting: Arc<PendingState>,
    /// Keys of each tab's entries that are written.
    pub(super) entries: HashMap<u64, BTreeSet<String>>,
    /// Time of the last session record, in seconds since 1970.
    pub(super) said: u64,
    /// Bytes written since sled's size was last checked.
    pub(super) written: u64,
    /// The database is to be written anew, because it holds what was to be removed.
    pub(super) rewrites: bool,
}

impl Worker {
    /// Runs until all handles are dropped. A store that fails is closed, and opened again until the disk works.
    pub(super) fn serve(mut self, first: Mirror, queue: &Receiver<Job>) {
        let mut mirror = Some(first);
        let mut tried = Instant::now();
        loop {
            let patience = if mirror.is_some() { IDLE } else { RETRY };
            let job = match queue.recv_timeout(patience) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match (&mut mirror, job) {
                (Some(open), Some(job)) => {
                    match contained(|| self.write(open, job)) {
                        Ok(()) => {}
                        // A value that cannot be encoded is no fault of the disk.
                        Err(StoreError::Record(error)) => tracing::error!("a record was not saved: {error}"),
                        Err(error) => {
                            self.health.failed(&error);
                            tried = Instant::now();
                            if let Some(failed) = mirror.take() {
                                failed.abandon();
                            }
                        }
                    }
                    if (self.written > COMPACT_AFTER || self.rewrites)
                        && let Some(open) = mirror.take()
                    {
                        self.written = 0;
                        let always = std::mem::take(&mut self.rewrites);
                        match contained(|| open.compact(&self.profile, always)) {
                            Ok(open) => mirror = Some(open),
                            Err(error) => {
                                self.health.failed(&error);
                                tried = Instant::now();
                            }
                        }
                    }
                }
                (Some(_), None) => {}
                // Jobs are dropped meanwhile: the broker sends everything again once the store is open.
                (None, Some(Job::Chunk(group, number))) => drop(self.waiting.chunks().remove(&(group, number))),
                (None, _) if tried.elapsed() < RETRY => {}
                (None, _) => {
                    match reopen(&self.profile, &self.vault) {
                        Ok(open) => {
                            mirror = Some(open);
                            self.health.recovered();
                        }
                        Err(error) => tracing::warn!("the store cannot be opened again: {error}"),
                    }
                    tried = Instant::now();
                }
            }
        }
    }

    /// Writes the parts of a tab that are not written yet. Entries go first, so that the tab's record names none that
    /// is missing.
    fn put_tab(&mut self, mirror: &mut Mirror, group: &str, tab: SavedTab) -> Result<(), StoreError> {
        let id = tab.id;
        let (record, entries) = history::split(tab)?;
        let known = self.entries.remove(&id).unwrap_or_default();
        for (key, snapshot) in entries.iter().filter(|(key, _)| !known.contains(*key)) {
            self.written += mirror.put(group, key, snapshot)? as u64;
        }
        self.written += mirror.put(group, &key_of_tab(id), &record)? as u64;
        let wanted: BTreeSet<String> = entries.into_keys().collect();
        known.difference(&wanted).try_for_each(|key| mirror.remove(group, key))?;
        self.entries.insert(id, wanted);
        Ok(())
    }

    /// Removes the tabs and cookies of a workspace from all sessions. The database is then written anew: what it has removed
    /// would stay in its files for a while.
    fn forget_workspace(&mut self, mirror: &mut Mirror, workspace: &str) -> Result<(), StoreError> {
        let epochs: Vec<u64> = mirror.groups()?.iter().filter_map(|group| epoch_of(group)).collect();
        for epoch in epochs {
            let saved = read_session(mirror, epoch, &self.vault, &mut Damage::default())?;
            let group = group_of(epoch);
            let tabs: Vec<u64> = saved.tabs.iter().filter(|tab| tab.workspace == workspace).map(|tab| tab.id).collect();
            let cookies: BTreeSet<String> =
                saved.cookies.iter().filter(|one| one.workspace == workspace).map(key_of_cookies).collect();
            let is_its = |key: &str| cookies.contains(key) || tabs.iter().any(|tab| is_of_tab(key, *tab));
            let keys: Vec<String> = mirror.find(&group)?.keys().filter(|key| is_its(key)).map(str::to_owned).collect();
            keys.iter().try_for_each(|key| mirror.remove(&group, key))?;
            if epoch == self.epoch {
                tabs.iter().for_each(|tab| drop(self.entries.remove(tab)));
            }
        }
        self.rewrites = true;
        Ok(())
    }

    fn write(&mut self, mirror: &mut Mirror, job: Job) -> Result<(), StoreError> {
        let group = group_of(self.epoch);
        let meta = |clean: bool| Meta { clean, saved_at: now(), ..Meta::default() };
        match job {
            Job::Tab(id) => {
                let Some(tab) = self.waiting.tabs().remove(&id) else { return Ok(()) };
                self.put_tab(mirror, &group, tab)?;
                // The session's time has a resolution of one second.
                if std::mem::replace(&mut self.said, now()) == self.said {
                    return Ok(());
                }
                mirror.put(&group, META, &meta(false)).map(drop)
            }
            Job::Forget(id) => {
                self.waiting.tabs().remove(&id);
                mirror.remove(&group, &key_of_tab(id))?;
                let entries = self.entries.remove(&id).unwrap_or_default();
                entries.iter().try_for_each(|key| mirror.remove(&group, key))
            }
            Job::Order(order) => mirror.put(&group, ORDER, &order).map(drop),
            Job::Cookies(key) => {
                let Some(cookies) = self.waiting.cookies().remove(&key) else { return Ok(()) };
                if cookies.cookies.is_empty() {
                    return mirror.remove(&group, &key);
                }
                self.written += mirror.put(&group, &key, &self.vault.seal(&format!("{group}/{key}"), &cookies))? as u64;
                Ok(())
            }
            Job::Everything(tabs, order, cookies) => {
                let known: Vec<String> = mirror.find(&group)?.keys().map(str::to_owned).collect();
                let mut stale: BTreeSet<String> = known.into_iter().collect();
                for id in tabs {
                    stale.remove(&key_of_tab(id));
                    // A tab that does not wait was written meanwhile. Of one that waits, earlier records may be lost.
                    if self.waiting.tabs().contains_key(&id) {
                        self.entries.remove(&id);
                        self.write(mirror, Job::Tab(id))?;
                    }
                    let entries = self.entries.get(&id);
                    stale.retain(|key| entries.is_none_or(|entries| !entries.contains(key)));
                }
                for key in cookies {
                    stale.remove(&key);
                    self.write(mirror, Job::Cookies(key))?;
                }
                for key in stale.iter().filter(|key| ![ORDER, META].contains(&key.as_str())) {
                    mirror.remove(&group, key)?;
                }
                self.write(mirror, Job::Order(order))
            }
            Job::Answered { epoch, restored } => {
                let group = group_of(epoch);
                let old = mirror.find(&group)?.get::<Meta>(META, &mut Damage::default());
                let old = old.map(|record| record.value).unwrap_or_default();
                mirror.put(&group, META, &Meta { dismissed: true, restored, ..old }).map(drop)
            }
            Job::Chunk(group, number) => {
                match self.waiting.chunks().remove(&(group, number)) {
                    Some(Some(chunk)) => self.written += chunk.put(mirror, group, number)? as u64,
                    Some(None) => mirror.remove(group.name(), &key_of_chunk(number))?,
                    None => {}
                }
                Ok(())
            }
            Job::AuditHead(head) => mirror.put(COMMON, AUDIT_HEAD, &head).map(drop),
            Job::SessionSettings(settings) => mirror.put(COMMON, SETTINGS, &settings).map(drop),
            Job::Shields(settings) => {
                mirror.put(COMMON, SHIELDS, &settings)?;
                mirror.put(COMMON, WORKSPACE_SHIELDS, &WorkspaceLevels(settings.workspaces)).map(drop)
            }
            Job::Routes(settings) => mirror.put(COMMON, ROUTES, &settings).map(drop),
            Job::HttpsOnly(settings) => mirror.put(COMMON, HTTPS_ONLY, &settings).map(drop),
            Job::Permissions(settings) => mirror.put(COMMON, PERMISSIONS, &settings).map(drop),
            Job::Workspaces(workspaces) => mirror.put(COMMON, WORKSPACES, &workspaces).map(drop),
            Job::ForgetWorkspace(workspace) => self.forget_workspace(mirror, &workspace),
            Job::Zooms(zooms) => mirror.put(COMMON, ZOOMS, &zooms).map(drop),
            Job::Hsts(hsts) => mirror.put(COMMON, HSTS, &hsts).map(drop),
            Job::Dns(settings) => mirror.put(COMMON, DNS, &settings).map(drop),
            Job::Vpn(settings) => mirror.put(COMMON, VPN, &self.vault.seal(VPN, &settings)).map(drop),
            Job::Flush { clean, done } => {
                if clean && mirror.find(&group)?.keys().next().is_some() {
                    mirror.put(&group, META, &meta(true))?;
                }
                mirror.flush()?;
                // The caller may have given up waiting.
                let _ = done.send(());
                Ok(())
            }
        }
    }
}

/// Returns whether a key is that of a tab or of one of its entries.
fn is_of_tab(key: &str, tab: u64) -> bool {
    key == key_of_tab(tab) || history::is_entry_of(key, tab)
}

/// Opens the store again after a failure, if the disk has room. The failed sled still holds its files and their lock,
/// so its successor works on a copy of them.
fn reopen(profile: &Path, vault: &Vault) -> Result<Mirror, StoreError> {
    let path = sled_path(profile);
    let copy = path.with_file_name("store.copy");
    let failed = path.with_file_name("store.failed");
    for leftover in [&copy, &failed] {
        match std::fs::remove_dir_all(leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    copy_folder(&path, &copy)?;
    std::fs::write(copy.join("room"), vec![1; ROOM])?;
    std::fs::remove_file(copy.join("room"))?;
    std::fs::rename(&path, &failed)?;
    std::fs::rename(&copy, &path)?;
    std::fs::remove_dir_all(&failed)?;
    let open = || try_open(profile, vault).map(|contents| contents.mirror);
    match open() {
        Err(StoreError::Sled(sled::Error::Corruption { .. }) | StoreError::Panic(_)) => {
            set_aside(profile);
            open()
        }
        other => other,
    }
}

/// Health of the store, shared by the thread and its handles.
#[derive(Debug, Default)]
pub(super) struct Health {
    trouble: Mutex<Option<String>>,
    stale: AtomicBool,
}

impl Health {
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().ok().and_then(|trouble| trouble.clone())
    }

    pub(super) fn wants_everything(&self) -> bool {
        self.stale.swap(false, Ordering::AcqRel)
    }

    fn failed(&self, error: &StoreError) {
        let text = format!(
            "The session cannot be saved ({error}). Running tabs are not affected. To save again, make room on the disk."
        );
        tracing::error!("{text}");
        if let Ok(mut trouble) = self.trouble.lock() {
            *trouble = Some(text);
        }
    }

    fn recovered(&self) {
        tracing::info!("the session can be saved again");
        self.stale.store(true, Ordering::Release);
        if let Ok(mut trouble) = self.trouble.lock() {
            *trouble = None;
        }
    }
}
