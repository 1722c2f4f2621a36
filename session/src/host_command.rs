//! Commands of the session for the host that shows a tab.

use super::dialog::DialogAnswer;
use super::load::Load;
use super::saved::SavedSnapshot;

/// Command for a tab's view.
#[derive(Debug, Clone, PartialEq)]
pub enum HostCommand {
    /// Open the view.
    Open(OpenView),
    /// Close the view. With `ask`, the page may object first.
    Close {
        /// The page may object.
        ask: bool,
    },
    /// Load an address.
    Navigate(Load),
    /// Step back (−1) or forward (1) in the engine's history.
    GoHistory(i32),
    /// Load the page again.
    Reload {
        /// Nothing comes from the cache.
        bypass_cache: bool,
    },
    /// Stop loading.
    Stop,
    /// The tab is in front, or no longer.
    SetVisible(bool),
    /// Zoom factor; 1 is 100 %.
    Zoom(f64),
    /// Sound off, or on.
    Mute(bool),
    /// Show a popup in this tab, or refuse it.
    AdoptPopup {
        /// Number that the host gave the popup.
        token: u64,
        /// The popup is refused.
        refused: bool,
    },
    /// Answer to the dialog that the page waits for.
    AnswerDialog(DialogAnswer),
}

/// A view to open.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenView {
    /// Load to start, on top of the snapshot.
    pub load: Option<Load>,
    /// Snapshot to restore first.
    pub snapshot: Option<SavedSnapshot>,
    /// The tab is in front.
    pub visible: bool,
    /// Address to load if the snapshot cannot be restored.
    pub fallback_url: String,
    /// Zoom factor; 1 is 100 %.
    pub zoom: f64,
}
