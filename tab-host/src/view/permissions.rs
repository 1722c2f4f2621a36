//! Rights that a page asks for. The broker decides; this side passes the question on, and the answer back.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use glib::object::{Cast, IsA};
use glib::translate::ToGlibPtr;
use gtk::prelude::ObjectExt;
use regen_proto::kernel::v1::{Notification as WireNotification, page_event::Body};
use regen_proto::permissions::v1::{PermissionAnswer, PermissionKind, PermissionRequest, PermissionState};
use webkit2gtk::ffi::{
    WEBKIT_PERMISSION_STATE_DENIED, WEBKIT_PERMISSION_STATE_GRANTED, WEBKIT_PERMISSION_STATE_PROMPT,
    WebKitPermissionStateQuery, webkit_permission_state_query_finish, webkit_permission_state_query_get_name,
};
use webkit2gtk::{
    AutoplayPolicy, DeviceInfoPermissionRequest, GeolocationPermissionRequest, NavigationPolicyDecision, Notification,
    NotificationExt, NotificationPermissionRequest, PermissionRequest as EngineRequest, PermissionRequestExt,
    PointerLockPermissionRequest, PolicyDecisionExt, UserMediaPermissionRequest, UserMediaPermissionRequestExt,
    WebContextExt, WebViewExt, WebsiteDataAccessPermissionRequest, WebsiteDataAccessPermissionRequestExt,
    WebsitePolicies,
};

use super::View;
use crate::permissions::{named, security_origin};

/// Maximum number of requests of a page that wait; further ones are refused.
const MAX_WAITING: usize = 50;
/// Maximum number of notifications of a page whose clicks are passed on.
const MAX_SHOWN: usize = 50;
/// Maximum length of a notification's text that is sent, in characters. The broker shows less.
const MAX_TEXT: usize = 500;
/// Name of the engine's request to read the clipboard, which the binding leaves out.
const CLIPBOARD: &str = "WebKitClipboardPermissionRequest";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Requests that wait for the broker, and notifications that are shown, by number.
#[derive(Debug, Default)]
pub(super) struct PageRequests {
    waiting: RefCell<HashMap<u64, EngineRequest>>,
    shown: RefCell<Vec<(u64, Notification)>>,
}

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_permission_request(move |_, request| {
        match weak.upgrade() {
            Some(view) => view.asks(request),
            None => request.deny(),
        }
        true
    });
    let weak = Rc::downgrade(view);
    view.web.connect_local("query-permission-state", false, move |arguments| {
        let query = arguments.get(1)?;
        let state_of = |kind| weak.upgrade().map_or(PermissionState::Denied, |view| view.site.permissions.of(kind));
        Some(finish(query, state_of).into())
    });
    let weak = Rc::downgrade(view);
    view.web.connect_show_notification(move |_, notification| {
        if let Some(view) = weak.upgrade() {
            view.notifies(notification);
        }
        // The engine's own way would be the session bus, which the sandbox does not have.
        true
    });
    if let Some(context) = view.web.context() {
        let weak = Rc::downgrade(view);
        context.connect_initialize_notification_permissions(move |context| {
            if let Some(view) = weak.upgrade() {
                view.tell_engine_of_notifications(context);
            }
        });
    }
}

/// Answers a script's question about the state of a right. Returns whether it is answered.
#[expect(unsafe_code, reason = "the binding leaves these queries out")]
fn finish(query: &glib::Value, state_of: impl Fn(PermissionKind) -> PermissionState) -> bool {
    // SAFETY: the signal's argument is a boxed query, which lives as long as the signal is handled.
    let query: *mut WebKitPermissionStateQuery =
        unsafe { glib::gobject_ffi::g_value_get_boxed(query.to_glib_none().0) }.cast();
    if query.is_null() {
        return false;
    }
    // SAFETY: the query is valid, and its name is a string of the engine's that ends with a zero.
    let name = unsafe { CStr::from_ptr(webkit_permission_state_query_get_name(query)) };
    let state = match name.to_str().ok().and_then(named).map(state_of) {
        Some(PermissionState::Allowed) => WEBKIT_PERMISSION_STATE_GRANTED,
        Some(PermissionState::Ask) => WEBKIT_PERMISSION_STATE_PROMPT,
        Some(PermissionState::Denied | PermissionState::Unavailable | PermissionState::Unspecified) | None => {
            WEBKIT_PERMISSION_STATE_DENIED
        }
    };
    // SAFETY: the query is valid, and is finished once.
    unsafe { webkit_permission_state_query_finish(query, state) };
    true
}

