//! An open question about a right.

use regen_net_config::settings::permissions::PermissionKind;
use regen_session::{HostKey, TabId};

use super::Action;
use crate::message::ChildId;

/// Question, with the requests that wait for its answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) number: u64,
    pub(super) host: HostKey,
    pub(super) tab: TabId,
    pub(super) kind: PermissionKind,
    pub(super) asker: String,
    /// Process and number of each request.
    pub(super) waiting: Vec<(ChildId, u64)>,
    /// The page asked without a click or key: the window only marks that there is a question.
    pub(super) is_quiet: bool,
}

/// Question, as the window shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionView {
    /// Number of the question.
    pub number: u64,
    /// Site that asks.
    pub host: HostKey,
    /// Tab of the page.
    pub tab: TabId,
    /// Right that is wanted.
    pub kind: PermissionKind,
    /// Embedded site that asks, as the page's process says; empty: the page itself.
    pub asker: String,
    /// The window only marks that there is a question.
    pub is_quiet: bool,
}

impl Question {
    pub(super) fn is_about(&self, tab: TabId, kind: PermissionKind, asker: &str) -> bool {
        self.tab == tab && self.kind == kind && self.asker == asker
    }

    pub(super) fn view(&self) -> QuestionView {
        QuestionView {
            number: self.number,
            host: self.host.clone(),
            tab: self.tab,
            kind: self.kind,
            asker: self.asker.clone(),
            is_quiet: self.is_quiet,
        }
    }

    /// Returns the answers to all that wait.
    pub(super) fn answers(&self, is_allowed: bool) -> Vec<Action> {
        let answer = |(child, request): &(ChildId, u64)| Action::Answer {
            child: *child,
            tab: self.tab,
            request: *request,
            is_allowed,
        };
        self.waiting.iter().map(answer).collect()
    }
}
