//! Completion of what is typed in the address bar, from the history alone: no packet leaves for it.

use crate::filter::{has_all, words};
use crate::history::History;
use crate::page::Page;

/// Number of the most recent matching pages that are ranked.
const RANKED: usize = 500;
/// Number of the most visited pages that are considered for the inline completion.
const INLINE_RANKED: usize = 50;
/// Weight of a page whose address begins with what was typed.
const PREFIX: u64 = 4;
/// Maximum length of typed text that is completed, in bytes. Longer text was pasted.
const MAX_TYPED: usize = 512;

/// A page that may be meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestion {
    /// Address.
    pub url: String,
    /// Title; may be empty.
    pub title: String,
}

/// Pages that may be meant by what is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completions {
    /// Text that completes what is typed to an address, and that address: `mple.org/` after `exa`.
    pub inline: Option<(String, String)>,
    /// Pages, the likeliest first.
    pub suggestions: Vec<Suggestion>,
}

impl History {
    /// Returns at most `limit` pages that may be meant by what is typed. `now`: seconds since 1970.
    #[must_use]
    pub fn complete(&self, typed: &str, now: u64, limit: usize) -> Completions {
        let lower = typed.trim_start().to_lowercase();
        if lower.trim().is_empty() || lower.len() > MAX_TYPED {
            return Completions::default();
        }
        let (words, prefix) = (words(&lower), without_scheme(&lower));
        let matching = self.pages_by_recency().filter(|page| has_all(&words, page.lower())).take(RANKED);
        let mut ranked: Vec<(u64, &Page)> = matching
            .map(|page| {
                let is_prefix = !prefix.is_empty() && page.lower_address().starts_with(prefix);
                (self.frecency(page, now) * if is_prefix { PREFIX } else { 1 }, page)
            })
            .collect();
        // Stable: of equally likely pages, the one visited last comes first.
        ranked.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        let suggestions = ranked.into_iter().take(limit);
        let suggestions =
            suggestions.map(|(_, page)| Suggestion { url: page.url.to_string(), title: page.title.clone() });
        Completions { suggestions: suggestions.collect(), inline: self.inline(prefix, now) }
    }

    /// Completes a prefix of an address: to its host first, and beyond that to the whole address.
    fn inline(&self, prefix: &str, now: u64) -> Option<(String, String)> {
        if prefix.is_empty() || prefix.contains(char::is_whitespace) {
            return None;
        }
        let mut pages: Vec<&Page> = self.pages().filter(|page| page.lower_address().starts_with(prefix)).collect();
        pages.sort_by_key(|page| std::cmp::Reverse(page.visits.len()));
        let ranked = pages.into_iter().take(INLINE_RANKED);
        let best = ranked.max_by_key(|page| (self.frecency(page, now), std::cmp::Reverse(page.url.len())))?;
        // The address as it was visited, not in lower case: paths are case-sensitive.
        let start = best.url.len().checked_sub(best.lower_address().len())?;
        let address = best.url.get(start..)?;
        let host_end = address.find('/').unwrap_or(address.len());
        let end = if prefix.len() <= host_end { host_end } else { address.len() };
        let rest = address.get(prefix.len()..end)?;
        let slash = if end == host_end { "/" } else { "" };
        let rest = format!("{rest}{slash}");
        (prefix.len() < end || !slash.is_empty()).then(|| (rest, format!("{}{slash}", &best.url[..start + end])))
    }
}

/// Returns what was typed without a scheme and `www.`.
fn without_scheme(typed: &str) -> &str {
    let rest = ["https://", "http://"].iter().find_map(|scheme| typed.strip_prefix(scheme)).unwrap_or(typed);
    rest.strip_prefix("www.").unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visit::Visit;

    const NOW: u64 = 1_800_000_000;
    const DAY: u64 = 24 * 3600;

    fn history(visits: &[(&str, u64, bool)]) -> History {
        let mut history = History::default();
        for (url, days_ago, typed) in visits {
            let at = NOW - days_ago * DAY;
            history.visit(Visit { at, url: (*url).to_owned(), typed: *typed, ..Visit::default() }).unwrap();
        }
        history
    }

    fn urls(completions: &Completions) -> Vec<&str> {
        completions.suggestions.iter().map(|suggestion| suggestion.url.as_str()).collect()
    }

    #[test]
    fn pages_that_are_visited_often_and_lately_come_first() {
        let mut visits = vec![("https://a.test/rust", 200, false), ("https://b.test/rust", 1, false)];
        visits.extend([("https://c.test/rust", 2, false); 5]);
        let history = history(&visits);
        let completions = history.complete("RUST", NOW, 10);
        assert_eq!(urls(&completions), ["https://c.test/rust", "https://b.test/rust", "https://a.test/rust"]);
        assert_eq!(urls(&history.complete("rust", NOW, 1)), ["https://c.test/rust"]);
        assert_eq!(completions.inline, None, "no address begins with it");
    }

    #[test]
    fn every_word_must_match_in_the_title_or_the_address() {
        let mut history = history(&[("https://a.test/one", 1, false), ("https://a.test/two", 1, false)]);
        history.set_title("https://a.test/one", "Über Büche\u{0}r");
        assert_eq!(urls(&history.complete("büche ONE", NOW, 9)), ["https://a.test/one"]);
        assert_eq!(urls(&history.complete("büche two", NOW, 9)), Vec::<&str>::new());
        assert_eq!(history.complete("   ", NOW, 9), Completions::default());
    }

    #[test]
    fn an_address_is_completed_to_its_host_and_then_to_the_whole() {
        let history = history(&[
            ("https://www.example.org/Long/Path?q=1", 1, true),
            ("https://www.example.org/", 1, false),
            ("http://exam.test:8080/", 100, false),
        ]);
        let inline = |typed: &str| history.complete(typed, NOW, 5).inline;
        let host = || Some("https://www.example.org/".to_owned());
        assert_eq!(inline("exa").map(|(_, url)| url), host());
        assert_eq!(inline("exa").unwrap().0, "mple.org/");
        assert_eq!(inline("www.example.or").unwrap().0, "g/");
        assert_eq!(inline("https://EXAMPLE.org").unwrap().0, "/");
        let whole = ("ong/Path?q=1".to_owned(), "https://www.example.org/Long/Path?q=1".to_owned());
        assert_eq!(inline("example.org/l"), Some(whole));
        assert_eq!(inline("exam.test:80").unwrap(), ("80/".to_owned(), "http://exam.test:8080/".to_owned()));
        for none in ["", "example org", "nothing", "ample"] {
            assert_eq!(inline(none), None, "{none}");
        }
    }

    #[test]
    fn pasted_text_is_not_completed() {
        let history = history(&[("https://a.test/", 1, false)]);
        assert_eq!(history.complete(&"a".repeat(100_000), NOW, 5), Completions::default());
    }

    proptest::proptest! {
        #[test]
        fn anything_may_be_typed(typed in "\\PC{0,12}", url in "https://[a-zß-žİ/.]{1,20}") {
            let mut history = History::default();
            history.visit(Visit { url: url.clone(), ..Visit::default() });
            let completions = history.complete(&typed, NOW, 5);
            if let Some((_, meant)) = completions.inline {
                proptest::prop_assert!(url.starts_with(meant.trim_end_matches('/')));
            }
        }
    }
}
