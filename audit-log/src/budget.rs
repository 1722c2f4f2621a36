//! Budgets of lines per child, so that a hostile child can fill neither the log nor the disk.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Maximum number of lines that a child may cause at once; one more is earned per [`EARNS_ONE`].
const AT_ONCE: u32 = 200;
const EARNS_ONE: Duration = Duration::from_secs(10);

/// Budgets of all children.
#[derive(Debug, Default)]
pub(super) struct Budgets(HashMap<u64, Budget>);

#[derive(Debug)]
struct Budget {
    lines: u32,
    since: Instant,
    left_out: u64,
}

impl Budgets {
    /// Takes one line from a child's budget. Returns the number of lines omitted before it, or `None` if this line is
    /// omitted, too.
    pub(super) fn take(&mut self, child: u64, now: Instant) -> Option<u64> {
        let budget = self.0.entry(child).or_insert(Budget { lines: AT_ONCE, since: now, left_out: 0 });
        let waited = now.saturating_duration_since(budget.since);
        let earned = u32::try_from(waited.as_secs() / EARNS_ONE.as_secs()).unwrap_or(u32::MAX);
        if earned > 0 {
            budget.lines = budget.lines.saturating_add(earned).min(AT_ONCE);
            budget.since = now;
        }
        match budget.lines.checked_sub(1) {
            Some(lines) => {
                budget.lines = lines;
                Some(std::mem::take(&mut budget.left_out))
            }
            None => {
                budget.left_out += 1;
                None
            }
        }
    }

    pub(super) fn forget(&mut self, child: u64) -> u64 {
        self.0.remove(&child).map_or(0, |budget| budget.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_never_stops_writes_little_and_is_counted() {
        let (mut budgets, start) = (Budgets::default(), Instant::now());
        let day =
            (0..24 * 3600 * 10).filter(|tenth| budgets.take(1, start + Duration::from_millis(tenth * 100)).is_some());
        let lines = day.count();
        assert!((8_000..9_000).contains(&lines), "{lines}");
        assert!(budgets.take(2, start).is_some(), "another child has its own");
        let mut fresh = Budgets::default();
        let told: Vec<_> = (0..203).map(|_| fresh.take(1, start)).collect();
        assert_eq!(told.iter().flatten().count(), 200);
        assert_eq!(fresh.take(1, start + EARNS_ONE), Some(3));
        assert_eq!(fresh.forget(1), 0);
    }
}
