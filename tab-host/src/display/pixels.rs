//! Pixels of surfaces, copied out of the client's shared memory on commit so that its buffer can be reused at once.

use std::cell::RefCell;

use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_shm::Format;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point};
use smithay::wayland::compositor::{
    BufferAssignment, Damage, SubsurfaceCachedState, SurfaceAttributes, SurfaceData, TraversalAction, with_states,
    with_surface_tree_downward, with_surface_tree_upward,
};
use smithay::wayland::shm::with_buffer_contents;

/// Bytes per pixel (premultiplied BGRA).
pub(super) const PIXEL: usize = 4;

/// A rectangle in device pixels, within its surface or view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// Pixels that a surface shows.
#[derive(Debug, Default)]
pub(super) struct Pixels {
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) scale: i32,
    pub(super) opaque: bool,
    pub(super) bytes: Vec<u8>,
}

type Store = RefCell<Pixels>;

/// Converts a count or size to the protocol's signed type, saturating.
pub(super) fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Converts a number to an index; negative numbers become zero.
pub(super) fn index(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

impl Area {
    pub(super) fn new(x: i32, y: i32, width: i32, height: i32) -> Self {
        Self { x, y, width, height }
    }

    pub(super) fn is_empty(self) -> bool {
        self.width <= 0 || self.height <= 0
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let right = self.x.saturating_add(self.width).min(other.x.saturating_add(other.width));
        let bottom = self.y.saturating_add(self.height).min(other.y.saturating_add(other.height));
        Self::new(x, y, right.saturating_sub(x).max(0), bottom.saturating_sub(y).max(0))
    }

    pub(super) fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = self.x.saturating_add(self.width).max(other.x.saturating_add(other.width));
        let bottom = self.y.saturating_add(self.height).max(other.y.saturating_add(other.height));
        Self::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }
}

/// Takes the latest commit of a surface. Returns the changed area in the surface's device pixels; `None` if nothing
/// visible changed.
pub(super) fn take_commit(surface: &WlSurface) -> Option<Area> {
    with_states(surface, |states| {
        let (assignment, damage, scale) = {
            let mut cached = states.cached_state.get::<SurfaceAttributes>();
            let attributes = cached.current();
            (attributes.buffer.take(), std::mem::take(&mut attributes.damage), attributes.buffer_scale.max(1))
        };
        states.data_map.insert_if_missing(Store::default);
        let store = states.data_map.get::<Store>()?;
        let mut pixels = store.borrow_mut();
        match assignment? {
            BufferAssignment::Removed => {
                let gone = Area::new(0, 0, pixels.width, pixels.height);
                *pixels = Pixels::default();
                Some(gone)
            }
            BufferAssignment::NewBuffer(buffer) => {
                let changed = copy(&buffer, &mut pixels, &damage, scale);
                buffer.release();
                changed
            }
        }
    })
}

#[expect(unsafe_code, reason = "client memory is reachable by pointer only")]
fn copy(buffer: &WlBuffer, pixels: &mut Pixels, damage: &[Damage], scale: i32) -> Option<Area> {
    let copied = with_buffer_contents(buffer, |pool, pool_size, data| {
        let (width, height, stride) = (index(data.width), index(data.height), index(data.stride));
        let whole = Area::new(0, 0, data.width, data.height);
        let fits = stride >= width * PIXEL && index(data.offset) + stride * height <= pool_size;
        if !fits || !matches!(data.format, Format::Argb8888 | Format::Xrgb8888) {
            return None;
        }
        let resized = pixels.width != data.width || pixels.height != data.height;
        if resized {
            pixels.bytes = vec![0; width * height * PIXEL];
            (pixels.width, pixels.height) = (data.width, data.height);
        }
        pixels.scale = scale;
        pixels.opaque = data.format == Format::Xrgb8888;
        let changed = if resized { whole } else { damaged(damage, scale).intersection(whole) };
        for row in changed.y..changed.y + changed.height {
            let start = index(row) * width * PIXEL + index(changed.x) * PIXEL;
            let length = index(changed.width) * PIXEL;
            let target = pixels.bytes.get_mut(start..start + length)?;
            let source = index(data.offset) + index(row) * stride + index(changed.x) * PIXEL;
            // SAFETY: `source + length` lies within the pool (checked by `fits`, and the area lies within the buffer),
            // the pool stays mapped during this closure, and smithay turns a SIGBUS on it into an error. The client may
            // write at the same time; any bytes are valid pixels.
            unsafe { std::ptr::copy_nonoverlapping(pool.add(source), target.as_mut_ptr(), length) };
        }
        Some(changed)
    });
    copied.ok().flatten()
}

