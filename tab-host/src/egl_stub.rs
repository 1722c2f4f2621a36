//! Keeps the graphics driver out of this process. The engine's user interface side asks for an EGL display that it then does
//! not use, because nothing is drawn with it; that would load Mesa and LLVM, 12 MB for each site. The web process, which
//! aborts without one, still gets it.

#![expect(unsafe_code, reason = "a C library, and the environment before there are threads")]

use std::ffi::{c_char, c_int, c_void};

const VENDORS: &str = "__EGL_VENDOR_LIBRARY_FILENAMES";
const EXTENSIONS: c_int = 0x3055;

/// Lets libglvnd look for drivers, once and for all, where there are none. Must be called before any thread is started.
pub(crate) fn without_graphics_driver() {
    // SAFETY: no other thread exists yet that could read the environment.
    unsafe { std::env::set_var(VENDORS, "/dev/null") };
    // SAFETY: the name is a C string; the library stays loaded for good.
    let library = unsafe { libc::dlopen(c"libEGL.so.1".as_ptr(), libc::RTLD_NOW) };
    if !library.is_null() {
        // SAFETY: the library is open and the name is a C string.
        let query = unsafe { libc::dlsym(library, c"eglQueryString".as_ptr()) };
        if !query.is_null() {
            type Query = unsafe extern "C" fn(*mut c_void, c_int) -> *const c_char;
            // SAFETY: this is the signature that EGL defines for this name.
            let query = unsafe { std::mem::transmute::<*mut c_void, Query>(query) };
            // SAFETY: a null display asks about the library itself, and makes it look for its drivers.
            unsafe { query(std::ptr::null_mut(), EXTENSIONS) };
        }
    }
    // SAFETY: as above. The helpers that the engine starts later look for themselves.
    unsafe { std::env::remove_var(VENDORS) };
}
