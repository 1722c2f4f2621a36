//! Composition of the page, its dialogs and its popups, in that order, into one frame.

use regen_proto::page::v1::{BufferAnnounced, FrameReady, Rect, from_page};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point};
use smithay::wayland::compositor::with_states;
use smithay::wayland::shell::xdg::SurfaceCachedState;

use super::pixels::{self, Area, PIXEL, Pixels, index, signed};
use super::{Compositor, Picture, View, ViewId};

impl View {
    /// Returns the root surfaces of the view, from the bottom up.
    pub(super) fn surfaces(&self) -> impl Iterator<Item = WlSurface> + '_ {
        let windows = self.toplevel.iter().chain(&self.dialogs).map(|toplevel| toplevel.wl_surface().clone());
        windows.chain(self.popups.iter().map(|popup| popup.wl_surface().clone()))
    }

    /// Returns the root surfaces with the logical position of their buffers.
    pub(super) fn placed(&self) -> Vec<(WlSurface, Point<i32, Logical>)> {
        let mut placed: Vec<(WlSurface, Point<i32, Logical>)> = Vec::new();
        for toplevel in self.toplevel.iter() {
            placed.push((toplevel.wl_surface().clone(), Point::default()));
        }
        for dialog in &self.dialogs {
            placed.push((dialog.wl_surface().clone(), self.centred(dialog.wl_surface())));
        }
        for popup in &self.popups {
            let parent = popup.get_parent_surface();
            let (origin, inset) = parent
                .and_then(|parent| placed.iter().find(|(surface, _)| *surface == parent).cloned())
                .map_or_else(Default::default, |(surface, at)| (at, geometry_offset(&surface)));
            let at = origin + inset + popup.with_pending_state(|state| state.geometry.loc);
            placed.push((popup.wl_surface().clone(), at - geometry_offset(popup.wl_surface())));
        }
        placed
    }

    fn centred(&self, surface: &WlSurface) -> Point<i32, Logical> {
        let size = pixels::of_surface(surface, |p| (p.width / p.scale.max(1), p.height / p.scale.max(1)));
        let (width, height) = size.unwrap_or_default();
        let middle = |outer: u32, inner: i32| ((signed(outer) - inner) / 2).max(0);
        (middle(self.width, width), middle(self.height, height)).into()
    }

    pub(super) fn damage_all(&mut self) {
        self.buffers.damage(self.whole());
    }

    fn whole(&self) -> Area {
        Area::new(0, 0, signed(self.width * self.scale), signed(self.height * self.scale))
    }

    /// Draws `area` of the view into `target`, which has the view's size.
    fn draw(&self, target: &mut [u8], area: Area) {
        let stride = index(signed(self.width * self.scale)) * PIXEL;
        fill_white(target, stride, area);
        for (root, origin) in self.placed() {
            pixels::each_in_tree(&root, origin, |_, at, pixels| {
                let scale = signed(self.scale);
                blit(target, stride, area, pixels, (at.x * scale, at.y * scale), scale);
            });
        }
    }

    /// Returns whether the page has drawn itself at its present size.
    pub(super) fn has_picture(&self) -> bool {
        let size = self
            .toplevel
            .as_ref()
            .and_then(|toplevel| pixels::of_surface(toplevel.wl_surface(), |pixels| (pixels.width, pixels.height)));
        // During a resize, the page still has its old size.
        size.is_some_and(|(width, height)| {
            let whole = self.whole();
            width >= whole.width && height >= whole.height
        })
    }
}

fn geometry_offset(surface: &WlSurface) -> Point<i32, Logical> {
    with_states(surface, |states| {
        states.cached_state.get::<SurfaceCachedState>().current().geometry.map(|geometry| geometry.loc)
    })
    .unwrap_or_default()
}

fn row_range(stride: usize, area: Area, row: i32) -> std::ops::Range<usize> {
    let start = index(row) * stride + index(area.x) * PIXEL;
    start..start + index(area.width) * PIXEL
}

fn fill_white(target: &mut [u8], stride: usize, area: Area) {
    for row in area.y..area.y + area.height {
        if let Some(row) = target.get_mut(row_range(stride, area, row)) {
            row.fill(0xff);
        }
    }
}

/// Draws a surface at a position in device pixels, clipped to `area`.
fn blit(target: &mut [u8], stride: usize, area: Area, source: &Pixels, at: (i32, i32), scale: i32) {
    let shown = |size: i32| size.saturating_mul(scale) / source.scale.max(1);
    let place = Area::new(at.0, at.1, shown(source.width), shown(source.height)).intersection(area);
    if place.is_empty() {
        return;
    }
    let source_stride = index(source.width) * PIXEL;
    for row in place.y..place.y + place.height {
        let Some(to) = target.get_mut(row_range(stride, place, row)) else { continue };
        let source_row = (row - at.1).saturating_mul(source.scale.max(1)) / scale.max(1);
        let from_x = place.x - at.0;
        if source.scale == scale {
            let start = index(source_row) * source_stride + index(from_x) * PIXEL;
            let Some(from) = source.bytes.get(start..start + to.len()) else { continue };
            if source.opaque { to.copy_from_slice(from) } else { blend_row(to, from) }
        } else {
            for (column, pixel) in to.chunks_exact_mut(PIXEL).enumerate() {
                let x = (from_x + signed(u32::try_from(column).unwrap_or(0))).saturating_mul(source.scale.max(1))
                    / scale.max(1);
                let start = index(source_row) * source_stride + index(x) * PIXEL;
                if let Some(from) = source.bytes.get(start..start + PIXEL) {
                    blend_row(pixel, from);
                }
            }
        }
    }
}

