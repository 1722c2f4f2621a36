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

/// First character of the identifiers of throw-away workspaces. No other workspace has it, so that whoever writes something
/// down can tell from the identifier alone that it must not.
pub const THROW_AWAY: char = '~';

/// Returns whether a workspace is a throw-away one: nothing of it is written to the disk.
#[must_use]
pub fn is_throw_away(workspace: &str) -> bool {
    workspace.starts_with(THROW_AWAY)
}

impl HostKey {
    /// Returns whether nothing of the host may be written to the disk.
    #[must_use]
    pub fn is_throw_away(&self) -> bool {
        is_throw_away(&self.workspace)
    }

    /// Returns the site as logs and reports may name it: not at all in a throw-away workspace.
    #[must_use]
    pub fn recorded_site(&self) -> &str {
        if self.is_throw_away() { "(throw-away)" } else { self.site.as_str() }
    }
}
