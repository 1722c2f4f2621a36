//! Dialogs of pages, and authentication requests of servers. The broker shows them, and the page waits for the answer.
//! None is drawn here, where a page could imitate it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use gtk::glib::translate::{ToGlibPtr, ToGlibPtrMut};
use regen_proto::kernel::v1::{Dialog, DialogAnswer, DialogKind, page_event::Body};
use regen_proto::validate::MAX_DIALOG;
use webkit2gtk::{
    AuthenticationRequest, AuthenticationRequestExt, Credential, CredentialPersistence, ScriptDialog, ScriptDialogType,
    WebViewExt,
};

use super::View;

/// Maximum length of a server's name that is reported, in bytes.
const MAX_SERVER: usize = 300;

/// Time in which a document shows no more dialogs after an action of the user has dismissed one.
const SILENCE: Duration = Duration::from_secs(2);

/// Dialogs and authentication requests of a view. One is shown at a time; the others wait.
#[derive(Default)]
pub(super) struct Dialogs {
    open: RefCell<VecDeque<Open>>,
    /// Number of the last dialog; never reused.
    last: Cell<u64>,
    /// Set once the document has shown a dialog.
    has_shown: Cell<bool>,
    /// Set once the user has stopped the document's dialogs.
    is_stopped: Cell<bool>,
    /// End of [`SILENCE`], which ends a series of dialogs.
    silent_until: Cell<Option<Instant>>,
}

struct Open {
    told: Dialog,
    asker: DialogSource,
    /// Set if the page objects to being closed: it is closed if the user overrules it.
    is_about_closing: bool,
}

enum DialogSource {
    Script(ScriptDialog),
    Server(AuthenticationRequest),
}

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_script_dialog(move |_, dialog| weak.upgrade().is_some_and(|view| view.script_asks(dialog)));
    let weak = Rc::downgrade(view);
    view.web.connect_authenticate(move |_, request| weak.upgrade().is_some_and(|view| view.server_asks(request)));
}

impl View {
    fn script_asks(self: &Rc<Self>, dialog: &ScriptDialog) -> bool {
        let kind = match dialog.dialog_type() {
            ScriptDialogType::Alert => DialogKind::Alert,
            ScriptDialogType::Confirm => DialogKind::Confirm,
            ScriptDialogType::Prompt => DialogKind::Prompt,
            ScriptDialogType::BeforeUnloadConfirm => DialogKind::Leave,
            _ => return false,
        };
        let is_leave = kind == DialogKind::Leave;
        let is_silent = self.dialogs.silent_until.get().is_some_and(|end| Instant::now() < end);
        if self.closing.is_destroyed.get() || ((self.dialogs.is_stopped.get() || is_silent) && !is_leave) {
            // Answer as if the user had pressed Cancel, or had agreed to leave a page of a destroyed view. The engine
            // needs the dialog until this handler has returned.
            let (dialog, agrees) = (dialog.clone(), self.closing.is_destroyed.get() && is_leave);
            glib::idle_add_local_once(move || {
                dialog.confirm(agrees);
                dialog.close();
            });
            return true;
        }
        let is_about_closing = is_leave && self.closing.question.replace(0) != 0;
        let preset = if kind == DialogKind::Prompt { dialog.prompt_get_default_text() } else { None };
        let told = Dialog {
            kind: kind.into(),
            text: cut(&dialog.message().unwrap_or_default(), MAX_DIALOG),
            preset: cut(&preset.unwrap_or_default(), MAX_DIALOG),
            again: self.dialogs.has_shown.get(),
            ..Dialog::default()
        };
        self.dialogs.has_shown.set(true);
        self.open_dialog(told, DialogSource::Script(dialog.clone()), is_about_closing);
        true
    }

    fn server_asks(self: &Rc<Self>, request: &AuthenticationRequest) -> bool {
        use webkit2gtk::AuthenticationScheme::{
            ClientCertificatePinRequested, ClientCertificateRequested, ServerTrustEvaluationRequested,
        };
        if matches!(
            request.scheme(),
            ClientCertificatePinRequested | ClientCertificateRequested | ServerTrustEvaluationRequested
        ) {
            return false;
        }
        let server = format!("{}:{}", request.host().unwrap_or_default(), request.port());
        let told = Dialog {
            kind: DialogKind::SignIn.into(),
            text: cut(&request.realm().unwrap_or_default(), MAX_DIALOG),
            server: cut(&server, MAX_SERVER),
            again: request.is_retry(),
            ..Dialog::default()
        };
        let number = self.open_dialog(told, DialogSource::Server(request.clone()), false);
        let weak = Rc::downgrade(self);
        // Emitted when the load that asked is cancelled.
        request.connect_cancelled(move |_| {
            if let Some(view) = weak.upgrade() {
                view.close_dialog(number);
            }
        });
        true
    }

