//! The bookmarks on their way between the user and the store. Every change goes to the store at once.

use regen_places::{
    Bookmark, BookmarkEdit, BookmarkError, BookmarkFilter, BookmarkId, Bookmarks, Fuzzy, OTHER, Suggestion,
};
use regen_store::Store;

use crate::kept::visit_log::seconds;

/// Maximum number of bookmarks that are matched letter by letter: each takes some ten microseconds of the event loop.
const MAX_FUZZY: usize = 300;
/// Maximum number of bookmarks among the suggestions of the address bar.
const MAX_SUGGESTIONS: usize = 3;

/// Question about the bookmarks, or a change of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// List bookmarks, without the first `skip`.
    List {
        /// Conditions.
        filter: BookmarkFilter,
        /// Number of entries that are known already.
        skip: usize,
    },
    /// Add a bookmark or a folder.
    Add(Bookmark),
    /// Change one.
    Edit(BookmarkId, BookmarkEdit),
    /// Remove one; a folder with everything in it.
    Remove(BookmarkId),
    /// Bring back what the last removal took.
    Undo,
    /// Add many. A parent is the identifier of an earlier one of them; 0: the folder of the import.
    Import {
        /// Folder that the bookmarks come to.
        folder: BookmarkId,
        /// Bookmarks and folders, each folder before what is in it.
        bookmarks: Vec<Bookmark>,
    },
}

/// Answer to a [`Query`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The list.
    pub list: Vec<Bookmark>,
    /// Number of bookmarks and folders that have changed.
    pub changed: usize,
    /// The bookmark that was added.
    pub added: Option<BookmarkId>,
}

/// The bookmarks, and the store that keeps them.
#[derive(Debug)]
pub struct BookmarkShelf {
    bookmarks: Bookmarks,
    store: Store,
}

impl BookmarkShelf {
    /// Returns the bookmarks that an earlier run saved.
    #[must_use]
    pub fn new(chunks: Vec<Vec<Bookmark>>, store: Store) -> Self {
        Self { bookmarks: Bookmarks::restored(chunks), store }
    }

    /// Answers a question, or makes a change.
    ///
    /// # Errors
    /// The reason why a change is refused.
    pub fn ask(&mut self, query: Query) -> Result<Reply, BookmarkError> {
        let mut reply = Reply::default();
        match query {
            Query::List { filter, skip } => {
                reply.list = self.bookmarks.list(&filter).into_iter().skip(skip).cloned().collect();
                return Ok(reply);
            }
            Query::Add(bookmark) => {
                let added = if bookmark.added == 0 { seconds() } else { bookmark.added };
                reply.added = Some(self.bookmarks.add(Bookmark { added, ..bookmark })?);
                reply.changed = 1;
            }
            Query::Edit(id, edit) => {
                self.bookmarks.edit(id, edit)?;
                reply.changed = 1;
            }
            Query::Remove(id) => reply.changed = self.bookmarks.remove(id)?,
            Query::Undo => reply.changed = self.bookmarks.undo(),
            Query::Import { folder, bookmarks } => reply.changed = self.import(folder, bookmarks)?,
        }
        self.save();
        Ok(reply)
    }

    /// Returns bookmarks that may be meant by what is typed.
    #[must_use]
    pub fn complete(&self, typed: &str) -> Vec<Suggestion> {
        if typed.trim().is_empty() {
            return Vec::new();
        }
        let filter = BookmarkFilter { words: typed.to_owned(), ..BookmarkFilter::default() };
        let suggestion = |one: &Bookmark| Some(Suggestion { url: one.url.clone()?, title: one.title.clone() });
        self.bookmarks.list(&filter).into_iter().filter_map(suggestion).take(MAX_SUGGESTIONS).collect()
    }

