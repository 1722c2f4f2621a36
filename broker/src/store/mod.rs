//! What survives the browser: sessions, in sled.
//!
//! sled runs on a thread of its own, because it can panic on I/O errors and corruption; the broker goes on without it and
//! says so. A store that cannot be read whole is moved aside whole: nothing of it is thrown away.
//!
//! Durability: a record is on disk at most [`FLUSH`] after the event; a clean exit flushes before it ends.

pub mod codec;
mod thread;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::audit::Head;
use crate::session::SavedTab;

/// How long a record may wait for the disk.
pub const FLUSH: Duration = Duration::from_millis(200);
const AUDIT_HEAD: &[u8] = b"audit-head";
/// How long the store's thread sleeps when there is nothing to save.
const IDLE: Duration = Duration::from_secs(3600);
/// How often a store that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// What must fit on the disk before a failed store is opened again, bytes.
const ROOM: usize = 1 << 20;
/// Sessions that are kept beside the running one.
const KEPT_SESSIONS: usize = 5;

/// Order of the tabs, and which is active.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedOrder {
    /// As in the tab strip.
    pub order: Vec<u64>,
    /// What the window showed.
    pub active: u64,
}

/// About one session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Meta {
    /// It ended by the user's wish.
    clean: bool,
    /// The user does not want to be asked about it any more.
    dismissed: bool,
    /// Last write, seconds since 1970.
    saved_at: u64,
}

/// A session of an earlier run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// Which.
    pub epoch: u64,
    /// Its tabs in their order; the active one first.
    pub tabs: Vec<SavedTab>,
    /// Seconds since 1970.
    pub saved_at: u64,
    /// It ended by the user's wish.
    pub clean: bool,
    /// The user has answered already.
    pub dismissed: bool,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// sled's own.
    #[error("the store: {0}")]
    Sled(#[from] sled::Error),
    /// A record that is not ours, or damaged.
    #[error("the record “{key}”: {error}")]
    Record { key: String, error: codec::CodecError },
    /// sled panicked.
    #[error("the store failed while it was opened: {0}")]
    Panic(String),
}

#[derive(Debug)]
enum Job {
    Tab(Box<SavedTab>),
    Forget(u64),
    Order(SavedOrder),
    Everything(Vec<SavedTab>, SavedOrder),
    Dismiss(u64),
    AuditHead(Head),
    Flush { clean: bool, done: Sender<()> },
}

/// The store's thread, as the broker sees it. Every call returns at once.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: Sender<Job>,
    health: Arc<thread::Health>,
}

/// What opening gave.
#[derive(Debug)]
pub struct Opened {
    /// For writing.
    pub store: Store,
    /// The newest earlier session with tabs.
    pub previous: Option<Saved>,
    /// What a person should know, in words.
    pub warning: Option<String>,
}

/// Opens the profile's store. A store that cannot be read is moved aside, and a fresh one takes its place.
///
/// # Errors
/// When no store can be made at all, as on a full disk.
pub fn open(profile: &Path) -> Result<Opened, StoreError> {
    let path = profile.join("store");
    let (store, previous, warning) = match try_open(&path) {
        Ok((database, previous)) => (database, previous, None),
        Err(error) => {
            let aside = set_aside(&path);
            let warning = format!(
                "The saved session could not be read ({error}). It is kept in {}; Regen started with a fresh one.",
                aside.display()
            );
            tracing::error!("{warning}");
            let (database, previous) = try_open(&path)?;
            (database, previous, Some(warning))
        }
    };
    let (jobs, queue) = channel();
    let epoch = store.1;
    let database = store.0;
    let health = Arc::new(thread::Health::default());
    let seen = Arc::clone(&health);
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || thread::serve(&path, database, epoch, &queue, &seen))
        .map_err(|error| StoreError::Panic(error.to_string()))?;
    Ok(Opened { store: Store { jobs, health }, previous, warning })
}

type Database = (sled::Db, u64);

