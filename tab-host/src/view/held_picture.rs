//! Held pictures. The window keeps the frame that it has, instead of an empty one, until a page that crashed is
//! restored, or until a navigation from another site has committed. The window shows the old address until then.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::View;
use crate::display::DisplayCommand;

/// Maximum time that the frame is held for a page that is restored.
const HOLD_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time that the frame is held once the restored page has committed.
const AFTER_COMMIT: Duration = Duration::from_millis(1500);
/// Time that a drawn page takes to reach the display.
pub(super) const DRAWN: Duration = Duration::from_millis(100);

/// Page that a view waits for.
#[derive(Debug)]
enum Awaited {
    /// The page at this URL, restored.
    Restored(String),
    /// The first page.
    First,
}

/// Page that must come before the window gets new frames of a view; `None`: frames are not held.
#[derive(Debug, Default)]
pub(super) struct HeldPicture(RefCell<Option<Awaited>>);

impl View {
    /// Holds the window's frame of this view until the page at `url` is restored.
    pub(super) fn hold_until_restored(self: &Rc<Self>, url: &str) {
        self.hold(Awaited::Restored(url.to_owned()));
        self.show_picture_after(HOLD_TIMEOUT);
    }

    /// Holds the window's frame of this view until there is a page.
    pub(super) fn hold_until_first_page(&self) {
        self.hold(Awaited::First);
    }

    fn hold(&self, awaited: Awaited) {
        self.surface.held_picture.0.replace(Some(awaited));
        self.site.display.send(DisplayCommand::Hold(self.id.get(), true));
    }

    /// Ends the hold soon after a commit. A page other than the awaited one is shown at once, because the old frame is
    /// not its own.
    pub(super) fn picture_committed(self: &Rc<Self>, url: &str) {
        let patience = match &*self.surface.held_picture.0.borrow() {
            None => return,
            Some(Awaited::Restored(expected)) if expected == url => AFTER_COMMIT,
            Some(Awaited::Restored(_)) => Duration::ZERO,
            Some(Awaited::First) => DRAWN,
        };
        self.show_picture_after(patience);
    }

    /// Resumes the window's frames of this view.
    pub(super) fn show_picture(&self) {
        if self.surface.held_picture.0.take().is_some() {
            self.site.display.send(DisplayCommand::Hold(self.id.get(), false));
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
