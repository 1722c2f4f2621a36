//! Crash handler for the engine's helper processes, in a tab-host and in the ui-shell. GIO loads it as a module. From
//! then on, a crash leaves a minidump.

#![expect(unsafe_code, reason = "GIO's entry points are C functions")]

use std::ffi::{c_int, c_void};

/// Suffixes of the helpers' program paths. The role's own program loads GIO modules too, but has a handler of its own.
const PROGRAMS: [&str; 2] = ["/WebKitNetworkProcess", "/WebKitWebProcess"];

unsafe extern "C" {
    fn g_type_module_use(module: *mut c_void) -> c_int;
}

/// Installs the crash handler. GIO calls this once.
///
/// # Safety
/// Only GIO calls this, with a live module.
#[unsafe(no_mangle)]
#[expect(clippy::print_stderr, reason = "the broker reads the output of the engine's helpers")]
pub unsafe extern "C" fn g_io_module_load(module: *mut c_void) {
    if !std::env::args().next().is_some_and(|program| PROGRAMS.iter().any(|name| program.ends_with(name))) {
        return;
    }
    // GIO unloads modules that it has inspected. This one must stay, because the handlers are in it.
    // SAFETY: the module is live, and the additional use is never released.
    unsafe { g_type_module_use(module) };
    if let Err(error) = regen_runtime::show_crashes_of_helper() {
        eprintln!("cannot install the crash handler: {error}; a crash of this process will leave no minidump");
    }
}

/// Does nothing. GIO calls this when nothing uses the module: in programs other than the helpers.
#[unsafe(no_mangle)]
pub extern "C" fn g_io_module_unload(_module: *mut c_void) {}
