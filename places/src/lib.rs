//! Pages that the user visited and bookmarked. Pure: it knows no disk, no clock and no process; the broker owns one and saves what it
//! says has changed.
//!
//! [`History`] records visits, searches them, completes what is typed in the address bar, finds what
//! is typed in the command bar, and forgets what a [`Filter`]
//! selects. [`Bookmarks`] are a tree of folders and pages.

mod bookmarks;
mod complete;
mod filter;
mod fuzzy;
mod history;
mod page;
mod visit;

pub use bookmarks::{
    BAR, Bookmark, BookmarkEdit, BookmarkError, BookmarkFilter, BookmarkId, Bookmarks, MAX_BOOKMARKS, OTHER,
};
pub use complete::{Completions, Suggestion};
pub use filter::Filter;
pub use fuzzy::Fuzzy;
pub use history::{History, Listing, MAX_VISITS};
pub use visit::{CHUNK, SavedVisit, Visit, VisitId, chunk_of};