    fn open_dialog(&self, mut told: Dialog, asker: DialogSource, is_about_closing: bool) -> u64 {
        let number = self.dialogs.last.get() + 1;
        self.dialogs.last.set(number);
        told.dialog = number;
        self.dialogs.open.borrow_mut().push_back(Open { told, asker, is_about_closing });
        self.tell_dialog();
        number
    }

    /// Reports the dialog that is to be answered next, or that there is none.
    pub(super) fn tell_dialog(&self) {
        let told = self.dialogs.open.borrow().front().map(|open| open.told.clone()).unwrap_or_default();
        self.tell(Body::Dialog(told));
    }

    /// Returns whether the page waits for an answer. It is then not reported as unresponsive.
    pub(super) fn waits_for_answer(&self) -> bool {
        !self.dialogs.open.borrow().is_empty()
    }

    fn close_dialog(&self, number: u64) -> Option<Open> {
        let mut open = self.dialogs.open.borrow_mut();
        let at = open.iter().position(|one| one.told.dialog == number)?;
        let closed = open.remove(at);
        drop(open);
        if at == 0 {
            self.tell_dialog();
        }
        closed
    }

    /// Answers a dialog. Returns whether the page is to be closed by that.
    pub(super) fn answer_dialog(&self, answer: &DialogAnswer) -> bool {
        let Some(open) = self.close_dialog(answer.dialog) else { return false };
        if answer.stop {
            self.dialogs.is_stopped.set(true);
        }
        match open.asker {
            DialogSource::Script(dialog) => {
                if open.told.kind() == DialogKind::Prompt && answer.accept {
                    dialog.prompt_set_text(&answer.text);
                }
                dialog.confirm(answer.accept);
                dialog.close();
            }
            DialogSource::Server(request) => {
                let persistence = CredentialPersistence::ForSession;
                let credential = answer.accept.then(|| Credential::new(&answer.text, &answer.password, persistence));
                authenticate(&request, credential);
            }
        }
        open.is_about_closing && answer.accept
    }

    /// Cancels all open dialogs, because the user does something else. Dialogs within [`SILENCE`] are not shown.
    pub(super) fn dismiss_dialogs(&self) {
        let open: Vec<u64> = self.dialogs.open.borrow().iter().map(|open| open.told.dialog).collect();
        if open.is_empty() {
            return;
        }
        self.dialogs.silent_until.set(Some(Instant::now() + SILENCE));
        for dialog in open {
            self.answer_dialog(&DialogAnswer { dialog, ..DialogAnswer::default() });
        }
    }

    /// Resets the state for another document.
    pub(super) fn forget_dialogs(&self) {
        self.dialogs.has_shown.set(false);
        self.dialogs.is_stopped.set(false);
        self.dialogs.silent_until.set(None);
    }
}

trait Confirm {
    fn confirm(&self, agrees: bool);
}

impl Confirm for ScriptDialog {
    /// Sets the answer of a dialog that can be answered with yes or no.
    fn confirm(&self, agrees: bool) {
        if matches!(self.dialog_type(), ScriptDialogType::Confirm | ScriptDialogType::BeforeUnloadConfirm) {
            self.confirm_set_confirmed(agrees);
        }
    }
}

/// Answers an authentication request. Without a credential, the server's refusal becomes the page.
#[expect(unsafe_code, reason = "the binding leaves this call out")]
fn authenticate(request: &AuthenticationRequest, mut credential: Option<Credential>) {
    let credential = credential.as_mut().map_or(std::ptr::null_mut(), |credential| credential.to_glib_none_mut().0);
    // SAFETY: both pointers are borrowed from live objects for the call. The credential is copied, and may be null.
    unsafe {
        webkit2gtk::ffi::webkit_authentication_request_authenticate(request.to_glib_none().0, credential);
    }
}

fn cut(text: &str, limit: usize) -> String {
    text.get(..text.floor_char_boundary(limit)).unwrap_or_default().to_owned()
}
