//! Messages to the chrome, and its layout over the page.

use gtk::gdk;
use gtk::prelude::*;
use wry::WebViewExtUnix;

use super::Window;
use crate::bridge::{Rect, ToChrome};
use crate::drawn_chrome;

impl Window {
    /// Applies a layout from the chrome: the page's position, the chrome's input shape, and the parts to draw.
    pub(crate) fn lay_out(&self, page: Rect, covers: &[Rect], shown: &[Rect]) {
        if let Some(gdk_window) = self.chrome_box.window() {
            gdk_window.input_shape_combine_region(&drawn_chrome::region(covers), 0, 0);
        }
        if self.drawn.borrow_mut().changed(shown) {
            self.chrome_box.queue_draw();
            self.hide_tooltip();
        }
        if self.page.replace(page) != page {
            self.send_geometry();
            self.area.queue_draw();
        }
    }

    /// Hides the tooltip of what the pointer is over, as it would cover a menu that has just opened. The engine learns only
    /// from the next movement of the pointer that what is below it has no tooltip any more.
    fn hide_tooltip(&self) {
        if let Some(chrome) = self.chrome.borrow().as_ref() {
            chrome.webview().set_has_tooltip(false);
            chrome.webview().trigger_tooltip_query();
        }
    }

    /// Hands the chrome's view a key, whatever has the keyboard.
    pub(crate) fn hand_to_chrome(&self, event: &gdk::Event) {
        if let Some(chrome) = self.chrome.borrow().as_ref() {
            chrome.webview().event(event);
        }
    }

    /// Sends the chrome a message; queues it until the chrome is ready.
    pub(crate) fn tell_chrome(&self, message: ToChrome) {
        self.unsent.borrow_mut().push(message);
        self.flush();
    }

    pub(crate) fn flush(&self) {
        if !self.chrome_ready.get() {
            return;
        }
        let messages = std::mem::take(&mut *self.unsent.borrow_mut());
        if messages.is_empty() {
            return;
        }
        match (serde_json::to_string(&messages), self.chrome.borrow().as_ref()) {
            (Ok(json), Some(chrome)) => {
                if let Err(error) = chrome.evaluate_script(&format!("regen.receive({json})")) {
                    tracing::error!("bridge: {error}");
                }
            }
            (Err(error), _) => tracing::error!("bridge: {error}"),
            (_, None) => {}
        }
    }
}
