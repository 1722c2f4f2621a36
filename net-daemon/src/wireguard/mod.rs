//! `WireGuard`, all in this process: no root, no device, no module of the kernel. A tunnel that is dead is a stop.

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
use crate::dns::{Dns, Meaning, Names};
use crate::route::race::{self, Dead};
use crate::route::{Inside, RouteError, WayError};
use stack::{Stack, TcpStream};
use tunnel::{RETRY_DELAY, Tunnel};
use tunnel_resolver::Through;

pub(crate) use service::{Admin, MAX_REQUEST};

/// For one connection through a tunnel that works.
const CONNECTS: Duration = Duration::from_secs(20);
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;
/// For the profiles to be there: they are told right after the start.
const TOLD: Duration = Duration::from_secs(5);

/// All tunnels. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct WireGuard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    profiles: Mutex<BTreeMap<String, Known>>,
    told: watch::Sender<bool>,
    /// Where the peers are.
    dns: Dns,
}

/// A profile that was told of.
struct Known {
    config: String,
    /// What is wrong with it, where it cannot be up.
    trouble: String,
    up: Option<Arc<Up>>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("up", &self.up.is_some()).finish_non_exhaustive()
    }
}

impl Drop for Known {
    /// Whatever is being opened through it.
    fn drop(&mut self) {
        if let Some(up) = &self.up {
            up.status.send_modify(|status| "it was taken down".clone_into(&mut status.message));
            up.task.abort();
            up.over.borrow().cancel();
        }
    }
}

/// A tunnel that is to work.
#[derive(Debug)]
struct Up {
    profile: Profile,
    stack: Stack,
    names: Names<Through>,
    dead: Dead,
    status: watch::Sender<VpnTunnel>,
    /// What is open now ends with this.
    over: watch::Sender<CancellationToken>,
    /// Ends when it is not wanted any more.
    task: tokio::task::JoinHandle<()>,
}

/// A tunnel that ends by itself lets nothing through, and says so.
struct Ends {
    status: watch::Sender<VpnTunnel>,
    over: watch::Sender<CancellationToken>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.status.send_modify(|status| {
            status.set_state(VpnState::Failing);
            if status.message.is_empty() {
                "it has ended: take it down and up again".clone_into(&mut status.message);
            }
        });
        self.over.borrow().cancel();
    }
}

impl WireGuard {
    pub(crate) fn new(dns: Dns) -> Self {
        Self { shared: Arc::new(Shared { profiles: Mutex::default(), told: watch::Sender::new(false), dns }) }
    }

