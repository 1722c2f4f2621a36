//! Requests about the network: routes, DNS, Tor and VPN.

use std::time::{Duration, Instant};

use regen_net_config::dns::{DnsSettings, Servers};
use regen_net_config::route::Route;
use regen_net_config::site::Site;
use regen_proto::control::v1::{
    DnsQueryRequest, DnsReply, DnsRequest, RoutesReply, RoutesRequest, VpnImport, VpnInfo, VpnReply, VpnRequest, VpnUp,
    vpn_request,
};
use regen_proto::net::v1::{
    DnsAnswer, DnsQuery, NewIdentityReply, NewIdentityRequest, TorState as WireTorState, TorStatus as WireTorStatus,
    VpnState, VpnStatusRequest, VpnTunnel,
};
use tonic::Status;

use super::Command;
use super::replies::{ANSWER_TIMEOUT, DEFAULT, answered, answered_within, no_site, scope};
use super::service::{Control, status};
use crate::network::tor::{TorState, TorStatus};
use crate::network::{self, NetAdmin};
use regen_net_config::settings::scope::Scope;
use regen_net_config::settings::vpn::{VpnChange, VpnChoice, VpnError, VpnSettings};
use regen_session::HostKey;

/// Maximum time until the net-daemon has applied a change of VPN profiles.
const VPN_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Timeout of a DNS query; Tor may only just be starting.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(100);

impl Control {
    /// Changes a route if one is given. Returns all routes.
    pub(super) async fn routes_now(&self, request: RoutesRequest) -> Result<RoutesReply, Status> {
        let RoutesRequest { route, site, workspace } = request;
        let scope = scope(&site, workspace, "a route")?;
        if !route.is_empty() {
            let route = match route.as_str() {
                DEFAULT if scope == Scope::Everywhere => {
                    let what = "“default” needs a --site or a --workspace; otherwise name a route, such as “direct”";
                    return Err(Status::invalid_argument(what));
                }
                DEFAULT => None,
                words => Some(words.parse::<Route>().map_err(|error| Status::invalid_argument(error.to_string()))?),
            };
            self.broker
                .call(|answer| Command::Network(network::Command::SetRoute { scope, route, answer }))
                .await
                .map_err(status)?;
            // A confirmed choice must survive a crash.
            self.flush().await?;
        }
        let (routes, tor) =
            self.broker.call(|answer| Command::Network(network::Command::Routes { answer })).await.map_err(status)?;
        let words = |(key, route): (String, Route)| (key, route.to_string());
        Ok(RoutesReply {
            route: routes.everywhere.to_string(),
            workspaces: routes.workspaces.into_iter().map(words).collect(),
            sites: routes.sites.into_iter().map(words).collect(),
            tor: Some(tor_status(tor)),
        })
    }

    pub(super) async fn new_identity(&self) -> Result<NewIdentityReply, Status> {
        answered(self.net().await?.tor.new_identity(NewIdentityRequest {})).await
    }

    /// Changes the DNS settings if any are given. Returns the settings.
    pub(super) async fn dns_now(&self, request: DnsRequest) -> Result<DnsReply, Status> {
        let mut settings =
            self.broker.call(|answer| Command::Network(network::Command::Dns { answer })).await.map_err(status)?;
        let wanted = DnsSettings {
            servers: match request.servers.as_str() {
                "" => settings.servers.clone(),
                words => words.parse::<Servers>().map_err(|error| Status::invalid_argument(error.to_string()))?,
            },
            dnssec: request.dnssec.unwrap_or(settings.dnssec),
        };
        if wanted != settings {
            settings = wanted.clone();
            self.broker
                .call(|answer| Command::Network(network::Command::SetDns { settings: wanted, answer }))
                .await
                .map_err(status)?;
            self.flush().await?;
        }
        Ok(DnsReply { servers: settings.servers.to_string(), dnssec: settings.dnssec })
    }

    /// Resolves a name along the route of a site; without a site, along the route of the workspace or the default.
    pub(super) async fn look_up(&self, request: DnsQueryRequest) -> Result<DnsAnswer, Status> {
        let DnsQueryRequest { name, kind, site, workspace } = request;
        let workspace = self.workspace_id(workspace).await?;
        let (routes, _) =
            self.broker.call(|answer| Command::Network(network::Command::Routes { answer })).await.map_err(status)?;
        let route = match site.as_str() {
            "" => routes.workspaces.get(&workspace).unwrap_or(&routes.everywhere),
            url => routes.of(&HostKey { site: Site::of(url).map_err(no_site)?, workspace }),
        };
        let query = DnsQuery { name, kind, route: route.to_string() };
        answered_within(LOOKUP_TIMEOUT, self.net().await?.dns.query(query)).await
    }

