//! Quitting from the window: what would be interrupted is asked about first. Asking twice in a row is insisting.

use std::time::{Duration, Instant};

/// Time in which another wish to quit is taken for insisting.
const INSISTS: Duration = Duration::from_secs(5);

/// Consequence of a wish to quit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The browser ends: nothing is interrupted.
    Quit,
    /// The window asks.
    Ask {
        /// Files that are not saved completely.
        downloads: u32,
        /// Pages that ask not to be left.
        pages: u32,
    },
}

/// Wishes to quit, and what was asked about them.
#[derive(Debug, Default)]
pub struct Quitting {
    asked: Option<Instant>,
}

impl Quitting {
    /// Returns whether a wish that comes now repeats one that was asked about.
    #[must_use]
    pub fn insists(&self, now: Instant) -> bool {
        self.asked.is_some_and(|asked| now.duration_since(asked) < INSISTS)
    }

    /// Decides, once it is known what would be interrupted.
    pub fn weighed(&mut self, downloads: usize, pages: usize, now: Instant) -> Action {
        if downloads == 0 && pages == 0 {
            return Action::Quit;
        }
        self.asked = Some(now);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Action::Ask { downloads: count(downloads), pages: count(pages) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quitting_asks_only_about_what_it_interrupts_and_takes_a_second_wish_for_an_answer() {
        let (mut quitting, now) = (Quitting::default(), Instant::now());
        assert_eq!(quitting.weighed(0, 0, now), Action::Quit);
        assert!(!quitting.insists(now));
        assert_eq!(quitting.weighed(2, 1, now), Action::Ask { downloads: 2, pages: 1 });
        assert!(quitting.insists(now + Duration::from_secs(2)));
        // After Cancel and a while of work, the question is asked anew.
        assert!(!quitting.insists(now + Duration::from_secs(20)));
    }
}
