//! Names of tabs and hosts.

use regen_net_config::site::Site;

/// A tab's name, for its whole life and across restarts.
pub type TabId = u64;

/// One tab-host: a site in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostKey {
    /// The one site whose pages it shows.
    pub site: Site,
    /// The workspace; two workspaces share nothing.
    pub workspace: String,
}
