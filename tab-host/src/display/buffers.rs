//! Frame buffers that the window reads with `pread`. They are sealed against resizing, so that the mapping here stays valid.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapMut;
use rustix::fs::{MemfdFlags, SealFlags};

use super::pixels::{Area, PIXEL};

/// Maximum buffers of a view: one is shown, one is on its way, and one is drawn.
const MAX_BUFFERS: usize = 3;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A frame buffer.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    pub(super) id: u64,
    pub(super) memory: MmapMut,
    /// Area that has changed since the buffer was last drawn.
    pub(super) stale: Area,
    in_use: bool,
}

/// Buffers of a view, all of one size.
#[derive(Debug, Default)]
pub(super) struct ViewBuffers {
    size: (u32, u32),
    newest: Option<u64>,
    buffers: Vec<FrameBuffer>,
}

/// A buffer that has not been shared with the window yet.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) memfd: OwnedFd,
}

impl ViewBuffers {
    /// Returns whether there is a free buffer, or room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.buffers.len() < MAX_BUFFERS || self.buffers.iter().any(|buffer| !buffer.in_use)
    }

    /// Marks all buffers as free, for a window that starts over and may have missed frames.
    pub(super) fn take_back(&mut self) {
        self.buffers.iter_mut().for_each(|buffer| buffer.in_use = false);
    }

    pub(super) fn damage(&mut self, area: Area) {
        for buffer in &mut self.buffers {
            buffer.stale = buffer.stale.union(area);
        }
    }

    /// Returns a free buffer of this size, and its descriptor if it is new; `None` if all are in use.
    pub(super) fn next(&mut self, width: u32, height: u32) -> io::Result<Option<(&mut FrameBuffer, Option<Fresh>)>> {
        if self.size != (width, height) {
            self.size = (width, height);
            self.buffers.clear();
        }
        let mut fresh = None;
        let free = match self.buffers.iter().position(|buffer| !buffer.in_use) {
            Some(free) => free,
            None if self.buffers.len() < MAX_BUFFERS => {
                let (buffer, new) = allocate(width, height)?;
                fresh = Some(new);
                self.buffers.push(buffer);
                self.buffers.len() - 1
            }
            None => return Ok(None),
        };
        Ok(self.buffers.get_mut(free).map(|buffer| {
            buffer.in_use = true;
            (buffer, fresh)
        }))
    }

    /// Marks a buffer as free, after the window has taken a newer one.
    pub(super) fn release(&mut self, id: u64) {
        for buffer in self.buffers.iter_mut().filter(|buffer| buffer.id == id) {
            buffer.in_use = false;
        }
    }

    /// Forgets a buffer that the window was not told of.
    pub(super) fn forget(&mut self, id: u64) {
        self.buffers.retain(|buffer| buffer.id != id);
    }

    /// Returns whether the buffer that was drawn last is up to date in `whole`.
    pub(super) fn is_current(&self, whole: Area) -> bool {
        let newest = self.buffers.iter().find(|buffer| Some(buffer.id) == self.newest);
        newest.is_some_and(|buffer| buffer.stale.intersection(whole).is_empty())
    }

    pub(super) fn shown(&mut self, id: u64) {
        self.newest = Some(id);
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }
}

#[expect(unsafe_code, reason = "shared memory is mapped by hand")]
fn allocate(width: u32, height: u32) -> io::Result<(FrameBuffer, Fresh)> {
    let size = u64::from(width) * u64::from(height) * PIXEL as u64;
    let memfd = rustix::fs::memfd_create("regen-frame", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&memfd, size)?;
    rustix::fs::fcntl_add_seals(&memfd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    // SAFETY: the memory cannot shrink (sealed above), and no other process maps it: the window reads it.
    let memory = unsafe { MmapMut::map_mut(&memfd)? };
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let stale = Area::new(0, 0, i32::MAX, i32::MAX);
    Ok((FrameBuffer { id, memory, stale, in_use: false }, Fresh { memfd }))
}
