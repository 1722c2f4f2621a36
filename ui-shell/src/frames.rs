//! Frames of the tabs, copied from the sealed memory that hosts announce into this process's own surfaces.
//!
//! A host's memory must be read, never mapped: so no host can make this process fault, and the last picture stays when
//! its host dies.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use regen_proto::page::v1::{BufferAnnounced, FrameReady};
use rustix::fs::SealFlags;

use crate::events::HostId;
use crate::pictures::Pictures;

const PIXEL: usize = 4;
/// Maximum width and height of a frame, device pixels.
const MAX_SIDE: u32 = 8192;
/// Maximum number of buffers per tab and host.
const MAX_BUFFERS: usize = 4;

/// Maximum number of buffers per host: three of each of its pages, and room.
const MAX_HOST_BUFFERS: usize = 256;

/// A buffer that a host announced.
#[derive(Debug)]
struct Buffer {
    tab: u64,
    memfd: OwnedFd,
    width: u32,
    height: u32,
}

/// The announced buffers, and the pictures read from them.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffers: HashMap<(HostId, u64), Buffer>,
    pub(crate) pictures: Pictures,
}

/// Reasons why a buffer is refused or a frame is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the buffer is not sealed against shrinking")]
    NotSealed,
    #[error("the buffer's size is not as announced or is too large")]
    Size,
    #[error("the frame's buffer was not announced")]
    Unknown,
    #[error("{0}")]
    Io(#[from] rustix::io::Errno),
    #[error("{0}")]
    Cairo(String),
}

impl Frames {
    /// Registers a buffer that a host announced.
    pub(crate) fn announce(
        &mut self,
        host: HostId,
        tab: u64,
        announced: &BufferAnnounced,
        memfd: OwnedFd,
    ) -> Result<(), FrameError> {
        if !rustix::fs::fcntl_get_seals(&memfd)?.contains(SealFlags::SHRINK) {
            return Err(FrameError::NotSealed);
        }
        let size = u64::try_from(rustix::fs::fstat(&memfd)?.st_size).unwrap_or(0);
        if size < u64::from(announced.width) * u64::from(announced.height) * PIXEL as u64 {
            return Err(FrameError::Size);
        }
        if announced.width > MAX_SIDE || announced.height > MAX_SIDE {
            return Err(FrameError::Size);
        }
        let most = self.buffers.iter().filter(|((owner, _), b)| *owner == host && b.tab == tab).map(|(key, _)| key.1);
        let mut its: Vec<u64> = most.collect();
        its.sort_unstable();
        // A host draws into three; beyond the limit, the oldest are dropped.
        for old in its.iter().rev().skip(MAX_BUFFERS - 1) {
            self.buffers.remove(&(host, *old));
        }
        // The host no longer uses buffers of another size.
        self.buffers.retain(|(owner, _), b| {
            *owner != host || b.tab != tab || (b.width, b.height) == (announced.width, announced.height)
        });
        let mut of_host: Vec<u64> = self.buffers.keys().filter(|(owner, _)| *owner == host).map(|key| key.1).collect();
        of_host.sort_unstable();
        for old in of_host.iter().rev().skip(MAX_HOST_BUFFERS - 1) {
            self.buffers.remove(&(host, *old));
        }
        let buffer = Buffer { tab, memfd, width: announced.width, height: announced.height };
        self.buffers.insert((host, announced.buffer), buffer);
        Ok(())
    }

    pub(crate) fn host_gone(&mut self, host: HostId) {
        self.buffers.retain(|(owner, _), _| *owner != host);
    }

    /// Copies a frame into the tab's picture. Afterwards the buffer may be released to its host.
    pub(crate) fn take(&mut self, host: HostId, tab: u64, frame: &FrameReady) -> Result<(), FrameError> {
        let buffer = self.buffers.get(&(host, frame.buffer)).ok_or(FrameError::Unknown)?;
        if (buffer.width, buffer.height) != (frame.width, frame.height) {
            return Err(FrameError::Size);
        }
        let size = |value: u32| i32::try_from(value).map_err(|_| FrameError::Size);
        let (width, height) = (size(frame.width)?, size(frame.height)?);
        let (picture, is_new) = self.pictures.of(tab, host, (width, height)).map_err(cairo)?;
        let (first, last) = if is_new { (0, frame.height) } else { rows(frame) };
        let stride = usize::try_from(picture.surface.stride()).map_err(|_| FrameError::Size)?;
        let row = frame.width as usize * PIXEL;
        let mut data = picture.surface.data().map_err(|error| FrameError::Cairo(error.to_string()))?;
        if stride == row {
            let (start, end) = (first as usize * row, last as usize * row);
            let target = data.get_mut(start..end).ok_or(FrameError::Size)?;
            read(&buffer.memfd, target, start)?;
        } else {
            for line in first as usize..last as usize {
                let target = data.get_mut(line * stride..line * stride + row).ok_or(FrameError::Size)?;
                read(&buffer.memfd, target, line * row)?;
            }
        }
        Ok(())
    }
}

