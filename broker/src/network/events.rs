//! Events, commands and actions of the network component.

use std::collections::BTreeSet;

use regen_net_config::dns::DnsSettings;
use regen_net_config::route::Route;

use super::admin::NetAdmin;
use super::tor::TorStatus;
use crate::answer::Answer;
use regen_net_config::settings::routes::RouteSettings;
use regen_net_config::settings::scope::Scope;
use regen_net_config::settings::shields::{Level, ShieldsSettings, TooManySites};
use regen_net_config::settings::vpn::{VpnChange, VpnError, VpnSettings};

/// Command of the control API about the network.
#[derive(Debug)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Command {
    Admin { answer: Answer<Option<NetAdmin>> },
    Routes { answer: Answer<(RouteSettings, TorStatus)> },
    SetRoute { scope: Scope, route: Option<Route>, answer: Answer<()> },
    Shields { answer: Answer<ShieldsSettings> },
    SetShields { scope: Scope, level: Option<Level>, answer: Answer<Result<(), TooManySites>> },
    Dns { answer: Answer<DnsSettings> },
    SetDns { settings: DnsSettings, answer: Answer<()> },
    Vpn { answer: Answer<(VpnSettings, BTreeSet<String>)> },
    ChangeVpn { change: VpnChange, answer: Answer<Result<(), VpnError>> },
}

impl Command {
    /// Returns the command with the identifier of the workspace that it names.
    #[must_use]
    pub(crate) fn with_workspace(mut self, identifier: impl FnOnce(String) -> String) -> Self {
        if let Self::SetRoute { scope: Scope::Workspace(name), .. }
        | Self::SetShields { scope: Scope::Workspace(name), .. } = &mut self
        {
            *name = identifier(std::mem::take(name));
        }
        self
    }
}

/// Question whether pages may use a VPN that was never up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpnQuestion {
    /// Name of the VPN.
    pub name: String,
    /// Hosts of its peers.
    pub peer: String,
    /// Set while the question is open.
    pub asked: bool,
}

/// Action for the rest of the broker.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Configure the net-daemon anew: something that it is told has changed.
    Configure,
    /// Renew the tunnels of hosts whose route changed.
    RenewTunnels,
    /// Show every tab anew: its route or reason may have changed.
    ShowTabs,
    /// Show tabs that load anew: what they wait for may have changed.
    ShowLoadingTabs,
    /// Let hosts sleep for which strict shields were switched on or off: the processes keep them from their start to their end.
    ShieldsChanged { before: ShieldsSettings },
    /// Ask the user whether pages may take a VPN, or take the question back.
    AskAboutVpn(VpnQuestion),
    /// Tell the user.
    Notice { level: &'static str, text: String },
}
