//! Reports of a host about its pages; loads, dialogs and snapshots in both directions.

use regen_net_config::settings::permissions::PermissionKind;
use regen_proto::kernel::v1::page_event::Body;
use regen_proto::kernel::v1::{
    Dialog as WireDialog, DialogAnswer as WireAnswer, DialogKind as WireKind, Download, DownloadState,
    Favicon as WireFavicon, Load as WireLoad, Snapshot, TlsState as WireTls,
};
use regen_session::{
    Committed, Dialog, DialogAnswer, DialogKind, Favicon, Form, Load, LoadFailed, Method, NewTab, Origin, PageEvent,
    PopupOpened, SavedSnapshot, TlsState,
};

use super::permissions;
use crate::permissions::Notice;
use crate::window::downloads::{Offer, Report, Source};

/// Report of a host about one of its pages.
#[derive(Debug, Clone, PartialEq)]
pub enum PageReport {
    /// Event for the session.
    Session(PageEvent),
    /// A navigation to another site, whose form is in a descriptor that comes along.
    HandoverWithForm {
        /// The navigation, without its form.
        load: Load,
        /// Media type of the form.
        content_type: String,
        /// Size of the form, in bytes.
        size: u64,
    },
    /// Report on a download, by the host's number.
    Download(u64, Report),
    /// The page wants files.
    FileChooser {
        /// Number that the host gave it.
        request: u64,
        /// Several files may be chosen.
        multiple: bool,
    },
    /// Number of matches of a search in the page.
    FindResult { matches: u32, position: u32 },
    /// The page wants another program to open an address.
    Outside(String),
    /// The page asks for a right.
    Permission {
        /// Number that the host gave it.
        request: u64,
        /// The right.
        kind: PermissionKind,
        /// Embedded site that asks; empty: the page itself.
        asker: String,
    },
    /// The page notifies its user.
    Notification {
        /// Number that the host gave it.
        number: u64,
        /// Text.
        notice: Notice,
    },
}

