//! The history: visits in the order of their time, and the pages that they are visits of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use slab::Slab;

use crate::filter::{Filter, PageFilter};
use crate::page::{Page, frecency};
use crate::visit::{CHUNK, MAX_URL, SavedVisit, Visit, VisitId, chunk_of, clean_title};

/// Maximum number of visits; the oldest are forgotten first.
pub const MAX_VISITS: usize = 250_000;

/// A visit in memory.
#[derive(Debug, Clone)]
struct Entry {
    at: u64,
    /// Key of its page.
    page: usize,
    workspace: Box<str>,
    typed: bool,
}

/// Part of the history, newest visit first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Visits.
    pub visits: Vec<SavedVisit>,
    /// Set if older visits match, too.
    pub has_more: bool,
}

/// All visits.
#[derive(Debug, Default)]
pub struct History {
    pages: Slab<Page>,
    by_url: HashMap<Arc<str>, usize>,
    visits: BTreeMap<VisitId, Entry>,
    /// Key of the page of each visit, by time. A search looks at nothing else of a visit.
    order: BTreeMap<(u64, VisitId), usize>,
    /// Chunks that have changed since they were last taken.
    changed: BTreeSet<u64>,
    /// Visits of the last deletion, until it can no longer be undone.
    deleted: Vec<SavedVisit>,
    last: VisitId,
}

impl History {
    /// Returns the history that was saved in chunks.
    #[must_use]
    pub fn restored(chunks: impl IntoIterator<Item = Vec<SavedVisit>>) -> Self {
        let mut history = Self::default();
        let mut visits: Vec<SavedVisit> = chunks.into_iter().flatten().collect();
        // The last visit has the page's last title.
        visits.sort_by_key(|visit| visit.id);
        visits.into_iter().for_each(|visit| history.insert(visit));
        history.changed.clear();
        history
    }

