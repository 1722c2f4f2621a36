//! The last thing that a crashing process does: it shows itself to the dumper of its sandbox, which writes the minidump.
//!
//! What runs in the signal handler allocates nothing, takes no lock, and waits for a bounded time.

mod sys;

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::inherited;

/// Where the role's connection to its dumper is (`regen_sandbox::spawn::DUMPER`).
const DUMPER: i32 = 4;
/// Where everybody else in the sandbox finds it (`regen_sandbox::spawn::DUMPER_PATH`).
const DUMPER_PATH: &str = "/regen/dumper";

/// From here on a crash of this role leaves a minidump. Must be called before anything is opened, once.
///
/// Without a dumper, as in tests, nothing is done: a crash is then only a crash.
pub(crate) fn show_crashes() {
    if let Some(dumper) = inherited::take(DUMPER, SocketType::DGRAM) {
        sys::install(dumper);
    }
}

/// The same for a process of the engine, which inherits nothing.
///
/// # Errors
/// When there is no dumper.
pub fn show_crashes_of_helper() -> std::io::Result<()> {
    let dumper: OwnedFd = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    rustix::net::connect(&dumper, &SocketAddrUnix::new(DUMPER_PATH)?)?;
    sys::install(dumper);
    Ok(())
}
