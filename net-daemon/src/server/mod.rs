//! Handles the broker's messages, and serves the connections that the broker grants.

mod dns_admin;

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock, Weak};

use anyhow::Context;
use regen_net_config::dns::DnsSettings;
use regen_net_config::route::Route;
use regen_proto::grpc;
use regen_proto::kernel::v1::NetDaemonConfiguration;
use regen_proto::kernel::v1::{self as wire, Grant, Service};
use regen_proto::net::v1::dns_admin_server::DnsAdminServer;
use regen_proto::net::v1::encryption_admin_server::EncryptionAdminServer;
use regen_proto::net::v1::shields_admin_server::ShieldsAdminServer;
use regen_proto::net::v1::shields_server::ShieldsServer;
use regen_proto::net::v1::tor_admin_server::TorAdminServer;
use regen_proto::net::v1::tunnel_server::TunnelServer;
use regen_proto::net::v1::vpn_admin_server::VpnAdminServer;
use regen_proto::role::Configuration;
use regen_proto::validate::{BrokerToChild, ChildToBroker};
use regen_runtime::Kernel;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::dns::Dns;
use crate::egress::Reach;
use crate::encrypted_hosts::{self, EncryptedHosts};
use crate::http_client::Fetcher;
use crate::route::GrantedRoute;
use crate::shields::{ForPages, MAX_CHANGE, MAX_REQUEST, Shields, VerdictChannels};
use crate::tor::Tor;
use crate::tunnel::{Limits, TunnelGrant, Tunnels};
use crate::wireguard::WireGuard;
use crate::{shields, tor, wireguard};

/// Maximum number of threads for blocking work, such as slow rules and file access.
const BLOCKING_THREADS: usize = 32;

/// A granted connection that can be revoked.
#[derive(Debug)]
struct Served {
    grant: u64,
    revoked: CancellationToken,
    /// Reference to a value that the connection holds while it is open.
    open: Weak<()>,
}

/// State that all grants share.
#[derive(Debug, Clone)]
struct Shared {
    shields: Shields,
    verdicts: VerdictChannels,
    encrypted: EncryptedHosts,
    dns: Dns,
    tor: Tor,
    wireguard: WireGuard,
    /// Hosts of sites that the user allows to reach private networks.
    trusted: Arc<HashSet<String>>,
    /// Broker to report the network side of sites to; `None` in a process without a broker.
    broker: Option<Kernel>,
    limits: Limits,
    fetcher: Fetcher,
}

/// Serves the broker that has started this process, until it requests the shutdown.
///
/// # Errors
/// Fails if there is no broker, or if it sends an invalid message.
pub fn run() -> anyhow::Result<()> {
    regen_runtime::begin();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(BLOCKING_THREADS).build()?.block_on(work())
}

async fn work() -> anyhow::Result<()> {
    let (kernel, configuration) = regen_runtime::adopt::<NetDaemonConfiguration>().await?;
    let dns = Dns::new(settings_of(configuration.dns)?, &configuration.dns_anchors);
    let shields = Shields::start(&configuration.shields.unwrap_or_default())?;
    let tor = Tor::new(configuration.tor_config);
    let trusted = Arc::new(configuration.reach_private.into_iter().collect());
    let wireguard = WireGuard::new(dns.clone());
    let fetcher = Fetcher::new(dns.clone(), tor.clone(), wireguard.clone(), configuration.route.parse()?);
    tokio::spawn(shields.clone().keep_fresh(fetcher.clone()));
    let encrypted = EncryptedHosts::untold();
    let verdicts = VerdictChannels::start(shields.clone(), encrypted.clone())?;
    let (broker, limits) = (Some(kernel.clone()), Limits::default());
    let shared = Shared { shields, verdicts, encrypted, dns, tor, wireguard, trusted, broker, limits, fetcher };
    kernel.ready().await?;
    let mut served: Vec<Served> = Vec::new();
    loop {
        let (message, descriptors) = kernel.receive().await?;
        match message {
            BrokerToChild::Heartbeat(beat) => kernel.send(ChildToBroker::Heartbeat(beat)).await?,
            BrokerToChild::Grant(grant) => {
                served.retain(|one| one.open.strong_count() > 0);
                served.extend(serve(grant, descriptors, shared.clone())?);
            }
            BrokerToChild::Revoke(revoke) => {
                served.extract_if(.., |one| one.grant == revoke.grant).for_each(|one| one.revoked.cancel());
            }
            BrokerToChild::Configure(configure) => {
                let configuration =
                    NetDaemonConfiguration::of(configure).context("the configuration of another role")?;
                shared.dns.set(settings_of(configuration.dns)?);
                shared.fetcher.take(configuration.route.parse()?);
                shared.shields.set(&configuration.shields.unwrap_or_default());
            }
            BrokerToChild::Shutdown(_) => return Ok(()),
            BrokerToChild::Hello(_)
            | BrokerToChild::Command(_)
            | BrokerToChild::Update(_)
            | BrokerToChild::Cookies(_)
            | BrokerToChild::Permissions(_)
            | BrokerToChild::Site(_) => {
                refuse(&kernel).await;
            }
        }
    }
}

