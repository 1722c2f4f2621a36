//! Held pictures: the window keeps the picture that it has, instead of an empty one, until a page that comes back after a crash is
//! there again, or until a page that another site's page leads to has committed. The address shown until then is the old one's.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::View;
use crate::display::DisplayCommand;

/// A page that takes longer to come back is shown as it is.
const HOLD_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for a page whose document is there, and whose parts take long.
const AFTER_COMMIT: Duration = Duration::from_millis(1500);
/// Time that a drawn page takes to reach the display.
pub(super) const DRAWN: Duration = Duration::from_millis(100);

/// Page that a view waits for.
#[derive(Debug)]
enum Awaited {
    /// The page at this address, as it was.
    Restored(String),
    /// The first one.
    First,
}

/// Page that is to come before the window is shown more of a view. Nothing: it is shown what there is.
#[derive(Debug, Default)]
pub(super) struct HeldPicture(RefCell<Option<Awaited>>);

impl View {
    /// Shows the window nothing of this view until the page at `url` is back.
    pub(super) fn hold_until_restored(self: &Rc<Self>, url: &str) {
        self.hold(Awaited::Restored(url.to_owned()));
        self.show_picture_after(HOLD_TIMEOUT);
    }

    /// Shows the window nothing of this view until there is a page.
    pub(super) fn hold_until_first_page(&self) {
        self.hold(Awaited::First);
    }

    fn hold(&self, awaited: Awaited) {
        if let Some(host) = self.host() {
            self.held_picture.0.replace(Some(awaited));
            host.display.send(DisplayCommand::Hold(self.id.get(), true));
        }
    }

    /// A document is there. Another one than was to come back is shown at once: the old picture is not of it.
    pub(super) fn picture_committed(self: &Rc<Self>, url: &str) {
        let patience = match &*self.held_picture.0.borrow() {
            None => return,
            Some(Awaited::Restored(expected)) if expected == url => AFTER_COMMIT,
            Some(Awaited::Restored(_)) => Duration::ZERO,
            Some(Awaited::First) => DRAWN,
        };
        self.show_picture_after(patience);
    }

    /// Shows the window what there is.
    pub(super) fn show_picture(&self) {
        if self.held_picture.0.take().is_some()
            && let Some(host) = self.host()
        {
            host.display.send(DisplayCommand::Hold(self.id.get(), false));
        }
    }

    pub(super) fn show_picture_after(self: &Rc<Self>, time: Duration) {
        let weak = Rc::downgrade(self);
        glib::timeout_add_local_once(time, move || {
            if let Some(view) = weak.upgrade() {
                view.show_picture();
            }
        });
    }
}
