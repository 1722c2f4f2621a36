//! Search in a page.

use std::cell::Cell;
use std::rc::Rc;

use regen_proto::kernel::v1::{Find, FindResult, page_event::Body};
use webkit2gtk::{FindControllerExt, FindOptions, WebViewExt};

use super::{View, agent};

/// Expression of a function that returns the position of the selected match.
const POSITION: &str = include_str!("find_position.js");

/// Search in a view's page.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// Set while the number of matches of a new search is not known.
    counts_matches: Cell<bool>,
    /// Number of matches of the search.
    matches: Cell<u32>,
}

pub(super) fn connect(view: &Rc<View>) {
    let Some(controller) = view.web.find_controller() else { return };
    let weak = Rc::downgrade(view);
    controller.connect_found_text(move |controller, matches| {
        let Some(view) = weak.upgrade() else { return };
        // A step to the next match reports that match only.
        if view.finder.counts_matches.take() {
            view.finder.matches.set(matches);
        }
        view.tell_match(&controller.search_text().unwrap_or_default());
    });
    let weak = Rc::downgrade(view);
    controller.connect_failed_to_find_text(move |_| {
        if let Some(view) = weak.upgrade() {
            view.tell(Body::FindResult(FindResult::default()));
        }
    });
}

impl View {
    pub(super) fn find(&self, find: &Find) {
        const MAX_COUNT: u32 = 10_000;
        let Some(controller) = self.web.find_controller() else { return };
        if find.text.is_empty() {
            controller.search_finish();
        } else if find.next && controller.search_text().as_deref() == Some(&find.text) {
            if find.forward { controller.search_next() } else { controller.search_previous() }
        } else {
            let mut options = FindOptions::CASE_INSENSITIVE | FindOptions::WRAP_AROUND;
            options.set(FindOptions::BACKWARDS, !find.forward);
            // The search counts and highlights the matches. A separate count would remove the highlights.
            self.finder.counts_matches.set(true);
            controller.search(&find.text, options.bits(), MAX_COUNT);
        }
    }

    /// Reports the number of matches, and the position of the selected one.
    fn tell_match(self: &Rc<Self>, text: &str) {
        let matches = self.finder.matches.get();
        let view = Rc::clone(self);
        // A JSON text is a JavaScript expression.
        let script = format!("{}({})", POSITION.trim_end(), serde_json::json!(text));
        agent::evaluate(&self.web, &script, move |answer| {
            let position = answer.ok().and_then(|answer| position(&answer, matches)).unwrap_or(0);
            view.tell(Body::FindResult(FindResult { matches, position, tab: 0 }));
        });
    }
}

/// Returns the position that the page's script found. It is not known if the script counts other matches than the
/// engine, such as those in frames and fields.
fn position(answer: &str, matches: u32) -> Option<u32> {
    let (position, counted) = answer.split_once(' ')?;
    let position = position.parse().ok()?;
    (counted.parse() == Ok(matches) && (1..=matches).contains(&position)).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_known_where_the_page_and_the_engine_count_alike() {
        assert_eq!(position("3 12", 12), Some(3));
        for unknown in ["3 11", "", "0 12", "13 12", "x 12", "-1 12"] {
            assert_eq!(position(unknown, 12), None, "{unknown}");
        }
    }
}
