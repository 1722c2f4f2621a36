//! Workspaces, as the chrome has them.

use regen_proto::workspaces::v1::workspaces_request::Action;
use regen_proto::workspaces::v1::{
    NewWorkspace, SiteWorkspace, TabWorkspace, Workspace, WorkspaceEdit, WorkspacesReply, WorkspacesRequest,
};
use serde::{Deserialize, Serialize};

use super::ToChrome;

/// A workspace.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeWorkspace {
    /// Empty: the default workspace.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) colour: String,
    pub(super) throw_away: bool,
    /// Route of its own; empty: the default.
    pub(super) route: String,
    /// Level of shields of its own; empty: the default.
    pub(super) shields: String,
    /// Hosts of the sites that always open in it.
    pub(super) sites: Vec<String>,
}

/// Change of workspaces. They are given by their identifiers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum ChromeWorkspaceAction {
    Create {
        name: String,
        throw_away: bool,
    },
    /// `null` leaves what it stands for as it is; “default” takes a choice back.
    Edit {
        workspace: String,
        name: Option<String>,
        colour: Option<String>,
        route: Option<String>,
        shields: Option<String>,
    },
    Show {
        workspace: String,
    },
    Delete {
        workspace: String,
    },
    /// Always opens a site in a workspace; `null`: in any.
    Site {
        url: String,
        workspace: Option<String>,
    },
    Move {
        tab: u64,
        workspace: String,
    },
}

/// Returns all workspaces for the chrome.
pub(super) fn all(reply: &WorkspacesReply) -> ToChrome {
    let one = |one: &Workspace| ChromeWorkspace {
        id: one.id.clone(),
        name: one.name.clone(),
        colour: one.colour.clone(),
        throw_away: one.throw_away,
        route: one.route.clone(),
        shields: one.shields.clone(),
        sites: one.sites.clone(),
    };
    ToChrome::Workspaces { workspaces: reply.workspaces.iter().map(one).collect() }
}

impl From<ChromeWorkspaceAction> for WorkspacesRequest {
    fn from(action: ChromeWorkspaceAction) -> Self {
        let action = match action {
            ChromeWorkspaceAction::Create { name, throw_away } => {
                Action::Create(NewWorkspace { name, colour: String::new(), throw_away, show: true })
            }
            ChromeWorkspaceAction::Edit { workspace, name, colour, route, shields } => {
                Action::Edit(WorkspaceEdit { workspace, name, colour, route, shields })
            }
            ChromeWorkspaceAction::Show { workspace } => Action::Show(workspace),
            ChromeWorkspaceAction::Delete { workspace } => Action::Delete(workspace),
            ChromeWorkspaceAction::Site { url, workspace } => Action::Site(SiteWorkspace { url, workspace }),
            ChromeWorkspaceAction::Move { tab, workspace } => Action::Move(TabWorkspace { tab, workspace }),
        };
        Self { action: Some(action) }
    }
}
