//! Identity of a tab-host.

use super::site::Site;

/// Identifies a tab-host: a site in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostKey {
    /// Site whose pages the host shows.
    pub site: Site,
    /// Workspace. Workspaces share nothing.
    pub workspace: String,
}
