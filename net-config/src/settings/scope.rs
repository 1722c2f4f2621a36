//! Scope of a setting.

use std::fmt;

use crate::site::Site;

/// Scope of a setting: of a route, or of the level of shields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything without a setting of its own.
    Everywhere,
    /// A workspace.
    Workspace(String),
    /// A site, in every workspace.
    Site(Site),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => f.write_str("everywhere"),
            Self::Workspace(name) => write!(f, "workspace {name}"),
            Self::Site(site) => f.write_str(site.host()),
        }
    }
}
