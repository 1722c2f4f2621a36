//! The mouse cursor over a page, made from raw pixels of bounded size that its host sent.

use gtk::gdk;
use regen_proto::page::v1::Cursor;

/// Creates a cursor for this display; `None` if the host's picture is too large or incomplete.
pub(crate) fn image(display: &gdk::Display, cursor: &Cursor) -> Option<gdk::Cursor> {
    const MAX_SIDE: u32 = 128;
    let size = |value: u32| i32::try_from(value).ok().filter(|_| (1..=MAX_SIDE).contains(&value));
    let (width, height) = (size(cursor.width)?, size(cursor.height)?);
    if cursor.bgra.len() != cursor.width as usize * cursor.height as usize * 4 {
        return None;
    }
    let stride = width.checked_mul(4)?;
    let surface = gtk::cairo::ImageSurface::create_for_data(
        cursor.bgra.to_vec(),
        gtk::cairo::Format::ARgb32,
        width,
        height,
        stride,
    );
    let surface = surface.ok()?;
    let scale = f64::from(cursor.scale.clamp(1, 2));
    surface.set_device_scale(scale, scale);
    let hotspot = |value: u32, most: u32| f64::from(value.min(most)) / scale;
    let (x, y) = (hotspot(cursor.hotspot_x, cursor.width), hotspot(cursor.hotspot_y, cursor.height));
    Some(gdk::Cursor::from_surface(display, &surface, x, y))
}
