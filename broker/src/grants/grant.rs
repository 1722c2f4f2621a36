//! A grant: a fresh connection between two processes, and what it is for.

use regen_net_config::route::Route;

use crate::message::ChildId;

/// Use of a granted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// A tab-host's way to the network.
    Tunnel,
    /// The broker's own client of the net-daemon.
    NetAdmin,
    /// Pictures and input between a tab-host and the window.
    Surface,
    /// Verdict channels of a tab-host's web processes, on their way to the net-daemon.
    VerdictChannels,
}

impl Service {
    /// Returns the service's name in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tunnel => "tunnel",
            Self::NetAdmin => "net_admin",
            Self::Surface => "surface",
            Self::VerdictChannels => "verdict_channels",
        }
    }
}

/// A grant, as both of its ends are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Number; never reused.
    pub number: u64,
    /// Use of the connection.
    pub service: Service,
    /// Tab-host at one end.
    pub host: Option<ChildId>,
    /// Isolation key of the site's connections, names and circuits; may be empty.
    pub partition: String,
    /// Route of the tunnel.
    pub route: Option<Route>,
    /// Site of the tab-host, whose shields settings hold; may be empty.
    pub site: String,
    /// For a tunnel: the site's own host may be in the private network.
    pub private_network: Option<bool>,
}

impl Grant {
    /// Returns a grant without number, host, site and route.
    #[must_use]
    pub fn of(service: Service) -> Self {
        let (partition, site) = (String::new(), String::new());
        Self { number: 0, service, host: None, partition, route: None, site, private_network: None }
    }
}
