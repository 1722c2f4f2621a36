//! Crash reporting: a crashing process sends its crash context to its sandbox's dumper, which writes the minidump.
//!
//! Code that runs in the signal handler must never allocate, take a lock, or wait for an unbounded time.

mod sys;

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::inherited;

/// Descriptor of the role's connection to its dumper (`regen_sandbox::spawn::DUMPER`).
const DUMPER: i32 = 4;
/// Path of the dumper's socket for the sandbox's other processes (`regen_sandbox::spawn::DUMPER_PATH`).
const DUMPER_PATH: &str = "/regen/dumper";

/// Makes a crash of this role leave a minidump. Must be called once, before anything is opened.
///
/// Does nothing without a dumper, as in tests.
pub(crate) fn show_crashes() {
    if let Some(dumper) = inherited::take(DUMPER, SocketType::DGRAM) {
        sys::install(dumper);
    }
}

/// Makes a crash of an engine process, which inherits no descriptors, leave a minidump.
///
/// # Errors
/// When the dumper's socket cannot be reached.
pub fn show_crashes_of_helper() -> std::io::Result<()> {
    let dumper: OwnedFd = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    rustix::net::connect(&dumper, &SocketAddrUnix::new(DUMPER_PATH)?)?;
    sys::install(dumper);
    Ok(())
}
