//! `WireGuard` in this process: no root, network device or kernel module. A dead tunnel blocks its traffic.

mod service;
mod stack;
mod tunnel;
mod tunnel_resolver;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::rr::{Record, RecordType};
use regen_net_config::wireguard::Profile;
use regen_proto::net::v1::{FailureKind, VpnProfile, VpnState, VpnTunnel};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::counted::Counted;
use crate::dns::{Dns, Names, Resolution};
use crate::egress::{Connection, Egress, Resolved, Target};
use crate::error::{ConnectError, HopError};
use crate::race::{self, Dead};
use stack::{Stack, TcpStream};
use tunnel::{RETRY_DELAY, Tunnel};
use tunnel_resolver::Through;

pub(crate) use service::{Admin, MAX_REQUEST};

/// Timeout for one connection through a tunnel.
const CONNECTS: Duration = Duration::from_secs(20);
/// Maximum number of addresses that are tried per name.
const MAX_ADDRESSES: usize = 4;
/// Timeout for the profiles, which the broker sends right after the start.
const TOLD: Duration = Duration::from_secs(5);

/// All tunnels. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct WireGuard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    profiles: Mutex<BTreeMap<String, ProfileState>>,
    told: watch::Sender<bool>,
    /// Resolver of the peers' endpoints.
    dns: Dns,
}

/// A profile that the broker has sent.
struct ProfileState {
    config: String,
    /// Error in the profile; empty if there is none.
    trouble: String,
    up: Option<Arc<Up>>,
}

impl std::fmt::Debug for ProfileState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileState").field("up", &self.up.is_some()).finish_non_exhaustive()
    }
}

impl Drop for ProfileState {
    /// Ends the tunnel and its connections, including those that are being opened.
    fn drop(&mut self) {
        if let Some(up) = &self.up {
            up.status.send_modify(|status| "it was brought down".clone_into(&mut status.message));
            up.task.abort();
            up.over.borrow().cancel();
        }
    }
}

/// A tunnel that the user has brought up.
#[derive(Debug)]
struct Up {
    profile: Profile,
    stack: Stack,
    names: Names<Through>,
    dead: Dead,
    status: watch::Sender<VpnTunnel>,
    /// Token that ends the connections that are open now.
    over: watch::Sender<CancellationToken>,
    /// Task that runs the tunnel; aborted when the profile is brought down.
    task: tokio::task::JoinHandle<()>,
}

/// A guard that reports a failure and ends all connections when the tunnel's task ends.
struct Ends {
    status: watch::Sender<VpnTunnel>,
    over: watch::Sender<CancellationToken>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.status.send_modify(|status| {
            status.set_state(VpnState::Failing);
            if status.message.is_empty() {
                "it ended unexpectedly: bring it down and up again".clone_into(&mut status.message);
            }
        });
        self.over.borrow().cancel();
    }
}

impl WireGuard {
    pub(crate) fn new(dns: Dns) -> Self {
        Self { shared: Arc::new(Shared { profiles: Mutex::default(), told: watch::Sender::new(false), dns }) }
    }

    fn profiles(&self) -> MutexGuard<'_, BTreeMap<String, ProfileState>> {
        self.shared.profiles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all profiles. An unchanged profile keeps its tunnel.
    fn set(&self, wanted: Vec<VpnProfile>) {
        let mut profiles = self.profiles();
        let names: Vec<&String> = wanted.iter().map(|profile| &profile.name).collect();
        profiles.retain(|name, _| names.contains(&name));
        for VpnProfile { name, config, up } in wanted {
            let is_same = |known: &ProfileState| known.config == config && known.up.is_some() == up;
            if profiles.get(&name).is_some_and(is_same) {
                continue;
            }
            // The old tunnel ends before the new one starts, as both may use the same port.
            profiles.remove(&name);
            let (tunnel, trouble) = match config.parse::<Profile>() {
                Ok(profile) if up => {
                    (Some(Arc::new(Up::start(&name, profile, self.shared.dns.clone()))), String::new())
                }
                Ok(_) => (None, String::new()),
                Err(error) => (None, error.to_string()),
            };
            profiles.insert(name, ProfileState { config, trouble, up: tunnel });
        }
        drop(profiles);
        self.shared.told.send_replace(true);
    }

