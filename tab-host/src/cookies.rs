//! Session cookies: the engine keeps them in its network process's memory, and forgets them with it. The broker keeps what is
//! reported here, and gives it back to the site's next process, before its first page.
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

/// Changes that come close together are reported once.
const IDLE: Duration = Duration::from_millis(200);
/// The engine takes cookies at once; a page does not wait longer for it.
const SET_TIMEOUT: Duration = Duration::from_secs(2);

/// One cookie without an end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Kept {
    domain: String,
    path: String,
    name: String,
    value: String,
    secure: bool,
    http_only: bool,
    same_site: u8,
}

/// The session cookies of this host's site.
#[derive(Debug)]
pub(crate) struct SessionJar {
    sender: BrokerSender,
    /// Of an earlier process, until the engine has them.
    given: RefCell<Vec<Kept>>,
    manager: RefCell<Option<CookieManager>>,
    /// What the broker knows.
    known: RefCell<Vec<Kept>>,
    is_pending: Cell<bool>,
}

impl SessionJar {
    pub(crate) fn new(sender: BrokerSender) -> Rc<Self> {
        let (given, known) = (RefCell::default(), RefCell::default());
        Rc::new(Self { sender, given, manager: RefCell::default(), known, is_pending: Cell::default() })
    }

    /// What an earlier process of this site had.
    pub(crate) fn give(&self, bytes: &[u8]) {
        match serde_json::from_slice::<Vec<Kept>>(bytes) {
            Ok(cookies) => {
                self.known.replace(cookies.clone());
                self.given.replace(cookies);
            }
            Err(error) => tracing::error!("session cookies of an earlier process are lost: {error}"),
        }
    }

    /// The engine is there: it gets what was given, and is listened to from now on. Returns when it has it.
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
                    tracing::warn!("a session cookie of an earlier process is lost: {error}");
                }
                waiting.set(waiting.get() - 1);
            });
        }
        let (start, context) = (Instant::now(), glib::MainContext::default());
        // The reader of the broker's messages stands above this on the stack.
        crate::host::while_busy(|| {
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

    /// Asks the engine for all cookies, and reports them where they have changed. Then goes on.
    pub(crate) fn look(self: &Rc<Self>, then: impl FnOnce() + 'static) {
        let manager = self.manager.borrow();
        let Some(manager) = manager.as_ref() else { return then() };
        let jar: Question = (Rc::downgrade(self), Box::new(then));
        let jar = Box::into_raw(Box::new(jar));
        // SAFETY: the manager lives through the call; `jar` is taken back by the answer, which comes exactly once.
        unsafe {
            webkit_cookie_manager_get_all_cookies(manager.to_glib_none().0, ptr::null_mut(), answered, jar.cast())
        };
    }

    fn report(&self, cookies: Vec<Cookie>) {
        let mut now: Vec<Kept> = cookies.into_iter().filter_map(Kept::of_session).collect();
        now.sort();
        if *self.known.borrow() == now {
            return;
        }
        let bytes = if now.is_empty() { Vec::new() } else { serde_json::to_vec(&now).unwrap_or_default() };
        if bytes.len() as u64 > MAX_COOKIES {
            tracing::warn!("the site has {} bytes of session cookies: they are not kept", bytes.len());
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
            Err(error) => tracing::error!("session cookies are not kept: {error}"),
        }
    }
}

impl Kept {
    /// Nothing of one that has an end: those are in the bucket.
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
        // Without an age: until the session ends.
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

/// Who asked, and what comes then.
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

/// # Safety
/// Called by the engine, once, with what `look` gave it.
unsafe extern "C" fn answered(
    manager: *mut glib::gobject_ffi::GObject,
    result: *mut gtk::gio::ffi::GAsyncResult,
    data: *mut c_void,
) {
    let mut error = ptr::null_mut();
    // SAFETY: `data` is the box of `look`; the list and its cookies are ours; the error, if there is one, too.
    let ((jar, then), cookies) = unsafe {
        let question = Box::from_raw(data.cast::<Question>());
        let list = webkit_cookie_manager_get_all_cookies_finish(manager.cast(), result, &raw mut error);
        if error.is_null() {
            (*question, Some(Vec::<Cookie>::from_glib_full(list)))
        } else {
            // A network process that is gone knows none; what it had was reported.
            glib::ffi::g_error_free(error);
            (*question, None)
        }
    };
    if let (Some(jar), Some(cookies)) = (jar.upgrade(), cookies) {
        jar.report(cookies);
    }
    then();
}
