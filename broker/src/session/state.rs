//! The session's state.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::hsts::Hsts;
use super::https::HttpsOnly;
use super::ids::{HostKey, TabId};
use super::networks::Networks;
use super::saved::SavedTab;
use super::tab::{Phase, Tab};

/// Where a host is in its life, as far as tabs care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPhase {
    /// Asked for.
    Starting,
    /// Takes commands.
    Up,
    /// Crashed too often; waits for the user.
    GivenUp,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// By id.
    pub tabs: BTreeMap<TabId, Tab>,
    /// As in the tab strip.
    pub order: Vec<TabId>,
    /// What the window shows.
    pub active: Option<TabId>,
    /// Never reused.
    pub next_id: TabId,
    /// Grows with each tab that is looked at.
    pub looks: u64,
    /// For “reopen closed tab”, newest last.
    pub closed: Vec<SavedTab>,
    /// Hosts that are saving files: they stay until that is done, whatever their tabs show.
    pub saving: HashSet<HostKey>,
    /// The hosts that were asked for.
    pub hosts: HashMap<HostKey, HostPhase>,
    /// Where encryption is insisted on.
    pub https_only: HttpsOnly,
    /// Which hosts have insisted on it themselves.
    pub hsts: Hsts,
    /// Workspaces and hosts of sites that their user has agreed to see without encryption, in this run.
    pub agreed: HashSet<(String, String)>,
    /// Tabs that came to an address from before encryption was insisted on: they are taken elsewhere at the end of the step.
    pub(super) to_upgrade: Vec<TabId>,
    /// Which sites are on the internet, and which may be in the private network.
    pub networks: Networks,
}

impl Session {
    /// Returns a session without tabs. `https_only` and `hsts`: as the store has them.
    #[must_use]
    pub fn new(https_only: HttpsOnly, hsts: Hsts) -> Self {
        Self { https_only, hsts, ..Self::default() }
    }

    /// Returns whether a page loads or recovers.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.tabs.values().any(|tab| !tab.phase.is_settled())
    }

    /// Whether a site's process could end without anybody noticing: no tab of it is in front, pinned, playing, loading, being
    /// closed, or one of a page that others were opened from.
    #[must_use]
    pub fn can_sleep(&self, host: &HostKey) -> bool {
        let mut tabs = self.tabs.values().filter(|tab| tab.host().as_ref() == Some(host)).peekable();
        let is_up = self.hosts.get(host) == Some(&HostPhase::Up) && !self.saving.contains(host);
        is_up
            && tabs.peek().is_some()
            && tabs.all(|tab| {
                let rests = matches!(tab.phase, Phase::Ready | Phase::Lazy | Phase::Failed(_));
                let is_used =
                    self.active == Some(tab.id) || tab.pinned || tab.audible || tab.closing || tab.dialog.is_some();
                rests && !is_used && tab.opener_host.is_none() && tab.pending.is_none()
            })
    }
}
