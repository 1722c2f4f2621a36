//! Fuzzy matching for the command bar: the letters of what is typed, in their order, the better the closer together.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::complete::Suggestion;
use crate::filter::{has_all, words};
use crate::history::History;
use crate::page::Page;

/// Number of the pages visited last that are matched letter by letter. Older ones must have the words as a whole.
const MAX_FUZZY: usize = 250;
/// Number of the pages visited last with all words that are ranked.
const MAX_WORDS: usize = 100;
/// Largest addition to a page's score for how often and lately it was visited.
const MAX_BONUS: u32 = 40;
/// Maximum length of typed text that is matched, in bytes. Longer text was pasted.
const MAX_TYPED: usize = 256;

/// Typed text, prepared for many texts to match.
#[derive(Debug)]
pub struct Fuzzy {
    matcher: Matcher,
    pattern: Pattern,
    letters: Vec<char>,
}

impl Fuzzy {
    /// Prepares typed text; `None` for nothing, and for text that is too long to be meant.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let is_meant = !typed.trim().is_empty() && typed.len() <= MAX_TYPED;
        is_meant.then(|| Self {
            matcher: Matcher::new(Config::DEFAULT),
            pattern: Pattern::parse(&typed.to_lowercase(), CaseMatching::Ignore, Normalization::Smart),
            letters: Vec::new(),
        })
    }

    /// Returns how well a text matches; `None`: it does not.
    pub fn score(&mut self, text: &str) -> Option<u32> {
        self.pattern.score(Utf32Str::new(text, &mut self.letters), &mut self.matcher)
    }

    /// Returns the characters of a text that match, counted from 0.
    pub fn matched(&mut self, text: &str) -> Vec<u32> {
        let mut matched = Vec::new();
        let text = Utf32Str::new(text, &mut self.letters);
        if self.pattern.indices(text, &mut self.matcher, &mut matched).is_none() {
            // Some words match and others do not.
            return Vec::new();
        }
        matched.sort_unstable();
        matched.dedup();
        matched
    }
}

impl History {
    /// Returns at most `limit` pages that match, with their scores, the likeliest first. `now`: seconds since 1970.
    #[must_use]
    pub fn find(&self, typed: &str, now: u64, limit: usize) -> Vec<(u32, Suggestion)> {
        let Some(mut fuzzy) = Fuzzy::new(typed) else { return Vec::new() };
        let words = words(typed);
        let mut by_words = 0;
        let mut found: Vec<(u32, &Page)> = Vec::new();
        for (index, page) in self.pages_by_recency().enumerate() {
            if index >= MAX_FUZZY && (by_words >= MAX_WORDS || !has_all(&words, page.lower())) {
                if by_words >= MAX_WORDS {
                    break;
                }
                continue;
            }
            by_words += usize::from(index >= MAX_FUZZY);
            if let Some(score) = fuzzy.score(page.lower()) {
                found.push((score + bonus(self.frecency(page, now)), page));
            }
        }
        // Stable: of equal ones, the one visited last comes first.
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        let page =
            |(score, page): (u32, &Page)| (score, Suggestion { url: page.url.to_string(), title: page.title.clone() });
        found.into_iter().take(limit).map(page).collect()
    }
}

/// Returns the addition to a score for a frecency: the same for each doubling.
fn bonus(frecency: u64) -> u32 {
    (4 * (frecency + 1).ilog2()).min(MAX_BONUS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visit::Visit;

    #[test]
    fn letters_in_their_order_match_and_better_ones_come_first() {
        let mut fuzzy = Fuzzy::new("clt").unwrap();
        assert!(fuzzy.score("Close tab").is_some());
        assert_eq!(fuzzy.score("Reload"), None);
        assert_eq!(fuzzy.matched("Close tab"), [0, 1, 6]);
        let mut fuzzy = Fuzzy::new("tab").unwrap();
        assert!(fuzzy.score("Close tab") > fuzzy.score("Take a bow"));
        assert!(Fuzzy::new("  ").is_none() && Fuzzy::new(&"a".repeat(300)).is_none());
        let mut fuzzy = Fuzzy::new("über").unwrap();
        assert!(fuzzy.score("Überblick").is_some());
        let mut fuzzy = Fuzzy::new("close window").unwrap();
        assert_eq!(fuzzy.matched("Close tab"), [] as [u32; 0], "one of the words is not there");
    }

    #[test]
    fn old_pages_are_found_by_their_words_and_recent_ones_by_their_letters() {
        let mut history = History::default();
        let visit = |n: u64| Visit { at: n, url: format!("https://a{n}.test/library/{n}"), ..Visit::default() };
        for n in 0..3000 {
            history.visit(visit(n));
        }
        let urls =
            |typed: &str| -> Vec<String> { history.find(typed, 4000, 5).into_iter().map(|(_, one)| one.url).collect() };
        assert_eq!(urls("a7.test")[0], "https://a7.test/library/7");
        assert!(urls("lbry2999").contains(&"https://a2999.test/library/2999".to_owned()));
        assert_eq!(urls("lbry0007"), Vec::<String>::new());
        assert_eq!(urls("library").len(), 5);
    }

    proptest::proptest! {
        #[test]
        fn anything_may_be_typed(typed in "\\PC{0,20}", text in "\\PC{0,40}") {
            if let Some(mut fuzzy) = Fuzzy::new(&typed) {
                let is_match = fuzzy.score(&text).is_some();
                let matched = fuzzy.matched(&text);
                proptest::prop_assert!(is_match || matched.is_empty());
                proptest::prop_assert!(matched.iter().all(|at| (*at as usize) < text.chars().count()));
            }
        }
    }
}
