//! The user's bookmarks: a tree of folders and pages, in the order that the user gave them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::filter::{has_all, words};
use crate::visit::{CHUNK, MAX_URL, clean_title};

/// Identifier of a bookmark or folder.
pub type BookmarkId = u64;

/// Folder of the bookmarks bar. It is always there.
pub const BAR: BookmarkId = 1;
/// Folder of all other bookmarks. It is always there.
pub const OTHER: BookmarkId = 2;

/// Maximum number of bookmarks and folders.
pub const MAX_BOOKMARKS: usize = 100_000;
/// Maximum depth of folders.
const MAX_DEPTH: usize = 32;
/// Maximum number of tags of a bookmark, and of characters in one.
const MAX_TAGS: usize = 32;
const MAX_TAG: usize = 64;

/// Reason that a change of the bookmarks is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookmarkError {
    /// No such bookmark or folder.
    #[error("there is no bookmark {0}")]
    Unknown(BookmarkId),
    /// A parent that is no folder.
    #[error("bookmark {0} is no folder")]
    NoFolder(BookmarkId),
    /// A change of one of the two folders that are always there.
    #[error("this folder cannot be moved, renamed or removed")]
    Fixed,
    /// A folder that would be inside itself.
    #[error("a folder cannot be moved into itself")]
    Cycle,
    /// Folders nested too deeply.
    #[error("folders can be nested {MAX_DEPTH} deep at most")]
    Depth,
    /// Too many bookmarks.
    #[error("there are {MAX_BOOKMARKS} bookmarks already, which is the limit")]
    TooMany,
    /// An address that is too long.
    #[error("the address is longer than {MAX_URL} bytes")]
    Address,
}

/// A bookmark or a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Identifier.
    pub id: BookmarkId,
    /// Folder that it is in; 0 for the folders that are always there.
    pub parent: BookmarkId,
    /// Place among the folder's entries.
    pub place: u32,
    /// Address; `None` for a folder.
    pub url: Option<String>,
    /// Title.
    pub title: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Time at which it was added, in seconds since 1970.
    pub added: u64,
}

/// A change of a bookmark; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BookmarkEdit {
    /// Title.
    pub title: Option<String>,
    /// Address.
    pub url: Option<String>,
    /// Tags.
    pub tags: Option<Vec<String>>,
    /// Folder and place in it, counted from 0. A place beyond the end is the end.
    pub to: Option<(BookmarkId, usize)>,
}

/// Conditions on bookmarks. The default selects everything but the two folders that are always there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BookmarkFilter {
    /// Folder whose direct entries are wanted.
    pub parent: Option<BookmarkId>,
    /// Words, each of which must be in the title, address or tags.
    pub words: String,
    /// Address.
    pub url: Option<String>,
    /// Folders only.
    pub folders: bool,
}

/// All bookmarks.
#[derive(Debug)]
pub struct Bookmarks {
    all: BTreeMap<BookmarkId, Bookmark>,
    /// Title, address and tags of each in lower case, for searching.
    texts: HashMap<BookmarkId, String>,
    /// Entries of each folder in their order.
    entries: BTreeMap<BookmarkId, Vec<BookmarkId>>,
    changed: BTreeSet<u64>,
    /// Bookmarks and folders of the last removal, until the next one.
    removed: Vec<Bookmark>,
    last: BookmarkId,
}

impl Default for Bookmarks {
    fn default() -> Self {
        Self::restored([])
    }
}

impl Bookmarks {
    /// Returns the bookmarks that were saved in chunks. One whose folder is lost comes to the other bookmarks.
    #[must_use]
    pub fn restored(chunks: impl IntoIterator<Item = Vec<Bookmark>>) -> Self {
        let saved: BTreeMap<BookmarkId, Bookmark> =
            chunks.into_iter().flatten().map(|bookmark| (bookmark.id, bookmark)).collect();
        let mut bookmarks = Self {
            last: saved.keys().next_back().copied().unwrap_or(OTHER).max(OTHER),
            texts: saved.iter().map(|(id, one)| (*id, text_of(one))).collect(),
            all: saved,
            entries: BTreeMap::new(),
            changed: BTreeSet::new(),
            removed: Vec::new(),
        };
        for (id, title) in [(BAR, "Bookmarks bar"), (OTHER, "Other bookmarks")] {
            bookmarks.all.insert(id, Bookmark { id, title: title.to_owned(), ..Bookmark::default() });
            bookmarks.entries.insert(id, Vec::new());
        }
        let is_folder = |id: &BookmarkId| bookmarks.all.get(id).is_some_and(|one| one.url.is_none());
        let mut places: Vec<(BookmarkId, u32, BookmarkId)> = Vec::new();
        for bookmark in bookmarks.all.values().filter(|one| one.id > OTHER) {
            let parent = if is_folder(&bookmark.parent) && !bookmarks.is_inside(bookmark.parent, bookmark.id) {
                bookmark.parent
            } else {
                OTHER
            };
            places.push((parent, bookmark.place, bookmark.id));
        }
        places.sort_unstable();
        for (parent, _, id) in places {
            bookmarks.entries.entry(parent).or_default().push(id);
            if let Some(bookmark) = bookmarks.all.get_mut(&id) {
                bookmark.parent = parent;
            }
        }
        bookmarks
    }