/// Returns the first changed row and the row after the last one, limited to the frame.
fn rows(frame: &FrameReady) -> (u32, u32) {
    let first = frame.damage.iter().map(|rect| rect.y).min().unwrap_or(0).min(frame.height);
    let last = frame.damage.iter().map(|rect| rect.y.saturating_add(rect.height)).max().unwrap_or(frame.height);
    (first, last.clamp(first, frame.height))
}

fn read(memfd: &OwnedFd, target: &mut [u8], offset: usize) -> Result<(), FrameError> {
    let mut done = 0;
    while let Some(rest) = target.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(memfd, rest, (offset + done) as u64)? {
            0 => return Err(FrameError::Size),
            count => done += count,
        }
    }
    Ok(())
}

fn cairo(error: gtk::cairo::Error) -> FrameError {
    FrameError::Cairo(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use regen_proto::page::v1::Rect;
    use rustix::fs::MemfdFlags;

    fn memfd(size: u64, seals: SealFlags) -> OwnedFd {
        let memfd = rustix::fs::memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&memfd, size).unwrap();
        rustix::fs::fcntl_add_seals(&memfd, seals).unwrap();
        memfd
    }

    fn announced(width: u32, height: u32) -> BufferAnnounced {
        BufferAnnounced { buffer: 1, width, height }
    }

    #[test]
    fn memory_that_can_shrink_or_is_too_small_is_refused() {
        let mut frames = Frames::default();
        let unsealed = frames.announce(1, 1, &announced(4, 4), memfd(64, SealFlags::GROW));
        assert!(matches!(unsealed, Err(FrameError::NotSealed)));
        let small = frames.announce(1, 1, &announced(4, 5), memfd(64, SealFlags::SHRINK));
        assert!(matches!(small, Err(FrameError::Size)));
    }

    #[test]
    fn a_frame_is_read_where_it_changed() {
        let mut frames = Frames::default();
        let memory = memfd(64, SealFlags::SHRINK | SealFlags::GROW);
        let writer = memory.try_clone().unwrap();
        frames.announce(1, 1, &announced(4, 4), memory).unwrap();
        let mut frame = FrameReady { buffer: 1, width: 4, height: 4, damage: vec![] };
        frames.take(1, 7, &frame).unwrap();
        rustix::io::pwrite(&writer, &[9; 64], 0).unwrap();
        frame.damage = vec![Rect { x: 0, y: 1, width: 4, height: 1 }];
        frames.take(1, 7, &frame).unwrap();
        frame.damage = vec![Rect { x: 0, y: 3, width: 4, height: u32::MAX }];
        frames.take(1, 7, &frame).unwrap();
        let picture = frames.pictures.of(7, 1, (4, 4)).unwrap().0;
        let lit: Vec<u8> = picture.surface.data().unwrap().chunks(16).map(|row| row[0]).collect();
        assert_eq!(lit, [0, 9, 0, 9]);
        frame.width = 5;
        assert!(frames.take(1, 7, &frame).is_err());
        assert!(matches!(frames.take(2, 7, &frame), Err(FrameError::Unknown)));
    }

    #[test]
    fn a_host_that_announces_buffers_without_end_keeps_few() {
        let mut frames = Frames::default();
        for buffer in 0..1000 {
            let announced = BufferAnnounced { buffer, width: 4, height: 4 };
            frames.announce(1, buffer, &announced, memfd(64, SealFlags::SHRINK)).unwrap();
        }
        frames
            .announce(2, 1, &BufferAnnounced { buffer: 1, width: 4, height: 4 }, memfd(64, SealFlags::SHRINK))
            .unwrap();
        assert_eq!(frames.buffers.len(), MAX_HOST_BUFFERS + 1);
        assert!(frames.buffers.contains_key(&(1, 999)) && !frames.buffers.contains_key(&(1, 0)));
        frames.host_gone(1);
        assert_eq!(frames.buffers.len(), 1);
    }
}
