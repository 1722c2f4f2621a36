//! When a child that died comes back. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Crashes within this time count together.
pub const PERIOD: Duration = Duration::from_secs(60);
/// This many of them, and a tab-host waits for the user.
pub const INTENSITY: usize = 3;
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What to do about a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start again after this long; zero the first time.
    Restart(Duration),
    /// Leave it to the user.
    GiveUp,
}

/// The recent deaths of one child.
#[derive(Debug, Clone, Default)]
pub struct Restarts {
    recent: VecDeque<Instant>,
    /// All of them, for the status.
    pub total: u32,
}

impl Restarts {
    /// A death now. `may_give_up`: a page can wait for its user, a daemon cannot.
    pub fn died(&mut self, now: Instant, may_give_up: bool) -> Verdict {
        self.total = self.total.saturating_add(1);
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|first| now.duration_since(*first) >= PERIOD) {
            self.recent.pop_front();
        }
        let crashes = self.recent.len();
        if may_give_up && crashes >= INTENSITY {
            self.recent.clear();
            return Verdict::GiveUp;
        }
        if crashes <= 1 {
            return Verdict::Restart(Duration::ZERO);
        }
        let doublings = u32::try_from(crashes - 2).unwrap_or(u32::MAX).min(16);
        Verdict::Restart(FIRST_DELAY.saturating_mul(1 << doublings).min(LONGEST_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_later_ones_wait_longer() {
        let mut restarts = Restarts::default();
        let start = Instant::now();
        assert_eq!(restarts.died(start, false), Verdict::Restart(Duration::ZERO));
        assert_eq!(restarts.died(start, false), Verdict::Restart(FIRST_DELAY));
        assert_eq!(restarts.died(start, false), Verdict::Restart(FIRST_DELAY * 2));
        for _ in 0..40 {
            restarts.died(start, false);
        }
        assert_eq!(restarts.died(start, false), Verdict::Restart(LONGEST_DELAY));
    }

    #[test]
    fn three_crashes_in_a_minute_are_given_up() {
        let mut restarts = Restarts::default();
        let start = Instant::now();
        assert!(matches!(restarts.died(start, true), Verdict::Restart(_)));
        assert!(matches!(restarts.died(start + Duration::from_secs(20), true), Verdict::Restart(_)));
        assert_eq!(restarts.died(start + Duration::from_secs(59), true), Verdict::GiveUp);
        assert_eq!(restarts.died(start + Duration::from_secs(61), true), Verdict::Restart(Duration::ZERO));
    }

    #[test]
    fn slow_crashes_are_forgotten() {
        let mut restarts = Restarts::default();
        let start = Instant::now();
        for minute in 0..50 {
            assert_eq!(restarts.died(start + PERIOD * minute, true), Verdict::Restart(Duration::ZERO));
        }
        assert_eq!(restarts.total, 50);
    }
}
