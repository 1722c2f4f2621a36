//! Decoding and checking of a child's messages.
//!
//! Everything that can be refused without knowing the session is refused here: unknown kinds, kinds that this role may
//! not send, strings and buffers over their limit, missing or surplus descriptors.

use prost::Message;

use crate::kernel::v1::{Dialog, DialogAnswer, Load, UserCommand, page_event, to_broker, user_command};
use crate::kernel::v1::{ToBroker, ToChild, to_child};
use crate::kernel_channel::{MAX_INLINE, MAX_MESSAGE};
use crate::role::Role;

/// Maximum length of a URL, in bytes. Other browsers have a similar limit.
pub const MAX_URL: usize = 32 * 1024;
const MAX_TITLE: usize = 4 * 1024;
/// Maximum length of a page's `Strict-Transport-Security` header, in bytes.
pub const MAX_HEADER: usize = 1024;
const MAX_TEXT: usize = 16 * 1024;
/// Maximum length of a dialog's text, in bytes.
pub const MAX_DIALOG: usize = 4 * 1024;
/// Maximum width and height of a favicon, in pixels.
const MAX_FAVICON_SIDE: u32 = 64;
/// Maximum size of a snapshot in a descriptor, in bytes.
pub const MAX_SNAPSHOT: u64 = 4 * 1024 * 1024;
/// Maximum size of a site's session cookies in the tab-host's format, in bytes.
pub const MAX_COOKIES: u64 = 1024 * 1024;
/// Maximum size of a form that is sent to another site, in encoded bytes: chosen files of 32 MiB in base64, and some
/// room.
pub const MAX_BODY: u64 = 48 * 1024 * 1024;

/// Body of a child's message, after all checks.
pub type ChildToBroker = to_broker::Body;
/// Body of a message of the broker.
pub type BrokerToChild = to_child::Body;

/// Reason that a child's message was refused. Any of these ends that child.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Data that is not a message of this schema.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// A field over its limit.
    #[error("{field} has size {got} (limit {limit})")]
    Oversized { field: &'static str, got: u64, limit: u64 },
    /// A kind that this role may not send.
    #[error("a {role} may not send {kind}")]
    NotAllowed { role: Role, kind: &'static str },
}

/// Kinds of messages, for permissions and rate limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Hello, Ready and Exit.
    Lifecycle,
    /// Heartbeats.
    Heartbeat,
    /// Page events.
    PageEvent,
    /// Snapshots and session cookies.
    Snapshot,
    /// Helper processes, with their descriptors.
    Descriptor,
    /// Replies to the broker's queries.
    Reply,
    /// Commands of the user from the window.
    UserCommand,
    /// Networks in which sites were found.
    Finding,
}

/// Returns the kind of a message.
#[must_use]
pub fn kind(message: &ChildToBroker) -> Kind {
    match message {
        ChildToBroker::Hello(_) | ChildToBroker::Ready(_) | ChildToBroker::Exit(_) => Kind::Lifecycle,
        ChildToBroker::Heartbeat(_) => Kind::Heartbeat,
        ChildToBroker::PageEvent(_) => Kind::PageEvent,
        ChildToBroker::PutSnapshot(_) | ChildToBroker::PutCookies(_) => Kind::Snapshot,
        ChildToBroker::Helper(_) => Kind::Descriptor,
        ChildToBroker::Reply(_) => Kind::Reply,
        ChildToBroker::UserCommand(_) => Kind::UserCommand,
        ChildToBroker::SiteFound(_) => Kind::Finding,
    }
}

/// Decodes and checks one datagram of a child.
///
/// # Errors
/// Returns the reason of the refusal.
pub fn from_child(role: Role, bytes: &[u8], descriptors: usize) -> Result<ChildToBroker, Refusal> {
    let message = ToBroker::decode(bytes).map_err(|e| Refusal::Malformed(e.to_string()))?;
    let body = message.body.ok_or_else(|| Refusal::Malformed("an unknown or empty kind".into()))?;
    permitted(role, &body)?;
    well_formed(&body, descriptors)?;
    Ok(body)
}

/// Encodes one message for the broker.
#[must_use]
pub fn to_broker(body: ChildToBroker) -> Vec<u8> {
    ToBroker { body: Some(body) }.encode_to_vec()
}

/// Encodes one message for a child.
#[must_use]
pub fn to_child(body: BrokerToChild) -> Vec<u8> {
    ToChild { body: Some(body) }.encode_to_vec()
}

