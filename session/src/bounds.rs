//! Limits on the page state that the broker keeps. Pages decide how large it is; over a limit, the oldest state is
//! dropped, and a page without state is restored by its address.

use super::ids::TabId;
use super::saved::{SavedSnapshot, SavedTab};
use super::state::Session;
use super::tab::Tab;

/// Maximum size of the state of one tab's history, in bytes.
const MAX_TAB: usize = 4 << 20;
/// Maximum size of the state of all tabs, in bytes.
const MAX_SESSION: usize = 32 << 20;
/// Maximum size of the state of all closed tabs that can be reopened, in bytes.
const MAX_CLOSED: usize = 8 << 20;

impl SavedSnapshot {
    /// Returns the size of the state, which the page determines, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.session_state.len() + self.form.len()
    }

    /// Drops the state; the scroll position stays.
    fn forget_state(&mut self) {
        self.session_state = Vec::new();
        self.form = Vec::new();
    }
}

impl SavedTab {
    /// Returns the size of the state, which the pages determine, in bytes.
    #[must_use]
    pub fn state_size(&self) -> usize {
        self.segments.iter().map(|segment| segment.snapshot.size()).sum()
    }

    /// Drops all state: the tab is restored by its address.
    pub fn forget_state(&mut self) {
        self.segments.iter_mut().for_each(|segment| segment.snapshot.forget_state());
    }
}

/// Keeps the state of a tab, and of all tabs, within the limits. Returns the tabs that lost some.
pub(super) fn enforce(session: &mut Session, changed: TabId) -> Vec<TabId> {
    let mut lighter = Vec::new();
    if let Some(tab) = session.tabs.get_mut(&changed) {
        tab.state_size = size(tab);
        while tab.state_size > MAX_TAB && forget_one(tab) {
            lighter.push(changed);
        }
    }
    let mut total: usize = session.tabs.values().map(|tab| tab.state_size).sum();
    while total > MAX_SESSION {
        let Some(largest) = session.tabs.values_mut().max_by_key(|tab| tab.state_size) else { break };
        let before = largest.state_size;
        if !forget_one(largest) {
            break;
        }
        total -= before - largest.state_size;
        lighter.push(largest.id);
    }
    lighter.sort_unstable();
    lighter.dedup();
    lighter
}

/// Keeps the state of closed tabs within the limit. The oldest comes first.
pub(super) fn enforce_on_closed(closed: &mut [SavedTab]) {
    let mut total: usize = closed.iter().map(SavedTab::state_size).sum();
    for tab in closed {
        if total <= MAX_CLOSED {
            return;
        }
        total -= tab.state_size();
        tab.forget_state();
    }
}

fn size(tab: &Tab) -> usize {
    tab.segments.iter().map(|segment| segment.snapshot.size()).sum()
}

/// Drops the state of the segment furthest from the shown one. Returns whether there was any.
fn forget_one(tab: &mut Tab) -> bool {
    let current = tab.current;
    let with_state = tab.segments.iter_mut().enumerate().filter(|(_, segment)| segment.snapshot.size() > 0);
    // Of two at the same distance, the older one.
    let furthest = with_state.max_by_key(|(index, _)| (index.abs_diff(current), current > *index));
    let Some((_, segment)) = furthest else { return false };
    segment.snapshot.forget_state();
    tab.state_size = size(tab);
    true
}

#[cfg(test)]
mod tests {
    use super::super::tab::Segment;
    use super::*;

    fn tab(id: TabId, sizes: &[usize]) -> Tab {
        let segment = |size: &usize| super::super::SavedSegment {
            site: "https://a.test".into(),
            url: "https://a.test/".into(),
            title: String::new(),
            can_go_back: false,
            can_go_forward: false,
            snapshot: SavedSnapshot { session_state: vec![1; *size], ..SavedSnapshot::default() },
        };
        let saved = SavedTab {
            id,
            workspace: String::new(),
            segments: sizes.iter().map(segment).collect(),
            current: u32::try_from(sizes.len()).unwrap() - 1,
            zoom: 1.0,
            muted: false,
            pinned: false,
        };
        saved.revive(id)
    }

    fn sizes(tab: &Tab) -> Vec<usize> {
        tab.segments.iter().map(|segment: &Segment| segment.snapshot.size() >> 20).collect()
    }

    #[test]
    fn of_a_long_history_the_oldest_state_goes_first() {
        let mut session = Session::default();
        session.tabs.insert(1, tab(1, &[1 << 20; 24]));
        assert_eq!(enforce(&mut session, 1), [1]);
        assert_eq!(sizes(&session.tabs[&1])[..20], [0; 20]);
        assert_eq!(sizes(&session.tabs[&1])[20..], [1; 4]);
        assert!(enforce(&mut session, 1).is_empty(), "then it fits");
    }

    #[test]
    fn many_large_tabs_are_bounded_together_and_small_ones_keep_theirs() {
        let mut session = Session::default();
        for id in 1..=200 {
            session.tabs.insert(id, tab(id, &[if id <= 100 { 1000 } else { 3 << 20 }]));
            enforce(&mut session, id);
        }
        let total: usize = session.tabs.values().map(size).sum();
        assert!(total <= MAX_SESSION && total > MAX_SESSION / 2, "{total}");
        assert!((1..=100).all(|id| session.tabs[&id].state_size == 1000));
    }

    #[test]
    fn closed_tabs_are_bounded_and_the_newest_keep_their_state() {
        let mut closed: Vec<SavedTab> = (0..50).map(|id| SavedTab::from(&tab(id, &[1 << 20]))).collect();
        enforce_on_closed(&mut closed);
        assert_eq!(closed.iter().filter(|tab| tab.state_size() > 0).count(), 8);
        assert!(closed[49].state_size() > 0);
    }
}
