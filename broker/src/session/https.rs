//! HTTPS only: where the user insists on encryption.

use std::collections::BTreeMap;

use regen_net_config::site::Site;
use serde::{Deserialize, Serialize};

/// Where pages may come without encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpsOnly {
    /// Whether encryption is insisted on where nothing else is said.
    pub on: bool,
    /// By the site's host.
    pub sites: BTreeMap<String, bool>,
}

/// A load over an encrypted connection, in the place of one without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    /// What was wanted.
    pub address: String,
    /// How often its servers have sent it on to where encryption had to be added again.
    pub(super) times: u8,
}

impl HttpsOnly {
    /// Changes what holds for a site, or for all that have nothing of their own. Without a choice, a site has none of its own.
    pub fn choose(&mut self, site: Option<&Site>, on: Option<bool>) {
        match (site, on) {
            (Some(site), Some(on)) => drop(self.sites.insert(site.host().to_owned(), on)),
            (Some(site), None) => drop(self.sites.remove(site.host())),
            (None, on) => self.on = on.unwrap_or_default(),
        }
    }

    pub(super) fn insists(&self, site: &Site) -> bool {
        self.sites.get(site.host()).copied().unwrap_or(self.on)
    }
}
