//! The history of visited pages: the visits that are recorded, and the time at which they go to the store.
//!
//! A host's report counts only after the session has taken it, so a page cannot record another site's address. A page
//! must not fill the history either: visits that the user did not cause are limited for each tab.

use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use regen_places::{Completions, Filter, History, Listing, SavedVisit, Suggestion, Visit, VisitId};
use regen_session::TabId;
use regen_store::Store;

/// Visits of one tab that the user did not cause: one in two seconds, and this many at once.
const MAX_BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
const VISIT_PERIOD: Duration = Duration::from_secs(2);
/// Time after which titles are saved that have changed since. A page may change its title all the time.
const TITLE_DELAY: Duration = Duration::from_secs(5);
/// Time in which a deletion can be undone.
const UNDO_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval at which visits that are too old are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);
/// Maximum number of suggestions.
const MAX_SUGGESTIONS: usize = 8;
/// Maximum number of open tabs among the suggestions.
const MAX_TABS: usize = 3;
/// Maximum length of an address that is suggested, in bytes.
const MAX_SUGGESTED_URL: usize = 2048;

/// Question about the history, or a change of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// List visits, newest first; `after`: those that follow this one.
    List {
        /// Conditions.
        filter: Filter,
        /// Last visit of the list so far.
        after: Option<VisitId>,
        /// Maximum number of visits.
        limit: usize,
    },
    /// Delete visits.
    Delete(Filter),
    /// Bring back what the last deletion took.
    Undo,
}

/// Answer to a [`Query`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The list.
    pub listing: Listing,
    /// Number of visits that were deleted or brought back.
    pub changed: usize,
}

/// A suggestion, and the tab that shows it already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TabSuggestion {
    /// Page.
    pub page: Suggestion,
    /// Tab that shows it.
    pub tab: Option<TabId>,
    /// The user bookmarked it.
    pub is_bookmarked: bool,
}

/// An open tab that may be meant.
#[derive(Debug, Clone, Copy)]
pub struct OpenTab<'a> {
    /// Tab.
    pub id: TabId,
    /// Address of its page.
    pub url: &'a str,
    /// Title of its page.
    pub title: &'a str,
}

/// The history on its way to the store.
#[derive(Debug)]
pub struct VisitLog {
    history: History,
    store: Store,
    uncaused: DefaultKeyedRateLimiter<TabId>,
    /// Set if visits have changed, which are saved at once.
    has_visits: bool,
    saved_at: Instant,
    deleted_at: Option<Instant>,
    /// Visits are recorded.
    records: bool,
    /// Time for which visits are kept; `None`: for ever.
    keeps: Option<Duration>,
    /// Time at which visits that are too old are looked for.
    prune_at: Instant,
}

impl VisitLog {
    /// Returns the history that an earlier run saved.
    #[must_use]
    pub fn new(chunks: Vec<Vec<SavedVisit>>, store: Store, now: Instant) -> Self {
        let quota = Quota::with_period(VISIT_PERIOD).unwrap_or(Quota::per_second(MAX_BURST));
        Self {
            history: History::restored(chunks),
            store,
            uncaused: RateLimiter::keyed(quota.allow_burst(MAX_BURST)),
            has_visits: false,
            saved_at: now,
            deleted_at: None,
            records: true,
            keeps: None,
            prune_at: now,
        }
    }

    /// Records a visit of a tab. `by_user`: the user has just clicked or typed in it, or entered the address.
    pub fn visited(&mut self, tab: TabId, visit: Visit, by_user: bool) {
        if !self.records {
            return;
        }
        if !by_user && self.uncaused.check_key(&tab).is_err() {
            return tracing::debug!(tab, "a page visits others too often: not recorded");
        }
        self.has_visits |= self.history.visit(visit).is_some();
    }

    /// Notes the title of a page.
    pub fn titled(&mut self, url: &str, title: &str) {
        self.history.set_title(url, title);
    }

    /// Returns the number of visits.
    #[must_use]
    pub fn count(&self) -> usize {
        self.history.len()
    }

    /// Answers a question, or makes a change.
    pub fn ask(&mut self, query: &Query, now: Instant) -> Reply {
        let changed = match query {
            Query::List { filter, after, limit } => {
                return Reply { listing: self.history.list(filter, *after, *limit), changed: 0 };
            }
            Query::Delete(filter) => {
                self.deleted_at = Some(now);
                self.history.delete(filter)
            }
            Query::Undo => self.history.undo(),
        };
        self.save(now);
        Reply { listing: Listing::default(), changed }
    }