fn try_open(path: &Path) -> Result<(Database, Option<Saved>), StoreError> {
    contained(|| {
        let database = sled::Config::new()
            .path(path)
            .cache_capacity(8 * 1024 * 1024)
            .flush_every_ms(Some(u64::try_from(FLUSH.as_millis()).unwrap_or(200)))
            .open()?;
        let previous = read_all(&database)?;
        let epoch = previous.iter().map(|saved| saved.epoch).max().unwrap_or(0) + 1;
        prune(&database, &previous)?;
        let newest = previous.into_iter().filter(|saved| !saved.tabs.is_empty()).max_by_key(|saved| saved.epoch);
        Ok(((database, epoch), newest))
    })
}

fn set_aside(path: &Path) -> PathBuf {
    let aside = path.with_file_name(format!("store.unreadable-{}", now()));
    if let Err(error) = std::fs::rename(path, &aside) {
        tracing::error!("cannot move {} aside: {error}", path.display());
    }
    aside
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read<T: serde::de::DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    codec::decode(value).map_err(|error| StoreError::Record { key: String::from_utf8_lossy(key).into_owned(), error })
}

fn read_all(database: &sled::Db) -> Result<Vec<Saved>, StoreError> {
    let mut sessions = Vec::new();
    for name in database.tree_names() {
        let Some(epoch) = epoch_of(&name) else { continue };
        let tree = database.open_tree(&name)?;
        let mut saved = Saved { epoch, ..Saved::default() };
        let mut order = SavedOrder::default();
        for item in &tree {
            let (key, value) = item?;
            match key.as_ref() {
                b"order" => order = read(&key, &value)?,
                b"meta" => {
                    let meta: Meta = read(&key, &value)?;
                    (saved.clean, saved.dismissed, saved.saved_at) = (meta.clean, meta.dismissed, meta.saved_at);
                }
                _ => saved.tabs.push(read(&key, &value)?),
            }
        }
        let place = |id: u64| order.order.iter().position(|other| *other == id).unwrap_or(usize::MAX);
        saved.tabs.sort_by_key(|tab| place(tab.id));
        if let Some(active) = saved.tabs.iter().position(|tab| tab.id == order.active) {
            // Restoring opens the first one.
            saved.tabs.rotate_left(active);
        }
        sessions.push(saved);
    }
    Ok(sessions)
}

fn epoch_of(name: &[u8]) -> Option<u64> {
    std::str::from_utf8(name).ok()?.strip_prefix("session-")?.parse().ok()
}

fn prune(database: &sled::Db, sessions: &[Saved]) -> Result<(), StoreError> {
    let mut epochs: Vec<(bool, u64)> = sessions.iter().map(|s| (!s.tabs.is_empty(), s.epoch)).collect();
    epochs.sort_unstable_by(|a, b| b.cmp(a));
    for (has_tabs, epoch) in
        epochs.iter().enumerate().filter(|(i, (tabs, _))| !tabs || *i >= KEPT_SESSIONS).map(|(_, e)| e)
    {
        tracing::debug!(has_tabs, epoch, "session dropped");
        database.drop_tree(format!("session-{epoch}"))?;
    }
    Ok(())
}

fn contained<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(StoreError::Panic(text.unwrap_or_else(|| "a panic".to_owned())))
    })
}

/// The end of the audit log as the store of a browser that does not run has it.
///
/// # Errors
/// When the store cannot be opened, as while a browser uses it.
pub fn audit_head(profile: &Path) -> Result<Head, StoreError> {
    let path = profile.join("store");
    if !path.exists() {
        return Ok(Head::default());
    }
    // A browser that has just ended holds its lock for a moment longer.
    let open = || sled::Config::new().path(&path).open();
    let mut opened = open();
    for _ in 0..40 {
        if !matches!(&opened, Err(sled::Error::Io(_))) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        opened = open();
    }
    let database = opened?;
    contained(|| database.get(AUDIT_HEAD)?.map_or_else(|| Ok(Head::default()), |value| read(AUDIT_HEAD, &value)))
}

impl Store {
    fn send(&self, job: Job) {
        // A store that failed has said so; the browser goes on.
        let _ = self.jobs.send(job);
    }

    /// Why nothing can be saved at the moment, in words for the user.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    /// The store has come back from a failure, and must be told everything. True once.
    #[must_use]
    pub fn wants_everything(&self) -> bool {
        self.health.wants_everything()
    }