    /// Returns at most `limit` bookmarks that match what is typed, with their scores, the likeliest first: letter by letter, and
    /// of more than [`MAX_FUZZY`] bookmarks those with the words as a whole.
    #[must_use]
    pub fn find(&self, typed: &str, limit: usize) -> Vec<(u32, Suggestion)> {
        let Some(mut fuzzy) = Fuzzy::new(typed) else { return Vec::new() };
        let words = if self.bookmarks.len() > MAX_FUZZY { typed.to_owned() } else { String::new() };
        let candidates = self.bookmarks.list(&BookmarkFilter { words, ..BookmarkFilter::default() });
        let found = candidates.into_iter().take(MAX_FUZZY).filter_map(|one| {
            let url = one.url.as_ref()?;
            let score = fuzzy.score(&format!("{}\n{url}\n{}", one.title, one.tags.join(" ")))?;
            Some((score, Suggestion { url: url.clone(), title: one.title.clone() }))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.truncate(limit);
        found
    }

    /// Hands a store that has lost what it was given everything again.
    pub fn save_all(&mut self) {
        self.bookmarks.change_all();
        self.save();
    }

    fn import(&mut self, folder: BookmarkId, bookmarks: Vec<Bookmark>) -> Result<usize, BookmarkError> {
        let root = if folder == 0 { OTHER } else { folder };
        let mut known = std::collections::HashMap::from([(0, root)]);
        let mut count = 0;
        for bookmark in bookmarks {
            let theirs = bookmark.id;
            let parent = known.get(&bookmark.parent).copied().unwrap_or(root);
            let is_folder = bookmark.url.is_none();
            match self.bookmarks.add(Bookmark { parent, ..bookmark }) {
                Ok(id) if is_folder => drop(known.insert(theirs, id)),
                Ok(_) => {}
                // Entries that are nested too deeply come to the deepest folder.
                Err(BookmarkError::Depth) => drop(known.insert(theirs, parent)),
                Err(BookmarkError::Address) => continue,
                Err(error) => {
                    self.save();
                    return Err(error);
                }
            }
            count += 1;
        }
        Ok(count)
    }

    fn save(&mut self) {
        for (chunk, bookmarks) in self.bookmarks.take_changed() {
            self.store.put_bookmarks(chunk, bookmarks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regen_places::BAR;

    fn shelf() -> (BookmarkShelf, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let vault = regen_store::secrets::Vault::of_profile(folder.path()).unwrap();
        let opened = regen_store::open(folder.path(), vault).unwrap();
        (BookmarkShelf::new(opened.bookmarks, opened.store), folder)
    }

    fn page(id: BookmarkId, parent: BookmarkId, url: &str) -> Bookmark {
        Bookmark { id, parent, url: Some(url.to_owned()), title: url.to_owned(), ..Bookmark::default() }
    }

    #[test]
    fn an_import_keeps_its_folders_and_skips_what_cannot_be_kept() {
        let (mut shelf, _folder) = shelf();
        let inner = Bookmark { id: 7, title: "Inner".into(), ..Bookmark::default() };
        let bookmarks = vec![
            page(1, 0, "https://top.test/"),
            inner,
            page(8, 7, "https://inside.test/"),
            page(9, 99, "https://lost.test/"),
            page(10, 0, &"x".repeat(10_000)),
        ];
        let reply = shelf.ask(Query::Import { folder: BAR, bookmarks }).unwrap();
        assert_eq!(reply.changed, 4);
        let list = shelf.ask(Query::List { filter: BookmarkFilter::default(), skip: 1 }).unwrap().list;
        let urls: Vec<&str> = list.iter().map(|one| one.url.as_deref().unwrap_or("Inner")).collect();
        assert_eq!(urls, ["Inner", "https://inside.test/", "https://lost.test/"]);
        assert_eq!(list[1].parent, list[0].id);
    }

    #[test]
    fn a_change_is_in_the_store_at_once_and_a_refusal_changes_nothing() {
        let (mut shelf, folder) = shelf();
        let added = shelf.ask(Query::Add(page(0, BAR, "https://a.test/"))).unwrap().added.unwrap();
        assert_eq!(shelf.ask(Query::Remove(BAR)), Err(BookmarkError::Fixed));
        shelf.store.flush(true).unwrap();
        let file = folder.path().join("sessions/bookmarks/chunk-00000000");
        assert!(String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains("https://a.test/"));
        assert_eq!(
            shelf.complete("a.TEST"),
            [Suggestion { url: "https://a.test/".into(), title: "https://a.test/".into() }]
        );
        shelf.ask(Query::Remove(added)).unwrap();
        shelf.store.flush(true).unwrap();
        assert!(!file.exists());
    }
}
