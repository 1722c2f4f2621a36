//! Records of a tab: one for the tab, and one for each history entry with a large state.
//!
//! An entry's record is named after its contents and never changes. A tab with many entries therefore writes only the
//! new entry and the tab's short record when it moves on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::codec::{self, CodecError, Readable};
use regen_session::{SavedSnapshot, SavedTab};

const HISTORY: &str = "history-";
/// Sorts before [`HISTORY`]: entries are read first.
pub(super) const ENTRY: &str = "entry-";
/// Maximum size of an entry's state that stays in its tab's record, in bytes.
const SMALL: usize = 4096;

/// A tab, with the keys of its entries' records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TabRecord {
    /// The tab. Entries with a record of their own have no state here.
    tab: SavedTab,
    /// Key of each entry's record; empty if it has none.
    entries: Vec<String>,
}

impl Readable for TabRecord {
    type V1 = Self;
}
impl Readable for SavedSnapshot {
    type V1 = Self;
}

/// Returns the key of a tab's record.
pub(super) fn key_of_tab(tab: u64) -> String {
    format!("{HISTORY}{tab}")
}

/// Returns whether a key is that of a tab's record.
pub(super) fn is_tab(key: &str) -> bool {
    key.starts_with(HISTORY)
}

/// Returns the prefix of the keys of a tab's entries.
fn prefix_of_entries(tab: u64) -> String {
    format!("{ENTRY}{tab}-")
}

/// Returns whether a key is that of an entry of a tab.
pub(super) fn is_entry_of(key: &str, tab: u64) -> bool {
    key.starts_with(&prefix_of_entries(tab))
}

/// Splits a tab into its record and its entries' records, by key.
///
/// # Errors
/// Returns an error if an entry cannot be encoded.
pub(super) fn split(mut tab: SavedTab) -> Result<(TabRecord, BTreeMap<String, SavedSnapshot>), CodecError> {
    let prefix = prefix_of_entries(tab.id);
    let (mut entries, mut keys) = (BTreeMap::new(), Vec::new());
    for segment in &mut tab.segments {
        if segment.snapshot.size() <= SMALL {
            keys.push(String::new());
            continue;
        }
        let snapshot = std::mem::take(&mut segment.snapshot);
        let hash = Sha256::digest(codec::body(&snapshot)?);
        let name = codec::short_name(&hash);
        let key = format!("{prefix}{name}");
        keys.push(key.clone());
        entries.insert(key, snapshot);
    }
    Ok((TabRecord { tab, entries: keys }, entries))
}

/// Joins a tab with its entries. An entry whose record is missing is restored by its address.
pub(super) fn join(record: TabRecord, entries: &BTreeMap<String, SavedSnapshot>) -> SavedTab {
    let TabRecord { mut tab, entries: keys } = record;
    for (segment, key) in tab.segments.iter_mut().zip(keys) {
        if let Some(snapshot) = entries.get(&key) {
            segment.snapshot = snapshot.clone();
        }
    }
    tab
}

#[cfg(test)]
mod tests {
    use super::*;
    use regen_session::SavedSegment;

    fn tab(sizes: &[usize]) -> SavedTab {
        let segment = |(number, size): (usize, &usize)| SavedSegment {
            site: "http://a.test".into(),
            url: format!("http://a.test/{number}"),
            title: String::new(),
            can_go_back: false,
            can_go_forward: false,
            snapshot: SavedSnapshot {
                url: format!("http://a.test/{number}"),
                session_state: vec![u8::try_from(number).unwrap(); *size],
                scroll_y: 7.0,
                ..SavedSnapshot::default()
            },
        };
        let segments = sizes.iter().enumerate().map(segment).collect();
        SavedTab { id: 3, workspace: String::new(), segments, current: 0, zoom: 1.0, muted: false, pinned: false }
    }

    #[test]
    fn a_tab_that_was_taken_apart_is_the_same_again() {
        let whole = tab(&[10, 100_000, 0, 5000]);
        let (record, entries) = split(whole.clone()).unwrap();
        assert_eq!(entries.len(), 2);
        assert!(codec::body(&record).unwrap().len() < 1000, "the tab's record is short");
        assert_eq!(join(record, &entries), whole);
    }

    #[test]
    fn an_entry_that_stays_as_it_is_keeps_its_record() {
        let (_, before) = split(tab(&[5000, 6000])).unwrap();
        let mut more = tab(&[5000, 6000, 7000]);
        more.segments[0].title = "another".into();
        let (_, after) = split(more).unwrap();
        assert!(before.keys().all(|key| after.contains_key(key)));
        assert_eq!(after.len(), 3);
    }

    #[test]
    fn an_entry_whose_record_is_gone_costs_its_state_and_not_the_tab() {
        let (record, mut entries) = split(tab(&[5000, 6000])).unwrap();
        entries.pop_first();
        let back = join(record, &entries);
        assert_eq!(back.segments.len(), 2);
        assert_eq!(back.segments.iter().filter(|segment| segment.snapshot.session_state.is_empty()).count(), 1);
    }
}
