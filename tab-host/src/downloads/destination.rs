//! Files in the bucket that the engine writes downloads into.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Directory of the files.
const FOLDER: &str = "/bucket/site/downloads";
/// Number of the next file; 0 before the first one.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Upper bound of the first number, well below the broker's own numbers.
const FIRST_NUMBERS: u64 = 1 << 31;

thread_local! {
    /// File names that pages suggest, by file number, until the engine has begun the download.
    static SUGGESTED: RefCell<HashMap<u64, String>> = RefCell::default();
}

pub(super) fn folder() -> PathBuf {
    PathBuf::from(FOLDER)
}

/// Returns a number for a file in the bucket, and its path. A crashed process left its files there, and may still be
/// writing as it ends. They are removed, and numbers start at random, so that downloads do not mix.
pub(crate) fn reserve() -> io::Result<(u64, PathBuf)> {
    if NEXT.load(Ordering::Relaxed) == 0 {
        match fs::remove_dir_all(folder()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => NEXT.store(1 + RandomState::new().build_hasher().finish() % FIRST_NUMBERS, Ordering::Relaxed),
        }
    }
    fs::create_dir_all(folder())?;
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    Ok((id, folder().join(id.to_string())))
}

/// Directs a download into the bucket, and keeps its suggested name for the broker. Returns false on failure.
pub(crate) fn choose_destination(destination: &mut PathBuf) -> bool {
    let (id, path) = match reserve() {
        Ok(reserved) => reserved,
        Err(error) => {
            tracing::error!("download: cannot reserve a file in the bucket: {error}");
            return false;
        }
    };
    let suggested = destination.file_name().unwrap_or_default().to_string_lossy().chars().take(250).collect();
    SUGGESTED.with_borrow_mut(|names| names.insert(id, suggested));
    *destination = path;
    true
}

/// Takes the file name that a page suggested for a file.
pub(super) fn take_suggested(id: u64) -> String {
    SUGGESTED.with_borrow_mut(|names| names.remove(&id)).unwrap_or_default()
}
