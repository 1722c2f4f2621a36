//! Shields for requests that the page-agent does not see (WebSockets, service workers): a content filter of the
//! engine's, compiled once per tab-host.

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::rc::Rc;

use glib::translate::{FromGlibPtrFull, ToGlibPtr};
use regen_proto::net::v1::CommonRules;
use webkit2gtk::ffi::{
    WebKitUserContentFilter, WebKitUserContentFilterStore, webkit_user_content_filter_store_new,
    webkit_user_content_filter_store_save, webkit_user_content_filter_store_save_finish,
    webkit_user_content_filter_unref, webkit_user_content_manager_add_filter,
};
use webkit2gtk::{UserContentManager, WebView, WebViewExt};

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

/// Effect of new generic rules on the content filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// The filter is the present one.
    Same,
    /// No filter applies any more.
    Without,
    /// Another filter applies, which must be compiled.
    With,
}

impl Filter {
    /// Returns the version of the filter that is in effect or being compiled; 0: none.
    pub(crate) fn version(&self) -> u32 {
        self.version.get()
    }

    /// Notes that the generic rules are requested. Returns whether a request is pending already.
    pub(crate) fn begin_asking(&self) -> bool {
        self.asked.replace(true)
    }

    /// Notes that the request for the generic rules is answered.
    pub(crate) fn end_asking(&self) {
        self.asked.set(false);
    }

    /// Takes the version of new rules.
    pub(crate) fn replace_version(&self, rules: &CommonRules) -> Replaced {
        if self.version.replace(rules.filter_version) == rules.filter_version {
            Replaced::Same
        } else if rules.filter.is_empty() {
            Replaced::Without
        } else {
            Replaced::With
        }
    }

    /// Puts another compiled filter into effect, for new views.
    pub(crate) fn replace(&self, compiled: Option<Compiled>) {
        self.compiled.replace(compiled);
    }

    /// Adds the compiled filter, if there is one, to a new view.
    pub(crate) fn add_to(&self, web: &WebView) {
        if let (Some(compiled), Some(manager)) = (&*self.compiled.borrow(), web.user_content_manager()) {
            compiled.add_to(&manager);
        }
    }
}

/// A content filter that the engine has compiled.
#[derive(Debug)]
pub(crate) struct Compiled(NonNull<WebKitUserContentFilter>);

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

/// Receiver of compiled filters, with their versions.
type Receiver = Rc<dyn Fn(u32, Compiled)>;

/// Compiles content filters.
pub(crate) struct FilterStore(Receiver);

impl FilterStore {
    /// Creates a store that hands compiled filters to `receive`.
    pub(crate) fn new(receive: impl Fn(u32, Compiled) + 'static) -> Self {
        Self(Rc::new(receive))
    }

    /// Compiles a filter, in the engine's time.
    pub(crate) fn compile(&self, source: &str, version: u32) {
        compile(source, (Rc::clone(&self.0), version));
    }
}

/// Receiver of a filter, and the filter's version.
type Wish = (Receiver, u32);

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
    let ((receive, version), filter, error) = unsafe {
        let wish = *Box::from_raw(wish.cast::<Wish>());
        let store = store.cast::<WebKitUserContentFilterStore>();
        let filter = webkit_user_content_filter_store_save_finish(store, result, &raw mut error);
        let error = (!error.is_null()).then(|| glib::Error::from_glib_full(error));
        (wish, NonNull::new(filter).map(Compiled), error)
    };
    if let Some(error) = error {
        tracing::error!("shields: cannot compile the content filter: {error}; WebSockets are checked by host only");
    }
    if let Some(filter) = filter {
        receive(version, filter);
    }
}
