//! Runs inside the engine's helpers, in a tab-host and in the ui-shell: GIO loads it like any module of its own, and a crash
//! leaves a minidump from there on.

#![expect(unsafe_code, reason = "GIO's entry points are C functions")]

use std::ffi::{c_int, c_void};

/// The ends of their programs' names. The role's own program loads GIO's modules as well, and shows its crashes by itself.
const PROGRAMS: [&str; 2] = ["/WebKitNetworkProcess", "/WebKitWebProcess"];

unsafe extern "C" {
    fn g_type_module_use(module: *mut c_void) -> c_int;
}

/// Called once by GIO.
///
/// # Safety
/// Only GIO calls this, with a live module.
#[unsafe(no_mangle)]
#[expect(clippy::print_stderr, reason = "what the engine's helpers say is read by the broker")]
pub unsafe extern "C" fn g_io_module_load(module: *mut c_void) {
    if !std::env::args().next().is_some_and(|program| PROGRAMS.iter().any(|name| program.ends_with(name))) {
        return;
    }
    // GIO lets go of modules that it has looked at: this one must stay, for the handlers are in it.
    // SAFETY: the module is live, and one use more is never given back.
    unsafe { g_type_module_use(module) };
    if let Err(error) = regen_runtime::show_crashes_of_helper() {
        eprintln!("a crash of this process will leave no minidump: {error}");
    }
}

/// Called by GIO when nothing uses the module: elsewhere than in those programs.
#[unsafe(no_mangle)]
pub extern "C" fn g_io_module_unload(_module: *mut c_void) {}
