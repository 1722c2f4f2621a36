//! Permissions: what hosts, the window and the control API say about them.

use regen_net_config::settings::permissions::{KeptPermission, NoSuchPermission, PermissionKind};
use regen_net_config::site::{Site, SiteError};
use regen_proto::kernel::v1::Notification as WireNotification;
use regen_proto::permissions::v1::{
    KeptPermission as WireKept, PermissionChange, PermissionKind as WireKind, PermissionState as WireState,
    SitePermission, UserAnswer as WireAnswer,
};
use regen_session::HostKey;

use crate::permissions::{Notice, PermissionState, Permissions, UserAnswer, now_s};

/// Choice of the control API for a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Site and workspace, which is given by name or identifier.
    pub host: HostKey,
    /// The right; `None`: all.
    pub kind: Option<PermissionKind>,
    /// The choice; `None`: ask again.
    pub kept: Option<KeptPermission>,
}

/// Reason why a change has no meaning.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The address has no site.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// There is no such right.
    #[error(transparent)]
    Kind(#[from] NoSuchPermission),
    /// There is no such right in Regen.
    #[error("Regen does not have {0} yet: pages are refused without a question")]
    Unavailable(PermissionKind),
    /// The word for the choice is unknown.
    #[error("use allow, deny or ask, not “{0}”")]
    State(String),
    /// A choice for all rights at once.
    #[error("name the permission that is allowed or denied")]
    All,
}

/// Reads a change.
///
/// # Errors
/// Returns an error, for the person who gave the order, if something in it has no meaning.
pub fn change(wire: PermissionChange) -> Result<Change, ChangeError> {
    let PermissionChange { url, workspace, kind, state, seconds } = wire;
    let host = HostKey { site: Site::of(&url)?, workspace };
    let kind: Option<PermissionKind> = if kind.is_empty() { None } else { Some(kind.parse()?) };
    let until_s = (seconds > 0).then(|| now_s().saturating_add(seconds));
    let kept = match state.as_str() {
        "allow" => Some(KeptPermission { is_allowed: true, until_s }),
        "deny" => Some(KeptPermission { is_allowed: false, until_s }),
        "ask" => None,
        _ => return Err(ChangeError::State(state)),
    };
    match (kind, kept) {
        (None, Some(_)) => Err(ChangeError::All),
        (Some(kind), Some(KeptPermission { is_allowed: true, .. })) if !kind.is_available() => {
            Err(ChangeError::Unavailable(kind))
        }
        (kind, kept) => Ok(Change { host, kind, kept }),
    }
}

/// Returns the kept choices as they are listed.
#[must_use]
pub fn listed(permissions: &Permissions) -> Vec<WireKept> {
    let one = |(workspace, site, kind, kept): (&str, &str, PermissionKind, KeptPermission)| WireKept {
        workspace: workspace.to_owned(),
        site: site.to_owned(),
        kind: kind.to_string(),
        state: if kept.is_allowed { "allow" } else { "deny" }.to_owned(),
        until: kept.until_s.unwrap_or(0),
    };
    permissions.settings().all(now_s()).map(one).collect()
}

/// Returns the right of a message; `None` for none.
pub(super) fn kind(wire: WireKind) -> Option<PermissionKind> {
    Some(match wire {
        WireKind::Unspecified => return None,
        WireKind::Location => PermissionKind::Location,
        WireKind::Microphone => PermissionKind::Microphone,
        WireKind::Camera => PermissionKind::Camera,
        WireKind::Notifications => PermissionKind::Notifications,
        WireKind::Clipboard => PermissionKind::Clipboard,
        WireKind::PointerLock => PermissionKind::PointerLock,
        WireKind::StorageAccess => PermissionKind::StorageAccess,
        WireKind::Autoplay => PermissionKind::Autoplay,
    })
}

/// Returns a right as it is sent.
pub(super) fn wire_kind(kind: PermissionKind) -> WireKind {
    match kind {
        PermissionKind::Location => WireKind::Location,
        PermissionKind::Microphone => WireKind::Microphone,
        PermissionKind::Camera => WireKind::Camera,
        PermissionKind::Notifications => WireKind::Notifications,
        PermissionKind::Clipboard => WireKind::Clipboard,
        PermissionKind::PointerLock => WireKind::PointerLock,
        PermissionKind::StorageAccess => WireKind::StorageAccess,
        PermissionKind::Autoplay => WireKind::Autoplay,
    }
}

/// Returns the user's answer; `None` for none.
pub(super) fn user_answer(wire: WireAnswer) -> Option<UserAnswer> {
    Some(match wire {
        WireAnswer::Unspecified => return None,
        WireAnswer::Once => UserAnswer::Once,
        WireAnswer::WhileOpen => UserAnswer::WhileOpen,
        WireAnswer::ForDay => UserAnswer::ForDay,
        WireAnswer::Always => UserAnswer::Always,
        WireAnswer::Never => UserAnswer::Never,
        WireAnswer::Dismissed => UserAnswer::Dismissed,
    })
}

/// Returns the choice that the window made for a site; outer `None`: none.
pub(super) fn choice(wire: WireState) -> Option<Option<KeptPermission>> {
    match wire {
        WireState::Ask => Some(None),
        WireState::Allowed => Some(Some(KeptPermission { is_allowed: true, until_s: None })),
        WireState::Denied => Some(Some(KeptPermission { is_allowed: false, until_s: None })),
        WireState::Unavailable | WireState::Unspecified => None,
    }
}

/// Returns what the pages of a site may do, as it is sent.
pub(super) fn states(states: Vec<(PermissionKind, PermissionState)>) -> Vec<SitePermission> {
    let one = |(kind, state): (PermissionKind, PermissionState)| {
        let (state, until) = match state {
            PermissionState::Ask => (WireState::Ask, None),
            PermissionState::Allowed(until) => (WireState::Allowed, until),
            PermissionState::Denied(until) => (WireState::Denied, until),
            PermissionState::Unavailable => (WireState::Unavailable, None),
        };
        SitePermission { kind: wire_kind(kind).into(), state: state.into(), until: until.unwrap_or(0) }
    };
    states.into_iter().map(one).collect()
}

/// Reads a notification of a page.
pub(super) fn notification(wire: WireNotification) -> (u64, Notice) {
    let WireNotification { notification, title, body } = wire;
    (notification, Notice { title, body })
}
