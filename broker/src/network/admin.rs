//! The broker's own connection to a net-daemon: asks for what people want to know, and keeps it told of profiles and hosts.

use std::os::fd::OwnedFd;
use std::time::Duration;

use regen_net_config::settings::vpn::{VpnChoice, VpnSettings};
use regen_proto::grpc;
use regen_proto::net::v1::dns_admin_client::DnsAdminClient;
use regen_proto::net::v1::encryption_admin_client::EncryptionAdminClient;
use regen_proto::net::v1::shields_admin_client::ShieldsAdminClient;
use regen_proto::net::v1::tor_admin_client::TorAdminClient;
use regen_proto::net::v1::vpn_admin_client::VpnAdminClient;
use regen_proto::net::v1::{
    Blocked, EncryptedHost, EncryptedHosts, OwnRulesRequest, ShieldsLogRequest, ShieldsStatusRequest,
    TorState as WireState, TorStatus as WireStatus, TorWatchRequest, VpnProfile, VpnProfiles,
};
use regen_session::Hsts;
use tokio::sync::{mpsc, watch};
use tonic::Status;
use tonic::transport::Channel;

use super::tor::{TorState, TorStatus};
use crate::message::ChildId;

/// Maximum size of an answer: a full log, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// Minimum time between two updates of Tor's status.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// Delay before the net-daemon is told again what it did not take.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Event from a net-daemon.
#[derive(Debug)]
pub enum Event {
    /// The status of its Tor.
    Tor { net: ChildId, status: TorStatus },
}

/// Clients of a net-daemon's admin services.
#[derive(Debug, Clone)]
pub struct NetAdmin {
    /// Shields and filter lists.
    pub shields: ShieldsAdminClient<Channel>,
    /// Tor.
    pub tor: TorAdminClient<Channel>,
    /// Name look-ups.
    pub dns: DnsAdminClient<Channel>,
    /// VPN profiles.
    pub vpn: VpnAdminClient<Channel>,
}

/// A request that shields stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockedRequest {
    /// Site of the page that sent it.
    pub site: String,
    /// Workspace of the page.
    pub workspace: String,
    /// Address.
    pub url: String,
    /// Kind, in the terms of filter lists.
    pub kind: String,
    /// Rule that stopped it.
    pub rule: String,
    /// List of the rule.
    pub list: String,
}

impl NetAdmin {
    /// Adds a rule to the user's own.
    ///
    /// # Errors
    /// Returns the reason in words.
    pub async fn allow(&mut self, rule: String) -> Result<(), String> {
        let request = OwnRulesRequest { add: vec![rule], remove: Vec::new() };
        self.shields.own(request).await.map(drop).map_err(|error| error.message().to_owned())
    }

    /// Returns the number of requests that shields stopped; `None` if the net-daemon has ended.
    pub async fn counts(mut self) -> Option<u64> {
        let status = self.shields.status(ShieldsStatusRequest {}).await.ok()?;
        Some(status.into_inner().blocked)
    }

    /// Returns the requests that were stopped lately, oldest first; none if the net-daemon has ended.
    pub async fn blocked(mut self) -> Vec<BlockedRequest> {
        let Ok(log) = self.shields.log(ShieldsLogRequest { after: 0 }).await else { return Vec::new() };
        let request = |Blocked { site, workspace, url, kind, rule, list, .. }| BlockedRequest {
            site,
            workspace,
            url,
            kind,
            rule,
            list,
        };
        log.into_inner().entries.into_iter().map(request).collect()
    }
}

/// A connection to one net-daemon. Its tasks end when it is dropped, or the net-daemon is gone.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) admin: NetAdmin,
    profiles: watch::Sender<Vec<VpnProfile>>,
    encrypted_hosts: watch::Sender<EncryptedHosts>,
}

