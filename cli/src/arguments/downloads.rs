//! Arguments of `regen downloads`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum DownloadsCommand {
    /// List the downloads: the unfinished ones, and the newest 200 that have ended
    List,
    /// Stop a download until it is resumed, even across starts of the browser
    Pause {
        /// Number of the download
        id: u64,
    },
    /// Go on with a download, or try one again that failed or was cancelled
    Resume {
        /// Number of the download
        id: u64,
    },
    /// End a download, and remove what was received of it
    Cancel {
        /// Number of the download
        id: u64,
    },
    /// Remove a download that has ended from the list; its file stays
    Forget {
        /// Number of the download
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<u64>,
        /// Remove all that have ended
        #[arg(long)]
        all: bool,
    },
    /// Show the file of a download in the desktop's file manager
    Folder {
        /// Number of the download
        id: u64,
    },
}
