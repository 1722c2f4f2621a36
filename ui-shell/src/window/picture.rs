//! Picture of the active tab's page in the window, and the shape of the pointer over it.

use gtk::cairo::ImageSurface;
use gtk::gdk;
use gtk::prelude::*;
use regen_proto::kernel::v1::TabState;
use regen_proto::page::v1::{BufferReleased, Cursor, FrameReady, to_page};

use super::Window;
use crate::events::HostId;

impl Window {
    pub(super) fn frame(&self, host: HostId, tab: u64, frame: &FrameReady) {
        let taken = self.frames.borrow_mut().take(host, tab, frame);
        match taken {
            Ok(()) => {}
            // Frames of an earlier size may still be on their way.
            Err(error) => tracing::debug!("a frame was not shown: {error}"),
        }
        self.surfaces.send(host, tab, to_page::Body::BufferReleased(BufferReleased { buffer: frame.buffer }));
        if tab == self.active.get() {
            let (page, scale) = (self.page.get(), f64::from(self.gtk.scale_factor()));
            for rect in &frame.damage {
                let logical = |value: u32| f64::from(value) / scale;
                let edge = |value: f64| {
                    #[expect(clippy::cast_possible_truncation, reason = "saturates; a window is not that large")]
                    let edge = value as i32;
                    edge
                };
                let (x, y) = ((page.x + logical(rect.x)).floor(), (page.y + logical(rect.y)).floor());
                let (width, height) = (logical(rect.width).ceil() + 1.0, logical(rect.height).ceil() + 1.0);
                self.area.queue_draw_area(edge(x), edge(y), edge(width), edge(height));
            }
        }
    }

    pub(super) fn draw(&self, painter: &gtk::cairo::Context) -> Result<(), gtk::cairo::Error> {
        let frames = self.frames.borrow();
        let tab = self.active.get();
        let shows_page =
            self.tabs.borrow().get(&tab).is_some_and(|known| {
                known.host != 0 || matches!(known.state(), TabState::Recovering | TabState::Loading)
            });
        let (page, scale) = (self.page.get(), f64::from(self.gtk.scale_factor()));
        let picture = frames.pictures.shown(tab).filter(|_| shows_page);
        let fills_page = |picture: &&ImageSurface| {
            f64::from(picture.width()) >= page.width * scale && f64::from(picture.height()) >= page.height * scale
        };
        if picture.filter(fills_page).is_none() {
            let style = self.gtk.style_context();
            let background = style.lookup_color("theme_base_color").unwrap_or(gdk::RGBA::WHITE);
            painter.set_source_rgb(background.red(), background.green(), background.blue());
            painter.paint()?;
        }
        if let Some(picture) = picture {
            painter.rectangle(page.x, page.y, page.width, page.height);
            painter.clip();
            painter.scale(1.0 / scale, 1.0 / scale);
            painter.set_source_surface(picture, page.x * scale, page.y * scale)?;
            painter.paint()?;
        }
        Ok(())
    }

    pub(super) fn show_cursor(&self, cursor: &Cursor) {
        let Some(gdk_window) = self.area.window() else { return };
        let display = gdk_window.display();
        let shape = if cursor.hidden {
            gdk::Cursor::for_display(&display, gdk::CursorType::BlankCursor)
        } else {
            crate::cursor::image(&display, cursor)
        };
        gdk_window.set_cursor(shape.as_ref());
    }
}
