//! The clipboard. A page's copy reaches the user's clipboard only shortly after the user's own input. The user's
//! clipboard reaches the page only when the user pastes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gtk::gdk_pixbuf::PixbufLoader;
use gtk::gdk_pixbuf::prelude::PixbufLoaderExt;
use regen_proto::page::v1::{ClipboardOffer, ClipboardPicture, FromPage, from_page};
use rustix::pipe::PipeFlags;
use smithay::input::Seat;
use smithay::wayland::selection::data_device::{
    ClientDndGrabHandler, DataDeviceHandler, DataDeviceState, ServerDndGrabHandler,
    request_data_device_client_selection, set_data_device_selection,
};
use smithay::wayland::selection::{SelectionHandler, SelectionSource, SelectionTarget};

use super::Compositor;

/// Time after user input within which a copy counts as the user's.
const GESTURE: Duration = Duration::from_secs(1);
/// Maximum size of copied text, in bytes.
const MAX_TEXT: u64 = 8 * 1024 * 1024;
/// Maximum size of a copied picture, in bytes, both of its file and of its pixels (16 million pixels).
const MAX_PICTURE: u64 = 64 * 1024 * 1024;
const PICTURE: &str = "image/png";
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
        let is_offered = |kind: &&&str| offered.iter().any(|mime| mime == **kind);
        // A picture is offered along with its URL as text.
        let Some(mime) = [PICTURE].iter().chain(&TEXT).find(is_offered) else { return };
        let Ok((read, write)) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC) else { return };
        // The selection becomes current when this handler returns; the request must come after that.
        let (mime, is_picture) = ((*mime).to_owned(), *mime == PICTURE);
        self.handle.insert_idle(move |_| {
            if request_data_device_client_selection::<Self>(&seat, mime, write).is_err() {
                return;
            }
            // The page may delay its write, which must not block the display.
            std::thread::spawn(move || {
                match offer(File::from(read), is_picture) {
                    Ok(offer) => {
                        let body = Some(from_page::Body::Clipboard(offer));
                        // The window may be gone by now.
                        let _ = window.blocking_send((FromPage { tab, body, ..FromPage::default() }, None));
                    }
                    Err(error) => tracing::info!("cannot copy from a page: {error}"),
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
            // Fails if the page stops reading.
            let _ = File::from(fd).write_all(text.as_bytes());
        });
    }
}

/// Returns the text of these bytes. A character that the limit cut through is left out.
fn text_of(bytes: Vec<u8>) -> anyhow::Result<String> {
    String::from_utf8(bytes).or_else(|error| {
        let whole = error.utf8_error().valid_up_to();
        anyhow::ensure!(error.utf8_error().error_len().is_none(), "a text that is not UTF-8");
        let mut bytes = error.into_bytes();
        bytes.truncate(whole);
        Ok(String::from_utf8(bytes)?)
    })
}

/// Reads what a page copies. A picture is decoded here, because the window accepts pixels only.
fn offer(from: File, is_picture: bool) -> anyhow::Result<ClipboardOffer> {
    if !is_picture {
        let mut bytes = Vec::new();
        from.take(MAX_TEXT).read_to_end(&mut bytes)?;
        return Ok(ClipboardOffer { text: text_of(bytes)?, picture: None });
    }
    let loader = PixbufLoader::with_type("png")?;
    let mut file = Vec::new();
    from.take(MAX_PICTURE).read_to_end(&mut file)?;
    loader.write(&file)?;
    loader.close()?;
    let picture = loader.pixbuf().context("not a picture")?;
    let picture = picture.add_alpha(false, 0, 0, 0)?;
    let (width, height) = (u32::try_from(picture.width())?, u32::try_from(picture.height())?);
    anyhow::ensure!(u64::from(width) * u64::from(height) * 4 <= MAX_PICTURE, "picture too large: {width} × {height}");
    let (row, stride) = (usize::try_from(width)? * 4, usize::try_from(picture.rowstride())?);
    let pixels = picture.read_pixel_bytes();
    let rgba = pixels.chunks(stride).flat_map(|line| line.iter().take(row).copied()).collect::<Vec<u8>>();
    Ok(ClipboardOffer { text: String::new(), picture: Some(ClipboardPicture { width, height, rgba: rgba.into() }) })
}

impl DataDeviceHandler for Compositor {
    fn data_device_state(&self) -> &DataDeviceState {
        &self.data_device_state
    }
}

impl ClientDndGrabHandler for Compositor {}
impl ServerDndGrabHandler for Compositor {}

impl Compositor {
    /// Offers the page the text that the user is about to paste.
    pub(super) fn paste(&mut self, text: String) {
        let text: Arc<str> = text.into();
        self.pasted = Some(Arc::clone(&text));
        let kinds = TEXT.iter().map(|&mime| mime.to_owned()).collect();
        set_data_device_selection(&self.display, &self.seat, kinds, text);
    }
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "grün".as_bytes();
        assert_eq!(text_of(text.to_vec()).unwrap(), "grün");
        assert_eq!(text_of(text[..3].to_vec()).unwrap(), "gr", "within the third character");
        assert!(text_of(b"gr\xff\xffn".to_vec()).is_err());
    }
}