/// Returns a host's report on a page; `None` for one that says nothing.
pub fn report(body: Body) -> Option<PageReport> {
    let event = match body {
        Body::LoadStarted(_) => PageEvent::LoadStarted,
        Body::Committed(committed) => {
            let tls = match committed.tls() {
                WireTls::Unspecified => None,
                WireTls::None => Some(TlsState::None),
                WireTls::Valid => Some(TlsState::Valid),
                WireTls::Broken => Some(TlsState::Broken),
            };
            PageEvent::Committed(Committed {
                tls,
                url: committed.url,
                can_go_back: committed.can_go_back,
                can_go_forward: committed.can_go_forward,
                same_document: committed.same_document,
                transport_security: non_empty(committed.transport_security),
            })
        }
        Body::LoadFinished(_) => PageEvent::LoadFinished,
        Body::LoadFailed(failed) => {
            PageEvent::LoadFailed(LoadFailed { url: failed.url, reason: failed.reason, is_its_own: failed.is_its_own })
        }
        Body::LoadAbandoned(_) => PageEvent::LoadAbandoned,
        Body::Title(title) => PageEvent::Title(title),
        Body::Favicon(WireFavicon { width, height, rgba }) => PageEvent::Favicon(Favicon { width, height, rgba }),
        Body::Progress(progress) => PageEvent::Progress(progress),
        Body::Unresponsive(unresponsive) => PageEvent::Unresponsive(unresponsive),
        Body::FullScreen(full_screen) => PageEvent::FullScreen(full_screen),
        Body::Blocked(blocked) => PageEvent::Blocked(blocked),
        Body::Audible(audible) => PageEvent::Audible(audible),
        Body::Handover(wanted) if wanted.body_size > 0 => {
            let (content_type, size) = (wanted.content_type.clone(), wanted.body_size);
            return Some(PageReport::HandoverWithForm { load: load(wanted), content_type, size });
        }
        Body::Handover(wanted) => PageEvent::Handover(load(wanted)),
        Body::NewTab(wanted) => PageEvent::NewTab(NewTab {
            load: load(wanted.load?),
            background: wanted.background,
            user_gesture: wanted.user_gesture,
        }),
        Body::PopupOpened(popup) => {
            PageEvent::PopupOpened(PopupOpened { token: popup.token, url: popup.url, user_gesture: popup.user_gesture })
        }
        Body::CloseRequested(_) => PageEvent::CloseRequested,
        Body::Dialog(shown) => PageEvent::Dialog(dialog(shown)),
        Body::FileChooser(asked) => {
            return Some(PageReport::FileChooser { request: asked.request, multiple: asked.multiple });
        }
        Body::FindResult(result) => {
            return Some(PageReport::FindResult { matches: result.matches, position: result.position });
        }
        Body::Outside(url) => return Some(PageReport::Outside(url)),
        Body::Permission(asked) => {
            let kind = permissions::kind(asked.kind())?;
            return Some(PageReport::Permission { request: asked.request, kind, asker: asked.asker });
        }
        Body::Notification(shown) => {
            let (number, notice) = permissions::notification(shown);
            return Some(PageReport::Notification { number, notice });
        }
        Body::Download(news) => return Some(PageReport::Download(news.download, download(news)?)),
    };
    Some(PageReport::Session(event))
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn load(wire: WireLoad) -> Load {
    let WireLoad {
        url,
        method,
        body,
        content_type,
        referrer,
        initiator,
        user_gesture,
        body_size: _,
        redirected,
        continues,
    } = wire;
    let method = match method.as_str() {
        "" | "GET" => Method::Get,
        "POST" => Method::Post((!body.is_empty()).then_some(Form { body, content_type })),
        _ => Method::Other(method),
    };
    let (referrer, initiator) = (non_empty(referrer), Origin::new(initiator));
    Load { url, method, referrer, initiator, user_gesture, redirected, continues }
}

/// Returns the message for a load.
pub(super) fn wire_load(load: Load) -> WireLoad {
    let Load { url, method, referrer, initiator, user_gesture, redirected, continues } = load;
    let (method, form) = match method {
        Method::Get => (String::new(), None),
        Method::Post(form) => ("POST".to_owned(), form),
        Method::Other(method) => (method, None),
    };
    let (body, content_type) = form.map(|form| (form.body, form.content_type)).unwrap_or_default();
    WireLoad {
        url,
        method,
        body,
        content_type,
        referrer: referrer.unwrap_or_default(),
        initiator: initiator.map(|initiator| initiator.as_str().to_owned()).unwrap_or_default(),
        user_gesture,
        body_size: 0,
        redirected,
        continues,
    }
}

/// Returns a host's dialog; `None` if there is no dialog any more.
fn dialog(shown: WireDialog) -> Option<Dialog> {
    let kind = match shown.kind() {
        WireKind::Alert => DialogKind::Alert,
        WireKind::Confirm => DialogKind::Confirm,
        WireKind::Prompt => DialogKind::Prompt,
        WireKind::Leave => DialogKind::Leave,
        WireKind::SignIn => DialogKind::SignIn,
        WireKind::Unspecified => return None,
    };
    let WireDialog { dialog, text, preset, server, again, .. } = shown;
    (dialog != 0).then_some(Dialog { number: dialog, kind, text, preset, server, again })
}

/// Returns the message for a dialog.
pub(super) fn wire_dialog(dialog: &Dialog) -> WireDialog {
    let kind = match dialog.kind {
        DialogKind::Alert => WireKind::Alert,
        DialogKind::Confirm => WireKind::Confirm,
        DialogKind::Prompt => WireKind::Prompt,
        DialogKind::Leave => WireKind::Leave,
        DialogKind::SignIn => WireKind::SignIn,
    };
    let Dialog { number, text, preset, server, again, .. } = dialog.clone();
    WireDialog { dialog: number, kind: kind.into(), text, preset, server, again }
}

/// Returns the user's answer to a dialog.
pub(super) fn dialog_answer(answer: WireAnswer) -> DialogAnswer {
    let WireAnswer { dialog, accept, text, password, stop } = answer;
    DialogAnswer { number: dialog, accept, text, password, stop }
}

/// Returns the message for the answer to a dialog.
pub(super) fn wire_answer(answer: DialogAnswer) -> WireAnswer {
    let DialogAnswer { number, accept, text, password, stop } = answer;
    WireAnswer { dialog: number, accept, text, password, stop }
}

/// Returns a host's snapshot. The broker knows its address, not the host.
#[must_use]
pub fn snapshot(wire: Snapshot) -> SavedSnapshot {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    SavedSnapshot {
        url: String::new(),
        session_state: wire.session_state,
        scroll_x: finite(wire.scroll_x),
        scroll_y: finite(wire.scroll_y),
        form: wire.form,
    }
}

/// Returns a snapshot that a host put into memory.
///
/// # Errors
/// When the bytes are no snapshot.
pub fn snapshot_in(bytes: &[u8]) -> Result<SavedSnapshot, prost::DecodeError> {
    <Snapshot as prost::Message>::decode(bytes).map(snapshot)
}

/// Returns the message for a snapshot.
pub(super) fn wire_snapshot(snapshot: SavedSnapshot, zoom: f64) -> Snapshot {
    let SavedSnapshot { url: _, session_state, scroll_x, scroll_y, form } = snapshot;
    Snapshot { session_state, scroll_x, scroll_y, form, zoom }
}

/// Returns the message for the encryption of a page.
pub(super) fn wire_tls(tls: Option<TlsState>) -> WireTls {
    match tls {
        None => WireTls::Unspecified,
        Some(TlsState::None) => WireTls::None,
        Some(TlsState::Valid) => WireTls::Valid,
        Some(TlsState::Broken) => WireTls::Broken,
    }
}

/// Returns a host's report on a download; `None` for a state that no host reports.
fn download(news: Download) -> Option<Report> {
    let state = news.state();
    let Download { url, suggested_name, received, total, error, can_go_on, validator, referrer, changed, .. } = news;
    Some(match state {
        DownloadState::Wanted => {
            let source = can_go_on.then_some(Source { referrer, validator });
            Report::Wanted(Offer { url, name: suggested_name, total, source })
        }
        DownloadState::Running => Report::Received { received, total },
        DownloadState::Done => Report::Done { received },
        DownloadState::Failed | DownloadState::Cancelled => Report::Failed { error, try_again: can_go_on, changed },
        DownloadState::Queued | DownloadState::Paused | DownloadState::Interrupted | DownloadState::Unspecified => {
            return None;
        }
    })
}
