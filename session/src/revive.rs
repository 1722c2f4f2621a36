//! Conversion of tabs to and from their saved form.

use regen_net_config::site::Site;

use super::builtin;
use super::networks::ASKED_BEFORE;
use super::saved::{SavedSegment, SavedTab};
use super::tab::{Phase, Segment, Tab};

/// Returns the phase of a page that Regen draws itself, from the address that it is about.
pub(super) fn own_page(url: &str) -> Phase {
    match Site::of(url) {
        _ if url.is_empty() || builtin::title(url).is_some() => Phase::Blank,
        Ok(_) => Phase::Private(ASKED_BEFORE.to_owned()),
        Err(error) => Phase::Refused(error.to_string()),
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
    /// Returns the tab with a new identifier, not yet loaded.
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
        let mut tab = Tab::new(id, self.workspace, segments);
        (tab.current, tab.left) = (current, current);
        (tab.zoom, tab.muted, tab.pinned) = (self.zoom, self.muted, self.pinned);
        if tab.segment().site.is_none() {
            tab.phase = own_page(&tab.segment().url);
        }
        tab
    }
}
