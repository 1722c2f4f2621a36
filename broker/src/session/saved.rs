//! What of a session survives the browser. These types are what the store writes: change them only with a migration.

use serde::{Deserialize, Serialize};

use super::history::own_page;
use super::state::{Phase, Segment, Tab};
use regen_net_config::site::Site;
use regen_proto::kernel::v1::{Snapshot, TlsState};

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

impl From<&Tab> for SavedTab {
    fn from(tab: &Tab) -> Self {
        Self {
            id: tab.id,
            workspace: tab.workspace.clone(),
            segments: tab
                .segments
                .iter()
                .map(|segment| SavedSegment {
                    site: segment.site.as_ref().map(|site| site.as_str().to_owned()).unwrap_or_default(),
                    url: segment.url.clone(),
                    title: segment.title.clone(),
                    can_go_back: segment.can_go_back,
                    can_go_forward: segment.can_go_forward,
                    snapshot: segment.snapshot.clone(),
                })
                .collect(),
            current: u32::try_from(tab.current).unwrap_or(0),
            zoom: tab.zoom,
            muted: tab.muted,
            pinned: tab.pinned,
        }
    }
}

impl SavedTab {
    /// A tab that is known but not loaded, under a new name.
    #[must_use]
    pub fn revive(self, id: u64) -> Tab {
        let mut segments: Vec<Segment> = self
            .segments
            .into_iter()
            .map(|segment| Segment {
                is_passage: false,
                site: Site::parse(&segment.site).ok(),
                url: segment.url,
                title: segment.title,
                snapshot: segment.snapshot,
                can_go_back: segment.can_go_back,
                can_go_forward: segment.can_go_forward,
            })
            .collect();
        if segments.is_empty() {
            segments.push(Segment::default());
        }
        let current = usize::try_from(self.current).unwrap_or(0).min(segments.len() - 1);
        let mut tab = Tab {
            is_fresh: false,
            redirects: 0,
            is_used: false,
            goes_by_itself: false,
            id,
            workspace: self.workspace,
            segments,
            current,
            left: current,
            phase: Phase::Lazy,
            view: false,
            is_starting: false,
            opener_host: None,
            opened_from: None,
            pending: None,
            before_commit: None,
            upgraded: None,
            state_size: 0,
            looked_at: 0,
            progress: 0.0,
            tls: TlsState::Unspecified,
            zoom: self.zoom,
            muted: self.muted,
            audible: false,
            unresponsive: false,
            full_screen: false,
            blocked: 0,
            pinned: self.pinned,
            favicon: None,
            closing: false,
            leaving: None,
            dialog: None,
        };
        if tab.segment().site.is_none() {
            tab.phase = own_page(&tab.segment().url);
        }
        tab
    }
}