    fn profiles(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.shared.profiles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are all that there are. One that is as it was goes on.
    fn set(&self, wanted: Vec<VpnProfile>) {
        let mut profiles = self.profiles();
        let names: Vec<&String> = wanted.iter().map(|profile| &profile.name).collect();
        profiles.retain(|name, _| names.contains(&name));
        for VpnProfile { name, config, up } in wanted {
            let is_same = |known: &Known| known.config == config && known.up.is_some() == up;
            if profiles.get(&name).is_some_and(is_same) {
                continue;
            }
            // The old one ends before there is a new one: they may want the same port.
            profiles.remove(&name);
            let (tunnel, trouble) = match config.parse::<Profile>() {
                Ok(profile) if up => {
                    (Some(Arc::new(Up::start(&name, profile, self.shared.dns.clone()))), String::new())
                }
                Ok(_) => (None, String::new()),
                Err(error) => (None, error.to_string()),
            };
            profiles.insert(name, Known { config, trouble, up: tunnel });
        }
        drop(profiles);
        self.shared.told.send_replace(true);
    }

    fn status(&self) -> Vec<VpnTunnel> {
        let all = self.profiles();
        let tunnel = |(name, known): (&String, &Known)| match &known.up {
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

    /// A connection through the tunnel of this profile, and when it must end.
    pub(crate) async fn connect(
        &self,
        profile: &str,
        inside: &Inside<'_>,
        host: &str,
        port: u16,
    ) -> Result<(TcpStream, CancellationToken, Counted<VpnTunnel>), WayError> {
        let mut told = self.shared.told.subscribe();
        let _ = timeout(TOLD, told.wait_for(|told| *told)).await;
        let up = self.find(profile)?;
        let waits = Counted::new(&up.status, |status| &mut status.waiting);
        let over = up.over.borrow().clone();
        let opened = tokio::select! {
            opened = up.open(profile, inside, host, port) => opened,
            () = over.cancelled() => Err(up.failure(profile)),
        };
        drop(waits);
        opened.map(|stream| (stream, over, Counted::new(&up.status, |status| &mut status.open)))
    }

    /// All records of a name that are of this type, for people.
    pub(crate) async fn records(&self, profile: &str, name: &str, kind: RecordType) -> Result<Vec<Record>, RouteError> {
        let up = self.find(profile).map_err(|(WayError::Down(error) | WayError::Target(error))| error)?;
        up.names.records(name, kind).await
    }

    fn find(&self, name: &str) -> Result<Arc<Up>, WayError> {
        let profiles = self.profiles();
        let message = match profiles.get(name) {
            Some(Known { up: Some(up), .. }) => return Ok(Arc::clone(up)),
            Some(Known { trouble, .. }) if !trouble.is_empty() => format!("the VPN “{name}” cannot be used: {trouble}"),
            Some(_) => format!("the VPN “{name}” is down, so nothing leaves: `regen vpn up {name}`"),
            None => format!("there is no VPN profile “{name}”: `regen vpn import FILE --name {name}`"),
        };
        Err(down(message))
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
                        status.message = format!("no port to send from: {error}");
                    }),
                }
                tokio::time::sleep(RETRY_DELAY).await;
            }
        });
        Self { profile, stack, names, dead: Dead::default(), status, over, task }
    }

    async fn open(&self, profile: &str, inside: &Inside<'_>, host: &str, port: u16) -> Result<TcpStream, WayError> {
        if self.status.borrow().state() == VpnState::Failing {
            return Err(self.failure(profile));
        }
        let Meaning { addresses, aliases } = match host.parse::<IpAddr>() {
            Ok(address) => vec![address].into(),
            Err(_) if self.profile.dns.is_empty() => {
                let message = format!("“{host}” cannot be looked up: this VPN's profile names no server under DNS");
                return Err(WayError::Down(RouteError { kind: FailureKind::Name, message }));
            }
            // A site that makes its name fail does not choose the way.
            Err(_) => self.names.meaning(inside.partition, host).await.map_err(WayError::Target)?,
        };
        inside.lets_out(host, &aliases).await.map_err(WayError::Target)?;
        let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        let addresses = inside.reach.filter(profile, host, addresses).await.map_err(WayError::Target)?;
        // A page that asks for what the tunnel does not carry does not choose another way by that.
        let message = format!(
            "{host} has no address that the VPN “{profile}” carries: its AllowedIPs and its own Address say which"
        );
        let carried = addresses.into_iter().filter(|address| self.carries(address.ip())).take(MAX_ADDRESSES).collect();
        let connect = |address: SocketAddr| async move {
            match timeout(CONNECTS, self.stack.connect(address)).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(target(
                    FailureKind::Refused,
                    format!("{host} ({address}) refused the connection: nothing listens there"),
                )),
                Ok(Err(error)) => Err(target(FailureKind::Other, format!("{host} ({address}): {error}"))),
                Err(_) if self.status.borrow().state() == VpnState::Up => {
                    let waited = CONNECTS.as_secs();
                    Err(target(
                        FailureKind::Timeout,
                        format!("{host} ({address}) did not answer within {waited} s through the VPN “{profile}”"),
                    ))
                }
                Err(_) => Err(self.failure(profile)),
            }
        };
        race::first(carried, inside.partition, &self.dead, connect)
            .await
            .unwrap_or_else(|| Err(target(FailureKind::Unreachable, message)))
    }

    fn carries(&self, address: IpAddr) -> bool {
        let mut allowed = self.profile.peers.iter().flat_map(|peer| &peer.allowed_ips);
        let has_family = self.profile.addresses.iter().any(|own| own.addr().is_ipv4() == address.is_ipv4());
        has_family && allowed.any(|network| network.contains(&address))
    }

    fn failure(&self, profile: &str) -> WayError {
        let status = self.status.borrow();
        let why = if status.message.is_empty() { "its peer has not answered yet" } else { &status.message };
        down(format!("the VPN “{profile}” lets nothing out: {why}"))
    }
}

fn down(message: String) -> WayError {
    WayError::Down(RouteError { kind: FailureKind::Route, message })
}

fn target(kind: FailureKind, message: String) -> WayError {
    WayError::Target(RouteError { kind, message })
}
