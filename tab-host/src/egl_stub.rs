//! Keeps the graphics driver out of this process. The engine's UI process side requests an EGL display that it never
//! uses, which would load Mesa and LLVM: 12 MB for each site. The web process, which aborts without a display, still
//! gets one.

#![expect(unsafe_code, reason = "calls a C library, and sets the environment before any thread exists")]

use std::ffi::{c_char, c_int, c_void};

const VENDORS: &str = "__EGL_VENDOR_LIBRARY_FILENAMES";
const EXTENSIONS: c_int = 0x3055;

/// Makes libglvnd load its list of drivers while the list is empty. Must be called before any thread is started.
pub(crate) fn without_graphics_driver() {
    // SAFETY: no other thread exists yet that could read the environment.
    unsafe { std::env::set_var(VENDORS, "/dev/null") };
    // SAFETY: the name is a C string; the library is never unloaded.
    let library = unsafe { libc::dlopen(c"libEGL.so.1".as_ptr(), libc::RTLD_NOW) };
    if !library.is_null() {
        // SAFETY: the library is open and the name is a C string.
        let query = unsafe { libc::dlsym(library, c"eglQueryString".as_ptr()) };
        if !query.is_null() {
            type Query = unsafe extern "C" fn(*mut c_void, c_int) -> *const c_char;
            // SAFETY: this is the signature that EGL defines for this name.
            let query = unsafe { std::mem::transmute::<*mut c_void, Query>(query) };
            // SAFETY: EGL permits a null display in a query for client extensions. The query makes libglvnd load its
            // drivers.
            unsafe { query(std::ptr::null_mut(), EXTENSIONS) };
        }
    }
    // SAFETY: no other thread exists yet. The engine's helpers start later, without the variable.
    unsafe { std::env::remove_var(VENDORS) };
}
