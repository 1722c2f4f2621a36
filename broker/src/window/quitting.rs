//! Quitting from the window: the user is first asked about what it would interrupt. A second request soon after
//! overrules the question.

use std::time::{Duration, Instant};

/// Time after the question in which a second request to quit overrules it.
const INSISTS: Duration = Duration::from_secs(5);

/// Consequence of a request to quit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Quit, because nothing would be interrupted.
    Quit,
    /// Ask in the window first.
    Ask {
        /// Number of unfinished downloads.
        downloads: u32,
        /// Number of pages that ask not to be left.
        pages: u32,
    },
}

/// State of requests to quit.
#[derive(Debug, Default)]
pub struct Quitting {
    asked: Option<Instant>,
}

impl Quitting {
    /// Returns whether a request to quit now repeats one that the user was asked about.
    #[must_use]
    pub fn insists(&self, now: Instant) -> bool {
        self.asked.is_some_and(|asked| now.duration_since(asked) < INSISTS)
    }

    /// Decides on a request to quit, given what it would interrupt.
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