impl Connection {
    /// Connects over the broker's end of a grant, and tells the net-daemon what it must know.
    ///
    /// # Errors
    /// When the socket cannot be polled.
    pub(super) fn open(
        net: ChildId,
        socket: OwnedFd,
        settings: &VpnSettings,
        hsts: &Hsts,
        events: mpsc::Sender<Event>,
    ) -> std::io::Result<Self> {
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true)?;
        let channel = grpc::client(tokio::net::UnixStream::from_std(socket)?);
        let admin = NetAdmin {
            shields: ShieldsAdminClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER),
            tor: TorAdminClient::new(channel.clone()),
            dns: DnsAdminClient::new(channel.clone()),
            vpn: VpnAdminClient::new(channel.clone()),
        };
        let encryption = EncryptionAdminClient::new(channel);
        tokio::spawn(watch_tor(net, admin.tor.clone(), events));
        let (tell_profiles, told) = watch::channel(profiles(settings));
        let vpn = admin.vpn.clone();
        tokio::spawn(keep_told("VPN profiles", told, move |profiles| {
            let mut vpn = vpn.clone();
            async move { vpn.set(VpnProfiles { profiles }).await.map(drop) }
        }));
        let (tell_hosts, told) = watch::channel(encrypted_hosts(hsts));
        tokio::spawn(keep_told("hosts that insist on encryption", told, move |hosts| {
            let mut encryption = encryption.clone();
            async move { encryption.set(hosts).await.map(drop) }
        }));
        Ok(Self { admin, profiles: tell_profiles, encrypted_hosts: tell_hosts })
    }

    pub(super) fn tell_profiles(&self, settings: &VpnSettings) {
        self.profiles.send_replace(profiles(settings));
    }

    pub(super) fn tell_encrypted_hosts(&self, hsts: &Hsts) {
        self.encrypted_hosts.send_replace(encrypted_hosts(hsts));
    }
}

/// Tells the net-daemon all of something at once, and again with each change, in order.
async fn keep_told<T, F>(what: &str, mut told: watch::Receiver<T>, tell: impl Fn(T) -> F)
where
    T: Clone,
    F: Future<Output = Result<(), Status>>,
{
    loop {
        let now = told.borrow_and_update().clone();
        match tell(now).await {
            Ok(()) => {
                if told.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!("the net-daemon was not told of {what}: {}", error.message());
                tokio::time::sleep(RETRY_DELAY).await;
                // The connection was dropped: the net-daemon is gone.
                if told.has_changed().is_err() {
                    return;
                }
            }
        }
    }
}

/// Forwards Tor's status until the net-daemon is gone.
async fn watch_tor(net: ChildId, mut tor: TorAdminClient<Channel>, events: mpsc::Sender<Event>) {
    let Ok(answer) = tor.watch(TorWatchRequest {}).await else { return };
    let mut news = answer.into_inner();
    while let Ok(Some(status)) = news.message().await {
        if events.send(Event::Tor { net, status: tor_status(status) }).await.is_err() {
            return;
        }
        tokio::time::sleep(MIN_INTERVAL).await;
    }
}

fn profiles(settings: &VpnSettings) -> Vec<VpnProfile> {
    let profile = |(name, choice): (&String, &VpnChoice)| VpnProfile {
        name: name.clone(),
        config: choice.config().to_owned(),
        up: choice.up,
    };
    settings.profiles.iter().map(profile).collect()
}

fn encrypted_hosts(hsts: &Hsts) -> EncryptedHosts {
    let host = |(workspace, host, subdomains): (&str, &str, bool)| EncryptedHost {
        workspace: workspace.to_owned(),
        host: host.to_owned(),
        subdomains,
    };
    EncryptedHosts { hosts: hsts.entries().map(host).collect() }
}

fn tor_status(status: WireStatus) -> TorStatus {
    let state = match status.state() {
        WireState::Unspecified | WireState::Off => TorState::Off,
        WireState::Starting => TorState::Starting,
        WireState::Ready => TorState::Ready,
        WireState::Failing => TorState::Failing,
    };
    let WireStatus { percent, message, waiting, open, .. } = status;
    TorStatus { state, percent, message, waiting, open }
}
