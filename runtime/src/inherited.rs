//! What a child inherits, by its number.

use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::SocketType;

/// Takes over the socket of this number, if there is one of this type: then it is what the jail placed there.
#[expect(unsafe_code, reason = "an inherited descriptor is only a number")]
pub(crate) fn take(number: RawFd, wanted: SocketType) -> Option<OwnedFd> {
    // SAFETY: only the jail starts this program, with its sockets at fixed numbers; each is taken over once, before anything
    // else was opened. What is checked next does not depend on it being one.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    if rustix::net::sockopt::socket_type(socket.as_fd()).is_ok_and(|found| found == wanted) {
        return Some(socket);
    }
    std::mem::forget(socket);
    None
}
