//! Gestures of the user, by tab. The window and the control API alone attest them; what a host says of them does not count.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use regen_session::TabId;

/// A click or key counts for what a page does within this time.
const GESTURE_TIME: Duration = Duration::from_secs(5);

/// Last gestures in each tab.
#[derive(Debug, Default)]
pub struct Gestures {
    input: HashMap<TabId, Instant>,
    /// Times at which the user opened an address, which may be a file.
    addresses: HashMap<TabId, Instant>,
}

impl Gestures {
    /// Notes a click or key in a tab.
    pub fn input(&mut self, tab: TabId, now: Instant) {
        self.input.insert(tab, now);
    }

    /// Notes that the user opened an address in a tab.
    pub fn address(&mut self, tab: TabId, now: Instant) {
        self.addresses.insert(tab, now);
    }

    /// Returns whether the user clicked or typed in a tab just now.
    #[must_use]
    pub fn is_recent(&self, tab: TabId, now: Instant) -> bool {
        self.input.get(&tab).is_some_and(|at| now.saturating_duration_since(*at) < GESTURE_TIME)
    }

    /// Takes the gesture of a tab, so that it counts once.
    pub fn take(&mut self, tab: TabId) -> Option<Instant> {
        self.input.remove(&tab)
    }

    /// Returns the last click or key in a tab.
    #[must_use]
    pub fn last_input(&self, tab: TabId) -> Option<Instant> {
        self.input.get(&tab).copied()
    }

    /// Returns the last gesture that a download may follow from: a click, a key or an address.
    #[must_use]
    pub fn for_download(&self, tab: TabId) -> Option<Instant> {
        self.last_input(tab).max(self.addresses.get(&tab).copied())
    }

    /// Forgets a tab that is closed.
    pub fn forget(&mut self, tab: TabId) {
        self.input.remove(&tab);
        self.addresses.remove(&tab);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gesture_counts_for_its_tab_for_a_while_and_once_where_it_is_taken() {
        let (mut gestures, start) = (Gestures::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        assert!(!gestures.is_recent(1, start));
        gestures.input(1, start);
        assert!(gestures.is_recent(1, at(4)) && !gestures.is_recent(1, at(5)) && !gestures.is_recent(2, at(1)));
        assert_eq!(gestures.take(1), Some(start));
        assert!(!gestures.is_recent(1, at(1)) && gestures.for_download(1).is_none());
        gestures.address(1, at(7));
        assert_eq!(gestures.for_download(1), Some(at(7)), "an address may be a file");
        assert!(!gestures.is_recent(1, at(7)), "but is no click in a page");
        gestures.forget(1);
        assert_eq!(gestures.for_download(1), None);
    }
}
