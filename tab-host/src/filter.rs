//! Shields for requests that the page-agent does not see (WebSockets, service workers): a content filter of the
//! engine's, compiled once per tab-host.

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::rc::{Rc, Weak};

use glib::translate::{FromGlibPtrFull, ToGlibPtr};
use regen_proto::net::v1::CommonRules;
use webkit2gtk::ffi::{
    WebKitUserContentFilter, WebKitUserContentFilterStore, webkit_user_content_filter_store_new,
    webkit_user_content_filter_store_save, webkit_user_content_filter_store_save_finish,
    webkit_user_content_filter_unref, webkit_user_content_manager_add_filter,
};
use webkit2gtk::{UserContentManager, UserContentManagerExt, WebView, WebViewExt};

use crate::events::MainEvent;
use crate::host::Host;

/// Directory of the compiled filters, which ends with the sandbox.
const FOLDER: &str = "/tmp/filters";
const NAME: &str = "shields";

/// Content filter of this process.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Version of the filter that is in effect or being compiled; 0: none.
    version: Cell<u32>,
    compiled: RefCell<Option<Compiled>>,
    /// Set while a request for the generic rules is pending.
    asked: Cell<bool>,
}

impl Filter {
    /// Adds the compiled filter, if there is one, to a new view.
    pub(crate) fn add_to(&self, web: &WebView) {
        if let (Some(compiled), Some(manager)) = (&*self.compiled.borrow(), web.user_content_manager()) {
            compiled.add_to(&manager);
        }
    }
}

impl Host {
    /// Requests the rules again if a document was given another filter version than the present one.
    pub(crate) fn filter_is(&self, version: u32) {
        if self.filter.version.get() != version {
            self.ask_common();
        }
    }

    /// Requests the generic rules and the content filter from the net-daemon.
    pub(crate) fn ask_common(&self) {
        // Each frame of a page may request them; one request at a time is enough.
        if self.filter.asked.replace(true) {
            return;
        }
        let (runtime, asker) = &self.asker;
        let (told, to_main) = (asker.clone().common(), self.to_main.clone());
        runtime.spawn(async move {
            // Fails only when the process is ending.
            let _ = to_main.send(MainEvent::Common(told.await.map(Box::new)));
        });
    }

    /// Applies the rules that the net-daemon answered. Without an answer, the present ones stay, and the next document
    /// asks again.
    pub(crate) fn take_common(self: &Rc<Self>, rules: Option<CommonRules>) {
        self.filter.asked.set(false);
        let Some(rules) = rules else { return };
        self.take_filter(&rules);
        self.common.replace(rules);
        for view in self.views.borrow().values().chain(self.popups.borrow().values()) {
            view.hide_common(&self.common.borrow());
        }
    }

    fn take_filter(self: &Rc<Self>, rules: &CommonRules) {
        if self.filter.version.replace(rules.filter_version) == rules.filter_version {
            return;
        }
        if rules.filter.is_empty() {
            return self.show_filter(None);
        }
        compile(&rules.filter, (Rc::downgrade(self), rules.filter_version));
    }

    fn show_filter(&self, compiled: Option<Compiled>) {
        self.filter.compiled.replace(compiled);
        for view in self.views.borrow().values().chain(self.popups.borrow().values()) {
            if let Some(manager) = view.content_manager() {
                manager.remove_all_filters();
            }
            view.add_filter(&self.filter);
        }
    }
}

/// A content filter that the engine has compiled.
#[derive(Debug)]
struct Compiled(NonNull<WebKitUserContentFilter>);

#[expect(unsafe_code, reason = "the binding leaves content filters out")]
impl Compiled {
    fn add_to(&self, manager: &UserContentManager) {
        // SAFETY: both pointers are valid for the call; the manager takes a reference of its own.
        unsafe { webkit_user_content_manager_add_filter(manager.to_glib_none().0, self.0.as_ptr()) }
    }
}

#[expect(unsafe_code, reason = "the binding leaves content filters out")]
impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: `self` owns one reference to the filter.
        unsafe { webkit_user_content_filter_unref(self.0.as_ptr()) }
    }
}

/// Host that wants a filter, and the filter's version.
type Wish = (Weak<Host>, u32);

#[expect(unsafe_code, reason = "the binding leaves content filters out")]
fn compile(source: &str, wish: Wish) {
    let (Ok(folder), Ok(name)) = (CString::new(FOLDER), CString::new(NAME)) else { return };
    let (folder, name): (*const c_char, *const c_char) = (folder.as_ptr(), name.as_ptr());
    let source = glib::Bytes::from(source.as_bytes());
    let wish = Box::into_raw(Box::new(wish)).cast::<c_void>();
    // SAFETY: the engine copies both strings, references the source, and calls `compiled` exactly once with `wish`. It
    // holds its own reference to the store until then, so the reference made here can be dropped.
    unsafe {
        let store = webkit_user_content_filter_store_new(folder);
        let none = ptr::null_mut();
        webkit_user_content_filter_store_save(store, name, source.to_glib_none().0, none, Some(compiled), wish);
        glib::gobject_ffi::g_object_unref(store.cast());
    }
}

/// Receives the compiled filter.
///
/// # Safety
/// The engine calls this exactly once, with the `wish` that `compile` passed.
#[expect(unsafe_code, reason = "the engine calls it")]
unsafe extern "C" fn compiled(
    store: *mut glib::gobject_ffi::GObject,
    result: *mut gtk::gio::ffi::GAsyncResult,
    wish: *mut c_void,
) {
    let mut error = ptr::null_mut();
    // SAFETY: `wish` is the box that `compile` leaked, passed back once. The call hands over ownership of the filter,
    // and of the error if there is one.
    let ((host, version), filter, error) = unsafe {
        let wish = *Box::from_raw(wish.cast::<Wish>());
        let store = store.cast::<WebKitUserContentFilterStore>();
        let filter = webkit_user_content_filter_store_save_finish(store, result, &raw mut error);
        let error = (!error.is_null()).then(|| glib::Error::from_glib_full(error));
        (wish, NonNull::new(filter).map(Compiled), error)
    };
    if let Some(error) = error {
        tracing::error!("shields: cannot compile the content filter: {error}; WebSockets are checked by host only");
    }
    // Another version may have been requested meanwhile.
    if let (Some(host), Some(filter)) = (host.upgrade().filter(|host| host.filter.version.get() == version), filter) {
        host.show_filter(Some(filter));
    }
}
