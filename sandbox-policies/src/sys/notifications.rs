//! Seccomp notifications: calls that wait until another process answers.

#![expect(unsafe_code, reason = "raw system calls")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::check;

/// System call that waits for the answer to its notification.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Id of the notification, given by the kernel.
    pub id: u64,
    /// Id of the calling process, in the PID namespace of the listener's reader.
    pub pid: i32,
    /// Number of the system call.
    pub number: i32,
    /// Arguments of the call, as they were when it was made.
    pub arguments: [u64; 6],
}

/// State of a filter's listener.
#[derive(Debug)]
pub enum Next {
    /// No call waits.
    None,
    /// No process is left under this filter.
    Gone,
    /// A call waits for its answer.
    Call(Notification),
}

/// Returns the next waiting call; does not block if there is none.
///
/// # Errors
/// If the descriptor is not a listener.
pub fn next_notification(listener: &OwnedFd) -> io::Result<Next> {
    let mut polled = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, which outlives the call; a timeout of zero does not wait.
    check(unsafe { libc::poll(&raw mut polled, 1, 0) }.into())?;
    if polled.revents & libc::POLLIN == 0 {
        return Ok(if polled.revents & libc::POLLHUP == 0 { Next::None } else { Next::Gone });
    }
    // SAFETY: plain data; the kernel requires it to be zeroed.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: NOTIF_RECV writes to `call`, which outlives the ioctl.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &raw mut call) };
    if result < 0 {
        let error = io::Error::last_os_error();
        // The waiting process was killed, or this ioctl was interrupted.
        let has_gone = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR));
        return if has_gone { Ok(Next::None) } else { Err(error) };
    }
    let pid = i32::try_from(call.pid).unwrap_or(0);
    Ok(Next::Call(Notification { id: call.id, pid, number: call.data.nr, arguments: call.data.args }))
}

const NOTIF_RECV: libc::Ioctl = 0xc050_2100;
const NOTIF_SEND: libc::Ioctl = 0xc018_2101;

/// Refuses a call with an error number.
///
/// # Errors
/// If the descriptor is not a listener. A process that has ended meanwhile is not an error.
pub fn refuse(listener: &OwnedFd, call: &Notification, errno: i32) -> io::Result<()> {
    respond(listener, libc::seccomp_notif_resp { id: call.id, val: 0, error: -errno, flags: 0 })
}

/// Lets a call proceed. Only for calls whose arguments in memory do not matter, because the process may change them.
///
/// # Errors
/// As for [`refuse`].
pub fn let_through(listener: &OwnedFd, call: &Notification) -> io::Result<()> {
    respond(listener, libc::seccomp_notif_resp { id: call.id, val: 0, error: 0, flags: CONTINUE })
}

const CONTINUE: u32 = 1;

fn respond(listener: &OwnedFd, mut answer: libc::seccomp_notif_resp) -> io::Result<()> {
    // SAFETY: NOTIF_SEND reads `answer`, which outlives the ioctl.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &raw mut answer) };
    match check(result.into()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other.map(drop),
    }
}
