//! What the kernel says about a pidfd.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

fn field(pidfd: &OwnedFd) -> Option<i32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}

/// Whether a descriptor is a pidfd at all.
#[must_use]
pub fn is_pidfd(pidfd: &OwnedFd) -> bool {
    field(pidfd).is_some()
}

/// The process behind it, in our PID namespace; `None` once it has ended.
#[must_use]
pub fn process_id(pidfd: &OwnedFd) -> Option<i32> {
    field(pidfd).filter(|pid| *pid > 0)
}