    /// Returns the number of visits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.visits.len()
    }

    /// Returns whether there are no visits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.visits.is_empty()
    }

    /// Records a visit. Returns its identifier; `None` for a page that is not recorded: one whose address is longer than
    /// 8 KiB, or neither of the web nor a file.
    pub fn visit(&mut self, visit: Visit) -> Option<VisitId> {
        let is_recorded = ["http://", "https://", "file://"].iter().any(|scheme| visit.url.starts_with(scheme));
        if !is_recorded || visit.url.len() > MAX_URL {
            return None;
        }
        let Visit { at, url, workspace, typed } = visit;
        let id = self.last + 1;
        self.insert(SavedVisit { id, at, url, title: String::new(), workspace, typed });
        while self.visits.len() > MAX_VISITS
            && let Some((_, oldest)) = self.order.keys().next().copied()
        {
            self.remove(oldest);
        }
        Some(id)
    }

    /// Sets the title of a page that was visited. Nothing for another page.
    pub fn set_title(&mut self, url: &str, title: &str) {
        let Some(page) = self.by_url.get(url).and_then(|key| self.pages.get_mut(*key)) else { return };
        let title = clean_title(title);
        // A page that clears its title on the way keeps the one it had.
        if title.is_empty() || title == page.title {
            return;
        }
        page.set_title(title);
        self.changed.extend(page.visits.last().map(|last| chunk_of(*last)));
    }

    /// Returns visits that a filter selects, newest first, beginning after the visit `after`.
    #[must_use]
    pub fn list(&self, filter: &Filter, after: Option<VisitId>, limit: usize) -> Listing {
        let end = after.and_then(|after| self.visits.get(&after).map(|entry| (entry.at, after)));
        let mut listing = Listing::default();
        for id in self.selected(filter, end) {
            if listing.visits.len() == limit {
                listing.has_more = true;
                break;
            }
            listing.visits.extend(self.saved(id));
        }
        listing
    }

    /// Returns how many visits a filter selects.
    #[must_use]
    pub fn count(&self, filter: &Filter) -> usize {
        self.selected(filter, None).count()
    }

    /// Deletes the visits that a filter selects. Returns their number. [`History::undo`] brings them back until the next
    /// deletion or [`History::settle`].
    pub fn delete(&mut self, filter: &Filter) -> usize {
        let selected: Vec<VisitId> = self.selected(filter, None).collect();
        self.deleted = selected.iter().filter_map(|id| self.saved(*id)).collect();
        selected.iter().for_each(|id| self.remove(*id));
        selected.len()
    }

    /// Brings the visits of the last deletion back. Returns their number.
    pub fn undo(&mut self) -> usize {
        let mut deleted = std::mem::take(&mut self.deleted);
        deleted.sort_by_key(|visit| visit.id);
        let count = deleted.len();
        deleted.into_iter().for_each(|visit| self.insert(visit));
        count
    }

    /// Deletes the visits that a filter selects for good. Returns their number.
    pub fn drop(&mut self, filter: &Filter) -> usize {
        let selected: Vec<VisitId> = self.selected(filter, None).collect();
        selected.iter().for_each(|id| self.remove(*id));
        selected.len()
    }

    /// Makes the last deletion final.
    pub fn settle(&mut self) {
        self.deleted = Vec::new();
    }

    /// Returns the chunks that have changed since the last call; `None` for one that has become empty.
    pub fn take_changed(&mut self) -> Vec<(u64, Option<Vec<SavedVisit>>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|chunk| (chunk, self.chunk(chunk))).collect()
    }

    /// Marks everything as changed, for a store that has lost what it was given.
    pub fn change_all(&mut self) {
        self.changed.extend(self.visits.keys().map(|id| chunk_of(*id)));
    }

    fn chunk(&self, chunk: u64) -> Option<Vec<SavedVisit>> {
        let ids = self.visits.range(chunk * CHUNK..(chunk + 1) * CHUNK).map(|(id, _)| *id);
        let visits: Vec<SavedVisit> = ids.filter_map(|id| self.saved(id)).collect();
        (!visits.is_empty()).then_some(visits)
    }

    /// Returns the visits that a filter selects, newest first, before `end`.
    fn selected(&self, filter: &Filter, end: Option<(u64, VisitId)>) -> impl Iterator<Item = VisitId> {
        let until = filter.until.map_or((u64::MAX, VisitId::MAX), |until| (until, 0));
        let end = end.map_or(until, |end| end.min(until));
        let start = (filter.since.unwrap_or(0), 0).min(end);
        let pages = PageFilter::new(filter);
        // Each page is looked at once, however often it was visited.
        let mut known: Vec<Option<bool>> = vec![None; self.pages.capacity()];
        let is_of =
            |id: &VisitId, workspace: &str| self.visits.get(id).is_some_and(|entry| *entry.workspace == *workspace);
        let visits = self.order.range(start..end).rev();
        let selected = visits.filter(move |((_, id), key)| {
            let selects = || self.pages.get(**key).is_some_and(|page| pages.selects(page));
            (filter.visits.is_empty() || filter.visits.contains(id))
                && filter.workspace.as_ref().is_none_or(|workspace| is_of(id, workspace))
                && known.get_mut(**key).is_some_and(|known| *known.get_or_insert_with(selects))
        });
        selected.map(|((_, id), _)| *id)
    }

    /// Returns pages from the one that was visited last.
    pub(crate) fn pages_by_recency(&self) -> impl Iterator<Item = &Page> {
        let mut seen = vec![false; self.pages.capacity()];
        self.order.values().rev().filter_map(move |key| {
            let seen = seen.get_mut(*key)?;
            if std::mem::replace(seen, true) { None } else { self.pages.get(*key) }
        })
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter().map(|(_, page)| page)
    }

    /// Returns how likely a page is wanted.
    pub(crate) fn frecency(&self, page: &Page, now: u64) -> u64 {
        let visits = page.visits.iter().rev().filter_map(|id| self.visits.get(id));
        frecency(visits.map(|entry| (entry.at, entry.typed)), page.visits.len(), now)
    }

    fn saved(&self, id: VisitId) -> Option<SavedVisit> {
        let entry = self.visits.get(&id)?;
        let page = self.pages.get(entry.page)?;
        Some(SavedVisit {
            id,
            at: entry.at,
            url: page.url.to_string(),
            title: page.title.clone(),
            workspace: entry.workspace.to_string(),
            typed: entry.typed,
        })
    }

    fn insert(&mut self, visit: SavedVisit) {
        let SavedVisit { id, at, url, title, workspace, typed } = visit;
        let key = match self.by_url.get(url.as_str()) {
            Some(key) => *key,
            None => {
                let url: Arc<str> = url.into();
                let key = self.pages.insert(Page::new(Arc::clone(&url)));
                self.by_url.insert(url, key);
                key
            }
        };
        if let Some(page) = self.pages.get_mut(key) {
            let place = page.visits.partition_point(|other| *other < id);
            page.visits.insert(place, id);
            let is_last = place + 1 == page.visits.len();
            if !title.is_empty() && title != page.title && (is_last || page.title.is_empty()) {
                page.set_title(title);
            }
        }
        self.visits.insert(id, Entry { at, page: key, workspace: workspace.into(), typed });
        self.order.insert((at, id), key);
        self.last = self.last.max(id);
        self.changed.insert(chunk_of(id));
    }

    fn remove(&mut self, id: VisitId) {
        let Some(Entry { at, page: key, .. }) = self.visits.remove(&id) else { return };
        self.order.remove(&(at, id));
        self.changed.insert(chunk_of(id));
        let Some(page) = self.pages.get_mut(key) else { return };
        page.visits.retain(|other| *other != id);
        match page.visits.last() {
            // The title is saved with the last visit.
            Some(last) => drop(self.changed.insert(chunk_of(*last))),
            None => {
                self.by_url.remove(&page.url);
                self.pages.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
