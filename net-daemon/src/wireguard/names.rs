//! Names inside of a tunnel: its own name servers are asked, through it, and no other.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime};
use regen_proto::net::v1::FailureKind;

use super::stack::{Stack, TcpStream, UdpSocket};
use crate::route::{RouteError, WayError};

/// For one question to one server.
const ANSWERS: Duration = Duration::from_secs(4);
/// Partitions whose names are kept.
const MOST: usize = 1_000;

/// The names of one tunnel. What one partition has asked for, no other can find out.
#[derive(Debug)]
pub(super) struct Names {
    servers: Vec<IpAddr>,
    through: Through,
    caches: Mutex<HashMap<String, Arc<Resolver<Through>>>>,
}

impl Names {
    pub(super) fn new(servers: Vec<IpAddr>, stack: Stack) -> Self {
        Self { servers, through: Through { stack, handle: TokioHandle::default() }, caches: Mutex::default() }
    }

    pub(super) async fn resolve(&self, partition: &str, host: &str) -> Result<Vec<IpAddr>, WayError> {
        let failed = |kind, message: String| RouteError { kind, message };
        if self.servers.is_empty() {
            let message = format!("“{host}” cannot be looked up: this VPN's profile names no server under DNS");
            return Err(WayError::Down(failed(FailureKind::Name, message)));
        }
        // Names are complete here: no search domain is tried.
        let name = format!("{}.", host.trim_end_matches('.'));
        match self
            .of(partition)
            .map_err(|error| WayError::Down(failed(FailureKind::Name, error)))?
            .lookup_ip(name)
            .await
        {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_no_records_found() => {
                let message = format!("the VPN's name server knows no address of “{host}”");
                Err(WayError::Target(failed(FailureKind::Name, message)))
            }
            Err(error) => {
                // A site that makes its name fail does not choose the way.
                let message = format!("the VPN's name servers do not answer for “{host}” ({error})");
                Err(WayError::Target(failed(FailureKind::Name, message)))
            }
        }
    }

    fn of(&self, partition: &str) -> Result<Arc<Resolver<Through>>, String> {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = caches.get(partition) {
            return Ok(Arc::clone(known));
        }
        if caches.len() >= MOST {
            // They can be asked for again.
            caches.clear();
        }
        let servers = self.servers.iter().copied().map(NameServerConfig::udp_and_tcp).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut options = ResolverOpts::default();
        (options.timeout, options.ip_strategy) = (ANSWERS, LookupIpStrategy::Ipv4AndIpv6);
        options.use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
        let resolver = Resolver::builder_with_config(config, self.through.clone()).with_options(options).build();
        let resolver = Arc::new(resolver.map_err(|error| error.to_string())?);
        caches.insert(partition.to_owned(), Arc::clone(&resolver));
        Ok(resolver)
    }
}

/// How the resolver reaches its servers.
#[derive(Clone)]
struct Through {
    stack: Stack,
    handle: TokioHandle,
}

impl std::fmt::Debug for Through {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Through").finish_non_exhaustive()
    }
}

type Opening<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

impl RuntimeProvider for Through {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = UdpSocket;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> TokioHandle {
        self.handle.clone()
    }

    fn connect_tcp(&self, server: SocketAddr, _: Option<SocketAddr>, wait: Option<Duration>) -> Opening<Self::Tcp> {
        let stack = self.stack.clone();
        Box::pin(async move {
            let opened = tokio::time::timeout(wait.unwrap_or(ANSWERS), stack.connect(server)).await;
            Ok(AsyncIoTokioAsStd(opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??))
        })
    }

    fn bind_udp(&self, own: SocketAddr, _: SocketAddr) -> Opening<UdpSocket> {
        let stack = self.stack.clone();
        Box::pin(async move { stack.bind(own.port()) })
    }
}

impl DnsUdpSocket for UdpSocket {
    type Time = TokioTime;

    fn poll_recv_from(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll_receive(context.waker(), buffer)
    }

    fn poll_send_to(&self, context: &mut Context<'_>, bytes: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        self.poll_send(context.waker(), bytes, to)
    }
}