/// Decodes one datagram of the broker.
///
/// # Errors
/// Returns an error if it is not a message of this schema.
pub fn from_broker(bytes: &[u8]) -> Result<BrokerToChild, Refusal> {
    ToChild::decode(bytes)
        .map_err(|e| Refusal::Malformed(e.to_string()))?
        .body
        .ok_or_else(|| Refusal::Malformed("an unknown or empty kind".into()))
}

fn permitted(role: Role, body: &ChildToBroker) -> Result<(), Refusal> {
    let (kind, only) = match body {
        ChildToBroker::Hello(_) | ChildToBroker::Heartbeat(_) | ChildToBroker::Ready(_) | ChildToBroker::Exit(_) => {
            return Ok(());
        }
        ChildToBroker::PageEvent(_) => ("a page event", Role::TabHost),
        ChildToBroker::PutSnapshot(_) => ("a snapshot", Role::TabHost),
        ChildToBroker::PutCookies(_) => ("session cookies", Role::TabHost),
        ChildToBroker::Helper(_) => ("a helper process", Role::TabHost),
        ChildToBroker::Reply(_) => ("a reply", Role::TabHost),
        ChildToBroker::UserCommand(_) => ("a user command", Role::UiShell),
        ChildToBroker::SiteFound(_) => ("the network of a site", Role::NetDaemon),
    };
    if role == only { Ok(()) } else { Err(Refusal::NotAllowed { role, kind }) }
}

fn limit(field: &'static str, got: usize, limit: usize) -> Result<(), Refusal> {
    if got > limit { Err(Refusal::Oversized { field, got: got as u64, limit: limit as u64 }) } else { Ok(()) }
}

fn well_formed(body: &ChildToBroker, descriptors: usize) -> Result<(), Refusal> {
    let expected = match body {
        ChildToBroker::Helper(helper) => {
            limit("a helper's name", helper.name.len(), 64)?;
            1
        }
        ChildToBroker::Reply(reply) => {
            limit("a reply's text", reply.text.len(), MAX_INLINE)?;
            limit("a reply's error", reply.error.len(), MAX_TEXT)?;
            usize::from(reply.payload_size > 0)
        }
        ChildToBroker::PutSnapshot(put) => {
            if put.payload_size > MAX_SNAPSHOT {
                return Err(Refusal::Oversized { field: "a snapshot", got: put.payload_size, limit: MAX_SNAPSHOT });
            }
            if put.snapshot.is_some() == (put.payload_size > 0) {
                return Err(Refusal::Malformed("a snapshot must be inline or in a descriptor, not both".into()));
            }
            usize::from(put.payload_size > 0)
        }
        ChildToBroker::PutCookies(put) => {
            let (got, limit) = (put.payload_size, MAX_COOKIES);
            if got > limit {
                return Err(Refusal::Oversized { field: "session cookies", got, limit });
            }
            usize::from(got > 0)
        }
        ChildToBroker::PageEvent(event) => {
            page_event(event.body.as_ref().ok_or_else(|| Refusal::Malformed("an unknown page event".into()))?)?;
            let large = matches!(&event.body, Some(page_event::Body::Handover(load)) if load.body_size > 0);
            usize::from(large)
        }
        ChildToBroker::UserCommand(command) => {
            let body = command.body.as_ref().ok_or_else(|| Refusal::Malformed("an unknown user command".into()))?;
            user_command(body)?;
            0
        }
        ChildToBroker::Exit(exit) => {
            limit("an exit reason", exit.reason.len(), MAX_TEXT)?;
            0
        }
        ChildToBroker::Hello(hello) => {
            limit("a build name", hello.build.len(), 256)?;
            0
        }
        ChildToBroker::Heartbeat(_) | ChildToBroker::Ready(_) | ChildToBroker::SiteFound(_) => 0,
    };
    if descriptors == expected {
        Ok(())
    } else {
        Err(Refusal::Malformed(format!("{descriptors} descriptors where {expected} belong")))
    }
}

fn load(load: &Load) -> Result<(), Refusal> {
    limit("a URL", load.url.len(), MAX_URL)?;
    limit("a referrer", load.referrer.len(), MAX_URL)?;
    limit("an initiator", load.initiator.len(), MAX_URL)?;
    limit("a method", load.method.len(), 32)?;
    limit("a content type", load.content_type.len(), 1024)?;
    limit("a body", load.body.len(), MAX_INLINE)?;
    if load.body_size > MAX_BODY {
        return Err(Refusal::Oversized { field: "a body", got: load.body_size, limit: MAX_BODY });
    }
    if load.body_size > 0 && !load.body.is_empty() {
        return Err(Refusal::Malformed("a body must be inline or in a descriptor, not both".into()));
    }
    Ok(())
}

