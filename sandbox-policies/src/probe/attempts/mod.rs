//! The attempts, grouped by the attacker's goal. Each returns whether it succeeded.

mod bombs;
mod code;
mod files;
mod kernel;
mod network;
mod processes;

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

use libc::c_long;

pub(crate) use bombs::neighbour;

/// Environment of an attempt.
#[derive(Debug)]
pub(crate) struct Here {
    /// Port on which the machine's loopback answers, and part of the name of its abstract socket.
    pub(crate) port: u16,
    /// Folder of the machine with a profile, another site's bucket, keys and a display socket.
    pub(crate) folder: PathBuf,
    /// Folder that this process may be able to write to; `/` if there is none.
    pub(crate) scratch: PathBuf,
}

/// An attempt to escape.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    /// Roles that are meant to do this, each with the reason.
    pub(crate) by_nature: &'static [(&'static str, &'static str)],
    pub(crate) make: fn(&Here) -> io::Result<()>,
}

/// Attempts by area.
pub(crate) const ATTEMPTS: &[(&str, &[Attempt])] = &[
    ("files", files::ATTEMPTS),
    ("code", code::ATTEMPTS),
    ("processes", processes::ATTEMPTS),
    ("kernel", kernel::ATTEMPTS),
    ("network", network::ATTEMPTS),
    ("exhaustion", bombs::ATTEMPTS),
];

/// Creates an attempt in which no role may succeed.
const fn attempt(name: &'static str, make: fn(&Here) -> io::Result<()>) -> Attempt {
    Attempt { name, by_nature: &[], make }
}

/// Converts the result of a system call.
pub(crate) fn call(make: impl FnOnce() -> c_long) -> io::Result<()> {
    number(make).map(drop)
}

fn number(make: impl FnOnce() -> c_long) -> io::Result<i32> {
    let result = make();
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap_or(i32::MAX)) }
}

/// Makes a call only to see whether it is allowed: every error except a refusal counts as success.
fn knock(make: impl FnOnce() -> c_long) -> io::Result<()> {
    match call(make) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS)) => Err(error),
        _ => Ok(()),
    }
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_encoded_bytes())?)
}

fn denied(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// Runs work in a child and returns its exit code. Fails with the kernel's error if there can be no child.
pub(crate) fn in_child(work: impl FnOnce() -> u8) -> io::Result<i32> {
    let pid = number(|| unsafe { libc::fork() }.into())?;
    if pid == 0 {
        // The parent's destructors must not run in the child.
        let code = work();
        unsafe { libc::_exit(i32::from(code)) };
    }
    let mut status = 0;
    call(|| unsafe { libc::waitpid(pid, &raw mut status, 0) }.into())?;
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) })
}

/// Runs work in a child and returns its error. If there can be no child, runs it in this process.
fn apart(work: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let code = in_child(|| match work() {
        Ok(()) => 0,
        Err(error) => u8::try_from(error.raw_os_error().unwrap_or(1)).unwrap_or(1),
    });
    match code {
        Ok(0) => Ok(()),
        Ok(errno) => Err(denied(errno)),
        Err(_) => work(),
    }
}
