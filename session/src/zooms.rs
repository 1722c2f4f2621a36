//! Zoom of sites. It holds for all tabs of a site in a workspace, and for later visits.

use std::collections::BTreeMap;

use regen_net_config::host::is_throw_away;
use serde::{Deserialize, Serialize};

use super::ids::HostKey;

/// Smallest and largest zoom factor.
pub(super) const ZOOM: std::ops::RangeInclusive<f64> = 0.25..=5.0;
/// Maximum number of sites whose zoom is kept.
const MAX_SITES: usize = 5000;

/// Zoom of each site that is not shown at 100 %.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zooms {
    /// Per cent, by workspace and site.
    sites: BTreeMap<(String, String), u16>,
}

impl Zooms {
    /// Returns the zoom factor of a site.
    #[must_use]
    pub fn of(&self, host: &HostKey) -> f64 {
        self.sites.get(&key(host)).map_or(1.0, |percent| f64::from(*percent) / 100.0)
    }

    /// Forgets the sites of a workspace. Returns whether that is a change.
    pub(super) fn forget_workspace(&mut self, workspace: &str) -> bool {
        let before = self.sites.len();
        self.sites.retain(|(its, _), _| its != workspace);
        self.sites.len() != before
    }

    /// Returns those that may be saved: none of throw-away workspaces.
    #[must_use]
    pub fn to_save(&self) -> Self {
        let kept = self.sites.iter().filter(|((workspace, _), _)| !is_throw_away(workspace));
        Self { sites: kept.map(|(key, percent)| (key.clone(), *percent)).collect() }
    }

    /// Keeps the zoom factor of a site. Returns whether that is a change.
    pub(super) fn keep(&mut self, host: &HostKey, zoom: f64) -> bool {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 25 to 500")]
        let percent = (zoom.clamp(*ZOOM.start(), *ZOOM.end()) * 100.0).round() as u16;
        if percent == 100 {
            return self.sites.remove(&key(host)).is_some();
        }
        if self.sites.len() >= MAX_SITES && !self.sites.contains_key(&key(host)) {
            self.sites.pop_first();
        }
        self.sites.insert(key(host), percent) != Some(percent)
    }
}

fn key(host: &HostKey) -> (String, String) {
    (host.workspace.clone(), host.site.as_str().to_owned())
}
