//! Puts the text or picture that the user copied in a page into the system clipboard.

use gtk::gdk_pixbuf::{Colorspace, Pixbuf};
use gtk::glib::Bytes;
use regen_proto::page::v1::{ClipboardOffer, ClipboardPicture};

/// Maximum width and height of a picture, pixels.
const MAX_SIDE: u32 = 16_384;

pub(crate) fn put(clipboard: &gtk::Clipboard, offer: &ClipboardOffer) {
    match &offer.picture {
        None => clipboard.set_text(&offer.text),
        Some(picture) => match to_pixbuf(picture) {
            Some(picture) => clipboard.set_image(&picture),
            None => tracing::warn!("a page's picture was not copied: its size is too large or not as announced"),
        },
    }
}

fn to_pixbuf(picture: &ClipboardPicture) -> Option<Pixbuf> {
    let ClipboardPicture { width, height, rgba } = picture;
    let sides = 1..=MAX_SIDE;
    let fits = sides.contains(width) && sides.contains(height);
    if !fits || rgba.len() as u64 != u64::from(*width) * u64::from(*height) * 4 {
        return None;
    }
    let (width, height) = (i32::try_from(*width).ok()?, i32::try_from(*height).ok()?);
    Some(Pixbuf::from_bytes(&Bytes::from(rgba), Colorspace::Rgb, true, 8, width, height, width * 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_taken_only_when_it_is_as_large_as_it_says() {
        let picture = |width, height, bytes: usize| ClipboardPicture { width, height, rgba: vec![7; bytes].into() };
        assert!(to_pixbuf(&picture(3, 2, 24)).is_some());
        for wrong in [picture(3, 2, 23), picture(0, 0, 0), picture(u32::MAX, u32::MAX, 4), picture(20_000, 1, 80_000)] {
            assert!(to_pixbuf(&wrong).is_none(), "{} × {}", wrong.width, wrong.height);
        }
    }
}
