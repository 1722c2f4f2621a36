//! Arguments of `regen site`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SiteCommand {
    /// Show a site's process, storage, route, shields, and what these blocked
    Show(SiteArguments),
    /// Remove a site's cookies, storage and caches; its tabs are loaded anew. Returns once nothing is left
    Clear(SiteArguments),
}

/// A site in a workspace.
#[derive(Debug, Args)]
pub(crate) struct SiteArguments {
    /// Any address of the site
    pub(crate) url: String,
    /// Workspace; workspaces share no storage
    #[arg(long, default_value = "")]
    pub(crate) workspace: String,
}
