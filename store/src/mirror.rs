//! Two copies of every record: one in sled, and one in a file of its own. sled's log is written to the disk every
//! [`FLUSH`](super::FLUSH); the files are written with a rename, and the system writes them to the disk in its own
//! time. A flipped bit, a torn end of the log or a record of another build costs one copy. If both can be read, the
//! newer one is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::StoreError;
use super::codec::{self, Readable, Record};

/// Minimum size of a sled that is compacted, in bytes.
const BLOATED: u64 = 64 << 20;

/// Folders of a sled that is being compacted, and of the one it replaces.
const FRESH: &str = "store.compact";
const OLD: &str = "store.old";

/// Group of the records that belong to no session.
pub(super) const COMMON: &str = "common";

/// Both copies of the records.
#[derive(Debug)]
pub(super) struct Mirror {
    database: sled::Db,
    files: PathBuf,
    /// Number of the last record.
    number: u64,
}

/// Records of one session, or the common ones, with both copies.
#[derive(Debug, Default)]
pub(super) struct Records {
    records: BTreeMap<String, [Option<Vec<u8>>; 2]>,
}

/// Records of which one or both copies cannot be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Descriptions of damaged copies whose other copy was good.
    pub(super) mended: Vec<String>,
    /// Descriptions of damaged copies without a good one.
    pub(super) lost: Vec<String>,
}

impl Mirror {
    pub(super) fn new(database: sled::Db, profile: &Path) -> Self {
        Self { database, files: files(profile), number: 0 }
    }

    /// Makes later records get higher numbers than this one.
    pub(super) fn seen(&mut self, number: u64) {
        self.number = self.number.max(number);
    }

    /// Returns the groups that have records: sessions and [`COMMON`].
    pub(super) fn groups(&self) -> io::Result<BTreeSet<String>> {
        let mut groups: BTreeSet<String> =
            self.database.tree_names().iter().filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect();
        for entry in entries(&self.files)? {
            groups.insert(entry);
        }
        Ok(groups)
    }

    pub(super) fn find(&self, group: &str) -> Result<Records, StoreError> {
        let mut found = Records::default();
        for item in &self.database.open_tree(group)? {
            let (key, value) = item?;
            let key = String::from_utf8_lossy(&key).into_owned();
            found.records.entry(key).or_default()[0] = Some(value.to_vec());
        }
        let folder = self.files.join(group);
        for name in entries(&folder)?.into_iter().filter(|name| !name.ends_with(UNFINISHED)) {
            let bytes = fs::read(folder.join(&name))?;
            found.records.entry(name).or_default()[1] = Some(bytes);
        }
        Ok(found)
    }

    /// Writes a record. Returns its size in bytes.
    pub(super) fn put<T: Serialize>(&mut self, group: &str, key: &str, value: &T) -> Result<usize, StoreError> {
        self.number += 1;
        let record = codec::encode(self.number, value)?;
        self.put_file(group, key, &record)?;
        let size = record.len();
        self.database.open_tree(group)?.insert(key, record)?;
        Ok(size)
    }