fn page_event(event: &page_event::Body) -> Result<(), Refusal> {
    use page_event::Body;
    match event {
        Body::Committed(e) => {
            limit("a URL", e.url.len(), MAX_URL)?;
            limit("a header", e.transport_security.len(), MAX_HEADER)
        }
        Body::LoadFailed(e) => {
            limit("a URL", e.url.len(), MAX_URL)?;
            limit("a reason", e.reason.len(), MAX_TEXT)
        }
        Body::Title(title) => limit("a title", title.len(), MAX_TITLE),
        Body::Favicon(icon) => {
            limit("a favicon's width", icon.width as usize, MAX_FAVICON_SIDE as usize)?;
            limit("a favicon's height", icon.height as usize, MAX_FAVICON_SIDE as usize)?;
            let bytes = icon.width as usize * icon.height as usize * 4;
            if icon.rgba.len() == bytes { Ok(()) } else { Err(Refusal::Malformed("a favicon of another size".into())) }
        }
        Body::Handover(wanted) => load(wanted),
        Body::NewTab(wanted) => {
            let wanted = wanted.load.as_ref().ok_or_else(|| Refusal::Malformed("a new tab without a load".into()))?;
            if wanted.body_size > 0 {
                return Err(Refusal::Malformed("a new tab with a large body".into()));
            }
            load(wanted)
        }
        Body::PopupOpened(popup) => limit("a URL", popup.url.len(), MAX_URL),
        Body::Download(download) => {
            limit("a URL", download.url.len(), MAX_URL)?;
            limit("a referrer", download.referrer.len(), MAX_URL)?;
            limit("a file name", download.suggested_name.len(), 1024)?;
            limit("a validator", download.validator.len(), MAX_TEXT)?;
            limit("an error", download.error.len(), MAX_TEXT)
        }
        Body::Progress(progress) => {
            if progress.is_finite() {
                Ok(())
            } else {
                Err(Refusal::Malformed("a progress that is not a number".into()))
            }
        }
        Body::LoadStarted(_)
        | Body::LoadFinished(_)
        | Body::CloseRequested(_)
        | Body::FileChooser(_)
        | Body::FindResult(_)
        | Body::Audible(_)
        | Body::Unresponsive(_)
        | Body::Blocked(_)
        | Body::FullScreen(_)
        | Body::LoadAbandoned(_) => Ok(()),
        Body::Dialog(dialog) => {
            let Dialog { text, preset, server, .. } = dialog;
            limit("a dialog's text", text.len().max(preset.len()), MAX_DIALOG)?;
            limit("a server's name", server.len(), MAX_TITLE)
        }
        Body::Outside(url) => limit("a URL", url.len(), MAX_URL),
        Body::Permission(asked) => limit("a site", asked.asker.len(), MAX_TITLE),
        Body::Notification(shown) => limit("a notification", shown.title.len() + shown.body.len(), MAX_TEXT),
    }
}

/// Checks that a user's command can be sent: typed or picked input may be over a limit.
///
/// # Errors
/// Returns the limit that it exceeds.
pub fn check_user_command(command: &user_command::Body) -> Result<(), Refusal> {
    user_command(command)?;
    let message = ToBroker { body: Some(ChildToBroker::UserCommand(UserCommand { body: Some(command.clone()) })) };
    limit("the whole command", message.encoded_len(), MAX_MESSAGE)
}

