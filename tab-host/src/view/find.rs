//! Search in a page.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use regen_proto::kernel::v1::{Find, FindResult, page_event::Body};
use webkit2gtk::{FindControllerExt, FindOptions, WebView, WebViewExt};

use super::{View, agent};

/// Expression of a function that returns the position of the selected match.
const POSITION: &str = include_str!("find_position.js");

/// Search in a view's page.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// Searches and steps that the engine has not answered, in order. It answers each once.
    asked: RefCell<VecDeque<Asked>>,
    /// Number of matches of the search.
    matches: Cell<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A search for another text. Its answer tells the number of matches.
    Search,
    /// A step to another match. Its answer tells of that match only.
    Step,
}

impl Finder {
    /// Forgets what was asked of a web view that is gone.
    pub(super) fn forget(&self) {
        self.asked.borrow_mut().clear();
    }

    fn ask(&self, what: Asked) {
        self.asked.borrow_mut().push_back(what);
    }

    /// Takes an answer. Returns the number of matches once the last question is answered: whoever types quickly asks again
    /// before the engine answers.
    fn answered(&self, matches: u32) -> Option<u32> {
        let mut asked = self.asked.borrow_mut();
        if asked.pop_front() != Some(Asked::Step) {
            self.matches.set(matches);
        }
        asked.is_empty().then(|| self.matches.get())
    }
}

pub(super) fn connect(view: &Rc<View>, web: &WebView) {
    let Some(controller) = web.find_controller() else { return };
    let weak = Rc::downgrade(view);
    controller.connect_found_text(move |controller, matches| {
        let Some(view) = weak.upgrade() else { return };
        if let Some(matches) = view.finder.answered(matches) {
            view.tell_match(&controller.search_text().unwrap_or_default(), matches);
        }
    });
    let weak = Rc::downgrade(view);
    controller.connect_failed_to_find_text(move |_| {
        if let Some(view) = weak.upgrade()
            && view.finder.answered(0).is_some()
        {
            view.tell(Body::FindResult(FindResult::default()));
        }
    });
}

impl View {
    pub(super) fn find(&self, find: &Find) {
        const MAX_COUNT: u32 = 10_000;
        let Some(controller) = self.shown_web().find_controller() else { return };
        if find.text.is_empty() {
            controller.search_finish();
        } else if find.next && controller.search_text().as_deref() == Some(&find.text) {
            self.finder.ask(Asked::Step);
            if find.forward { controller.search_next() } else { controller.search_previous() }
        } else {
            let mut options = FindOptions::CASE_INSENSITIVE | FindOptions::WRAP_AROUND;
            options.set(FindOptions::BACKWARDS, !find.forward);
            // The search counts and highlights the matches. A separate count would remove the highlights.
            self.finder.ask(Asked::Search);
            controller.search(&find.text, options.bits(), MAX_COUNT);
        }
    }

    /// Reports the number of matches, and the position of the selected one.
    fn tell_match(self: &Rc<Self>, text: &str, matches: u32) {
        let view = Rc::clone(self);
        // A JSON text is a JavaScript expression.
        let script = format!("{}({})", POSITION.trim_end(), serde_json::json!(text));
        agent::evaluate(&self.shown_web(), &script, move |answer| {
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
    fn the_number_of_matches_is_that_of_the_last_search() {
        let finder = Finder::default();
        finder.ask(Asked::Search);
        finder.ask(Asked::Search);
        assert_eq!(finder.answered(1217), None, "another text has been typed");
        assert_eq!(finder.answered(12), Some(12));
        finder.ask(Asked::Step);
        assert_eq!(finder.answered(1), Some(12));
        finder.ask(Asked::Search);
        assert_eq!(finder.answered(0), Some(0));
    }

    #[test]
    fn a_position_is_known_where_the_page_and_the_engine_count_alike() {
        assert_eq!(position("3 12", 12), Some(3));
        for unknown in ["3 11", "", "0 12", "13 12", "x 12", "-1 12"] {
            assert_eq!(position(unknown, 12), None, "{unknown}");
        }
    }
}