    fn put_file(&self, group: &str, key: &str, record: &[u8]) -> io::Result<()> {
        let folder = self.files.join(group);
        let unfinished = folder.join(format!("{key}{UNFINISHED}"));
        match fs::write(&unfinished, record) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&folder)?;
                fs::write(&unfinished, record)?;
            }
            other => other?,
        }
        fs::rename(unfinished, folder.join(key))
    }

    pub(super) fn remove(&self, group: &str, key: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.files.join(group).join(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        self.database.open_tree(group)?.remove(key)?;
        Ok(())
    }

    pub(super) fn drop_group(&self, group: &str) -> Result<(), StoreError> {
        self.database.drop_tree(group)?;
        match fs::remove_dir_all(self.files.join(group)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()?;
        Ok(())
    }

    /// Compacts sled if it takes far more disk space than its records need.
    pub(super) fn compact(self, profile: &Path, always: bool) -> Result<Self, StoreError> {
        let Self { database, files, number } = self;
        let database = if always || is_bloated(&database)? { compact(database, profile)? } else { database };
        Ok(Self { database, files, number })
    }

    /// Leaks a sled that met an I/O error: closing it would wait forever for its flusher, which is gone.
    pub(super) fn abandon(self) {
        std::mem::forget(self.database);
    }
}

/// Returns whether sled takes far more disk space than its records need: it never frees any.
pub(super) fn is_bloated(database: &sled::Db) -> Result<bool, StoreError> {
    let taken = database.size_on_disk()?;
    if taken < BLOATED {
        return Ok(false);
    }
    let mut held = 0;
    for tree in database.tree_names() {
        for item in &database.open_tree(tree)? {
            let (key, value) = item?;
            held += (key.len() + value.len()) as u64;
        }
    }
    Ok(taken / 4 > held)
}

/// Copies a sled's records into a new one, which replaces it.
pub(super) fn compact(database: sled::Db, profile: &Path) -> Result<sled::Db, StoreError> {
    let (place, fresh) = (super::database::sled_path(profile), profile.join(FRESH));
    let before = database.size_on_disk()?;
    {
        let copy = sled::Config::new().path(&fresh).flush_every_ms(None).open()?;
        for name in database.tree_names() {
            let (from, to) = (database.open_tree(&name)?, copy.open_tree(&name)?);
            for item in &from {
                let (key, value) = item?;
                to.insert(key, value)?;
            }
        }
        copy.flush()?;
    }
    database.flush()?;
    drop(database);
    // Both release their files on threads of their own. Until the swap is done, the old sled and the mirror's files are
    // whole.
    let old = profile.join(OLD);
    fs::rename(&place, &old)?;
    fs::rename(&fresh, &place)?;
    fs::remove_dir_all(&old)?;
    let database = reopened(profile)?;
    tracing::info!("the store was compacted: {} MB freed", before.saturating_sub(database.size_on_disk()?) >> 20);
    Ok(database)
}

/// Finishes or undoes a [`compact`] that a crash interrupted.
pub(super) fn finish_compaction(profile: &Path) -> io::Result<()> {
    let (place, old, fresh) = (super::database::sled_path(profile), profile.join(OLD), profile.join(FRESH));
    if old.exists() && !place.exists() {
        fs::rename(&old, &place)?;
    }
    for leftover in [old, fresh] {
        match fs::remove_dir_all(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Opens a sled whose previous owner may still hold its lock for a moment.
fn reopened(profile: &Path) -> Result<sled::Db, StoreError> {
    let mut opened = super::database::sled(profile).open();
    for _ in 0..100 {
        if !matches!(&opened, Err(sled::Error::Io(_))) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        opened = super::database::sled(profile).open();
    }
    Ok(opened?)
}

impl Records {
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(String::as_str)
    }

    /// Returns the newest copy that can be read.
    pub(super) fn get<T: Readable>(&self, key: &str, damage: &mut Damage) -> Option<Record<T>> {
        let copies = self.records.get(key)?.iter().flatten();
        let (mut best, mut wrong): (Option<Record<T>>, Vec<String>) = (None, Vec::new());
        for bytes in copies {
            match codec::decode::<T>(bytes) {
                Ok(record) if best.as_ref().is_none_or(|best| record.number > best.number) => best = Some(record),
                Ok(_) => {}
                Err(error) => wrong.push(format!("record “{key}”: {error}")),
            }
        }
        if best.is_some() {
            damage.mended.extend(wrong)
        } else {
            damage.lost.extend(wrong)
        }
        best
    }
}

/// Suffix of a file that is being written.
const UNFINISHED: &str = ".new";

/// Returns the folder of the second copies.
pub(super) fn files(profile: &Path) -> PathBuf {
    profile.join("sessions")
}

fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    listed.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
