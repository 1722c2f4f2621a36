//! Session cookies. The engine keeps them only in the memory of its network process. The broker keeps the cookies that
//! are reported here, and gives them to the site's next process before its first page.
#![expect(unsafe_code, reason = "the engine's list of all cookies has no binding")]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::os::fd::AsFd;
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use glib::translate::{FromGlibPtrContainer, ToGlibPtr};
use regen_proto::kernel::v1::SessionCookies;
use regen_proto::validate::{ChildToBroker, MAX_COOKIES};
use regen_runtime::Sealed;
use serde::{Deserialize, Serialize};
use soup::{Cookie, SameSitePolicy};
use webkit2gtk::{CookieManager, CookieManagerExt};

use crate::sender::BrokerSender;

/// Delay within which changes are collected into one report.
const IDLE: Duration = Duration::from_millis(200);
/// Maximum time that the first page waits for the engine to set the given cookies.
const SET_TIMEOUT: Duration = Duration::from_secs(2);

/// A session cookie, as the broker stores it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct StoredCookie {
    domain: String,
    path: String,
    name: String,
    value: String,
    secure: bool,
    http_only: bool,
    same_site: u8,
}

/// Session cookies of this host's site.
#[derive(Debug)]
pub(crate) struct SessionJar {
    sender: BrokerSender,
    /// Cookies of an earlier process, until they are set in the engine.
    given: RefCell<Vec<StoredCookie>>,
    manager: RefCell<Option<CookieManager>>,
    /// Cookies that the broker has.
    known: RefCell<Vec<StoredCookie>>,
    is_pending: Cell<bool>,
}

impl SessionJar {
    pub(crate) fn new(sender: BrokerSender) -> Rc<Self> {
        let (given, known) = (RefCell::default(), RefCell::default());
        Rc::new(Self { sender, given, manager: RefCell::default(), known, is_pending: Cell::default() })
    }

    /// Takes the cookies of an earlier process of this site from the broker.
    pub(crate) fn give(&self, bytes: &[u8]) {
        match serde_json::from_slice::<Vec<StoredCookie>>(bytes) {
            Ok(cookies) => {
                self.known.replace(cookies.clone());
                self.given.replace(cookies);
            }
            Err(error) => tracing::error!("cannot read the session cookies of an earlier process: {error}"),
        }
    }

    /// Sets the given cookies in the engine, then reports the engine's changes. Returns when the cookies are set, or
    /// after [`SET_TIMEOUT`].
    pub(crate) fn attach(self: &Rc<Self>, manager: &CookieManager) {
        if self.manager.borrow().is_some() {
            return;
        }
        self.manager.replace(Some(manager.clone()));
        let given = self.given.take();
        let waiting = Rc::new(Cell::new(given.len()));
        for kept in given {
            let waiting = Rc::clone(&waiting);
            manager.add_cookie(&mut kept.into_cookie(), None::<&gtk::gio::Cancellable>, move |added| {
                if let Err(error) = added {
                    tracing::warn!("cannot restore a session cookie of an earlier process: {error}");
                }
                waiting.set(waiting.get() - 1);
            });
        }
        let (start, context) = (Instant::now(), glib::MainContext::default());
        // The main thread's message handler is further up the stack, so it cannot answer heartbeats meanwhile.
        crate::busy::while_busy(|| {
            while waiting.get() > 0 && start.elapsed() < SET_TIMEOUT {
                context.iteration(true);
            }
        });
        let jar = Rc::downgrade(self);
        manager.connect_changed(move |_| {
            if let Some(jar) = jar.upgrade() {
                jar.changed();
            }
        });
    }

    fn changed(self: &Rc<Self>) {
        if self.is_pending.replace(true) {
            return;
        }
        let jar = Rc::downgrade(self);
        glib::timeout_add_local_once(IDLE, move || {
            if let Some(jar) = jar.upgrade() {
                jar.is_pending.set(false);
                jar.look(|| {});
            }
        });
    }

    /// Asks the engine for all cookies, reports them if they have changed, and calls `then`.
    pub(crate) fn look(self: &Rc<Self>, then: impl FnOnce() + 'static) {
        let manager = self.manager.borrow();
        let Some(manager) = manager.as_ref() else { return then() };
        let jar: Question = (Rc::downgrade(self), Box::new(then));
        let jar = Box::into_raw(Box::new(jar));
        // SAFETY: the manager is valid for the call. `answered` takes `jar` back, and the engine calls it exactly once.
        unsafe {
            webkit_cookie_manager_get_all_cookies(manager.to_glib_none().0, ptr::null_mut(), answered, jar.cast())
        };
    }

