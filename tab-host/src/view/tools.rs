//! Tools for a page: printing, saving, pictures and the inspector. What they make is saved like a download.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use gtk::gdk::pixbuf_get_from_surface;
use regen_proto::kernel::v1::{PageArea, PageTool, UseTool};
use webkit2gtk::gio;
use webkit2gtk::{SaveMode, SettingsExt, SnapshotOptions, SnapshotRegion, WebInspectorExt, WebViewExt};

use super::View;
use super::alternative::Kind;
use crate::busy::while_busy;

/// Largest side of a picture, in pixels: the drawing library draws no larger one.
const MAX_SIDE: i32 = 32_767;

/// Reason that a tool made no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    /// The engine did not draw the page. It does not say why.
    #[error("the engine did not draw the page ({0}); it may be too large for a picture")]
    NotDrawn(glib::Error),
    /// The drawing is none of pixels, or larger than a picture can be.
    #[error("a page of {0} × {1} pixels is too large for a picture")]
    TooLarge(i32, i32),
    /// The area has no part of the page.
    #[error("the area is beside the page")]
    NoArea,
    /// The engine printed or saved nothing, or the file was not written.
    #[error(transparent)]
    Engine(#[from] glib::Error),
}

/// File in the bucket that a tool writes.
pub(super) struct MadeFile {
    number: u64,
    pub(super) path: PathBuf,
    name: String,
}

impl View {
    pub(super) fn use_tool(self: &Rc<Self>, used: &UseTool) {
        match used.tool() {
            PageTool::Print => self.print(),
            PageTool::Save => self.save(),
            PageTool::Picture => self.take_picture(SnapshotRegion::Visible, used.area),
            PageTool::WholePicture => self.take_picture(SnapshotRegion::FullDocument, None),
            PageTool::Inspect => self.toggle_inspector(),
            PageTool::Reader => self.toggle_alternative(Kind::Reader),
            PageTool::Source => self.toggle_alternative(Kind::Source),
            PageTool::Caret => self.toggle_caret(),
            PageTool::Unspecified => {}
        }
    }

    fn toggle_inspector(&self) {
        let Some(inspector) = self.web.inspector() else { return };
        // The inspector has a view of its own as long as it is open.
        if inspector.web_view().is_some() { inspector.close() } else { inspector.show() }
    }

    fn toggle_caret(&self) {
        let Some(settings) = WebViewExt::settings(&self.shown_web()) else { return };
        settings.set_enable_caret_browsing(!settings.enables_caret_browsing());
    }

    /// Reserves a file that is named after the page.
    pub(super) fn reserve(&self, extension: &str) -> Option<MadeFile> {
        let name = file_name(self.web.title().as_deref().unwrap_or_default(), extension);
        match crate::downloads::destination::reserve() {
            Ok((number, path)) => Some(MadeFile { number, path, name }),
            Err(error) => {
                tracing::error!("no file for {name:?} in the bucket: {error}");
                None
            }
        }
    }

    /// Offers what a tool made for saving, or tells the user why it made nothing.
    pub(super) fn offer(&self, made: &MadeFile, result: Result<(), ToolError>) {
        let Some(host) = self.host() else { return };
        let url = self.loader.committed.borrow().clone();
        match result {
            Ok(()) => host.downloads().made(self.id.get(), made.number, &url, &made.name),
            Err(error) => host.downloads().not_made(self.id.get(), made.number, &url, &made.name, error.to_string()),
        }
    }

    fn save(self: &Rc<Self>) {
        let Some(made) = self.reserve("mhtml") else { return };
        let view = Rc::clone(self);
        let file = gio::File::for_path(&made.path);
        self.web.save_to_file(&file, SaveMode::Mhtml, gio::Cancellable::NONE, move |saved| {
            view.offer(&made, saved.map_err(ToolError::Engine));
        });
    }

    fn take_picture(self: &Rc<Self>, region: SnapshotRegion, area: Option<PageArea>) {
        let Some(made) = self.reserve("png") else { return };
        let view = Rc::clone(self);
        self.shown_web().snapshot(region, SnapshotOptions::NONE, gio::Cancellable::NONE, move |drawn| {
            let drawn = drawn.map_err(ToolError::NotDrawn);
            // A whole page takes seconds, which is no hang.
            let written = while_busy(|| drawn.and_then(|drawn| write(&drawn, area, &made.path)));
            view.offer(&made, written);
        });
    }
}

/// Returns the name of a file that is named after a page. The page chooses its title, but not the extension.
fn file_name(title: &str, extension: &str) -> String {
    let title: String = title.trim().chars().take(150).map(|c| if matches!(c, '/' | '\\') { '-' } else { c }).collect();
    format!("{}.{extension}", if title.is_empty() { "page" } else { &title })
}

/// Writes a drawn page, or an area of it, as a PNG file.
fn write(drawn: &gtk::cairo::Surface, area: Option<PageArea>, path: &Path) -> Result<(), ToolError> {
    let drawn = gtk::cairo::ImageSurface::try_from(drawn.clone()).map_err(|_| ToolError::TooLarge(0, 0))?;
    let (width, height) = (drawn.width(), drawn.height());
    let (scale, _) = drawn.device_scale();
    // Outside of the page is nothing to see.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the picture")]
    let within = |at: f64, side: i32| (at * scale).round().clamp(0.0, f64::from(side)) as i32;
    let whole = PageArea { x: 0.0, y: 0.0, width: f64::from(MAX_SIDE), height: f64::from(MAX_SIDE) };
    let area = area.unwrap_or(whole);
    let (left, top) = (within(area.x, width), within(area.y, height));
    let (right, bottom) = (within(area.x + area.width, width), within(area.y + area.height, height));
    if right <= left || bottom <= top {
        return Err(ToolError::NoArea);
    }
    let picture = pixbuf_get_from_surface(&drawn, left, top, right - left, bottom - top);
    Ok(picture.ok_or(ToolError::TooLarge(width, height))?.savev(path, "png", &[])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_chooses_the_name_of_its_file_but_not_its_type() {
        assert_eq!(file_name("AC/DC", "pdf"), "AC-DC.pdf");
        assert_eq!(file_name(" ", "png"), "page.png");
        let name = file_name(&format!("{}.desktop", "a".repeat(242)), "mhtml");
        assert!(name.ends_with("a.mhtml") && name.len() < 250, "{name}");
    }
}
