//! Visits, bookmarks and suggestions, as the chrome has them.

use regen_proto::kernel::v1::{BookmarksAnswer, Completions, Suggestion, VisitsAnswer};
use regen_proto::places::v1::{Bookmark, BookmarksReply, Visit};
use serde::{Deserialize, Serialize};

use super::ToChrome;

/// Change of the history, or question about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromeVisitAction {
    List,
    Delete,
    Undo,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeVisit {
    pub(super) id: u64,
    /// Time, in seconds since 1970.
    pub(super) at: u64,
    pub(super) url: String,
    pub(super) title: String,
    pub(super) workspace: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeSuggestion {
    pub(super) url: String,
    pub(super) title: String,
    /// Tab that shows it; 0: none.
    pub(super) tab: u64,
    pub(super) bookmarked: bool,
}

/// A bookmark, or a folder if it has no address.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeBookmark {
    pub(super) id: u64,
    /// Folder; 1: the bookmarks bar, 2: the other bookmarks.
    pub(super) parent: u64,
    pub(super) url: Option<String>,
    pub(super) title: String,
    pub(super) tags: Vec<String>,
}

/// Question about the bookmarks, or a change of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum ChromeBookmarkAction {
    List {
        parent: Option<u64>,
        words: String,
        /// Address; empty: any.
        url: String,
        /// Folders only.
        folders: bool,
        /// Number of entries that are known already.
        skip: u32,
    },
    Add {
        parent: u64,
        /// Address; none for a folder.
        url: Option<String>,
        title: String,
    },
    Edit {
        id: u64,
        title: Option<String>,
        url: Option<String>,
        tags: Option<Vec<String>>,
        /// Folder to move to.
        parent: Option<u64>,
        place: u32,
    },
    Remove {
        id: u64,
    },
    Undo {},
}

pub(super) fn visits(answer: &VisitsAnswer) -> ToChrome {
    let reply = answer.reply.clone().unwrap_or_default();
    let visit = |Visit { id, at, url, title, workspace, .. }| ChromeVisit { id, at, url, title, workspace };
    ToChrome::Visits {
        request: answer.request,
        visits: reply.visits.into_iter().map(visit).collect(),
        has_more: reply.has_more,
        changed: reply.changed,
    }
}

pub(super) fn bookmarks(answer: &BookmarksAnswer) -> ToChrome {
    let BookmarksReply { bookmarks, has_more, changed, added, error } = answer.reply.clone().unwrap_or_default();
    let bookmark = |Bookmark { id, parent, url, title, tags, .. }| ChromeBookmark { id, parent, url, title, tags };
    let bookmarks = bookmarks.into_iter().map(bookmark).collect();
    ToChrome::Bookmarks { request: answer.request, bookmarks, has_more, changed, added, error }
}

pub(super) fn completions(found: &Completions) -> ToChrome {
    let suggestion = |one: &Suggestion| ChromeSuggestion {
        url: one.url.clone(),
        title: one.title.clone(),
        tab: one.tab,
        bookmarked: one.bookmarked,
    };
    ToChrome::Completions {
        request: found.request,
        suggestions: found.suggestions.iter().map(suggestion).collect(),
        inline_rest: found.inline_rest.clone(),
        inline_url: found.inline_url.clone(),
    }
}
