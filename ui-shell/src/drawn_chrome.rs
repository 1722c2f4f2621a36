//! Drawing of the chrome over the page, limited to the parts where the chrome shows something.

use gtk::cairo::{Context, Error, Format, ImageSurface, RectangleInt, Region, RegionOverlap};
use gtk::prelude::*;

use crate::bridge::Rect;

/// Parts of the window in which the chrome shows something.
#[derive(Debug)]
pub(crate) struct DrawnChrome(Region);

impl Default for DrawnChrome {
    fn default() -> Self {
        Self(Region::create())
    }
}

impl DrawnChrome {
    /// Replaces the region. Returns whether it has changed.
    pub(crate) fn changed(&mut self, shown: &[Rect]) -> bool {
        let shown = region(shown);
        let is_new = self.0 != shown;
        self.0 = shown;
        is_new
    }

    /// Returns whether the chrome shows anything in the area being drawn.
    pub(crate) fn is_in(&self, painter: &Context) -> bool {
        let Ok(parts) = painter.copy_clip_rectangle_list() else { return true };
        #[expect(clippy::cast_possible_truncation, reason = "saturates; a window is not that large")]
        let edge = |value: f64| value as i32;
        parts.iter().any(|part| {
            let (x, y) = (edge(part.x().floor()), edge(part.y().floor()));
            let part = RectangleInt::new(x, y, edge(part.width().ceil()), edge(part.height().ceil()));
            self.0.contains_rectangle(&part) != RegionOverlap::Out
        })
    }
}

/// Returns the union of these rectangles.
pub(crate) fn region(rects: &[Rect]) -> Region {
    let region = Region::create();
    for rect in rects {
        #[expect(clippy::cast_possible_truncation, reason = "saturates; a window is not that large")]
        let edge = |value: f64| value.round() as i32;
        let rectangle = RectangleInt::new(edge(rect.x), edge(rect.y), edge(rect.width), edge(rect.height));
        if let Err(error) = region.union_rectangle(&rectangle) {
            tracing::warn!("layout: cannot add a rectangle: {error}");
        }
    }
    region
}

/// Draws the chrome into a surface of its own, and that surface over the page. It is always drawn whole, because the
/// engine draws nothing into a surface that covers only a part.
pub(crate) fn draw_apart(chrome_box: &gtk::Box, painter: &Context) -> Result<(), Error> {
    let (scale, size) = (chrome_box.scale_factor(), chrome_box.allocation());
    let picture = ImageSurface::create(Format::ARgb32, size.width() * scale, size.height() * scale)?;
    picture.set_device_scale(scale.into(), scale.into());
    let apart = Context::new(&picture)?;
    for child in chrome_box.children() {
        chrome_box.propagate_draw(&child, &apart);
    }
    painter.set_source_surface(&picture, 0.0, 0.0)?;
    painter.paint()
}