/// Returns the rights of an engine's request, and the embedded site that asks; no rights for a request that Regen does not know.
fn kinds_of(request: &EngineRequest) -> (Vec<PermissionKind>, String) {
    let is = |kind: PermissionKind| (vec![kind], String::new());
    if request.is::<GeolocationPermissionRequest>() {
        return is(PermissionKind::Location);
    }
    if request.is::<NotificationPermissionRequest>() {
        return is(PermissionKind::Notifications);
    }
    if request.is::<PointerLockPermissionRequest>() {
        return is(PermissionKind::PointerLock);
    }
    if request.is::<DeviceInfoPermissionRequest>() {
        return is(PermissionKind::Microphone);
    }
    if let Some(media) = request.downcast_ref::<UserMediaPermissionRequest>() {
        let (sound, picture) = (media.is_for_audio_device(), media.is_for_video_device());
        let wanted = [(sound, PermissionKind::Microphone), (picture, PermissionKind::Camera)];
        return (wanted.into_iter().filter(|(is, _)| *is).map(|(_, kind)| kind).collect(), String::new());
    }
    if let Some(access) = request.downcast_ref::<WebsiteDataAccessPermissionRequest>() {
        let asker = access.requesting_domain().map(String::from).unwrap_or_default();
        return (vec![PermissionKind::StorageAccess], asker);
    }
    if request.type_().name() == CLIPBOARD {
        return is(PermissionKind::Clipboard);
    }
    (Vec::new(), String::new())
}

impl View {
    fn asks(&self, request: &EngineRequest) {
        let (kinds, asker) = kinds_of(request);
        let state_of = |kind: &PermissionKind| self.site.permissions.of(*kind);
        // The broker would refuse these as well; of two rights at once, the first is asked for.
        let is_refused = kinds.iter().map(state_of).any(|state| {
            matches!(state, PermissionState::Denied | PermissionState::Unavailable | PermissionState::Unspecified)
        });
        let open = kinds.iter().find(|kind| state_of(kind) == PermissionState::Ask);
        if is_refused || kinds.is_empty() || self.requests.waiting.borrow().len() >= MAX_WAITING {
            return request.deny();
        }
        let Some(kind) = open else { return request.allow() };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.requests.waiting.borrow_mut().insert(number, request.clone());
        let asked = PermissionRequest { request: number, kind: (*kind).into(), asker };
        self.tell(Body::Permission(asked));
    }

    pub(super) fn permission_answered(&self, answer: PermissionAnswer) {
        let Some(request) = self.requests.waiting.borrow_mut().remove(&answer.request) else { return };
        if answer.allowed { request.allow() } else { request.deny() }
    }

    /// Refuses what the page that is left waits for, and forgets its notifications.
    pub(super) fn forget_requests(&self) {
        self.requests.waiting.take().into_values().for_each(|request| request.deny());
        self.requests.shown.take();
    }

    fn notifies(&self, notification: &Notification) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut shown = self.requests.shown.borrow_mut();
        if shown.len() >= MAX_SHOWN {
            shown.remove(0);
        }
        shown.push((number, notification.clone()));
        drop(shown);
        let text =
            |text: Option<glib::GString>| text.map(|text| text.chars().take(MAX_TEXT).collect()).unwrap_or_default();
        let (title, body) = (text(notification.title()), text(notification.body()));
        self.tell(Body::Notification(WireNotification { notification: number, title, body }));
    }

    pub(super) fn notification_clicked(&self, number: u64) {
        let shown = self.requests.shown.borrow();
        if let Some((_, notification)) = shown.iter().find(|(its, _)| *its == number) {
            notification.clicked();
        }
    }

    /// Tells the engine, which keeps a table of its own, whether the page may show notifications.
    fn tell_engine_of_notifications(&self, context: &impl IsA<webkit2gtk::WebContext>) {
        let Some(origin) = security_origin(&self.loader.committed.borrow()) else { return };
        match self.site.permissions.of(PermissionKind::Notifications) {
            PermissionState::Allowed => context.initialize_notification_permissions(&[&origin], &[]),
            PermissionState::Ask => {}
            PermissionState::Denied | PermissionState::Unavailable | PermissionState::Unspecified => {
                context.initialize_notification_permissions(&[], &[&origin]);
            }
        }
    }

    /// Lets a page play sound by itself, where its user allowed that. Returns whether the navigation is decided.
    pub(super) fn allow_autoplay(&self, decision: &NavigationPolicyDecision) -> bool {
        let is_allowed = self.site.permissions.of(PermissionKind::Autoplay) == PermissionState::Allowed;
        if is_allowed {
            decision.use_with_policies(&WebsitePolicies::builder().autoplay(AutoplayPolicy::Allow).build());
        }
        is_allowed
    }
}