/// Blends a row of premultiplied pixels over another.
fn blend_row(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.chunks_exact_mut(PIXEL).zip(from.chunks_exact(PIXEL)) {
        let alpha = u32::from(from.last().copied().unwrap_or(255));
        if alpha == 255 {
            to.copy_from_slice(from);
            continue;
        }
        for (to, from) in to.iter_mut().zip(from) {
            let below = (u32::from(*to) * (255 - alpha) + 127) / 255;
            *to = u8::try_from((u32::from(*from) + below).min(255)).unwrap_or(255);
        }
    }
}

impl Compositor {
    /// Brings the window's frame of a view up to date.
    pub(super) fn compose(&mut self, id: ViewId) {
        if self.window.is_none() {
            return;
        }
        let Some(mut view) = self.views.remove(&id) else { return };
        if view.has_picture() && !view.is_held {
            self.compose_into_buffer(id, &mut view);
        }
        self.views.insert(id, view);
    }

    fn compose_into_buffer(&self, id: ViewId, view: &mut View) {
        let whole = view.whole();
        let (width, height) = (view.width * view.scale, view.height * view.scale);
        let is_current = view.buffers.size() == (width, height) && view.buffers.is_current(whole);
        if is_current {
            return;
        }
        let mut buffers = std::mem::take(&mut view.buffers);
        match buffers.next(width, height) {
            Ok(Some((buffer, fresh))) => {
                let damage = buffer.stale.intersection(whole);
                view.draw(&mut buffer.memory, damage);
                buffer.stale = Area::new(0, 0, 0, 0);
                let buffer = buffer.id;
                buffers.shown(buffer);
                let edge = |value: i32| u32::try_from(value).unwrap_or(0);
                let damage = Rect {
                    x: edge(damage.x),
                    y: edge(damage.y),
                    width: edge(damage.width),
                    height: edge(damage.height),
                };
                let frame = FrameReady { buffer, width, height, damage: vec![damage] };
                let announced = fresh.is_none_or(|fresh| {
                    let announcement = BufferAnnounced { buffer, width, height };
                    let body = from_page::Body::Buffer(announcement);
                    let is_announced = self.tell_window_with(id, body, Some(fresh.memfd));
                    if !is_announced {
                        buffers.forget(buffer);
                    }
                    is_announced
                });
                if !announced || !self.tell_window(id, from_page::Body::Frame(frame)) {
                    buffers.release(buffer);
                    buffers.damage(whole);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!("display: cannot allocate a frame buffer: {error}"),
        }
        view.buffers = buffers;
    }

    /// Answers the pending screenshot requests of a view.
    pub(super) fn capture(&mut self, id: ViewId) {
        let Some(view) = self.views.get_mut(&id).filter(|view| !view.captures.is_empty() && view.has_picture()) else {
            return;
        };
        let captures = std::mem::take(&mut view.captures);
        let (width, height) = (view.width * view.scale, view.height * view.scale);
        let mut bgra = vec![0; width as usize * height as usize * PIXEL];
        view.draw(&mut bgra, view.whole());
        for answer in captures {
            // The requester may have given up.
            let _ = answer.send(Picture { width, height, bgra: bgra.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surface_is_drawn_where_it_is_and_clipped() {
        let red = Pixels { width: 2, height: 2, scale: 1, opaque: true, bytes: [0, 0, 255, 255].repeat(4) };
        let mut target = vec![0; 4 * 4 * PIXEL];
        blit(&mut target, 4 * PIXEL, Area::new(0, 0, 4, 4), &red, (3, 3), 1);
        blit(&mut target, 4 * PIXEL, Area::new(0, 0, 4, 4), &red, (-1, -1), 1);
        let lit: Vec<usize> = target.chunks(PIXEL).enumerate().filter(|(_, p)| p[2] == 255).map(|(i, _)| i).collect();
        assert_eq!(lit, [0, 15]);
    }

    #[test]
    fn a_low_resolution_surface_is_enlarged() {
        let red = Pixels { width: 1, height: 1, scale: 1, opaque: true, bytes: vec![0, 0, 255, 255] };
        let mut target = vec![0; 4 * 4 * PIXEL];
        blit(&mut target, 4 * PIXEL, Area::new(0, 0, 4, 4), &red, (0, 0), 2);
        assert_eq!(target.chunks(PIXEL).filter(|p| p[2] == 255).count(), 4);
    }

    #[test]
    fn half_transparent_pixels_mix() {
        let mut to = [255, 255, 255, 255];
        blend_row(&mut to, &[0, 0, 0, 128]);
        assert_eq!(to[0], 127);
        assert_eq!(to[3], 255);
    }
}
