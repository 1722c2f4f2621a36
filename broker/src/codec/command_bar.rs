//! Entries of the command bar, for the window.

use regen_proto::kernel::v1::found_entry::Target as WireTarget;
use regen_proto::kernel::v1::shell_update::Body;
use regen_proto::kernel::v1::{Found, FoundEntry};

use crate::kept::command_bar::{Entry, Target};
use crate::message::{ChildId, Outgoing};

/// Returns the update that answers the window's question.
#[must_use]
pub fn found(window: ChildId, request: u64, entries: Vec<Entry>) -> Outgoing {
    let entry = |Entry { title, detail, target, matched, .. }| FoundEntry {
        title,
        detail,
        matched,
        target: Some(match target {
            Target::Tab(tab) => WireTarget::Tab(tab),
            Target::Visit(url) => WireTarget::Url(url),
            Target::Bookmark(url) => WireTarget::Bookmark(url),
            Target::Command(id) => WireTarget::Command(id.command().name.to_owned()),
            Target::Workspace(id) => WireTarget::Workspace(id),
            Target::Setting(name) => WireTarget::Setting(name.to_owned()),
        }),
    };
    let entries = entries.into_iter().map(entry).collect();
    super::window_updates::update(window, Body::Found(Found { request, entries }))
}