    /// Returns the number of bookmarks and folders, without the two that are always there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len() - 2
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a bookmark or folder.
    #[must_use]
    pub fn get(&self, id: BookmarkId) -> Option<&Bookmark> {
        self.all.get(&id)
    }

    /// Returns what a filter selects: folder by folder, each in its order.
    #[must_use]
    pub fn list(&self, filter: &BookmarkFilter) -> Vec<&Bookmark> {
        let words = words(&filter.words);
        let selects = |bookmark: &&Bookmark| {
            filter.url.as_ref().is_none_or(|url| bookmark.url.as_ref() == Some(url))
                && (!filter.folders || bookmark.url.is_none())
                && (words.is_empty() || self.texts.get(&bookmark.id).is_some_and(|text| has_all(&words, text)))
        };
        let mut listed = Vec::new();
        match filter.parent {
            Some(parent) => listed.extend(self.entries_of(parent)),
            None => [BAR, OTHER].into_iter().for_each(|folder| self.walk(folder, &mut listed)),
        }
        listed.into_iter().filter(selects).collect()
    }

    /// Adds a bookmark, or a folder if it has no address, at the end of its folder. Its identifier and place are
    /// ignored; a parent of 0 stands for the other bookmarks.
    ///
    /// # Errors
    /// The reason why it is refused.
    pub fn add(&mut self, bookmark: Bookmark) -> Result<BookmarkId, BookmarkError> {
        let parent = if bookmark.parent == 0 { OTHER } else { bookmark.parent };
        self.check_folder(parent)?;
        if self.len() >= MAX_BOOKMARKS {
            return Err(BookmarkError::TooMany);
        }
        if bookmark.url.is_none() && self.depth(parent) >= MAX_DEPTH {
            return Err(BookmarkError::Depth);
        }
        check_url(bookmark.url.as_deref())?;
        self.last += 1;
        let id = self.last;
        let place = self.entries.get(&parent).map_or(0, Vec::len);
        let title = clean_title(&bookmark.title);
        let tags = clean_tags(bookmark.tags);
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.all.insert(id, Bookmark { id, parent, place, title, tags, ..bookmark });
        self.entries.entry(parent).or_default().push(id);
        self.change(id);
        Ok(id)
    }

    /// Changes a bookmark.
    ///
    /// # Errors
    /// The reason why it is refused; nothing has changed then.
    pub fn edit(&mut self, id: BookmarkId, edit: BookmarkEdit) -> Result<(), BookmarkError> {
        let BookmarkEdit { title, url, tags, to } = edit;
        self.check_change(id)?;
        check_url(url.as_deref())?;
        if let Some((folder, _)) = to {
            self.check_folder(folder)?;
            if folder == id || self.is_inside(folder, id) {
                return Err(BookmarkError::Cycle);
            }
            let is_folder = self.all.get(&id).is_some_and(|one| one.url.is_none());
            if is_folder && self.depth(folder) + self.height(id) > MAX_DEPTH {
                return Err(BookmarkError::Depth);
            }
        }
        let Some(bookmark) = self.all.get_mut(&id) else { return Err(BookmarkError::Unknown(id)) };
        if let Some(title) = title {
            bookmark.title = clean_title(&title);
        }
        if let (Some(url), true) = (url, bookmark.url.is_some()) {
            bookmark.url = Some(url);
        }
        if let Some(tags) = tags {
            bookmark.tags = clean_tags(tags);
        }
        self.change(id);
        if let Some((folder, place)) = to {
            self.take_out(id);
            let entries = self.entries.entry(folder).or_default();
            entries.insert(place.min(entries.len()), id);
            if let Some(bookmark) = self.all.get_mut(&id) {
                bookmark.parent = folder;
            }
            self.renumber(folder);
        }
        Ok(())
    }

    /// Removes a bookmark, or a folder with everything in it. Returns the number of removed bookmarks and folders.
    ///
    /// # Errors
    /// The reason why it is refused.
    pub fn remove(&mut self, id: BookmarkId) -> Result<usize, BookmarkError> {
        self.check_change(id)?;
        let mut inside = Vec::new();
        self.walk(id, &mut inside);
        let ids: Vec<BookmarkId> = std::iter::once(id).chain(inside.iter().map(|one| one.id)).collect();
        self.take_out(id);
        self.removed.clear();
        for id in &ids {
            self.entries.remove(id);
            self.removed.extend(self.all.remove(id));
            self.change(*id);
        }
        Ok(ids.len())
    }

    /// Brings back what the last removal took. Returns the number of bookmarks and folders.
    pub fn undo(&mut self) -> usize {
        let removed = std::mem::take(&mut self.removed);
        let count = removed.len();
        // A folder comes before what is in it.
        for mut bookmark in removed {
            if self.check_folder(bookmark.parent).is_err() {
                bookmark.parent = OTHER;
            }
            let (id, parent, place) = (bookmark.id, bookmark.parent, bookmark.place);
            self.all.insert(id, bookmark);
            let entries = self.entries.entry(parent).or_default();
            let place = usize::try_from(place).unwrap_or(usize::MAX).min(entries.len());
            entries.insert(place, id);
            self.change(id);
            self.renumber(parent);
        }
        count
    }

