//! State of the session.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::hsts::Hsts;
use super::https::HttpsOnly;
use super::ids::{HostKey, TabId};
use super::networks::Networks;
use super::saved::SavedTab;
use super::tab::{Homeward, Phase, Tab};
use super::workspaces::Workspaces;
use super::zooms::Zooms;

/// Life cycle of a host as the session sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPhase {
    /// Requested from the supervisor.
    Starting,
    /// Ready for commands.
    Up,
    /// Crashed too often; waits for the user to reload.
    GivenUp,
}

/// State of the whole session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Tabs by identifier.
    pub tabs: BTreeMap<TabId, Tab>,
    /// Order of the tabs in the tab strip.
    pub order: Vec<TabId>,
    /// Tab that the window shows.
    pub active: Option<TabId>,
    /// Highest identifier in use so far; identifiers are never reused.
    pub last_id: TabId,
    /// Counter for [`Tab::looked_at`].
    pub looks: u64,
    /// Closed tabs that “reopen closed tab” restores, newest last.
    pub closed: Vec<SavedTab>,
    /// Hosts that are saving files: they stay until that is done, whatever their tabs show.
    pub saving: HashSet<HostKey>,
    /// Requested hosts and their phases.
    pub hosts: HashMap<HostKey, HostPhase>,
    /// HTTPS-only settings.
    pub https_only: HttpsOnly,
    /// Hosts that require HTTPS (HSTS).
    pub hsts: Hsts,
    /// Workspace and host of each site that the user has allowed without encryption, in this run.
    pub agreed: HashSet<(String, String)>,
    /// Tabs whose address must now be encrypted: they navigate anew at the end of the step.
    pub(super) to_upgrade: Vec<TabId>,
    /// Loads that open in the workspace of their site at the end of the step.
    pub(super) homeward: Vec<Homeward>,
    /// Zoom of sites.
    pub zooms: Zooms,
    /// Workspaces, and the sites that always open in one.
    pub workspaces: Workspaces,
    /// Sites that are on the internet, and sites that may be in the private network.
    pub networks: Networks,
}

impl Session {
    /// Returns a session without tabs, with these settings from the store.
    #[must_use]
    pub fn new(https_only: HttpsOnly, hsts: Hsts, zooms: Zooms, workspaces: Workspaces) -> Self {
        Self { https_only, hsts, zooms, workspaces, ..Self::default() }
    }

    /// Returns whether any page is loading or recovering.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.tabs.values().any(|tab| !tab.phase.is_settled())
    }

    /// Returns whether a site's process may be ended unnoticed: each of its tabs is at rest, and none is in front,
    /// pinned, audible, being closed, in a dialog or a popup with an opener.
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
