//! HTTPS only: settings for all sites and for single ones.

use std::collections::BTreeMap;

use regen_net_config::site::Site;
use serde::{Deserialize, Serialize};

/// HTTPS-only settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpsOnly {
    /// Default for sites without a setting of their own.
    pub on: bool,
    /// Settings of single sites, by host.
    pub sites: BTreeMap<String, bool>,
}

/// A load that was upgraded to HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUpgrade {
    /// Requested address.
    pub address: String,
    /// Number of redirects that had to be upgraded again.
    pub(super) times: u8,
}

impl HttpsOnly {
    /// Changes the setting of a site, or the default. `on: None` removes the site's setting, or resets the default to
    /// off.
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