    /// Saves a tab as it is now.
    pub fn put_tab(&self, tab: SavedTab) {
        self.send(Job::Tab(Box::new(tab)));
    }

    /// Saves the whole session in place of what is there.
    pub fn put_everything(&self, tabs: Vec<SavedTab>, order: SavedOrder) {
        self.send(Job::Everything(tabs, order));
    }

    /// A closed tab.
    pub fn forget_tab(&self, id: u64) {
        self.send(Job::Forget(id));
    }

    /// Saves the order.
    pub fn put_order(&self, order: SavedOrder) {
        self.send(Job::Order(order));
    }

    /// The user answered about an earlier session.
    pub fn dismiss(&self, epoch: u64) {
        self.send(Job::Dismiss(epoch));
    }

    /// The end of the audit log, so that a cut shows.
    pub fn put_audit_head(&self, head: Head) {
        self.send(Job::AuditHead(head));
    }

    /// Waits until everything is on disk; `clean` marks the end of the session. Gives up after five seconds.
    ///
    /// # Errors
    /// When it is not on disk, with the reason in words.
    pub fn flush(&self, clean: bool) -> Result<(), String> {
        let (done, wait) = channel();
        self.send(Job::Flush { clean, done });
        wait.recv_timeout(Duration::from_secs(5)).map_err(|_| {
            self.trouble().unwrap_or_else(|| "The session could not be saved within 5 s: the disk is slow.".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{SavedSegment, SavedSnapshot};

    fn tab(id: u64) -> SavedTab {
        let segment = SavedSegment {
            site: "http://127.0.0.1".into(),
            url: format!("http://127.0.0.1/{id}"),
            title: "t".into(),
            can_go_back: false,
            can_go_forward: false,
            snapshot: SavedSnapshot { session_state: vec![1, 2, 3], ..SavedSnapshot::default() },
        };
        SavedTab {
            id,
            workspace: String::new(),
            segments: vec![segment],
            current: 0,
            zoom: 1.0,
            muted: false,
            pinned: false,
        }
    }

    fn opened(profile: &Path) -> Opened {
        // sled releases its lock on a thread of its own.
        for _ in 0..500 {
            match try_open(&profile.join("store")) {
                Err(StoreError::Sled(sled::Error::Io(_))) => std::thread::yield_now(),
                _ => break,
            }
        }
        open(profile).unwrap()
    }

    #[test]
    fn the_next_start_finds_the_last_session_in_order() {
        let profile = tempfile::tempdir().unwrap();
        let first = opened(profile.path());
        assert_eq!(first.previous, None);
        for id in [1, 2, 3] {
            first.store.put_tab(tab(id));
        }
        first.store.forget_tab(2);
        first.store.put_order(SavedOrder { order: vec![3, 1], active: 3 });
        first.store.flush(false).unwrap();
        drop(first);
        let again = opened(profile.path());
        let previous = again.previous.unwrap();
        assert_eq!(previous.tabs.iter().map(|t| t.id).collect::<Vec<_>>(), [3, 1]);
        assert!(!previous.clean && !previous.dismissed && previous.saved_at > 0);
        again.store.dismiss(previous.epoch);
        again.store.flush(true).unwrap();
        drop(again.store);
        assert!(opened(profile.path()).previous.unwrap().dismissed);
    }

    #[test]
    fn a_damaged_store_is_moved_aside_whole() {
        let profile = tempfile::tempdir().unwrap();
        let first = opened(profile.path());
        first.store.put_tab(tab(1));
        first.store.flush(false).unwrap();
        drop(first);
        let database = (0..500).find_map(|_| sled::open(profile.path().join("store")).ok()).unwrap();
        database.open_tree("session-1").unwrap().insert("tab-1", b"something else entirely").unwrap();
        database.flush().unwrap();
        drop(database);
        let again = opened(profile.path());
        assert!(again.warning.unwrap().contains("store.unreadable-"));
        assert_eq!(again.previous, None);
        assert!(std::fs::read_dir(profile.path()).unwrap().count() >= 2);
    }
}
