//! Payloads passed as descriptors: memfds sealed so that the sender can neither shrink nor write them while they are
//! read.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

/// A sealed memfd that holds a complete payload.
#[derive(Debug)]
pub struct Sealed(OwnedFd);

/// Bytes that [`read_sealed`] copied out of a payload.
pub type MappedBytes = Vec<u8>;

impl Sealed {
    /// Creates a memfd with these bytes, sealed against any change.
    ///
    /// # Errors
    /// When the memfd cannot be created, written or sealed.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        let memfd = rustix::fs::memfd_create("regen-payload", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = File::from(memfd);
        file.write_all(bytes)?;
        let memfd = OwnedFd::from(file);
        rustix::fs::fcntl_add_seals(&memfd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
        Ok(Self(memfd))
    }
}

impl AsFd for Sealed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reads a payload of `size` bytes from another process. The sender cannot make this block or fault, or allocate more
/// than `limit` bytes.
///
/// # Errors
/// When the payload is not sealed, its size is not `size`, or `size` is larger than `limit`.
pub fn read_sealed(payload: &OwnedFd, size: u64, limit: u64) -> io::Result<MappedBytes> {
    let seals = rustix::fs::fcntl_get_seals(payload)?;
    if !seals.contains(SealFlags::SHRINK | SealFlags::WRITE) {
        return Err(io::Error::other("the payload is not sealed"));
    }
    let actual = u64::try_from(rustix::fs::fstat(payload)?.st_size).unwrap_or(0);
    if size != actual || size > limit {
        return Err(io::Error::other(format!("payload of {actual} bytes, announced as {size} (limit {limit})")));
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(payload, rest, done as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => done += n,
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_survives_the_trip() {
        let sealed = Sealed::new(b"hello").unwrap();
        let fd = sealed.as_fd().try_clone_to_owned().unwrap();
        assert_eq!(read_sealed(&fd, 5, 100).unwrap(), b"hello");
        assert!(read_sealed(&fd, 4, 100).is_err());
        assert!(read_sealed(&fd, 5, 4).is_err());
        assert!(rustix::fs::ftruncate(&fd, 0).is_err());
        assert!(rustix::io::pwrite(&fd, b"x", 0).is_err());
    }

    #[test]
    fn an_unsealed_payload_is_refused() {
        let memfd = rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::io::pwrite(&memfd, b"hello", 0).unwrap();
        assert!(read_sealed(&memfd, 5, 100).is_err());
    }
}
