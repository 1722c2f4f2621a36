//! Visits of the history: the window's and the control API's messages.

use regen_places::{Filter, Listing, SavedVisit};
use regen_proto::kernel::v1::shell_update::Body;
use regen_proto::kernel::v1::{Completions, Suggestion, VisitsAnswer};
use regen_proto::places::v1::{Visit, VisitAction, VisitFilter, VisitsReply, VisitsRequest};

use crate::kept::visit_log::{Query, Reply, TabSuggestion};
use crate::message::{ChildId, Outgoing};

/// Number of visits in a list whose length is not given.
const DEFAULT_LIMIT: u32 = 100;
/// Maximum number of visits in a list.
pub const MAX_LIMIT: u32 = 10_000;
/// Maximum length of a list's texts in a message to the window, in bytes.
const MAX_TEXTS: usize = 48 * 1024;

/// Returns what a request asks; `None` for nothing.
#[must_use]
pub fn query(request: VisitsRequest) -> Option<Query> {
    let action = request.action();
    let VisitsRequest { filter, limit, after, .. } = request;
    let filter = filter.map(self::filter).unwrap_or_default();
    let limit = if limit == 0 { DEFAULT_LIMIT } else { limit.min(MAX_LIMIT) };
    match action {
        VisitAction::Unspecified => None,
        VisitAction::List => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            Some(Query::List { filter, after: (after != 0).then_some(after), limit })
        }
        VisitAction::Delete => Some(Query::Delete(filter)),
        VisitAction::Undo => Some(Query::Undo),
    }
}

fn filter(wire: VisitFilter) -> Filter {
    let given = |text: String| (!text.is_empty()).then_some(text);
    let VisitFilter { words, domain, url, workspace, since, until, visits } = wire;
    Filter { words, domain: given(domain), url: given(url), workspace, since, until, visits }
}

/// Returns the answer to a request.
#[must_use]
pub fn reply(reply: Reply) -> VisitsReply {
    let Reply { listing: Listing { visits, has_more }, changed } = reply;
    let visit = |SavedVisit { id, at, url, title, workspace, typed }| Visit { id, at, url, title, workspace, typed };
    VisitsReply { visits: visits.into_iter().map(visit).collect(), has_more, changed: changed as u64 }
}

/// Returns the update that answers the window. A list that does not fit in a message is cut; the window asks for the rest.
#[must_use]
pub fn answer(window: ChildId, request: u64, mut answer: Reply) -> Outgoing {
    let mut room = MAX_TEXTS;
    let fitting = answer.listing.visits.iter().take_while(|visit| {
        let left = room.checked_sub(visit.url.len() + visit.title.len() + visit.workspace.len());
        room = left.unwrap_or(0);
        left.is_some()
    });
    let fitting = fitting.count();
    answer.listing.has_more |= fitting < answer.listing.visits.len();
    answer.listing.visits.truncate(fitting);
    super::window_updates::update(window, Body::Visits(VisitsAnswer { request, reply: Some(reply(answer)) }))
}

/// Returns the update with pages that may be meant.
#[must_use]
pub fn completions(
    window: ChildId,
    request: u64,
    suggestions: Vec<TabSuggestion>,
    inline: Option<(String, String)>,
) -> Outgoing {
    let suggestion = |TabSuggestion { page, tab, is_bookmarked }| Suggestion {
        url: page.url,
        title: page.title,
        tab: tab.unwrap_or(0),
        bookmarked: is_bookmarked,
    };
    let (inline_rest, inline_url) = inline.unwrap_or_default();
    let suggestions = suggestions.into_iter().map(suggestion).collect();
    super::window_updates::update(
        window,
        Body::Completions(Completions { request, suggestions, inline_rest, inline_url }),
    )
}

#[cfg(test)]
mod tests {
    use regen_proto::validate::BrokerToChild;

    use super::*;

    #[test]
    fn a_list_is_cut_to_what_fits_in_a_message() {
        let visit = |id| SavedVisit { id, url: "x".repeat(8000), ..SavedVisit::default() };
        let listing = Listing { visits: (0..20).map(visit).collect(), has_more: false };
        let update = answer(1, 9, Reply { listing, changed: 0 });
        let BrokerToChild::Update(update) = update.message else { panic!("{update:?}") };
        let Some(Body::Visits(VisitsAnswer { request: 9, reply: Some(reply) })) = update.body else {
            panic!("{update:?}")
        };
        assert_eq!((reply.visits.len(), reply.has_more), (6, true));
    }

    #[test]
    fn an_empty_condition_is_none() {
        let request = VisitsRequest { action: VisitAction::List.into(), ..VisitsRequest::default() };
        let all = Query::List { filter: Filter::default(), after: None, limit: 100 };
        assert_eq!(query(request), Some(all));
        assert_eq!(query(VisitsRequest::default()), None);
        let filter = VisitFilter { domain: "a.test".into(), since: Some(0), ..VisitFilter::default() };
        let request =
            VisitsRequest { action: VisitAction::Delete.into(), filter: Some(filter), ..VisitsRequest::default() };
        let wanted = Filter { domain: Some("a.test".into()), since: Some(0), ..Filter::default() };
        assert_eq!(query(request), Some(Query::Delete(wanted)));
    }
}
