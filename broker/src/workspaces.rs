//! Workspaces as the window and the control API see them, and orders about them.

use std::str::FromStr;

use regen_net_config::route::Route;
use regen_net_config::settings::routes::RouteSettings;
use regen_net_config::settings::shields::{Level, ShieldsSettings};
use regen_net_config::site::Site;
use regen_session::workspaces::{Colour, Workspace};
use regen_session::{Session, TabId};

use crate::site_data::Removed;

/// Order about workspaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Make a workspace. `show`: also turn to it.
    Create { name: String, colour: Option<Colour>, show: bool },
    /// Make a throw-away workspace.
    CreateThrowAway { show: bool },
    /// Change a workspace.
    Edit { workspace: String, edit: Edit },
    /// Turn to a workspace.
    Show(String),
    /// Delete a workspace with its tabs and everything that its sites stored.
    Delete(String),
    /// Always open a site in a workspace; `None`: in any.
    SetHome { site: Site, workspace: Option<String> },
    /// Open the pages of a tab in another workspace instead.
    Move { tab: TabId, workspace: String },
}

/// Changes of a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Name.
    pub name: Option<String>,
    /// Colour.
    pub colour: Option<Colour>,
    /// Route of its own, or none.
    pub route: Option<Option<Route>>,
    /// Level of shields of its own, or none.
    pub shields: Option<Option<Level>>,
}

/// Result of an order.
#[derive(Debug)]
pub enum Done {
    /// Something has changed, or was there already.
    Changed,
    /// A workspace of this identifier was made.
    Created(String),
    /// A workspace is gone. The receiver is told once nothing is left of what its sites stored.
    Deleted(Removed),
}

/// Word that stands for no choice of a workspace's own.
const DEFAULT: &str = "default";

/// Reads a choice: a value, or the word that stands for none.
///
/// # Errors
/// Returns the value's error.
pub fn choice<T: FromStr>(word: &str) -> Result<Option<T>, T::Err> {
    if word == DEFAULT { Ok(None) } else { word.parse().map(Some) }
}

/// A workspace, with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceView {
    /// Identity, name and colour.
    pub workspace: Workspace,
    /// The window shows it.
    pub is_current: bool,
    /// Number of its tabs.
    pub tabs: usize,
    /// Route of its own.
    pub route: Option<String>,
    /// Level of shields of its own.
    pub shields: Option<Level>,
    /// Hosts of the sites that always open in it.
    pub sites: Vec<String>,
}

/// Returns all workspaces, the default one first.
#[must_use]
pub fn views(session: &Session, routes: &RouteSettings, shields: &ShieldsSettings) -> Vec<WorkspaceView> {
    let view = |workspace: &Workspace| WorkspaceView {
        is_current: session.workspace() == workspace.id,
        tabs: session.strip(&workspace.id).count(),
        route: routes.workspaces.get(&workspace.id).map(Route::to_string),
        shields: shields.workspaces.get(&workspace.id).copied(),
        sites: session.workspaces.sites(&workspace.id).map(str::to_owned).collect(),
        workspace: workspace.clone(),
    };
    session.workspaces.all().map(view).collect()
}