    fn status(&self) -> Vec<VpnTunnel> {
        let all = self.profiles();
        let tunnel = |(name, known): (&String, &ProfileState)| match &known.up {
            Some(up) => up.status.borrow().clone(),
            None => {
                let state = if known.trouble.is_empty() { VpnState::Down } else { VpnState::Failing };
                VpnTunnel {
                    name: name.clone(),
                    state: state.into(),
                    message: known.trouble.clone(),
                    ..VpnTunnel::default()
                }
            }
        };
        all.iter().map(tunnel).collect()
    }

    /// Returns the tunnel of a profile, once the broker has said which profiles there are.
    async fn up(&self, profile: &str) -> Result<Arc<Up>, HopError> {
        let mut told = self.shared.told.subscribe();
        let _ = timeout(TOLD, told.wait_for(|told| *told)).await;
        self.find(profile)
    }

    /// Returns all records of a name that have this type, for the user.
    pub(crate) async fn records(
        &self,
        profile: &str,
        name: &str,
        kind: RecordType,
    ) -> Result<Vec<Record>, ConnectError> {
        let up = self.find(profile).map_err(HopError::into_inner)?;
        up.names.records(name, kind).await
    }

    fn find(&self, name: &str) -> Result<Arc<Up>, HopError> {
        let profiles = self.profiles();
        let message = match profiles.get(name) {
            Some(ProfileState { up: Some(up), .. }) => return Ok(Arc::clone(up)),
            Some(ProfileState { trouble, .. }) if !trouble.is_empty() => {
                format!("the VPN “{name}” cannot be used: {trouble}")
            }
            Some(_) => format!("the VPN “{name}” is down: bring it up with `regen vpn up {name}`"),
            None => format!("there is no VPN profile “{name}”: import it with `regen vpn import FILE --name {name}`"),
        };
        Err(HopError::down(message))
    }
}

/// The egress of one VPN profile.
#[derive(Debug)]
pub(crate) struct VpnEgress<'a> {
    pub(crate) wireguard: &'a WireGuard,
    /// Name of the profile.
    pub(crate) profile: &'a str,
}

#[tonic::async_trait]
impl Egress for VpnEgress<'_> {
    fn network(&self) -> String {
        self.profile.to_owned()
    }

    async fn resolve(&self, target: Target<'_>) -> Result<Resolved, HopError> {
        let up = self.wireguard.up(self.profile).await?;
        let resolved = up.wait(self.profile, up.resolve(self.profile, target)).await;
        resolved.map(|(resolved, _)| resolved)
    }

    async fn dial(&self, target: Target<'_>, resolved: Resolved) -> Result<Connection, HopError> {
        let up = self.wireguard.up(self.profile).await?;
        let (stream, over) = up.wait(self.profile, up.dial(self.profile, target, resolved)).await?;
        let open = Counted::new(&up.status, |status| &mut status.open);
        Ok(Connection { over, _open: Some(Box::new(open)), ..Connection::plain(stream) })
    }
}

impl Up {
    fn start(name: &str, profile: Profile, dns: Dns) -> Self {
        let stack = Stack::new(&profile);
        let names = tunnel_resolver::names(name, &profile.dns, stack.clone());
        let words = |all: &[IpAddr]| all.iter().map(ToString::to_string).collect();
        let first = VpnTunnel {
            name: name.to_owned(),
            state: VpnState::Connecting.into(),
            addresses: profile.addresses.iter().map(ToString::to_string).collect(),
            dns: words(&profile.dns),
            mtu: profile.mtu.into(),
            ..VpnTunnel::default()
        };
        let (status, over) = (watch::Sender::new(first), watch::Sender::new(CancellationToken::new()));
        let ends = Ends { status: status.clone(), over: over.clone() };
        let (mine, inside) = (profile.clone(), stack.clone());
        let task = tokio::spawn(async move {
            loop {
                match Tunnel::open(&mine, dns.clone(), inside.clone(), ends.status.clone(), ends.over.clone()).await {
                    Ok(tunnel) => tunnel.run().await,
                    Err(error) => ends.status.send_modify(|status| {
                        status.set_state(VpnState::Failing);
                        status.message = format!("cannot open a UDP socket: {error}");
                    }),
                }
                tokio::time::sleep(RETRY_DELAY).await;
            }
        });
        Self { profile, stack, names, dead: Dead::default(), status, over, task }
    }