    /// Applies a change to the VPN profiles if one is given. Returns the state of all profiles.
    pub(super) async fn vpn_now(&self, request: VpnRequest) -> Result<VpnReply, Status> {
        let change = request.change.map(|change| match change {
            vpn_request::Change::Import(VpnImport { name, config, replace }) => {
                VpnChange::Import { name, config, replace }
            }
            vpn_request::Change::Remove(name) => VpnChange::Remove(name),
            vpn_request::Change::Up(VpnUp { name, allow }) => VpnChange::Up { name, allow },
            vpn_request::Change::Down(name) => VpnChange::Down(name),
        });
        if let Some(change) = change {
            let changed = self
                .broker
                .call(|answer| Command::Network(network::Command::ChangeVpn { change, answer }))
                .await
                .map_err(status)?;
            changed.map_err(|error| match error {
                VpnError::Missing(_) => Status::not_found(error.to_string()),
                VpnError::Exists(_) => Status::already_exists(error.to_string()),
                VpnError::Asked(_) => Status::failed_precondition(error.to_string()),
                VpnError::NotAllowed(_) => Status::permission_denied(error.to_string()),
                VpnError::TooMany => Status::resource_exhausted(error.to_string()),
                VpnError::Name(_) | VpnError::Profile(_) => Status::invalid_argument(error.to_string()),
            })?;
            self.flush().await?;
        }
        let (settings, asked) =
            self.broker.call(|answer| Command::Network(network::Command::Vpn { answer })).await.map_err(status)?;
        let live = self.tunnels(&settings).await?;
        let profile = |(name, choice): (String, VpnChoice)| {
            let state = if choice.up { VpnState::Connecting } else { VpnState::Down };
            let unknown = || VpnTunnel { name: name.clone(), state: state.into(), ..VpnTunnel::default() };
            let tunnel = live.iter().find(|tunnel| tunnel.name == name).cloned().unwrap_or_else(unknown);
            let asked = asked.contains(&name);
            VpnInfo { tunnel: Some(tunnel), allowed: choice.allowed, asked }
        };
        Ok(VpnReply { profiles: settings.profiles.into_iter().map(profile).collect() })
    }

    /// Returns the state of the tunnels once the net-daemon has applied the settings, or after [`VPN_TIMEOUT`]. Returns
    /// none while the net-daemon is not available.
    async fn tunnels(&self, settings: &VpnSettings) -> Result<Vec<VpnTunnel>, Status> {
        let since = Instant::now();
        loop {
            let net = self
                .broker
                .call(|answer| Command::Network(network::Command::Admin { answer }))
                .await
                .map_err(status)?;
            let Some(mut net) = net else { return Ok(Vec::new()) };
            let live = answered(net.vpn.status(VpnStatusRequest {})).await?.tunnels;
            let is_up = |tunnel: &VpnTunnel| tunnel.state() != VpnState::Down;
            let is_told = live.len() == settings.profiles.len()
                && live
                    .iter()
                    .all(|one| settings.profiles.get(&one.name).is_some_and(|choice| choice.up == is_up(one)));
            if is_told || since.elapsed() > VPN_TIMEOUT {
                return Ok(live);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the net-daemon's client. Waits for a net-daemon that is starting or being restarted.
    pub(super) async fn net(&self) -> Result<NetAdmin, Status> {
        let since = Instant::now();
        loop {
            match self
                .broker
                .call(|answer| Command::Network(network::Command::Admin { answer }))
                .await
                .map_err(status)?
            {
                Some(net) => return Ok(net),
                None if since.elapsed() < ANSWER_TIMEOUT => tokio::time::sleep(POLL_INTERVAL).await,
                None => {
                    let words = "Regen's network process is not there at the moment: try again";
                    return Err(Status::unavailable(words));
                }
            }
        }
    }
}

/// Returns the message for the status of Tor.
fn tor_status(status: TorStatus) -> WireTorStatus {
    let state = match status.state {
        TorState::Off => WireTorState::Off,
        TorState::Starting => WireTorState::Starting,
        TorState::Ready => WireTorState::Ready,
        TorState::Failing => WireTorState::Failing,
    };
    let TorStatus { percent, message, waiting, open, .. } = status;
    WireTorStatus { state: state.into(), percent, message, waiting, open }
}
