//! The desktop's file manager, which shows a file in its folder.
//!
//! See the [file manager interface](https://www.freedesktop.org/wiki/Specifications/file-manager-interface/).

use std::path::{Path, PathBuf};

use url::Url;
use zbus::{Connection, Proxy};

const FILE_MANAGER: &str = "org.freedesktop.FileManager1";
const PATH: &str = "/org/freedesktop/FileManager1";

/// Reason that a file is not shown.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file is gone.
    #[error("{} is not there any more: it was moved or deleted", .0.display())]
    Gone(PathBuf),
    /// A failure of the session bus, or no file manager.
    #[error("{} cannot be shown ({error}): install a file manager, such as thunar or nautilus", path.display())]
    NoFileManager {
        /// The file.
        path: PathBuf,
        /// The failure.
        error: zbus::Error,
    },
}

/// Has the desktop's file manager show a file in its folder.
///
/// # Errors
/// Returns an error if the file is gone, or no file manager can be reached.
pub async fn show(path: &Path) -> Result<(), FolderError> {
    let url = Url::from_file_path(path).ok();
    let is_there = tokio::fs::symlink_metadata(path).await.is_ok();
    let url = url.filter(|_| is_there).ok_or_else(|| FolderError::Gone(path.to_owned()))?;
    ask(&url).await.map_err(|error| FolderError::NoFileManager { path: path.to_owned(), error })
}

async fn ask(url: &Url) -> zbus::Result<()> {
    let bus = Connection::session().await?;
    let manager = Proxy::new(&bus, FILE_MANAGER, PATH, FILE_MANAGER).await?;
    manager.call("ShowItems", &([url.as_str()].as_slice(), "")).await
}
