//! Permissions: what hosts and the window are told.

use regen_proto::kernel::v1::host_command::Body as HostBody;
use regen_proto::kernel::v1::shell_update::Body;
use regen_proto::permissions::v1::{PermissionAnswer, PermissionQuestion, SitePermissions};
use regen_proto::validate::BrokerToChild;
use regen_session::{HostKey, TabId};

use super::host::command;
use super::permissions::{states, wire_kind};
use super::window_updates::update;
use crate::message::{ChildId, Outgoing};
use crate::permissions::{Permissions, QuestionView};

/// Returns the message that tells a host what its pages may do.
#[must_use]
pub fn inform(to: ChildId, permissions: &Permissions, host: &HostKey) -> Outgoing {
    let permissions = states(permissions.states(host));
    Outgoing::new(to, BrokerToChild::Permissions(SitePermissions { permissions }))
}

/// Returns the answer to a page's request.
#[must_use]
pub fn answer(to: ChildId, tab: TabId, request: u64, is_allowed: bool) -> Outgoing {
    command(to, tab, HostBody::Permission(PermissionAnswer { request, allowed: is_allowed }))
}

/// Returns the message that the user clicked a page's notification.
#[must_use]
pub fn notification_clicked(to: ChildId, tab: TabId, notification: u64) -> Outgoing {
    command(to, tab, HostBody::NotificationClicked(notification))
}

/// Returns the update for a question.
#[must_use]
pub fn question(window: ChildId, view: QuestionView) -> Outgoing {
    let QuestionView { number, host, tab, kind, asker, is_quiet } = view;
    let question = PermissionQuestion {
        question: number,
        tab,
        site: host.site.as_str().to_owned(),
        kind: wire_kind(kind).into(),
        asker,
        quiet: is_quiet,
        open: true,
    };
    update(window, Body::PermissionQuestion(question))
}

/// Returns the update that takes a question back.
#[must_use]
pub fn withdrawn(window: ChildId, number: u64) -> Outgoing {
    let question = PermissionQuestion { question: number, ..PermissionQuestion::default() };
    update(window, Body::PermissionQuestion(question))
}