    async fn resolve(&self, profile: &str, target: Target<'_>) -> Result<Resolved, HopError> {
        let Target { partition, host, .. } = target;
        if self.status.borrow().state() == VpnState::Failing {
            return Err(self.failure(profile));
        }
        let Resolution { addresses, aliases } = match host.parse::<IpAddr>() {
            Ok(address) => vec![address].into(),
            Err(_) if self.profile.dns.is_empty() => {
                let message = format!("“{host}” cannot be resolved: the profile of the VPN “{profile}” sets no DNS");
                return Err(HopError::Down(ConnectError { kind: FailureKind::Name, message }));
            }
            // A failed lookup must not lead to the next hop: a site could cause it.
            Err(_) => self.names.meaning(partition, host).await.map_err(HopError::Target)?,
        };
        Ok(Resolved::Here { addresses, aliases })
    }

    async fn dial(&self, profile: &str, target: Target<'_>, resolved: Resolved) -> Result<TcpStream, HopError> {
        let Target { partition, host, port } = target;
        // An address that the tunnel does not carry must not lead to the next hop: a page could choose it.
        let message = format!(
            "{host} has no address that the VPN “{profile}” carries: see Address and AllowedIPs in its profile"
        );
        let Resolved::Here { addresses, .. } = resolved else {
            return Err(HopError::target(FailureKind::Unreachable, message));
        };
        let carried = addresses.into_iter().filter(|address| self.carries(*address)).take(MAX_ADDRESSES);
        let carried = carried.map(|address| SocketAddr::new(address, port)).collect();
        let connect = |address: SocketAddr| async move {
            match timeout(CONNECTS, self.stack.connect(address)).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(HopError::target(
                    FailureKind::Refused,
                    format!("{host} ({address}) refused the connection: nothing listens there"),
                )),
                Ok(Err(error)) => Err(HopError::target(FailureKind::Other, format!("{host} ({address}): {error}"))),
                Err(_) if self.status.borrow().state() == VpnState::Up => {
                    let waited = CONNECTS.as_secs();
                    Err(HopError::target(
                        FailureKind::Timeout,
                        format!("{host} ({address}) did not answer within {waited} s through the VPN “{profile}”"),
                    ))
                }
                Err(_) => Err(self.failure(profile)),
            }
        };
        race::first(carried, partition, &self.dead, connect)
            .await
            .unwrap_or_else(|| Err(HopError::target(FailureKind::Unreachable, message)))
    }

    /// Waits for work of this tunnel, counted as waiting, unless the tunnel ends first.
    async fn wait<T>(
        &self,
        profile: &str,
        work: impl Future<Output = Result<T, HopError>> + Send,
    ) -> Result<(T, CancellationToken), HopError> {
        let _waits = Counted::new(&self.status, |status| &mut status.waiting);
        let over = self.over.borrow().clone();
        tokio::select! {
            done = work => done.map(|done| (done, over)),
            () = over.cancelled() => Err(self.failure(profile)),
        }
    }

    fn carries(&self, address: IpAddr) -> bool {
        let mut allowed = self.profile.peers.iter().flat_map(|peer| &peer.allowed_ips);
        let has_family = self.profile.addresses.iter().any(|own| own.addr().is_ipv4() == address.is_ipv4());
        has_family && allowed.any(|network| network.contains(&address))
    }

    fn failure(&self, profile: &str) -> HopError {
        let status = self.status.borrow();
        let why = if status.message.is_empty() { "its peer has not answered yet" } else { &status.message };
        HopError::down(format!("the VPN “{profile}” does not work: {why}"))
    }
}
