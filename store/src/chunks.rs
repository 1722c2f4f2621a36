//! Records of the history and of the bookmarks: one for each chunk, in a group of their own.

use regen_places::{Bookmark, SavedVisit};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::codec::{Readable, Record};
use super::mirror::{Damage, Mirror};

/// Group that a chunk is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ChunkGroup {
    Visits,
    Bookmarks,
}

impl ChunkGroup {
    /// Returns the name of the group's records.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Visits => "visits",
            Self::Bookmarks => "bookmarks",
        }
    }
}

/// A chunk that is to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chunk {
    Visits(Vec<SavedVisit>),
    Bookmarks(Vec<Bookmark>),
}

impl Chunk {
    /// Writes the chunk. Returns its size in bytes.
    pub(super) fn put(self, mirror: &mut Mirror, group: ChunkGroup, number: u64) -> Result<usize, StoreError> {
        let key = key_of_chunk(number);
        match self {
            Self::Visits(visits) => mirror.put(group.name(), &key, &ChunkRecord(visits)),
            Self::Bookmarks(bookmarks) => mirror.put(group.name(), &key, &ChunkRecord(bookmarks)),
        }
    }
}

/// Record of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChunkRecord<T>(pub(super) Vec<T>);

impl Readable for ChunkRecord<SavedVisit> {
    type V1 = Self;
}
impl Readable for ChunkRecord<Bookmark> {
    type V1 = Self;
}

/// Returns the key of a chunk's record.
pub(super) fn key_of_chunk(number: u64) -> String {
    format!("chunk-{number:08}")
}

/// Reads all chunks of a group.
pub(super) fn read_chunks<T>(
    mirror: &mut Mirror,
    group: ChunkGroup,
    damage: &mut Damage,
) -> Result<Vec<Vec<T>>, StoreError>
where
    ChunkRecord<T>: Readable,
{
    let found = mirror.find(group.name())?;
    let mut chunks = Vec::new();
    for key in found.keys() {
        if let Some(Record { number, value: ChunkRecord(chunk) }) = found.get(key, damage) {
            mirror.seen(number);
            chunks.push(chunk);
        }
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tests::{opened, visit};

    fn saved(profile: &Path) -> Vec<Vec<SavedVisit>> {
        opened(profile).visits
    }

    #[test]
    fn chunks_come_back_and_a_damaged_copy_costs_nothing() {
        let profile = tempfile::tempdir().unwrap();
        let store = opened(profile.path()).store;
        store.put_visits(0, Some(vec![visit(1), visit(2)]));
        store.put_visits(3, Some(vec![visit(800)]));
        store.put_visits(4, Some(vec![visit(1100)]));
        store.put_visits(4, None);
        store.flush(true).unwrap();
        drop(store);
        let all = vec![vec![visit(1), visit(2)], vec![visit(800)]];
        assert_eq!(saved(profile.path()), all);
        let copy = profile.path().join("sessions").join(ChunkGroup::Visits.name()).join(key_of_chunk(0));
        std::fs::write(&copy, "garbage").unwrap();
        assert_eq!(saved(profile.path()), all);
        std::fs::remove_dir_all(profile.path().join("store")).unwrap();
        assert_eq!(saved(profile.path()), [vec![visit(800)]], "the damaged copy was the last one");
    }

    #[test]
    fn what_is_lost_in_both_places_takes_no_other_chunk_with_it() {
        let profile = tempfile::tempdir().unwrap();
        let store = opened(profile.path()).store;
        store.put_visits(0, Some(vec![visit(1)]));
        store.put_visits(1, Some(vec![visit(300)]));
        store.flush(true).unwrap();
        drop(store);
        std::fs::remove_dir_all(profile.path().join("store")).unwrap();
        let files = profile.path().join("sessions").join(ChunkGroup::Visits.name());
        std::fs::write(files.join(key_of_chunk(0)), "garbage").unwrap();
        let opened_again = opened(profile.path());
        assert_eq!(opened_again.visits, [vec![visit(300)]]);
        assert!(opened_again.warning.as_ref().is_some_and(|warning| warning.contains("A copy of everything")));
        opened_again.store.flush(true).unwrap();
        drop(opened_again);
        assert_eq!(saved(profile.path()), [vec![visit(300)]], "it is in the fresh store, too");
    }
}
