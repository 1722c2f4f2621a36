//! The attempts, by what the attacker wants. Each returns whether it was had.

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

/// What an attempt knows of its surroundings.
#[derive(Debug)]
pub(crate) struct Here {
    /// Where the machine's loopback answers, and part of the name of its abstract socket.
    pub(crate) port: u16,
    /// A folder of the machine's with a profile, another site's bucket, keys and a display socket in it.
    pub(crate) folder: PathBuf,
    /// Where this process may write; the root where nowhere.
    pub(crate) scratch: PathBuf,
}

/// One way to get out.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    /// Roles that may do it by their nature, and why.
    pub(crate) by_nature: &'static [(&'static str, &'static str)],
    pub(crate) make: fn(&Here) -> io::Result<()>,
}

/// All of them, by area.
pub(crate) const ATTEMPTS: &[(&str, &[Attempt])] = &[
    ("files", files::ATTEMPTS),
    ("code", code::ATTEMPTS),
    ("processes", processes::ATTEMPTS),
    ("kernel", kernel::ATTEMPTS),
    ("network", network::ATTEMPTS),
    ("exhaustion", bombs::ATTEMPTS),
];

/// An attempt that no role may make.
const fn attempt(name: &'static str, make: fn(&Here) -> io::Result<()>) -> Attempt {
    Attempt { name, by_nature: &[], make }
}

/// A system call's result as one.
pub(crate) fn call(make: impl FnOnce() -> c_long) -> io::Result<()> {
    number(make).map(drop)
}

fn number(make: impl FnOnce() -> c_long) -> io::Result<i32> {
    let result = make();
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap_or(i32::MAX)) }
}

/// A call that only wants to know whether the door is open: any answer but a refusal says yes.
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

/// Does something in a child, and gives its exit code. Where there can be no child, the kernel's reason.
pub(crate) fn in_child(work: impl FnOnce() -> u8) -> io::Result<i32> {
    let pid = number(|| unsafe { libc::fork() }.into())?;
    if pid == 0 {
        // No destructor of the parent's runs in the child.
        let code = work();
        unsafe { libc::_exit(i32::from(code)) };
    }
    let mut status = 0;
    call(|| unsafe { libc::waitpid(pid, &raw mut status, 0) }.into())?;
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) })
}

/// Does something in a child and gives its error. Without a child, in this process: who gets what it wants is gone then.
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