    fn report(&self, cookies: Vec<Cookie>) {
        let mut now: Vec<StoredCookie> = cookies.into_iter().filter_map(StoredCookie::of_session).collect();
        now.sort();
        if *self.known.borrow() == now {
            return;
        }
        let bytes = if now.is_empty() { Vec::new() } else { serde_json::to_vec(&now).unwrap_or_default() };
        if bytes.len() as u64 > MAX_COOKIES {
            tracing::warn!("session cookies are not saved: {} bytes are more than {MAX_COOKIES}", bytes.len());
            return;
        }
        self.known.replace(now);
        let put = ChildToBroker::PutCookies(SessionCookies { payload_size: bytes.len() as u64 });
        if bytes.is_empty() {
            self.sender.send(put);
            return;
        }
        match Sealed::new(&bytes).and_then(|sealed| sealed.as_fd().try_clone_to_owned()) {
            Ok(fd) => self.sender.send_with(put, vec![fd]),
            Err(error) => tracing::error!("cannot save session cookies: {error}"),
        }
    }
}

impl StoredCookie {
    /// Converts a session cookie. Returns `None` for one with an expiry date, which the engine stores in the bucket.
    fn of_session(mut cookie: Cookie) -> Option<Self> {
        if cookie.expires().is_some() {
            return None;
        }
        let policies = [SameSitePolicy::None, SameSitePolicy::Lax, SameSitePolicy::Strict];
        let policy = cookie.same_site_policy();
        let same_site = policies.iter().position(|other| *other == policy).and_then(|place| place.try_into().ok());
        Some(Self {
            domain: cookie.domain()?.into(),
            path: cookie.path()?.into(),
            name: cookie.name()?.into(),
            value: cookie.value()?.into(),
            secure: cookie.is_secure(),
            http_only: cookie.is_http_only(),
            same_site: same_site.unwrap_or(0),
        })
    }

    fn into_cookie(self) -> Cookie {
        // Age -1: until the session ends.
        let mut cookie = Cookie::new(&self.name, &self.value, &self.domain, &self.path, -1);
        cookie.set_secure(self.secure);
        cookie.set_http_only(self.http_only);
        cookie.set_same_site_policy(match self.same_site {
            2 => SameSitePolicy::Strict,
            1 => SameSitePolicy::Lax,
            _ => SameSitePolicy::None,
        });
        cookie
    }
}

type Answered = unsafe extern "C" fn(*mut glib::gobject_ffi::GObject, *mut gtk::gio::ffi::GAsyncResult, *mut c_void);

/// Jar that asked, and the call that follows.
type Question = (Weak<SessionJar>, Box<dyn FnOnce()>);

// Since WebKitGTK 2.42.
unsafe extern "C" {
    fn webkit_cookie_manager_get_all_cookies(
        manager: *mut webkit2gtk::ffi::WebKitCookieManager,
        cancellable: *mut gtk::gio::ffi::GCancellable,
        answered: Answered,
        data: *mut c_void,
    );
    fn webkit_cookie_manager_get_all_cookies_finish(
        manager: *mut webkit2gtk::ffi::WebKitCookieManager,
        result: *mut gtk::gio::ffi::GAsyncResult,
        error: *mut *mut glib::ffi::GError,
    ) -> *mut glib::ffi::GList;
}

/// Receives all cookies of the engine.
///
/// # Safety
/// The engine calls this exactly once, with the `data` that `look` passed.
unsafe extern "C" fn answered(
    manager: *mut glib::gobject_ffi::GObject,
    result: *mut gtk::gio::ffi::GAsyncResult,
    data: *mut c_void,
) {
    let mut error = ptr::null_mut();
    // SAFETY: `data` is the box that `look` leaked, passed back once. The call hands over ownership of the list with
    // its cookies, and of the error if there is one.
    let ((jar, then), cookies) = unsafe {
        let question = Box::from_raw(data.cast::<Question>());
        let list = webkit_cookie_manager_get_all_cookies_finish(manager.cast(), result, &raw mut error);
        if error.is_null() {
            (*question, Some(Vec::<Cookie>::from_glib_full(list)))
        } else {
            // The network process is gone. Its cookies were reported before.
            glib::ffi::g_error_free(error);
            (*question, None)
        }
    };
    if let (Some(jar), Some(cookies)) = (jar.upgrade(), cookies) {
        jar.report(cookies);
    }
    then();
}