    /// Returns the chunks that have changed since the last call; `None` for one that has become empty.
    pub fn take_changed(&mut self) -> Vec<(u64, Option<Vec<Bookmark>>)> {
        let changed = std::mem::take(&mut self.changed);
        let chunk = |chunk: u64| {
            let range = self.all.range(chunk * CHUNK..(chunk + 1) * CHUNK);
            let saved: Vec<Bookmark> = range.map(|(_, one)| one.clone()).filter(|one| one.id > OTHER).collect();
            (chunk, (!saved.is_empty()).then_some(saved))
        };
        changed.into_iter().map(chunk).collect()
    }

    /// Marks everything as changed, for a store that has lost what it was given.
    pub fn change_all(&mut self) {
        self.changed.extend(self.all.keys().map(|id| id / CHUNK));
    }

    fn entries_of(&self, folder: BookmarkId) -> impl Iterator<Item = &Bookmark> {
        self.entries.get(&folder).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// Adds everything in a folder to a list, each folder before what is in it.
    fn walk<'a>(&'a self, folder: BookmarkId, listed: &mut Vec<&'a Bookmark>) {
        for bookmark in self.entries_of(folder) {
            listed.push(bookmark);
            if bookmark.url.is_none() {
                self.walk(bookmark.id, listed);
            }
        }
    }

    /// Notes that a bookmark is new, changed or gone.
    fn change(&mut self, id: BookmarkId) {
        self.changed.insert(id / CHUNK);
        match self.all.get(&id) {
            Some(bookmark) => drop(self.texts.insert(id, text_of(bookmark))),
            None => drop(self.texts.remove(&id)),
        }
    }

    fn check_folder(&self, id: BookmarkId) -> Result<(), BookmarkError> {
        match self.all.get(&id) {
            None => Err(BookmarkError::Unknown(id)),
            Some(bookmark) if bookmark.url.is_some() => Err(BookmarkError::NoFolder(id)),
            Some(_) => Ok(()),
        }
    }

    fn check_change(&self, id: BookmarkId) -> Result<(), BookmarkError> {
        match id {
            BAR | OTHER => Err(BookmarkError::Fixed),
            _ if !self.all.contains_key(&id) => Err(BookmarkError::Unknown(id)),
            _ => Ok(()),
        }
    }

    /// Returns whether a folder is inside another one, at any depth.
    fn is_inside(&self, mut folder: BookmarkId, other: BookmarkId) -> bool {
        // A damaged store may hold a cycle of its own.
        for _ in 0..=MAX_DEPTH {
            match self.all.get(&folder).map(|one| one.parent) {
                Some(parent) if parent == other => return true,
                Some(0) | None => return false,
                Some(parent) => folder = parent,
            }
        }
        true
    }

    fn depth(&self, mut folder: BookmarkId) -> usize {
        let mut depth = 1;
        while let Some(parent) = self.all.get(&folder).map(|one| one.parent).filter(|parent| *parent != 0) {
            (folder, depth) = (parent, depth + 1);
        }
        depth
    }

    /// Returns the number of levels of folders from this one on.
    fn height(&self, folder: BookmarkId) -> usize {
        let folders = self.entries_of(folder).filter(|one| one.url.is_none());
        1 + folders.map(|one| self.height(one.id)).max().unwrap_or(0)
    }

    fn take_out(&mut self, id: BookmarkId) {
        let Some(parent) = self.all.get(&id).map(|one| one.parent) else { return };
        if let Some(entries) = self.entries.get_mut(&parent) {
            entries.retain(|other| *other != id);
        }
        self.renumber(parent);
    }

    fn renumber(&mut self, folder: BookmarkId) {
        for (place, id) in self.entries.get(&folder).into_iter().flatten().enumerate() {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            if let Some(bookmark) = self.all.get_mut(id)
                && bookmark.place != place
            {
                bookmark.place = place;
                self.changed.insert(id / CHUNK);
            }
        }
    }
}

/// Returns the text that is searched, in lower case.
fn text_of(bookmark: &Bookmark) -> String {
    let url = bookmark.url.as_deref().unwrap_or_default();
    format!("{}\n{url}\n{}", bookmark.title, bookmark.tags.join("\n")).to_lowercase()
}

fn check_url(url: Option<&str>) -> Result<(), BookmarkError> {
    if url.is_some_and(|url| url.len() > MAX_URL) { Err(BookmarkError::Address) } else { Ok(()) }
}

fn clean_tags(tags: Vec<String>) -> Vec<String> {
    let mut clean: Vec<String> = Vec::new();
    for tag in tags {
        let tag: String = clean_title(&tag).chars().filter(|c| *c != ',').take(MAX_TAG).collect();
        if !tag.is_empty() && !clean.contains(&tag) && clean.len() < MAX_TAGS {
            clean.push(tag);
        }
    }
    clean
}
