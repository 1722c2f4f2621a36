//! Turning to another workspace, moving tabs between workspaces, and deleting one.

use regen_net_config::host::is_throw_away;

use super::events::Effect;
use super::ids::TabId;
use super::saved::{SavedSnapshot, SavedTab};
use super::state::Session;
use super::strip::{activate, adopt, close, open, remove};
use super::workspace_ends::end;
use super::workspaces::DEFAULT;

/// Shows the tab of a workspace that was last looked at, or an empty one.
pub(super) fn show(session: &mut Session, workspace: String, out: &mut Vec<Effect>) {
    if session.workspaces.get(&workspace).is_none() {
        return;
    }
    match session.last_of(&workspace) {
        Some(tab) => activate(session, tab, out),
        None => drop(open(session, None, workspace, false, None, out)),
    }
}

/// Opens a tab's pages in another workspace instead. They keep nothing: its storage is another.
pub(super) fn move_to(session: &mut Session, id: TabId, workspace: String, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get(&id) else { return };
    if session.workspaces.get(&workspace).is_none() || tab.workspace == workspace {
        return;
    }
    let mut saved = SavedTab { workspace, ..SavedTab::from(tab) };
    for segment in &mut saved.segments {
        segment.snapshot = SavedSnapshot::default();
        (segment.can_go_back, segment.can_go_forward) = (false, false);
    }
    adopt(session, saved, out);
    // A page with unsaved work may object: then the tab is in both.
    close(session, id, true, out);
}

/// Ends a workspace with all its tabs, and forgets what the session knows of it.
pub(super) fn delete(session: &mut Session, workspace: &str, out: &mut Vec<Effect>) {
    if session.workspaces.check_delete(workspace).is_err() {
        return;
    }
    let tabs: Vec<TabId> = session.strip(workspace).collect();
    if session.workspace() == workspace && !tabs.is_empty() {
        // Otherwise each of its tabs would be shown in turn.
        let elsewhere = session.tabs.values().filter(|tab| tab.workspace != workspace);
        match elsewhere.max_by_key(|tab| (!is_throw_away(&tab.workspace), tab.looked_at)).map(|tab| tab.id) {
            Some(tab) => activate(session, tab, out),
            None => drop(open(session, None, DEFAULT.to_owned(), false, None, out)),
        }
    }
    // Deleted tabs take no place among the closed tabs of others.
    let closed = std::mem::take(&mut session.closed);
    for tab in tabs {
        remove(session, tab, out);
    }
    session.closed = closed;
    end(session, workspace, out);
}
