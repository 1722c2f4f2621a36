//! Identifiers of tabs and hosts.

use regen_net_config::site::Site;

/// Identifier of a tab. It stays the same for the tab's whole life and across restarts.
pub type TabId = u64;

/// Identifies a tab-host: a site in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostKey {
    /// Site whose pages the host shows.
    pub site: Site,
    /// Workspace. Workspaces share nothing.
    pub workspace: String,
}
