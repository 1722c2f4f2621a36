//! Workspaces: the window's and the control API's messages.

use regen_net_config::route::RouteError;
use regen_net_config::settings::shields::NoSuchLevel;
use regen_net_config::site::{Site, SiteError};
use regen_proto::workspaces::v1::workspaces_request::Action;
use regen_proto::workspaces::v1::{NewWorkspace, SiteWorkspace, Workspace, WorkspaceEdit, WorkspacesReply};
use regen_session::workspaces::WorkspaceError;

use crate::workspaces::{Edit, Order, WorkspaceView, choice};

/// Reason why an order has no meaning.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// A colour.
    #[error(transparent)]
    Colour(#[from] WorkspaceError),
    /// A route.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A level of shields.
    #[error(transparent)]
    Level(#[from] NoSuchLevel),
    /// An address without a site.
    #[error(transparent)]
    Site(#[from] SiteError),
}

/// Reads an order.
///
/// # Errors
/// Returns an error, for the person who gave the order, if something in it has no meaning.
pub fn order(action: Action) -> Result<Order, OrderError> {
    Ok(match action {
        Action::Create(NewWorkspace { throw_away: true, show, .. }) => Order::CreateThrowAway { show },
        Action::Create(NewWorkspace { name, colour, show, .. }) => {
            let colour = Some(colour).filter(|colour| !colour.is_empty());
            Order::Create { name, colour: colour.map(|colour| colour.parse()).transpose()?, show }
        }
        Action::Edit(WorkspaceEdit { workspace, name, colour, route, shields }) => {
            let edit = Edit {
                name,
                colour: colour.map(|colour| colour.parse()).transpose()?,
                route: route.map(|route| choice(&route)).transpose()?,
                shields: shields.map(|level| choice(&level)).transpose()?,
            };
            Order::Edit { workspace, edit }
        }
        Action::Show(workspace) => Order::Show(workspace),
        Action::Delete(workspace) => Order::Delete(workspace),
        Action::Site(SiteWorkspace { url, workspace }) => Order::SetHome { site: Site::of(&url)?, workspace },
        Action::Move(to) => Order::Move { tab: to.tab, workspace: to.workspace },
    })
}

/// Returns workspaces as they are sent.
#[must_use]
pub fn reply(all: Vec<WorkspaceView>, created: Option<String>) -> WorkspacesReply {
    WorkspacesReply { workspaces: all.into_iter().map(listed).collect(), created: created.unwrap_or_default() }
}

/// Bytes of all hosts that the window is told of: its message holds no more. `regen workspace list` has all.
const MAX_HOSTS_TOLD: usize = 20_000;

/// Returns workspaces as the window is told of them.
pub(super) fn for_window(mut all: Vec<WorkspaceView>) -> WorkspacesReply {
    let mut left = MAX_HOSTS_TOLD;
    for view in &mut all {
        view.sites.retain(|host| {
            let fits = host.len() <= left;
            left = left.saturating_sub(host.len());
            fits
        });
    }
    reply(all, None)
}

fn listed(view: WorkspaceView) -> Workspace {
    Workspace {
        throw_away: regen_net_config::host::is_throw_away(&view.workspace.id),
        id: view.workspace.id,
        name: view.workspace.name,
        colour: view.workspace.colour.to_string(),
        current: view.is_current,
        tabs: u32::try_from(view.tabs).unwrap_or(u32::MAX),
        route: view.route.unwrap_or_default(),
        shields: view.shields.map(|level| level.to_string()).unwrap_or_default(),
        sites: view.sites,
    }
}
