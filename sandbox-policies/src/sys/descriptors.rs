//! Descriptors: numbers, inheritance, and what sockets carry.

#![expect(unsafe_code, reason = "raw system calls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// Duplicates `from` to the number `to`, which is inherited across exec.
///
/// # Errors
/// If `from` is not open.
pub fn place(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: dup2 takes two numbers; the callers own both entries of their descriptor table.
    check(unsafe { libc::dup2(from, to) }.into()).map(drop)
}

/// Duplicates a descriptor to a number of at least `least`, closed on exec.
///
/// # Errors
/// If the descriptor is not open or the table is full.
pub fn copy_above(fd: RawFd, least: RawFd) -> io::Result<RawFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes and returns numbers.
    let copy = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) }.into())?;
    RawFd::try_from(copy).map_err(io::Error::other)
}

/// Closes every descriptor from `first` on.
///
/// # Errors
/// If the kernel has no `close_range` (before Linux 5.9).
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the callers use none of these descriptors afterwards.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Writes text to a raw descriptor.
///
/// # Errors
/// If the descriptor is not open for writing.
pub fn say(fd: RawFd, text: &str) -> io::Result<()> {
    // SAFETY: the pointer and length are those of `text`, which outlives the call.
    let written = unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
    if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends a descriptor over a socket, with one byte of data.
///
/// # Errors
/// If the other end is closed.
pub fn send_descriptor(socket: &OwnedFd, descriptor: &OwnedFd) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    control.push(rustix::net::SendAncillaryMessage::ScmRights(&descriptors));
    let bytes = [io::IoSlice::new(b"l")];
    rustix::net::sendmsg(socket, &bytes, &mut control, rustix::net::SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives the descriptor that [`send_descriptor`] sent; `None` if the sender closed its end without sending one.
///
/// # Errors
/// `WouldBlock` if nothing has arrived yet.
pub fn receive_descriptor(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0; 1];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [io::IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(socket, &mut bytes, &mut control, rustix::net::RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let rustix::net::RecvAncillaryMessage::ScmRights(mut descriptors) = message {
            return Ok(descriptors.next());
        }
    }
    Ok(None)
}

/// Returns a pidfd of the process at the other end of a socket; `None` if the kernel is older than 6.5.
///
/// # Errors
/// Returns an error if the socket has no peer.
pub fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut pidfd: RawFd = -1;
    let mut length = libc::socklen_t::try_from(size_of::<RawFd>()).unwrap_or(0);
    // SAFETY: both pointers are to variables that outlive the call, and `length` is the size of the first.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            (&raw mut pidfd).cast(),
            &raw mut length,
        )
    };
    if done == 0 {
        // SAFETY: the kernel has just made this descriptor for this process, and nothing else owns it.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(pidfd) }));
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOPROTOOPT) { Ok(None) } else { Err(error) }
}

/// Takes ownership of a raw descriptor.
///
/// # Safety contract (upheld by the caller)
/// The descriptor is open, and nothing else in this process closes it.
#[must_use]
pub fn inherit(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers pass numbers that the spawner placed before exec, or that a system call has just returned. In
    // each process only one owner is dropped.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
