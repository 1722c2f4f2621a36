//! Answers to commands of the control API, and the reasons for which a command fails.

use tokio::sync::oneshot;

use regen_places::BookmarkError;
use regen_session::TabId;
use regen_session::workspaces::WorkspaceError;
use regen_settings::SettingError;

/// The way back to whoever gave a command.
pub type Answer<T> = oneshot::Sender<Result<T, CommandError>>;

/// Reason for which a command could not be carried out, in words for the person who gave it.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum CommandError {
    /// No such tab.
    #[error("there is no tab {0}: `regen tab list` shows the tabs")]
    NoSuchTab(TabId),
    /// The tab has no page at the moment.
    #[error("tab {0} has no page at the moment: it is {1}")]
    NoPage(TabId, String),
    /// The page waits for an answer itself.
    #[error("tab {0} shows a dialog: {1}; answer it with `regen tab {2}`")]
    Dialog(TabId, String, String),
    /// The page did not answer.
    #[error("{0}")]
    Page(String),
    /// No such download, or it is in no state for the order.
    #[error("there is no such download, or its state does not allow that: see `regen downloads`")]
    Download,
    /// No such process of this browser.
    #[error("{0}")]
    NoSuchProcess(String),
    /// The tab did not settle in time.
    #[error("tab {0} was still {1} after {2} ms")]
    Timeout(TabId, String, u64),
    /// A change of the bookmarks was refused.
    #[error("{0}")]
    Bookmark(#[from] BookmarkError),
    /// A setting stays as it is.
    #[error("{0}")]
    Setting(#[from] SettingError),
    /// Workspaces stay as they are.
    #[error("{0}")]
    Workspace(#[from] WorkspaceError),
    /// The storage of a site could not be removed.
    #[error("the data of {0} could not be removed: {1}")]
    Storage(String, String),
    /// No window runs a command.
    #[error("this browser has no window: commands are run by one")]
    NoWindow,
    /// The browser is ending.
    #[error("the browser is ending")]
    Ending,
}

/// Answers a command. One whose sender is gone needs no answer.
pub fn answer<T>(to: Answer<T>, result: Result<T, CommandError>) {
    drop(to.send(result));
}
