//! Search in a page.

use std::cell::Cell;

use regen_proto::kernel::v1::Find;
use webkit2gtk::{FindControllerExt, FindOptions, WebViewExt};

use super::View;

/// Search in a view's page.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// Set while the number of matches of a new search has not been reported.
    pub(super) counts_matches: Cell<bool>,
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
}
