//! Place and options of the sled database, and containment of its panics.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{FLUSH, StoreError};

pub(super) fn sled_path(profile: &Path) -> PathBuf {
    profile.join("store")
}

pub(super) fn sled(profile: &Path) -> sled::Config {
    sled::Config::new()
        .path(sled_path(profile))
        .cache_capacity(8 * 1024 * 1024)
        .flush_every_ms(Some(u64::try_from(FLUSH.as_millis()).unwrap_or(200)))
}

/// Returns whether sled's files are still in use. sled gives that error no kind of its own.
pub(super) fn is_in_use(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(super) fn contained<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(StoreError::Panic(text.unwrap_or_else(|| "a panic".to_owned())))
    })
}

pub(super) fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
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
