//! Bookmarks: the window's and the control API's messages.

use regen_places::{Bookmark, BookmarkEdit, BookmarkError, BookmarkFilter};
use regen_proto::kernel::v1::BookmarksAnswer;
use regen_proto::kernel::v1::shell_update::Body;
use regen_proto::places::v1::bookmarks_request::Action;
use regen_proto::places::v1::{
    Bookmark as WireBookmark, BookmarkEdit as WireEdit, BookmarkFilter as WireFilter, BookmarkImport, BookmarksReply,
    BookmarksRequest,
};

use crate::kept::bookmark_shelf::{Query, Reply};
use crate::message::{ChildId, Outgoing};

/// Maximum length of a list's texts in a message to the window, in bytes.
const MAX_TEXTS: usize = 48 * 1024;
/// Length of a bookmark's numbers in a message, in bytes.
const NUMBERS: usize = 32;

/// Returns what a request asks; `None` for nothing.
#[must_use]
pub fn query(request: BookmarksRequest) -> Option<Query> {
    let index = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Some(match request.action? {
        Action::List(WireFilter { parent, words, url, folders }) => {
            let url = (!url.is_empty()).then_some(url);
            Query::List { filter: BookmarkFilter { parent, words, url, folders }, skip: index(request.skip) }
        }
        Action::Add(bookmark) => Query::Add(from_wire(bookmark)),
        Action::Edit(WireEdit { id, title, url, tags, parent, place }) => {
            let to = parent.map(|parent| (parent, index(place)));
            Query::Edit(id, BookmarkEdit { title, url, tags: tags.map(|tags| tags.tags), to })
        }
        Action::Remove(id) => Query::Remove(id),
        Action::Undo(_) => Query::Undo,
        Action::Import(BookmarkImport { folder, bookmarks }) => {
            Query::Import { folder, bookmarks: bookmarks.into_iter().map(from_wire).collect() }
        }
    })
}

fn from_wire(wire: WireBookmark) -> Bookmark {
    let WireBookmark { id, parent, url, title, tags, added } = wire;
    Bookmark { id, parent, place: 0, url, title, tags, added }
}

/// Returns the answer to a request.
#[must_use]
pub fn reply(reply: Reply) -> BookmarksReply {
    let to_wire =
        |Bookmark { id, parent, url, title, tags, added, .. }| WireBookmark { id, parent, url, title, tags, added };
    BookmarksReply {
        bookmarks: reply.list.into_iter().map(to_wire).collect(),
        has_more: false,
        changed: reply.changed as u64,
        added: reply.added.unwrap_or(0),
        error: String::new(),
    }
}

/// Returns the update that answers the window. A list that does not fit in a message is cut; the window asks for the rest.
#[must_use]
pub fn answer(window: ChildId, request: u64, answer: Result<Reply, BookmarkError>) -> Outgoing {
    let mut reply = match answer {
        Ok(answer) => reply(answer),
        Err(error) => BookmarksReply { error: error.to_string(), ..BookmarksReply::default() },
    };
    let mut room = MAX_TEXTS;
    let fitting = reply.bookmarks.iter().take_while(|one| {
        let tags: usize = one.tags.iter().map(|tag| tag.len() + NUMBERS).sum();
        let size = one.title.len() + one.url.as_ref().map_or(0, String::len) + tags + NUMBERS;
        let left = room.checked_sub(size);
        room = left.unwrap_or(0);
        left.is_some()
    });
    let fitting = fitting.count();
    reply.has_more = fitting < reply.bookmarks.len();
    reply.bookmarks.truncate(fitting);
    super::window_updates::update(window, Body::Bookmarks(BookmarksAnswer { request, reply: Some(reply) }))
}

#[cfg(test)]
mod tests {
    use regen_proto::validate::BrokerToChild;

    use super::*;

    #[test]
    fn a_list_is_cut_to_what_fits_in_a_message() {
        let bookmark = |id| Bookmark { id, url: Some("x".repeat(8000)), ..Bookmark::default() };
        let update = answer(1, 9, Ok(Reply { list: (0..20).map(bookmark).collect(), ..Reply::default() }));
        let BrokerToChild::Update(update) = update.message else { panic!("{update:?}") };
        let Some(Body::Bookmarks(BookmarksAnswer { request: 9, reply: Some(reply) })) = update.body else {
            panic!("{update:?}")
        };
        assert_eq!((reply.bookmarks.len(), reply.has_more), (6, true));
    }

    #[test]
    fn a_move_is_asked_for_by_its_folder() {
        let edit = WireEdit { id: 5, parent: Some(2), place: 3, ..WireEdit::default() };
        let request = BookmarksRequest { action: Some(Action::Edit(edit)), skip: 0 };
        let wanted = BookmarkEdit { to: Some((2, 3)), ..BookmarkEdit::default() };
        assert_eq!(query(request), Some(Query::Edit(5, wanted)));
        assert_eq!(query(BookmarksRequest::default()), None);
    }
}
