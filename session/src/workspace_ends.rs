//! Workspaces in use: the strip of each, and the end of one with everything that the session knows of it.

use regen_net_config::host::is_throw_away;

use super::events::Effect;
use super::ids::{HostKey, TabId};
use super::state::Session;
use super::workspaces::DEFAULT;

impl Session {
    /// Returns the workspace that the window shows.
    #[must_use]
    pub fn workspace(&self) -> &str {
        self.active.and_then(|tab| self.tabs.get(&tab)).map_or(DEFAULT, |tab| &tab.workspace)
    }

    /// Returns the tabs of a workspace, in the order of the strip.
    pub fn strip<'a>(&'a self, workspace: &'a str) -> impl Iterator<Item = TabId> + 'a {
        let is_its = move |id: &&TabId| self.tabs.get(id).is_some_and(|tab| tab.workspace == workspace);
        self.order.iter().filter(is_its).copied()
    }

    /// Returns the tab of a workspace that was last looked at.
    pub(super) fn last_of(&self, workspace: &str) -> Option<TabId> {
        let tabs = self.tabs.values().filter(|tab| tab.workspace == workspace);
        tabs.max_by_key(|tab| tab.looked_at).map(|tab| tab.id)
    }

    /// Returns the tab to show once the last one of a workspace is closed: the last looked at, but none of a throw-away
    /// workspace while there are others.
    pub(super) fn last_elsewhere(&self) -> Option<TabId> {
        self.tabs.values().max_by_key(|tab| (!is_throw_away(&tab.workspace), tab.looked_at)).map(|tab| tab.id)
    }
}

/// Notes that a workspace is in use.
pub(super) fn note(session: &mut Session, workspace: &str, out: &mut Vec<Effect>) {
    if session.workspaces.note(workspace) {
        out.push(Effect::WorkspacesChanged);
    }
}

/// Ends a throw-away workspace that has no tabs left, and saves no file.
pub(super) fn end_if_empty(session: &mut Session, workspace: &str, out: &mut Vec<Effect>) {
    let is_saving = session.saving.iter().any(|host| host.workspace == workspace);
    let is_known = session.workspaces.get(workspace).is_some();
    if is_throw_away(workspace) && is_known && !is_saving && session.strip(workspace).next().is_none() {
        end(session, workspace, out);
    }
}

/// Forgets everything of a workspace whose tabs are closed.
pub(super) fn end(session: &mut Session, workspace: &str, out: &mut Vec<Effect>) {
    session.workspaces.remove(workspace);
    session.closed.retain(|tab| tab.workspace != workspace);
    session.agreed.retain(|(its, _)| its != workspace);
    let saving: Vec<HostKey> = session.saving.iter().filter(|host| host.workspace == workspace).cloned().collect();
    for host in saving {
        session.saving.remove(&host);
        session.hosts.remove(&host);
    }
    session.networks.forget_workspace(workspace);
    if session.zooms.forget_workspace(workspace) {
        out.push(Effect::ZoomsChanged);
    }
    if session.hsts.forget_workspace(workspace) {
        out.push(Effect::HstsChanged);
    }
    out.extend([Effect::WorkspacesChanged, Effect::WorkspaceEnded(workspace.to_owned())]);
}
