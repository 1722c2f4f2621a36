//! Descriptors that a child inherits from its jail at fixed numbers.

use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::SocketType;

/// Takes ownership of the socket at this number. Returns `None` if there is no socket of the wanted type.
#[expect(unsafe_code, reason = "an inherited descriptor is only a number")]
pub(crate) fn take(number: RawFd, wanted: SocketType) -> Option<OwnedFd> {
    // SAFETY: the jail starts this program with its sockets at fixed numbers, and each is taken once, before anything
    // else is opened, so nothing else owns this number. If it is closed or of another type, the check fails and it is
    // forgotten.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    if rustix::net::sockopt::socket_type(socket.as_fd()).is_ok_and(|found| found == wanted) {
        return Some(socket);
    }
    std::mem::forget(socket);
    None
}
