//! Networks of sites: on the internet, or in the private network.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use regen_net_config::site::Site;
use regen_net_config::special_purpose::is_private;

use super::ids::HostKey;

/// Reason that a tab shows when it is restored to such a question.
pub(super) const ASKED_BEFORE: &str =
    "A page on the internet tried to open this address, which is on this computer or in its network. Nothing was sent.";

/// Side of the border between the internet and the private network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On the internet. A site found there once stays public as long as its storage exists.
    Public,
    /// On this machine or in its network.
    Private,
}

/// Known networks of sites.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    pub(super) found: HashMap<HostKey, Side>,
    /// Sites opened by the user, or by a page of the private network.
    pub(super) allowed: HashSet<HostKey>,
}

impl Networks {
    /// Returns whether the net-daemon may connect the site to private addresses: it was opened by the user or a private
    /// page, and was never public.
    #[must_use]
    pub fn may_be_private(&self, host: &HostKey) -> bool {
        self.allowed.contains(host) && !self.is_public(host)
    }

    /// Returns whether a site is on the internet, as far as is known.
    #[must_use]
    pub fn is_public(&self, host: &HostKey) -> bool {
        match literal(&host.site) {
            Some(side) => side == Side::Public,
            None => self.found.get(host) == Some(&Side::Public),
        }
    }

    /// Forgets the sites of a workspace.
    pub(super) fn forget_workspace(&mut self, workspace: &str) {
        self.found.retain(|host, _| host.workspace != workspace);
        self.allowed.retain(|host| host.workspace != workspace);
    }

    pub(super) fn is_private(&self, host: &HostKey) -> bool {
        match literal(&host.site) {
            Some(side) => side == Side::Private,
            None => self.found.get(host) == Some(&Side::Private),
        }
    }
}

/// Returns the side that a site's host alone determines.
fn literal(site: &Site) -> Option<Side> {
    let host = site.host();
    let is_localhost = host == "localhost" || host.ends_with(".localhost");
    let side = |is_private| if is_private { Side::Private } else { Side::Public };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if is_localhost { Some(Side::Private) } else { address.map(|address| side(is_private(address))) }
}