    /// Returns pages that may be meant by what is typed: open tabs, then bookmarks, then others of the history.
    #[must_use]
    pub fn complete<'a>(
        &self,
        typed: &str,
        tabs: impl Iterator<Item = OpenTab<'a>>,
        bookmarks: Vec<Suggestion>,
    ) -> (Vec<TabSuggestion>, Option<(String, String)>) {
        let Completions { inline, suggestions } = self.history.complete(typed, seconds(), MAX_SUGGESTIONS);
        let words: Vec<String> = typed.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let is_meant = |tab: &OpenTab<'_>| {
            let text = format!("{}\n{}", tab.title, tab.url).to_lowercase();
            !words.is_empty() && words.iter().all(|word| text.contains(word)) && tab.url.len() <= MAX_SUGGESTED_URL
        };
        let mut all: Vec<TabSuggestion> = tabs
            .filter(is_meant)
            .take(MAX_TABS)
            .map(|OpenTab { id, url, title }| TabSuggestion {
                page: Suggestion { url: url.to_owned(), title: title.to_owned() },
                tab: Some(id),
                is_bookmarked: false,
            })
            .collect();
        let pages =
            bookmarks.into_iter().map(|page| (page, true)).chain(suggestions.into_iter().map(|page| (page, false)));
        for (page, is_bookmarked) in pages.filter(|(page, _)| page.url.len() <= MAX_SUGGESTED_URL) {
            if let Some(same) = all.iter_mut().find(|other| other.page.url == page.url) {
                same.is_bookmarked |= is_bookmarked;
            } else if all.len() < MAX_SUGGESTIONS {
                all.push(TabSuggestion { page, tab: None, is_bookmarked });
            }
        }
        (all, inline)
    }

    /// Returns at most `limit` pages that match what is typed in the command bar, with their scores.
    #[must_use]
    pub fn find(&self, typed: &str, limit: usize) -> Vec<(u32, Suggestion)> {
        self.history.find(typed, seconds(), limit)
    }

    /// Sets whether visits are recorded, and for how long they are kept; `None`: for ever. A shorter time takes effect
    /// after [`UNDO_TIMEOUT`]: until then it can be taken back.
    pub fn set_policy(&mut self, records: bool, keeps: Option<Duration>, now: Instant) {
        if keeps != self.keeps {
            self.prune_at = now + UNDO_TIMEOUT;
        }
        (self.records, self.keeps) = (records, keeps);
    }

    /// Deletes visits that are too old, for good.
    fn prune(&mut self, now: Instant) {
        let Some(keeps) = self.keeps else { return };
        if now < self.prune_at {
            return;
        }
        self.prune_at = now + PRUNE_INTERVAL;
        let until = Some(seconds().saturating_sub(keeps.as_secs()));
        let count = self.history.drop(&Filter { until, ..Filter::default() });
        if count > 0 {
            tracing::info!("{count} visits are older than they are kept, and were deleted");
            self.save(now);
        }
    }

    /// Deletes the visits of a workspace, for good.
    pub fn forget_workspace(&mut self, workspace: &str, now: Instant) {
        // Visits that were deleted before, and could still be brought back, may be of the workspace as well.
        self.history.settle();
        self.history.drop(&Filter { workspace: Some(workspace.to_owned()), ..Filter::default() });
        self.save(now);
    }

    /// Hands the store what has changed, if it is time.
    pub fn tick(&mut self, now: Instant) {
        self.prune(now);
        if self.has_visits || now.duration_since(self.saved_at) >= TITLE_DELAY {
            self.save(now);
        }
        if self.deleted_at.is_some_and(|at| now.duration_since(at) >= UNDO_TIMEOUT) {
            self.deleted_at = None;
            self.history.settle();
        }
        self.uncaused.retain_recent();
    }

    /// Hands the store what has changed.
    pub fn save(&mut self, now: Instant) {
        (self.has_visits, self.saved_at) = (false, now);
        for (chunk, visits) in self.history.take_changed() {
            self.store.put_visits(chunk, visits);
        }
    }

    /// Hands a store that has lost what it was given everything again.
    pub fn save_all(&mut self, now: Instant) {
        self.history.change_all();
        self.save(now);
    }
}

