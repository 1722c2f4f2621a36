//! Queries the kernel about pidfds.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{PidfdFlags, Signal};

fn field(pidfd: &OwnedFd) -> Option<i32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}

/// Returns whether a descriptor is a pidfd.
#[must_use]
pub fn is_pidfd(pidfd: &OwnedFd) -> bool {
    field(pidfd).is_some()
}

/// Returns the process id in our PID namespace; `None` once the process has ended.
#[must_use]
pub fn process_id(pidfd: &OwnedFd) -> Option<i32> {
    field(pidfd).filter(|pid| *pid > 0)
}

/// Returns whether the process has ended.
#[must_use]
pub fn has_ended(pidfd: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Returns the PID namespace of a process, as the kernel's link target.
#[must_use]
pub fn pid_namespace(pid: i32) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// Opens the process that sent a datagram. Its process id may be reused by the time that it is looked up, so the
/// process must be in the PID namespace of `jail` and still have that id afterwards.
#[must_use]
pub fn of_sender(pid: i32, jail: Option<&OwnedFd>) -> Option<OwnedFd> {
    let pidfd = rustix::process::pidfd_open(rustix::process::Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    if let Some(jail) = jail {
        let inside = pid_namespace(process_id(jail)?)?;
        if pid_namespace(pid)? != inside {
            return None;
        }
    }
    (process_id(&pidfd) == Some(pid)).then_some(pidfd)
}

/// Sends a process a signal. Returns its id; `None`: it has ended.
pub(super) fn signal(pid: i32, pidfd: &OwnedFd, signal: Signal) -> Option<i32> {
    rustix::process::pidfd_send_signal(pidfd, signal).ok().map(|()| pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process that ends")]
    fn a_process_that_has_ended_is_known_by_its_pidfd() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert!(!has_ended(&pidfd));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(has_ended(&pidfd));
    }

    #[test]
    fn a_sender_is_a_process_that_is_there() {
        let own = i32::try_from(std::process::id()).unwrap();
        let pidfd = of_sender(own, None).unwrap();
        assert_eq!(process_id(&pidfd), Some(own));
        assert!(of_sender(own, Some(&pidfd)).is_some(), "its own namespace");
        assert!(of_sender(i32::MAX, None).is_none());
        assert!(of_sender(own, Some(&std::fs::File::open("/dev/null").unwrap().into())).is_none());
    }
}
