//! Rights that pages ask for, as the chrome has them.

use regen_proto::permissions::v1::{
    AnswerPermission, ChoosePermission, PermissionKind, PermissionQuestion, PermissionState, SitePermission, UserAnswer,
};
use serde::{Deserialize, Serialize};

use super::ToChrome;
use crate::shown_host::shown_server;

/// A right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromePermissionKind {
    Location,
    Microphone,
    Camera,
    Notifications,
    Clipboard,
    PointerLock,
    StorageAccess,
    Autoplay,
}

/// State of a right for a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromePermissionState {
    Ask,
    Allowed,
    Denied,
    /// Refused, because neither the engine nor Regen has it yet.
    Unavailable,
}

/// Answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromePermissionAnswer {
    Once,
    /// While the tab shows the site.
    WhileOpen,
    ForDay,
    Always,
    Never,
    /// Closed without an answer.
    Dismissed,
}

/// A right of a site.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromePermission {
    pub(super) kind: ChromePermissionKind,
    pub(super) state: ChromePermissionState,
    /// Seconds since 1970; 0: without an end.
    pub(super) until: u64,
}

impl ChromePermissionKind {
    fn of(kind: PermissionKind) -> Option<Self> {
        Some(match kind {
            PermissionKind::Unspecified => return None,
            PermissionKind::Location => Self::Location,
            PermissionKind::Microphone => Self::Microphone,
            PermissionKind::Camera => Self::Camera,
            PermissionKind::Notifications => Self::Notifications,
            PermissionKind::Clipboard => Self::Clipboard,
            PermissionKind::PointerLock => Self::PointerLock,
            PermissionKind::StorageAccess => Self::StorageAccess,
            PermissionKind::Autoplay => Self::Autoplay,
        })
    }

    fn wire(self) -> PermissionKind {
        match self {
            Self::Location => PermissionKind::Location,
            Self::Microphone => PermissionKind::Microphone,
            Self::Camera => PermissionKind::Camera,
            Self::Notifications => PermissionKind::Notifications,
            Self::Clipboard => PermissionKind::Clipboard,
            Self::PointerLock => PermissionKind::PointerLock,
            Self::StorageAccess => PermissionKind::StorageAccess,
            Self::Autoplay => PermissionKind::Autoplay,
        }
    }
}

/// Returns a right of a site; `None` for one that the chrome does not know.
pub(super) fn permission(one: &SitePermission) -> Option<ChromePermission> {
    let state = match one.state() {
        PermissionState::Ask => ChromePermissionState::Ask,
        PermissionState::Allowed => ChromePermissionState::Allowed,
        PermissionState::Denied => ChromePermissionState::Denied,
        PermissionState::Unavailable => ChromePermissionState::Unavailable,
        PermissionState::Unspecified => return None,
    };
    Some(ChromePermission { kind: ChromePermissionKind::of(one.kind())?, state, until: one.until })
}

/// Returns a question, or its end, for the chrome.
pub(super) fn question(question: &PermissionQuestion) -> ToChrome {
    let host = question.site.split_once("://").map_or(question.site.as_str(), |(_, host)| host);
    ToChrome::PermissionQuestion {
        question: question.question,
        tab: question.tab,
        site: shown_server(host),
        kind: ChromePermissionKind::of(question.kind()),
        asker: shown_server(&question.asker),
        quiet: question.quiet,
        open: question.open,
    }
}

/// Returns the command for an answer of the user.
pub(crate) fn answer(question: u64, answer: ChromePermissionAnswer) -> AnswerPermission {
    let answer = match answer {
        ChromePermissionAnswer::Once => UserAnswer::Once,
        ChromePermissionAnswer::WhileOpen => UserAnswer::WhileOpen,
        ChromePermissionAnswer::ForDay => UserAnswer::ForDay,
        ChromePermissionAnswer::Always => UserAnswer::Always,
        ChromePermissionAnswer::Never => UserAnswer::Never,
        ChromePermissionAnswer::Dismissed => UserAnswer::Dismissed,
    };
    AnswerPermission { question, answer: answer.into() }
}

/// Returns the command for a choice of the user.
pub(crate) fn choice(tab: u64, kind: ChromePermissionKind, state: ChromePermissionState) -> ChoosePermission {
    let state = match state {
        ChromePermissionState::Ask => PermissionState::Ask,
        ChromePermissionState::Allowed => PermissionState::Allowed,
        ChromePermissionState::Denied => PermissionState::Denied,
        ChromePermissionState::Unavailable => PermissionState::Unavailable,
    };
    ChoosePermission { tab, kind: kind.wire().into(), state: state.into() }
}
