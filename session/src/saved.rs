//! State of a session that survives the browser. The store writes these types: change them only with a migration.

use serde::{Deserialize, Serialize};

/// A saved tab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedTab {
    /// Identifier.
    pub id: u64,
    /// Workspace.
    pub workspace: String,
    /// History, oldest segment first.
    pub segments: Vec<SavedSegment>,
    /// Index of the segment that is shown.
    pub current: u32,
    /// Zoom factor; 1 is 100 %.
    pub zoom: f64,
    /// Set if the tab's sound is off.
    pub muted: bool,
    /// Set if the tab is pinned.
    pub pinned: bool,
}

/// A segment of history on one site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedSegment {
    /// Canonical site; empty for a page that Regen draws itself.
    pub site: String,
    /// Address of the page.
    pub url: String,
    /// Title of the page.
    pub title: String,
    /// Set if the engine can step back within it.
    pub can_go_back: bool,
    /// Set if the engine can step forward within it.
    pub can_go_forward: bool,
    /// Snapshot from which the page is restored.
    pub snapshot: SavedSnapshot,
}

/// Data from which one document is restored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedSnapshot {
    /// Address at the time of the snapshot.
    pub url: String,
    /// Serialised back/forward list of the engine.
    pub session_state: Vec<u8>,
    /// Horizontal scroll position, in CSS pixels.
    pub scroll_x: f64,
    /// Vertical scroll position, in CSS pixels.
    pub scroll_y: f64,
    /// State of forms and `sessionStorage`: the page-agent's JSON.
    pub form: Vec<u8>,
}
