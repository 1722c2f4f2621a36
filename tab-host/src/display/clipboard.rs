//! The clipboard: what a page copies reaches the user's clipboard only within a moment of the user's own input, and what
//! the user pastes reaches the page only when they paste.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use regen_proto::page::v1::{ClipboardOffer, FromPage, from_page};
use rustix::pipe::PipeFlags;
use smithay::input::Seat;
use smithay::wayland::selection::data_device::{
    ClientDndGrabHandler, DataDeviceHandler, DataDeviceState, ServerDndGrabHandler,
    request_data_device_client_selection, set_data_device_selection,
};
use smithay::wayland::selection::{SelectionHandler, SelectionSource, SelectionTarget};

use super::Compositor;

/// A copy counts as the user's within this time of their input.
const GESTURE: Duration = Duration::from_secs(1);
/// Largest text that is copied.
const LARGEST: u64 = 8 * 1024 * 1024;
const TEXT: [&str; 3] = ["text/plain;charset=utf-8", "UTF8_STRING", "text/plain"];

impl SelectionHandler for Compositor {
    type SelectionUserData = Arc<str>;

    fn new_selection(&mut self, target: SelectionTarget, source: Option<SelectionSource>, seat: Seat<Self>) {
        let by_user = self.last_input.is_some_and(|at| at.elapsed() < GESTURE);
        let Some((source, window, tab)) = source
            .zip(self.window.clone())
            .zip(self.focused)
            .map(|((source, window), tab)| (source, window, tab))
            .filter(|_| by_user && target == SelectionTarget::Clipboard)
        else {
            return;
        };
        let offered = source.mime_types();
        let Some(mime) = TEXT.iter().find(|text| offered.iter().any(|mime| mime == *text)) else { return };
        let Ok((read, write)) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC) else { return };
        // The selection becomes current when this handler returns; the request must come after that.
        let mime = (*mime).to_owned();
        self.handle.insert_idle(move |_| {
            if request_data_device_client_selection::<Self>(&seat, mime, write).is_err() {
                return;
            }
            // The page writes when it likes: that must not stop the display.
            std::thread::spawn(move || {
                let mut text = String::new();
                if File::from(read).take(LARGEST).read_to_string(&mut text).is_ok() {
                    let body = Some(from_page::Body::Clipboard(ClipboardOffer { text }));
                    // The window may be gone by now.
                    let _ = window.blocking_send(FromPage { tab, body });
                }
            });
        });
    }

    fn send_selection(
        &mut self,
        _target: SelectionTarget,
        _mime: String,
        fd: OwnedFd,
        _seat: Seat<Self>,
        text: &Self::SelectionUserData,
    ) {
        let text = Arc::clone(text);
        std::thread::spawn(move || {
            // The page may stop reading when it likes.
            let _ = File::from(fd).write_all(text.as_bytes());
        });
    }
}

impl DataDeviceHandler for Compositor {
    fn data_device_state(&self) -> &DataDeviceState {
        &self.data_device_state
    }
}

impl ClientDndGrabHandler for Compositor {}
impl ServerDndGrabHandler for Compositor {}

impl Compositor {
    /// The user is about to paste this.
    pub(super) fn paste(&mut self, text: String) {
        let text: Arc<str> = text.into();
        self.pasted = Some(Arc::clone(&text));
        let kinds = TEXT.iter().map(|&mime| mime.to_owned()).collect();
        set_data_device_selection(&self.display, &self.seat, kinds, text);
    }
}