fn settings_of(dns: Option<wire::Dns>) -> anyhow::Result<DnsSettings> {
    // Missing settings must not fall back to this machine's name servers.
    let wire::Dns { servers, dnssec } = dns.context("the configuration has no DNS settings")?;
    Ok(DnsSettings { servers: servers.parse()?, dnssec })
}

async fn refuse(kernel: &Kernel) -> ! {
    kernel.exit("the broker sent a message that is not for a net-daemon").await
}

fn serve(grant: Grant, descriptors: Vec<OwnedFd>, shared: Shared) -> anyhow::Result<Option<Served>> {
    let Shared { shields, verdicts, encrypted, dns, tor, wireguard, trusted, broker, limits, fetcher } = shared;
    let is_admin = grant.service() == Service::NetAdmin;
    let is_verdicts = grant.service() == Service::VerdictChannels;
    let is_served = is_admin || is_verdicts || grant.service() == Service::Tunnel;
    anyhow::ensure!(grant.serve && is_served, "the net-daemon does not serve such a grant");
    let socket = descriptors.into_iter().next().context("a grant without its socket")?;
    let workspace = grant.partition.rsplit_once('|').map_or("", |(workspace, _)| workspace);
    let asking = shields.asking(grant.host, &grant.site, workspace);
    if is_verdicts {
        verdicts.serve_host(socket, asking, workspace.to_owned())?;
        return Ok(None);
    }
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(true)?;
    let stream = UnixStream::from_std(socket)?;
    let route = if is_admin { Route::default() } else { grant.route.parse()? };
    let (revoked, open) = (CancellationToken::new(), Arc::new(()));
    let served = Served { grant: grant.grant, revoked: revoked.clone(), open: Arc::downgrade(&open) };
    let report = broker.map(|broker| (broker, grant.grant));
    let reach = Reach::new(&grant.site, &trusted, grant.private_network(), report);
    let partition = grant.partition;
    let whose = Some((shields.clone(), Arc::clone(&asking)));
    let (dns_too, tor_too, vpn_too) = (dns.clone(), tor.clone(), wireguard.clone());
    let granted =
        GrantedRoute { route, partition, dns: dns_too, tor: tor_too, wireguard: vpn_too, reach, shields: whose };
    let tunnel =
        TunnelGrant { host: grant.host, route: granted, asking, limits: limits.of_partition(), revoked, _open: open };
    // An error on one tab-host's connection must not affect the others.
    tokio::spawn(async move {
        let routes = if is_admin {
            Routes::new(
                ShieldsAdminServer::new(shields::Admin { shields, fetcher }).max_decoding_message_size(MAX_CHANGE),
            )
            .add_service(DnsAdminServer::new(dns_admin::Admin { dns, tor: tor.clone(), wireguard: wireguard.clone() }))
            .add_service(
                EncryptionAdminServer::new(encrypted_hosts::Admin(encrypted))
                    .max_decoding_message_size(encrypted_hosts::MAX_REQUEST),
            )
            .add_service(TorAdminServer::new(tor::Admin(tor)))
            .add_service(
                VpnAdminServer::new(wireguard::Admin(wireguard)).max_decoding_message_size(wireguard::MAX_REQUEST),
            )
        } else {
            let tunnels = TunnelServer::new(Tunnels(shields.clone()));
            Routes::new(tunnels)
                .add_service(ShieldsServer::new(ForPages(shields)).max_decoding_message_size(MAX_REQUEST))
        };
        if let Err(error) = grpc::serve(stream, tunnel, routes).await {
            tracing::warn!("a granted connection failed: {error}");
        }
    });
    Ok(Some(served))
}

/// Serves a grant in a process without a broker or filter lists, on a thread that later calls reuse.
pub(crate) fn serve_alone(grant: Grant, socket: OwnedFd) {
    static ALONE: OnceLock<mpsc::UnboundedSender<(Grant, OwnedFd)>> = OnceLock::new();
    let alone = ALONE.get_or_init(|| {
        let (sender, mut granted) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let dns = Dns::new(DnsSettings { servers: "block".parse()?, dnssec: false }, "");
                let shields = Shields::without_lists();
                let (tor, wireguard) = (Tor::new(String::new()), WireGuard::new(dns.clone()));
                let fetcher = Fetcher::new(dns.clone(), tor.clone(), wireguard.clone(), Route::default());
                let encrypted = EncryptedHosts::none();
                let verdicts = VerdictChannels::start(shields.clone(), encrypted.clone())?;
                let (trusted, broker, limits) = (Arc::default(), None, Limits::default());
                let shared =
                    Shared { shields, verdicts, encrypted, dns, tor, wireguard, trusted, broker, limits, fetcher };
                while let Some((grant, socket)) = granted.recv().await {
                    serve(grant, vec![socket], shared.clone())?;
                }
                anyhow::Ok(())
            })
        });
        sender
    });
    // If the thread has ended, the caller notices that nothing is answered.
    let _ = alone.send((grant, socket));
}
