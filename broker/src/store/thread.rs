//! The store's thread: writes what it is told, and outlives a disk that is full or fails.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use super::{AUDIT_HEAD, IDLE, Job, Meta, RETRY, ROOM, StoreError, codec, contained, now, set_aside, try_open};

/// The store's thread. A store that fails is closed and opened again until the disk is well.
pub(super) fn serve(path: &Path, first: sled::Db, epoch: u64, queue: &Receiver<Job>, health: &Health) {
    let tree = format!("session-{epoch}");
    let mut database = Some(first);
    let mut tried = Instant::now();
    loop {
        let patience = if database.is_some() { IDLE } else { RETRY };
        let job = match queue.recv_timeout(patience) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match (&database, job) {
            (Some(open), Some(job)) => {
                if let Err(error) = contained(|| write(open, &tree, job)) {
                    health.failed(&error);
                    tried = Instant::now();
                    // A sled that met an I/O error never finishes closing: its flusher is gone, and it waits for it.
                    std::mem::forget(database.take());
                }
            }
            (Some(_), None) => {}
            // What cannot be saved now is saved when the store is back: the broker knows it all.
            (None, _) if tried.elapsed() < RETRY => {}
            (None, _) => {
                match reopen(path) {
                    Ok(open) => {
                        database = Some(open);
                        health.recovered();
                    }
                    Err(error) => tracing::warn!("the store stays closed: {error}"),
                }
                tried = Instant::now();
            }
        }
    }
}

/// Opens the store after a failure, when the disk has room. The failed sled still holds its files and their lock, so its
/// successor works on a copy of them.
fn reopen(path: &Path) -> Result<sled::Db, StoreError> {
    let copy = path.with_file_name("store.copy");
    let failed = path.with_file_name("store.failed");
    for leftover in [&copy, &failed] {
        match std::fs::remove_dir_all(leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(sled::Error::from(error).into()),
            _ => {}
        }
    }
    let copied = copy_folder(path, &copy).and_then(|()| std::fs::write(copy.join("room"), vec![1; ROOM]));
    copied
        .and_then(|()| std::fs::remove_file(copy.join("room")))
        .and_then(|()| std::fs::rename(path, &failed))
        .and_then(|()| std::fs::rename(&copy, path))
        .and_then(|()| std::fs::remove_dir_all(&failed))
        .map_err(sled::Error::from)?;
    let open = || try_open(path).map(|((database, _), _)| database);
    match open() {
        Err(StoreError::Sled(sled::Error::Corruption { .. }) | StoreError::Record { .. }) => {
            set_aside(path);
            open()
        }
        other => other,
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn write(database: &sled::Db, tree: &str, job: Job) -> Result<(), StoreError> {
    let meta = |clean: bool| codec::encode(&Meta { clean, dismissed: false, saved_at: now() });
    let put = |key: &[u8], value: Vec<u8>| -> Result<(), StoreError> {
        let tree = database.open_tree(tree)?;
        tree.insert(key, value)?;
        tree.insert(b"meta", meta(false))?;
        Ok(())
    };
    match job {
        Job::Tab(tab) => put(&key_of(tab.id), codec::encode(&*tab)),
        Job::Forget(id) => {
            database.open_tree(tree)?.remove(key_of(id))?;
            Ok(())
        }
        Job::Order(order) => put(b"order", codec::encode(&order)),
        Job::Everything(tabs, order) => {
            let tree = database.open_tree(tree)?;
            let mut batch = sled::Batch::default();
            for key in tree.iter().keys() {
                batch.remove(key?);
            }
            for tab in &tabs {
                batch.insert(key_of(tab.id), codec::encode(tab));
            }
            batch.insert(b"order", codec::encode(&order));
            batch.insert(b"meta", meta(false));
            tree.apply_batch(batch)?;
            Ok(())
        }
        Job::Dismiss(epoch) => {
            let tree = database.open_tree(format!("session-{epoch}"))?;
            let old = tree.get(b"meta")?.and_then(|value| codec::decode::<Meta>(&value).ok()).unwrap_or_default();
            tree.insert(b"meta", codec::encode(&Meta { dismissed: true, ..old }))?;
            Ok(())
        }
        Job::AuditHead(head) => {
            database.insert(AUDIT_HEAD, codec::encode(&head))?;
            Ok(())
        }
        Job::Flush { clean, done } => {
            let tree = database.open_tree(tree)?;
            if clean && !tree.is_empty() {
                tree.insert(b"meta", meta(true))?;
            }
            database.flush()?;
            // Whoever waited may have given up.
            let _ = done.send(());
            Ok(())
        }
    }
}

fn key_of(tab: u64) -> Vec<u8> {
    format!("tab-{tab}").into_bytes()
}

/// How the store is, as both sides see it.
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
            "The session cannot be saved ({error}). Running tabs are not affected; make room on the disk, and saving goes on."
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