fn user_command(command: &user_command::Body) -> Result<(), Refusal> {
    use user_command::Body;
    match command {
        Body::OpenTab(open) => limit("an address", open.input.len(), MAX_URL),
        Body::Navigate(navigate) => limit("an address", navigate.input.len(), MAX_URL),
        Body::Find(find) => limit("a search", find.find.as_ref().map_or(0, |f| f.text.len()), MAX_TEXT),
        Body::OpenOutside(url) => limit("an address", url.len(), MAX_URL),
        Body::AnswerDialog(answered) => {
            let length = |answer: &DialogAnswer| answer.text.len() + answer.password.len();
            limit("an answer", answered.answer.as_ref().map_or(0, length), MAX_TEXT)
        }
        Body::Complete(asked) => limit("typed text", asked.typed.len(), MAX_URL),
        Body::SiteRule(rule) => limit("an address", rule.url.len(), MAX_URL),
        Body::FindAnything(asked) => limit("typed text", asked.typed.len(), MAX_URL),
        // The whole message is bounded by the channel.
        Body::Bookmarks(_) | Body::Settings(_) | Body::Workspaces(_) => Ok(()),
        Body::Visits(asked) => {
            let filter = asked.query.as_ref().and_then(|query| query.filter.as_ref());
            limit("a search", filter.map_or(0, |filter| filter.words.len() + filter.domain.len()), MAX_TEXT)?;
            limit("visits", filter.map_or(0, |filter| filter.visits.len()), 10_000)
        }
        Body::AnswerVpn(answer) => limit("a name", answer.name.len(), MAX_TITLE),
        Body::AnswerDownloads(answer) => limit("a site", answer.site.len() + answer.workspace.len(), MAX_TITLE),
        Body::AnswerSession(answer) => limit("tabs", answer.tabs.len(), 10_000),
        Body::Zoom(zoom) => {
            if zoom.zoom.is_finite() {
                Ok(())
            } else {
                Err(Refusal::Malformed("a zoom that is not a number".into()))
            }
        }
        Body::CloseTab(_)
        | Body::ActivateTab(_)
        | Body::MoveTab(_)
        | Body::ReopenClosed(_)
        | Body::History(_)
        | Body::Reload(_)
        | Body::Stop(_)
        | Body::StopScript(_)
        | Body::AllowInsecure(_)
        | Body::AllowPrivate(_)
        | Body::Quit(_)
        | Body::QuitAnyway(_)
        | Body::UseTool(_)
        | Body::WindowSize(_)
        | Body::OfferSession(_)
        | Body::DownloadOrder(_)
        | Body::AnswerPermission(_)
        | Body::Health(_)
        | Body::ChoosePermission(_)
        | Body::Mute(_)
        | Body::Pin(_)
        | Body::DuplicateTab(_)
        | Body::Site(_)
        | Body::ClearSite(_)
        | Body::SiteLevel(_)
        | Body::Gesture(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::v1::{Empty, Heartbeat, Navigate, PageEvent, UserCommand};

    #[test]
    fn a_role_sends_only_what_belongs_to_it() {
        let quit =
            to_broker(ChildToBroker::UserCommand(UserCommand { body: Some(user_command::Body::Quit(Empty {})) }));
        assert!(from_child(Role::UiShell, &quit, 0).is_ok());
        assert!(matches!(from_child(Role::TabHost, &quit, 0), Err(Refusal::NotAllowed { .. })));
        let title =
            to_broker(ChildToBroker::PageEvent(PageEvent { tab: 1, body: Some(page_event::Body::Title("x".into())) }));
        assert!(from_child(Role::TabHost, &title, 0).is_ok());
        for role in [Role::UiShell, Role::NetDaemon, Role::AgentDaemon] {
            assert!(matches!(from_child(role, &title, 0), Err(Refusal::NotAllowed { .. })));
        }
    }

    #[test]
    fn unknown_kinds_and_stray_descriptors_are_refused() {
        assert!(matches!(from_child(Role::TabHost, b"", 0), Err(Refusal::Malformed(_))));
        assert!(matches!(from_child(Role::TabHost, &[0xfa, 0x7f, 0x00], 0), Err(Refusal::Malformed(_))));
        let beat = to_broker(ChildToBroker::Heartbeat(Heartbeat {}));
        assert!(from_child(Role::TabHost, &beat, 0).is_ok());
        assert!(matches!(from_child(Role::TabHost, &beat, 1), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn what_a_person_may_send_is_what_the_broker_takes() {
        let navigate = |length: usize| user_command::Body::Navigate(Navigate { tab: 1, input: "x".repeat(length) });
        for (command, fits) in [(navigate(MAX_URL), true), (navigate(40_000), false)] {
            assert_eq!(check_user_command(&command).is_ok(), fits);
            let bytes = to_broker(ChildToBroker::UserCommand(UserCommand { body: Some(command) }));
            let is_taken = bytes.len() <= MAX_MESSAGE && from_child(Role::UiShell, &bytes, 0).is_ok();
            assert_eq!(is_taken, fits);
        }
    }

    #[test]
    fn a_favicon_must_be_as_large_as_it_says() {
        let icon = |width, height, length| {
            let icon = crate::kernel::v1::Favicon { width, height, rgba: vec![0; length] };
            let event = PageEvent { tab: 1, body: Some(page_event::Body::Favicon(icon)) };
            from_child(Role::TabHost, &to_broker(ChildToBroker::PageEvent(event)), 0)
        };
        assert!(icon(16, 16, 1024).is_ok());
        assert!(icon(16, 16, 1023).is_err());
        assert!(matches!(icon(4096, 1, 16384), Err(Refusal::Oversized { .. })));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..512), n in 0_usize..6) {
            for role in [Role::TabHost, Role::UiShell, Role::NetDaemon, Role::AgentDaemon] {
                let _ = from_child(role, &bytes, n);
            }
        }
    }
}