/// Returns the time, in seconds since 1970.
#[must_use]
pub fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (VisitLog, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let vault = regen_store::secrets::Vault::of_profile(folder.path()).unwrap();
        let opened = regen_store::open(folder.path(), vault).unwrap();
        (VisitLog::new(opened.visits, opened.store, Instant::now()), folder)
    }

    fn visit(url: &str) -> Visit {
        Visit { at: seconds(), url: url.to_owned(), ..Visit::default() }
    }

    #[test]
    fn a_page_that_wanders_by_itself_does_not_fill_the_history() {
        let (mut log, _folder) = log();
        for n in 0..1000 {
            log.visited(1, visit(&format!("https://a.test/{n}")), false);
        }
        let burst = usize::try_from(MAX_BURST.get()).unwrap();
        assert!((burst..burst + 20).contains(&log.count()), "{}", log.count());
        log.visited(1, visit("https://a.test/clicked"), true);
        log.visited(2, visit("https://b.test/"), false);
        let mut found = |words: &str| {
            let filter = Filter { words: words.to_owned(), ..Filter::default() };
            log.ask(&Query::List { filter, after: None, limit: 9 }, Instant::now()).listing.visits.len()
        };
        assert_eq!((found("clicked"), found("b.test")), (1, 1));
    }

    #[test]
    fn a_deletion_can_be_undone_for_a_minute() {
        let (mut log, _folder) = log();
        let start = Instant::now();
        log.visited(1, visit("https://a.test/"), true);
        assert_eq!(log.ask(&Query::Delete(Filter::default()), start).changed, 1);
        log.tick(start + UNDO_TIMEOUT / 2);
        assert_eq!((log.ask(&Query::Undo, start).changed, log.count()), (1, 1));
        log.ask(&Query::Delete(Filter::default()), start);
        log.tick(start + UNDO_TIMEOUT);
        assert_eq!(log.ask(&Query::Undo, start).changed, 0);
    }

    #[test]
    fn visits_are_not_recorded_or_not_kept_where_the_user_wants_that() {
        let (mut log, _folder) = log();
        let start = Instant::now();
        log.visited(1, Visit { at: seconds() - 90_000, ..visit("https://a.test/old") }, true);
        log.visited(1, visit("https://a.test/new"), true);
        log.set_policy(false, None, start);
        log.visited(1, visit("https://a.test/unrecorded"), true);
        log.tick(start);
        assert_eq!(log.count(), 2);
        log.set_policy(true, Some(Duration::from_secs(86_400)), start);
        log.tick(start + UNDO_TIMEOUT / 2);
        assert_eq!(log.count(), 2, "the user may have mistyped the number");
        log.tick(start + UNDO_TIMEOUT);
        assert_eq!(log.count(), 1);
        assert_eq!(log.ask(&Query::Undo, start).changed, 0, "what is too old is gone for good");
        log.visited(1, Visit { at: seconds() - 90_000, ..visit("https://a.test/late") }, true);
        log.tick(start + PRUNE_INTERVAL / 2);
        assert_eq!(log.count(), 2);
        log.tick(start + UNDO_TIMEOUT + PRUNE_INTERVAL);
        assert_eq!(log.count(), 1);
    }

    #[test]
    fn visits_are_saved_at_the_next_tick_and_titles_a_little_later() {
        let (mut log, folder) = log();
        let start = Instant::now();
        log.visited(1, visit("https://a.test/"), true);
        log.tick(start);
        log.titled("https://a.test/", "First");
        log.tick(start + TITLE_DELAY / 2);
        log.titled("https://a.test/", "Second");
        assert_eq!(log.history.take_changed().len(), 1, "the title was saved too early");
        log.titled("https://a.test/", "Third");
        log.tick(start + TITLE_DELAY);
        log.store.flush(true).unwrap();
        drop(log);
        let file = folder.path().join("sessions/visits/chunk-00000000");
        let record = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
        assert!(record.contains("https://a.test/") && record.contains("Third"), "{record}");
    }

    #[test]
    fn open_tabs_and_bookmarks_are_suggested_before_the_history_and_each_page_once() {
        let (mut log, _folder) = log();
        log.visited(1, visit("https://a.test/one"), true);
        log.visited(1, visit("https://a.test/two"), true);
        let tabs = [OpenTab { id: 7, url: "https://a.test/two", title: "Two" }, OpenTab { id: 8, url: "", title: "x" }];
        let kept =
            ["https://a.test/kept", "https://a.test/two"].map(|url| Suggestion { url: url.into(), title: "".into() });
        let (all, inline) = log.complete("a.te", tabs.into_iter(), kept.to_vec());
        let shown: Vec<_> = all.iter().map(|one| (one.page.url.as_str(), one.tab, one.is_bookmarked)).collect();
        let wanted = [
            ("https://a.test/two", Some(7), true),
            ("https://a.test/kept", None, true),
            ("https://a.test/one", None, false),
        ];
        assert_eq!(shown, wanted);
        assert_eq!(inline, Some(("st/".to_owned(), "https://a.test/".to_owned())));
        assert_eq!(log.complete("", tabs.into_iter(), Vec::new()).0, []);
    }
}
