//! Every record is kept twice: in sled, and as a file of its own. sled's log is written to the disk every
//! [`FLUSH`](super::FLUSH); the files are written with a rename and left to the system. A flipped bit, a torn end of the log
//! or a record of another build costs one copy; the other one, or the later one of the two, is what counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::StoreError;
use super::codec::{self, Readable, Record};

/// What belongs to no session.
pub(super) const COMMON: &str = "common";

/// Both places of the records.
#[derive(Debug)]
pub(super) struct Copies {
    database: sled::Db,
    files: PathBuf,
    /// Of the last record.
    number: u64,
}

/// The records of one session, or the common ones, from both places.
#[derive(Debug, Default)]
pub(super) struct Found {
    records: BTreeMap<String, [Option<Vec<u8>>; 2]>,
}

/// What cannot be read in either place, or only in one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// In words; the other copy was good.
    pub(super) mended: Vec<String>,
    /// In words; there is no good copy.
    pub(super) lost: Vec<String>,
}

impl Copies {
    pub(super) fn new(database: sled::Db, profile: &Path) -> Self {
        Self { database, files: files(profile), number: 0 }
    }

    /// Later records have higher numbers than this one.
    pub(super) fn seen(&mut self, number: u64) {
        self.number = self.number.max(number);
    }

    /// Sessions and [`COMMON`], of which there is anything.
    pub(super) fn groups(&self) -> io::Result<BTreeSet<String>> {
        let mut groups: BTreeSet<String> =
            self.database.tree_names().iter().filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect();
        for entry in entries(&self.files)? {
            groups.insert(entry);
        }
        Ok(groups)
    }

    pub(super) fn find(&self, group: &str) -> Result<Found, StoreError> {
        let mut found = Found::default();
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

    pub(super) fn put<T: Serialize>(&mut self, group: &str, key: &str, value: &T) -> Result<(), StoreError> {
        self.number += 1;
        let record = codec::encode(self.number, value);
        self.put_file(group, key, &record)?;
        self.database.open_tree(group)?.insert(key, record)?;
        Ok(())
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

    /// sled that met an I/O error never finishes closing: its flusher is gone, and it waits for it.
    pub(super) fn abandon(self) {
        std::mem::forget(self.database);
    }
}

impl Found {
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(String::as_str)
    }

    /// The later one of the copies that can be read.
    pub(super) fn get<T: Readable>(&self, key: &str, damage: &mut Damage) -> Option<Record<T>> {
        let copies = self.records.get(key)?.iter().flatten();
        let (mut best, mut wrong): (Option<Record<T>>, Vec<String>) = (None, Vec::new());
        for bytes in copies {
            match codec::decode::<T>(bytes) {
                Ok(record) if best.as_ref().is_none_or(|best| record.number > best.number) => best = Some(record),
                Ok(_) => {}
                Err(error) => wrong.push(format!("the record “{key}”: {error}")),
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

/// A file that is being written.
const UNFINISHED: &str = ".new";

/// Where the second copies are.
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
