//! What of a session survives the browser. These types are what the store writes: change them only with a migration.

use regen_proto::kernel::v1::Snapshot;
use serde::{Deserialize, Serialize};

/// One tab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedTab {
    /// Its name.
    pub id: u64,
    /// Its workspace.
    pub workspace: String,
    /// Its history, oldest first.
    pub segments: Vec<SavedSegment>,
    /// Which of them is shown.
    pub current: u32,
    /// 1 is 100 %.
    pub zoom: f64,
    /// Sound off.
    pub muted: bool,
    /// Pinned.
    pub pinned: bool,
}

/// One stretch of history on one site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedSegment {
    /// Canonical site; empty for pages of Regen's own.
    pub site: String,
    /// Address.
    pub url: String,
    /// Title.
    pub title: String,
    /// The engine can step back within it.
    pub can_go_back: bool,
    /// The engine can step forward within it.
    pub can_go_forward: bool,
    /// How to bring it back.
    pub snapshot: SavedSnapshot,
}

/// How to bring one document back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedSnapshot {
    /// The address when it was taken.
    pub url: String,
    /// The engine's own back/forward list.
    pub session_state: Vec<u8>,
    /// CSS pixels.
    pub scroll_x: f64,
    /// CSS pixels.
    pub scroll_y: f64,
    /// The page-agent's JSON.
    pub form: Vec<u8>,
}

impl SavedSnapshot {
    /// As it travels to a host.
    #[must_use]
    pub fn to_wire(&self, zoom: f64) -> Snapshot {
        Snapshot {
            session_state: self.session_state.clone(),
            scroll_x: self.scroll_x,
            scroll_y: self.scroll_y,
            form: self.form.clone(),
            zoom,
        }
    }

    /// As it arrives from a host.
    #[must_use]
    pub fn from_wire(snapshot: Snapshot, url: String) -> Self {
        let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
        Self {
            url,
            session_state: snapshot.session_state,
            scroll_x: finite(snapshot.scroll_x),
            scroll_y: finite(snapshot.scroll_y),
            form: snapshot.form,
        }
    }
}
