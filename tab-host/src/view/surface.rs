//! Window of a view on this process's own display.

use std::cell::Cell;

use gtk::prelude::*;

use super::{View, agent, held_picture};

/// Window of a view, and what it shows.
pub(super) struct Surface {
    pub(super) window: gtk::Window,
    pub(super) is_visible: Cell<bool>,
    /// Set while an element is in full screen.
    pub(super) is_full_screen: Cell<bool>,
    pub(super) held_picture: held_picture::HeldPicture,
}

impl Surface {
    /// Returns the surface of a window that is not shown yet.
    pub(super) fn new(window: gtk::Window) -> Self {
        let held_picture = held_picture::HeldPicture::default();
        Self { window, is_visible: Cell::default(), is_full_screen: Cell::default(), held_picture }
    }
}

impl View {
    pub(super) fn show(&self, visible: bool) {
        self.surface.is_visible.set(visible);
        if visible {
            self.surface.window.show_all();
            self.shown_web().grab_focus();
        } else {
            self.snapshot_if_changed();
            if self.surface.is_full_screen.get() {
                // A page in the background leaves full screen, so that the tab comes back with the window's bars.
                agent::evaluate(&self.web, "document.exitFullscreen().catch(() => {})", |_| {});
            }
            self.surface.window.hide();
        }
    }
}
