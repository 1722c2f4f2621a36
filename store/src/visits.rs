//! Records of the history: one for each chunk of visits, in a group of their own.

use regen_places::SavedVisit;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::codec::{Readable, Record};
use super::mirror::{Damage, Mirror};

/// Group of the history's records.
pub(super) const VISITS: &str = "visits";

/// A chunk of visits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VisitChunk(pub(super) Vec<SavedVisit>);

impl Readable for VisitChunk {
    type V1 = Self;
}

/// Returns the key of a chunk's record.
pub(super) fn key_of_chunk(chunk: u64) -> String {
    format!("chunk-{chunk:08}")
}

/// Reads all chunks.
pub(super) fn read_visits(mirror: &mut Mirror, damage: &mut Damage) -> Result<Vec<Vec<SavedVisit>>, StoreError> {
    let found = mirror.find(VISITS)?;
    let mut chunks = Vec::new();
    for key in found.keys() {
        if let Some(Record { number, value: VisitChunk(visits) }) = found.get(key, damage) {
            mirror.seen(number);
            chunks.push(visits);
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
        let copy = profile.path().join("sessions").join(VISITS).join(key_of_chunk(0));
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
        let files = profile.path().join("sessions").join(VISITS);
        std::fs::write(files.join(key_of_chunk(0)), "garbage").unwrap();
        let opened_again = opened(profile.path());
        assert_eq!(opened_again.visits, [vec![visit(300)]]);
        assert!(opened_again.warning.as_ref().is_some_and(|warning| warning.contains("A copy of everything")));
        opened_again.store.flush(true).unwrap();
        drop(opened_again);
        assert_eq!(saved(profile.path()), [vec![visit(300)]], "it is in the fresh store, too");
    }
}
