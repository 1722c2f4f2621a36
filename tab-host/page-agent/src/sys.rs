//! Handwritten bindings of the few functions that are needed of WebKitGTK's web process extension API (4.1): no
//! maintained binding exists. The web process that loads this library provides the symbols; nothing is linked.

#![expect(unsafe_code, reason = "a C interface")]
#![expect(non_camel_case_types, reason = "the library's own names")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulong, c_void};

macro_rules! opaque {
    ($($name:ident),*) => { $( #[repr(C)] #[derive(Debug)] pub(crate) struct $name { _private: [u8; 0] } )* };
}
opaque!(
    WebKitWebExtension,
    WebKitWebPage,
    WebKitURIRequest,
    WebKitURIResponse,
    WebKitUserMessage,
    GVariant,
    SoupMessageHeaders,
    WebKitFrame,
    WebKitScriptWorld,
    JSCContext,
    JSCValue
);

type gpointer = *mut c_void;
type GCallback = unsafe extern "C" fn();
pub(crate) type gboolean = c_int;

unsafe extern "C" {
    fn g_signal_connect_data(
        instance: gpointer,
        signal: *const c_char,
        handler: GCallback,
        data: gpointer,
        destroy: Option<unsafe extern "C" fn(gpointer, gpointer)>,
        flags: c_uint,
    ) -> c_ulong;
    fn g_variant_new_string(text: *const c_char) -> *mut GVariant;
    fn g_variant_new_tuple(children: *const *mut GVariant, count: usize) -> *mut GVariant;
    fn g_variant_get_string(value: *mut GVariant, length: *mut usize) -> *const c_char;
    fn g_variant_get_child_value(value: *mut GVariant, index: usize) -> *mut GVariant;
    fn g_variant_n_children(value: *mut GVariant) -> usize;
    fn g_variant_unref(value: *mut GVariant);
    fn webkit_web_page_get_id(page: *mut WebKitWebPage) -> u64;
    fn webkit_web_page_get_main_frame(page: *mut WebKitWebPage) -> *mut WebKitFrame;
    fn webkit_frame_get_js_context(frame: *mut WebKitFrame) -> *mut JSCContext;
    fn webkit_frame_get_js_context_for_script_world(
        frame: *mut WebKitFrame,
        world: *mut WebKitScriptWorld,
    ) -> *mut JSCContext;
    fn webkit_frame_get_uri(frame: *mut WebKitFrame) -> *const c_char;
    fn webkit_frame_is_main_frame(frame: *mut WebKitFrame) -> gboolean;
    fn webkit_script_world_get_default() -> *mut WebKitScriptWorld;
    fn webkit_script_world_new_with_name(name: *const c_char) -> *mut WebKitScriptWorld;
    fn jsc_context_evaluate(context: *mut JSCContext, code: *const c_char, length: isize) -> *mut JSCValue;
    fn jsc_context_set_value(context: *mut JSCContext, name: *const c_char, value: *mut JSCValue);
    fn jsc_value_new_function(
        context: *mut JSCContext,
        name: *const c_char,
        callback: GCallback,
        data: gpointer,
        destroy: Option<unsafe extern "C" fn(gpointer)>,
        return_type: usize,
        parameters: c_uint,
        ...
    ) -> *mut JSCValue;
    fn g_object_ref(object: gpointer) -> gpointer;
    fn jsc_value_to_boolean(value: *mut JSCValue) -> gboolean;
    fn g_object_unref(object: gpointer);
    fn webkit_web_page_get_uri(page: *mut WebKitWebPage) -> *const c_char;
    fn webkit_web_page_send_message_to_view(
        page: *mut WebKitWebPage,
        message: *mut WebKitUserMessage,
        cancellable: gpointer,
        callback: gpointer,
        data: gpointer,
    );
    fn webkit_uri_request_set_uri(request: *mut WebKitURIRequest, uri: *const c_char);
    fn webkit_uri_request_get_uri(request: *mut WebKitURIRequest) -> *const c_char;
    fn webkit_uri_response_get_uri(response: *mut WebKitURIResponse) -> *const c_char;
    fn webkit_uri_request_get_http_method(request: *mut WebKitURIRequest) -> *const c_char;
    fn webkit_uri_request_get_http_headers(request: *mut WebKitURIRequest) -> *mut SoupMessageHeaders;
    fn webkit_user_message_new(name: *const c_char, parameters: *mut GVariant) -> *mut WebKitUserMessage;
    fn webkit_user_message_get_name(message: *mut WebKitUserMessage) -> *const c_char;
    fn webkit_user_message_get_parameters(message: *mut WebKitUserMessage) -> *mut GVariant;
    fn soup_message_headers_get_one(headers: *mut SoupMessageHeaders, name: *const c_char) -> *const c_char;
    fn soup_message_headers_replace(headers: *mut SoupMessageHeaders, name: *const c_char, value: *const c_char);
    fn soup_message_headers_remove(headers: *mut SoupMessageHeaders, name: *const c_char);
}

/// Copies a borrowed C string; empty if the pointer is null.
fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the library returns null or a C string that is valid until its owner changes. The owner does not change
    // during its signal handler, and the string is copied here.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// A page of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page(*mut WebKitWebPage);

/// A request, before it is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request(*mut WebKitURIRequest);

/// Signal handlers of a page.
pub(crate) struct Handlers {
    pub(crate) send_request:
        unsafe extern "C" fn(*mut WebKitWebPage, *mut WebKitURIRequest, *mut WebKitURIResponse, gpointer) -> gboolean,
    pub(crate) message: unsafe extern "C" fn(*mut WebKitWebPage, *mut WebKitUserMessage, gpointer) -> gboolean,
}

/// Signal handler that is called when a document begins.
pub(crate) type DocumentBegins =
    unsafe extern "C" fn(*mut WebKitScriptWorld, *mut WebKitWebPage, *mut WebKitFrame, gpointer);

/// A function for scripts that takes a text. The second argument is the frame that it was given to.
pub(crate) type Function = unsafe extern "C" fn(*const c_char, gpointer) -> gboolean;

/// Reads the arguments of a [`Function`].
///
/// # Safety
/// Both must be the arguments that the engine passed to the function.
pub(crate) unsafe fn given(argument: *const c_char, frame: gpointer) -> (String, Document) {
    (text(argument), Document(frame.cast()))
}

/// Calls `created` for every page that this process makes.
pub(crate) fn on_page_created(
    extension: *mut WebKitWebExtension,
    created: unsafe extern "C" fn(*mut WebKitWebExtension, *mut WebKitWebPage, gpointer),
) {
    // SAFETY: GObject calls a handler with the signal's own arguments, which `created` takes; the cast only hides them.
    unsafe {
        let handler = std::mem::transmute::<
            unsafe extern "C" fn(*mut WebKitWebExtension, *mut WebKitWebPage, gpointer),
            GCallback,
        >(created);
        g_signal_connect_data(extension.cast(), c"page-created".as_ptr(), handler, std::ptr::null_mut(), None, 0);
    }
}

/// Connects the handlers of one page.
pub(crate) fn on_page(page: *mut WebKitWebPage, handlers: &Handlers) {
    // SAFETY: as in `on_page_created`; the signatures are those of `send-request` and `user-message-received`.
    unsafe {
        let send = std::mem::transmute::<
            unsafe extern "C" fn(
                *mut WebKitWebPage,
                *mut WebKitURIRequest,
                *mut WebKitURIResponse,
                gpointer,
            ) -> gboolean,
            GCallback,
        >(handlers.send_request);
        let message = std::mem::transmute::<
            unsafe extern "C" fn(*mut WebKitWebPage, *mut WebKitUserMessage, gpointer) -> gboolean,
            GCallback,
        >(handlers.message);
        g_signal_connect_data(page.cast(), c"send-request".as_ptr(), send, std::ptr::null_mut(), None, 0);
        g_signal_connect_data(page.cast(), c"user-message-received".as_ptr(), message, std::ptr::null_mut(), None, 0);
    }
}

/// Calls `begins` for every document of this process, before its scripts run.
pub(crate) fn on_document(begins: DocumentBegins) {
    // SAFETY: as in `on_page_created`; the default world lives as long as the process.
    unsafe {
        let handler = std::mem::transmute::<DocumentBegins, GCallback>(begins);
        let world = webkit_script_world_get_default().cast();
        g_signal_connect_data(world, c"window-object-cleared".as_ptr(), handler, std::ptr::null_mut(), None, 0);
    }
}

/// The tab-host's own script world, which pages cannot reach.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World(*mut WebKitScriptWorld);

impl World {
    /// Creates the world. Must be called before the tab-host gives the engine this name, so that they share it.
    pub(crate) fn named(name: &str) -> Self {
        let name = c_string(name);
        // SAFETY: the name is copied; the world is never released.
        Self(unsafe { webkit_script_world_new_with_name(name.as_ptr()) })
    }
}

/// Document of a frame, while the frame is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document(*mut WebKitFrame);

impl Document {
    pub(crate) fn new(frame: *mut WebKitFrame) -> Self {
        Self(frame)
    }

    pub(crate) fn uri(self) -> String {
        // SAFETY: the frame is alive while the signal handler that got it runs.
        text(unsafe { webkit_frame_get_uri(self.0) })
    }

    pub(crate) fn is_main_frame(self) -> bool {
        // SAFETY: as in `uri`.
        unsafe { webkit_frame_is_main_frame(self.0) != 0 }
    }

    /// Gives the scripts of a world in this document a function that takes one text and returns a boolean.
    pub(crate) fn give(self, name: &str, function: Function, world: World) {
        const G_TYPE_BOOLEAN: usize = 5 << 2;
        const G_TYPE_STRING: usize = 16 << 2;
        let name = c_string(name);
        // SAFETY: as in `uri`; the callback has the signature that the given types state, and the function holds a
        // reference to the frame until the engine drops it.
        unsafe {
            let context = webkit_frame_get_js_context_for_script_world(self.0, world.0);
            let callback = std::mem::transmute::<Function, GCallback>(function);
            let (data, types) = (g_object_ref(self.0.cast()), G_TYPE_STRING);
            let destroy: Option<unsafe extern "C" fn(gpointer)> = Some(g_object_unref);
            let value =
                jsc_value_new_function(context, name.as_ptr(), callback, data, destroy, G_TYPE_BOOLEAN, 1_u32, types);
            jsc_context_set_value(context, name.as_ptr(), value);
            g_object_unref(value.cast());
            g_object_unref(context.cast());
        }
    }

    /// Runs a script in the page's own world, or in another.
    pub(crate) fn run(self, script: &str, world: Option<World>) {
        let script = c_string(script);
        // SAFETY: as in `uri`; the context and the value are ours to release.
        unsafe {
            let context = match world {
                Some(world) => webkit_frame_get_js_context_for_script_world(self.0, world.0),
                None => webkit_frame_get_js_context(self.0),
            };
            g_object_unref(jsc_context_evaluate(context, script.as_ptr(), -1).cast());
            g_object_unref(context.cast());
        }
    }
}

impl Page {
    pub(crate) fn new(page: *mut WebKitWebPage) -> Self {
        Self(page)
    }

    pub(crate) fn id(self) -> u64 {
        // SAFETY: the page is alive while one of its signal handlers runs, and only those create a `Page`.
        unsafe { webkit_web_page_get_id(self.0) }
    }

    /// Returns whether the document that is shown can reach the window that opened it.
    pub(crate) fn has_opener(self) -> bool {
        // SAFETY: as in `id`; a page has a main frame, and the context and the value are ours to release.
        unsafe {
            let context = webkit_frame_get_js_context(webkit_web_page_get_main_frame(self.0));
            let value = jsc_context_evaluate(context, c"window.opener !== null".as_ptr(), -1);
            let has_opener = jsc_value_to_boolean(value) != 0;
            g_object_unref(value.cast());
            g_object_unref(context.cast());
            has_opener
        }
    }

    pub(crate) fn uri(self) -> String {
        // SAFETY: as in `id`.
        text(unsafe { webkit_web_page_get_uri(self.0) })
    }

    pub(crate) fn main_document(self) -> Document {
        // SAFETY: as in `id`; a page has a main frame.
        Document(unsafe { webkit_web_page_get_main_frame(self.0) })
    }

    /// Sends the tab-host a message.
    pub(crate) fn send(self, name: &str, words: &[&str]) {
        let name = c_string(name);
        let words: Vec<CString> = words.iter().map(|word| c_string(word)).collect();
        // SAFETY: the floating variants are taken over by the tuple, the tuple by the message, the message by the call.
        unsafe {
            let children: Vec<*mut GVariant> = words.iter().map(|word| g_variant_new_string(word.as_ptr())).collect();
            let tuple = g_variant_new_tuple(children.as_ptr(), children.len());
            let message = webkit_user_message_new(name.as_ptr(), tuple);
            let none = std::ptr::null_mut();
            webkit_web_page_send_message_to_view(self.0, message, none, none, none);
        }
    }
}

impl Request {
    pub(crate) fn new(request: *mut WebKitURIRequest) -> Self {
        Self(request)
    }

    pub(crate) fn uri(self) -> String {
        // SAFETY: the request is alive while the signal handler that got it runs.
        text(unsafe { webkit_uri_request_get_uri(self.0) })
    }

    pub(crate) fn set_uri(self, uri: &str) {
        let uri = c_string(uri);
        // SAFETY: as in `uri`; the text is copied.
        unsafe { webkit_uri_request_set_uri(self.0, uri.as_ptr()) };
    }

    pub(crate) fn method(self) -> String {
        // SAFETY: as in `uri`.
        text(unsafe { webkit_uri_request_get_http_method(self.0) })
    }

    pub(crate) fn header(self, name: &str) -> String {
        let name = c_string(name);
        // SAFETY: as in `uri`; the headers belong to the request, and are null for schemes without them.
        unsafe {
            let headers = webkit_uri_request_get_http_headers(self.0);
            if headers.is_null() { String::new() } else { text(soup_message_headers_get_one(headers, name.as_ptr())) }
        }
    }

    /// Sets a header, or removes it if `value` is empty.
    pub(crate) fn set_header(self, name: &str, value: &str) {
        let (name, text) = (c_string(name), c_string(value));
        // SAFETY: as in `header`.
        unsafe {
            let headers = webkit_uri_request_get_http_headers(self.0);
            if headers.is_null() {
                return;
            }
            if value.is_empty() {
                soup_message_headers_remove(headers, name.as_ptr());
            } else {
                soup_message_headers_replace(headers, name.as_ptr(), text.as_ptr());
            }
        }
    }
}

/// Returns the URL of a response; `None` if the pointer is null.
pub(crate) fn response_uri(response: *mut WebKitURIResponse) -> Option<String> {
    if response.is_null() {
        return None;
    }
    // SAFETY: the response is alive while the signal handler that got it runs.
    Some(text(unsafe { webkit_uri_response_get_uri(response) }))
}

/// Returns the name and the words of a message.
pub(crate) fn read_message(message: *mut WebKitUserMessage) -> (String, Vec<String>) {
    // SAFETY: the message is alive while the signal handler that got it runs; children are released after copying. The
    // tab-host sends only tuples of strings under these names.
    unsafe {
        let name = text(webkit_user_message_get_name(message));
        let parameters = webkit_user_message_get_parameters(message);
        (name, words(parameters))
    }
}

/// Returns the words of a tuple of strings; none if the pointer is null.
///
/// # Safety
/// `tuple` must be null or a tuple of strings.
pub(crate) unsafe fn words(tuple: *mut GVariant) -> Vec<String> {
    if tuple.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller guarantees a tuple of strings, and null was handled above.
    unsafe {
        (0..g_variant_n_children(tuple))
            .map(|index| {
                let child = g_variant_get_child_value(tuple, index);
                let word = text(g_variant_get_string(child, std::ptr::null_mut()));
                g_variant_unref(child);
                word
            })
            .collect()
    }
}
