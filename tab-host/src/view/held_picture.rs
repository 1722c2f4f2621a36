//! Picture of a page that comes back after its process died: the window keeps the one that it has until the page is there again,
//! instead of an empty one.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::View;
use crate::display::DisplayCommand;

/// A page that takes longer to come back is shown as it is.
const LONGEST: Duration = Duration::from_secs(5);
/// The same for a page whose document is there, and whose parts take long.
const AFTER_COMMIT: Duration = Duration::from_millis(1500);

/// What a page has drawn is on its way to the display for this long.
pub(super) const DRAWN: Duration = Duration::from_millis(100);

/// Address of the page that is to come back; `None`: the window is shown what there is.
#[derive(Debug, Default)]
pub(super) struct HeldPicture(RefCell<Option<String>>);

impl View {
    /// Shows the window nothing of this view until the page at `url` is back.
    pub(super) fn hold_picture(self: &Rc<Self>, url: &str) {
        let Some(host) = self.host() else { return };
        self.held_picture.0.replace(Some(url.to_owned()));
        host.display.send(DisplayCommand::Hold(self.id.get(), true));
        self.show_picture_after(LONGEST);
    }

    /// A document is there. Another one than was to come back is shown at once: the old picture is not of it.
    pub(super) fn picture_committed(self: &Rc<Self>, url: &str) {
        let is_expected = self.held_picture.0.borrow().as_ref().map(|expected| expected == url);
        match is_expected {
            Some(true) => self.show_picture_after(AFTER_COMMIT),
            Some(false) => self.show_picture(),
            None => {}
        }
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
