//! End of a view: by the broker, or by the page's consent.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use gtk::prelude::*;
use regen_proto::kernel::v1::{Empty, page_event};
use webkit2gtk::WebViewExt;

use super::View;

/// Time that a page has to answer whether it may be closed.
const CLOSE_ANSWER: Duration = Duration::from_millis(1500);

/// End of a view.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// Set once this host destroys the view.
    pub(super) is_destroyed: Cell<bool>,
    /// Number of the close request that the page has not answered; 0: none.
    pub(super) question: Cell<u64>,
    /// Number of close requests so far.
    questions: Cell<u64>,
}

impl View {
    pub(crate) fn destroy(&self) {
        self.closing.is_destroyed.set(true);
        self.dismiss_dialogs();
        self.web.stop_loading();
        self.surface.window.hide();
        self.surface.window.close();
    }

    /// Asks the page whether it may be closed. Its consent destroys the web view. A page that does not answer within
    /// [`CLOSE_ANSWER`] does not object.
    pub(crate) fn try_close(self: &Rc<Self>) {
        self.dismiss_dialogs();
        // If the page consents, the view is gone.
        self.snapshot_if_changed();
        self.expect_close();
        self.web.try_close();
    }

    /// Reports the page as closed after [`CLOSE_ANSWER`], unless it objects or is closed before. The engine does not close a page
    /// whose answer to an earlier question comes after the next question was put.
    pub(super) fn expect_close(self: &Rc<Self>) {
        let question = self.closing.questions.get() + 1;
        self.closing.questions.set(question);
        self.closing.question.set(question);
        let weak = Rc::downgrade(self);
        glib::timeout_add_local_once(CLOSE_ANSWER, move || {
            if let Some(view) = weak
                .upgrade()
                .filter(|view| view.closing.question.get() == question && !view.closing.is_destroyed.get())
            {
                view.closing.question.set(0);
                view.tell(page_event::Body::CloseRequested(Empty {}));
            }
        });
    }
}
