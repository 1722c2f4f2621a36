//! Arguments of `regen permissions`.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use regen_net_config::settings::permissions::{PERMISSION_KINDS, PermissionKind};

#[derive(Debug, Subcommand)]
pub(crate) enum PermissionsCommand {
    /// List the kept choices
    List,
    /// Allow a site something, or deny it without a question
    Set {
        #[command(flatten)]
        site: PermissionSite,
        /// Permission
        #[arg(value_parser = kinds())]
        permission: String,
        /// `allow` or `deny`
        #[arg(value_parser = ["allow", "deny"])]
        choice: String,
        /// Time for which it holds, such as 30m, 12h or 7d [default: without an end]
        #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
        time: Option<std::time::Duration>,
    },
    /// Take a choice back: the site's pages have to ask
    Revoke {
        #[command(flatten)]
        site: PermissionSite,
        /// Permission [default: all]
        #[arg(value_parser = kinds())]
        permission: Option<String>,
    },
}

/// A site in a workspace.
#[derive(Debug, Args)]
pub(crate) struct PermissionSite {
    /// Any address of the site
    pub(crate) url: String,
    /// Workspace, by its name
    #[arg(long, default_value = "")]
    pub(crate) workspace: String,
}

fn kinds() -> PossibleValuesParser {
    PERMISSION_KINDS.map(PermissionKind::name).into()
}
