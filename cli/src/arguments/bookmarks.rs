//! Arguments of `regen bookmarks`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum BookmarksCommand {
    /// List bookmarks; with words, those whose title, address or tags contain all of them
    List {
        /// Words to search for
        words: Vec<String>,
        /// Only entries of this folder; 1 is the bookmarks bar, 2 the other bookmarks
        #[arg(long, value_name = "ID")]
        folder: Option<u64>,
    },
    /// Bookmark an address
    Add {
        /// Address
        url: String,
        /// Title; by default, the address
        #[arg(long)]
        title: Option<String>,
        /// Folder
        #[arg(long, value_name = "ID", default_value_t = 2)]
        folder: u64,
        /// Tag; may be repeated
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Create a folder
    Folder {
        /// Title
        title: String,
        /// Folder to create it in
        #[arg(long = "in", value_name = "ID", default_value_t = 2)]
        folder: u64,
    },
    /// Change or move a bookmark or a folder
    Edit {
        /// ID, as `list` prints it
        id: u64,
        /// New title
        #[arg(long)]
        title: Option<String>,
        /// New address
        #[arg(long)]
        url: Option<String>,
        /// New tag; may be repeated, and replaces all tags
        #[arg(long = "tag", value_name = "TAG", conflicts_with = "no_tags")]
        tags: Vec<String>,
        /// Remove all tags
        #[arg(long)]
        no_tags: bool,
        /// Folder to move to
        #[arg(long, value_name = "ID")]
        folder: Option<u64>,
        /// Place in that folder, counted from 0; by default, the end
        #[arg(long, requires = "folder")]
        place: Option<u32>,
    },
    /// Remove a bookmark, or a folder with everything in it
    Remove {
        /// ID, as `list` prints it
        id: u64,
    },
    /// Restore what the last removal took
    Undo,
    /// Import bookmarks from a file that a browser exported as HTML
    Import {
        /// File
        file: PathBuf,
        /// Folder to import to
        #[arg(long, value_name = "ID", default_value_t = 2)]
        folder: u64,
    },
    /// Export all bookmarks as HTML, which every browser imports
    Export {
        /// File; by default, standard output
        file: Option<PathBuf>,
    },
}
