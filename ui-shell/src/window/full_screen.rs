//! Full screen, for the user (F11) or for an element of a page.

use gtk::prelude::*;

use super::Window;
use crate::bridge::ToChrome;

impl Window {
    pub(crate) fn toggle_fullscreen(&self) {
        if self.take_back_screen() {
            return;
        }
        self.fullscreen.set(!self.fullscreen.get());
        self.fill_screen();
    }

    /// Takes the active tab's page out of full screen until it asks again. Returns whether it was in full screen.
    pub(crate) fn take_back_screen(&self) -> bool {
        let by_page = self.fills_screen.get().1;
        if by_page {
            self.screen_refused.set(self.active.get());
            self.fill_screen();
        }
        by_page
    }

    /// Enters full screen if the user or the active tab's page wants it, else leaves it.
    pub(super) fn fill_screen(&self) {
        let active = self.active.get();
        let wants = self.tabs.borrow().get(&active).is_some_and(|tab| tab.full_screen);
        if !wants && self.screen_refused.get() == active {
            self.screen_refused.set(0);
        }
        let by_page = wants && self.screen_refused.get() != active;
        let on = by_page || self.fullscreen.get();
        if self.fills_screen.replace((on, by_page)) == (on, by_page) {
            return;
        }
        if on {
            self.gtk.fullscreen();
        } else {
            self.gtk.unfullscreen();
        }
        self.tell_chrome(ToChrome::Fullscreen { on, by_page });
    }
}
