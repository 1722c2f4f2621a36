//! Loading of a view: the address under way, and its known origin.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use regen_proto::kernel::v1::Load;

use super::navigation::SubmittedForm;

/// Loading of a view.
#[derive(Debug, Default)]
pub(super) struct Loader {
    /// URL of the last commit that was reported to the broker.
    pub(super) committed: RefCell<String>,
    /// URL that began to load last.
    pub(super) started: RefCell<String>,
    /// URL that the broker had this view load, until a page commits.
    pub(super) carried: RefCell<Option<String>>,
    /// Origin of the page that opened this window.
    pub(super) opener_origin: RefCell<String>,
    /// Handover of a popup that has no tab yet.
    pub(super) postponed: RefCell<Option<(Load, Vec<u8>)>>,
    /// Set while the view has the bootstrap document, which replays a navigation from another site.
    pub(super) bootstrapping: Cell<bool>,
    /// URLs to which the page's frames navigated last, and whether by GET.
    pub(super) requested: RefCell<VecDeque<(String, bool)>>,
    /// Set if the next navigation restores a snapshot.
    pub(super) is_coming_back: Cell<bool>,
    /// Set if the last navigation of a frame was to `about:blank`.
    pub(super) wants_blank: Cell<bool>,
    /// Number of loads that have started.
    pub(super) loads: Cell<u64>,
    /// Set once the first page was requested again, because the engine gave it up for no reason.
    pub(super) is_retried: Cell<bool>,
    /// Set if the user stopped the load.
    pub(super) is_stopped: Cell<bool>,
    /// History entry that sends a form again, if the user agrees.
    pub(super) unsent: RefCell<Option<webkit2gtk::BackForwardListItem>>,
    /// Set once the user has agreed to send the form again.
    pub(super) may_send_again: Cell<bool>,
    /// Form that the page is about to submit.
    pub(super) last_form: RefCell<Option<SubmittedForm>>,
    /// Set once the page has left for another site. The broker then removes this view.
    pub(super) has_left: Cell<bool>,
}