fn damaged(damage: &[Damage], scale: i32) -> Area {
    let nothing = Area::new(0, 0, 0, 0);
    damage.iter().fold(nothing, |all, one| {
        let one = match one {
            Damage::Buffer(r) => Area::new(r.loc.x, r.loc.y, r.size.w, r.size.h),
            Damage::Surface(r) => {
                let times = |value: i32| value.saturating_mul(scale);
                Area::new(times(r.loc.x), times(r.loc.y), times(r.size.w), times(r.size.h))
            }
        };
        all.union(one)
    })
}

/// Returns a surface and all its subsurfaces.
pub(super) fn tree(root: &WlSurface) -> Vec<WlSurface> {
    let mut surfaces = Vec::new();
    with_surface_tree_downward(
        root,
        (),
        |_, _, ()| TraversalAction::DoChildren(()),
        |surface, _, ()| surfaces.push(surface.clone()),
        |_, _, ()| true,
    );
    surfaces
}

/// Calls `draw` for each surface of a tree that has pixels, from the bottom up, with its logical position.
pub(super) fn each_in_tree(
    root: &WlSurface,
    origin: Point<i32, Logical>,
    mut draw: impl FnMut(&WlSurface, Point<i32, Logical>, &Pixels),
) {
    with_surface_tree_upward(
        root,
        origin,
        |_, states, parent| TraversalAction::DoChildren(*parent + offset(states)),
        |surface, states, parent| {
            let at = *parent + offset(states);
            if let Some(store) = states.data_map.get::<Store>() {
                let pixels = store.borrow();
                if pixels.width > 0 {
                    draw(surface, at, &pixels);
                }
            }
        },
        |_, _, _| true,
    );
}

fn offset(states: &SurfaceData) -> Point<i32, Logical> {
    if states.role == Some("subsurface") {
        states.cached_state.get::<SubsurfaceCachedState>().current().location
    } else {
        Point::default()
    }
}

/// Calls `look` with the pixels of one surface.
pub(super) fn of_surface<T>(surface: &WlSurface, look: impl FnOnce(&Pixels) -> T) -> Option<T> {
    with_states(surface, |states| states.data_map.get::<Store>().map(|store| look(&store.borrow())))
}

/// Sends the frame callbacks of a surface and all its subsurfaces.
pub(super) fn send_frame_callbacks(root: &WlSurface, time: u32) {
    with_surface_tree_downward(
        root,
        (),
        |_, _, ()| TraversalAction::DoChildren(()),
        |_, states, ()| {
            let mut cached = states.cached_state.get::<SurfaceAttributes>();
            for callback in cached.current().frame_callbacks.drain(..) {
                callback.done(time);
            }
        },
        |_, _, ()| true,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_meet_and_join() {
        let a = Area::new(0, 0, 10, 10);
        assert_eq!(a.intersection(Area::new(5, 5, 10, 10)), Area::new(5, 5, 5, 5));
        assert!(a.intersection(Area::new(20, 0, 5, 5)).is_empty());
        assert_eq!(a.union(Area::new(20, 20, 1, 1)), Area::new(0, 0, 21, 21));
        assert_eq!(a.union(Area::new(3, 3, 0, 0)), a);
        assert!(!Area::new(i32::MAX, 0, i32::MAX, 1).union(a).is_empty());
    }
}
