//! Limits how often a tab with a large state is written to the disk.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Bytes of one tab that may be written per second, on average.
const BYTES_PER_SECOND: usize = 512 * 1024;
/// Tabs with a state up to this size are written with each change, in bytes.
const SMALL: usize = 64 * 1024;

type TabId = u64;

/// Tabs that changed since they were saved, and the earliest time of each one's next save.
#[derive(Debug, Default)]
pub(super) struct SavePace {
    changed: HashSet<TabId>,
    not_before: HashMap<TabId, Instant>,
}

impl SavePace {
    /// Notes that a tab changed. Returns whether it is the first that waits.
    pub(super) fn changed(&mut self, tab: TabId) -> bool {
        let is_first = self.changed.is_empty();
        self.changed.insert(tab);
        is_first
    }

    /// Returns the number of tabs that wait.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.changed.len()
    }

    /// Returns whether no tab waits.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// Takes the tabs that may be saved now, or with `all` every tab that waits.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<TabId> {
        let not_before = &self.not_before;
        let is_due = |tab: &TabId| all || not_before.get(tab).is_none_or(|at| *at <= now);
        self.changed.extract_if(is_due).collect()
    }

    /// Notes that a tab was saved with so many bytes of state.
    pub(super) fn saved(&mut self, tab: TabId, bytes: usize, now: Instant) {
        if bytes > SMALL {
            let rest = Duration::from_millis(u64::try_from(bytes * 1000 / BYTES_PER_SECOND).unwrap_or(u64::MAX));
            self.not_before.insert(tab, now + rest);
        } else {
            self.not_before.remove(&tab);
        }
    }

    /// Forgets a tab that is closed.
    pub(super) fn forget(&mut self, tab: TabId) {
        self.changed.remove(&tab);
        self.not_before.remove(&tab);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tab_is_saved_at_once_and_a_large_one_as_often_as_its_bytes_allow() {
        let (mut pace, start) = (SavePace::default(), Instant::now());
        let mut written = [0, 0];
        for tenth in 0..600 {
            let now = start + Duration::from_millis(tenth * 100);
            for (tab, bytes) in [(0, 10_000), (1, 4 << 20)] {
                pace.changed(tab);
                if pace.due(now, false).contains(&tab) {
                    pace.saved(tab, bytes, now);
                    written[usize::try_from(tab).unwrap()] += bytes;
                }
            }
        }
        assert_eq!(written[0], 600 * 10_000, "each change of a small one");
        assert!(written[1] <= 36 << 20 && written[1] >= 24 << 20, "{}", written[1]);
        // The last save at exit waits for nothing.
        pace.changed(1);
        assert_eq!(pace.due(start + Duration::from_secs(60), true), [1]);
        assert!(pace.is_empty());
    }
}
