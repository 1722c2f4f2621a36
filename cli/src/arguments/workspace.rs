//! Arguments of `regen workspace`.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// List the workspaces, with their routes, shields, and the sites that always open in them
    List,
    /// Create a workspace, and print its identifier
    Create {
        /// Name of the workspace
        #[arg(required_unless_present = "throw_away", conflicts_with = "throw_away")]
        name: Option<String>,
        /// Colour: grey, blue, turquoise, green, yellow, orange, red, pink or purple [default: one that few others have]
        #[arg(long, conflicts_with = "throw_away")]
        colour: Option<String>,
        /// Create one that is kept in memory alone, and is gone when its last tab is closed
        #[arg(long)]
        throw_away: bool,
        /// Turn to it
        #[arg(long)]
        show: bool,
    },
    /// Rename a workspace
    Rename {
        /// Name or identifier of the workspace
        workspace: String,
        /// New name
        name: String,
    },
    /// Change the colour of a workspace
    Colour {
        /// Name or identifier of the workspace
        workspace: String,
        /// Colour: grey, blue, turquoise, green, yellow, orange, red, pink or purple
        colour: String,
    },
    /// Turn to a workspace
    Switch {
        /// Name or identifier of the workspace
        workspace: String,
    },
    /// Delete a workspace with its tabs and everything that its sites stored. Returns once nothing is left
    Delete {
        /// Name or identifier of the workspace
        workspace: String,
    },
    /// Always open a site in a workspace; without one, in any
    Always {
        /// Any address of the site
        url: String,
        /// Name or identifier of the workspace
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        workspace: Option<String>,
    },
    /// Open the pages of a tab in another workspace instead
    Move {
        /// Tab ID
        tab: u64,
        /// Name or identifier of the workspace
        workspace: String,
    },
}
