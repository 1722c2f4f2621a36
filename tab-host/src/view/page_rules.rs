//! Rules of shields that a page is shown with.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use super::generic_rules::Common;

/// Rules that a view's page is shown with.
#[derive(Debug, Default)]
pub(super) struct PageRules {
    /// Hashes of the style sheets that hide parts of this page.
    pub(super) styles: RefCell<HashSet<u64>>,
    pub(super) common: RefCell<Common>,
    /// Number of documents that the main frame has had.
    pub(super) documents: Cell<u64>,
    /// Number of this page's requests that shields blocked.
    pub(super) blocked: Cell<u32>,
}
