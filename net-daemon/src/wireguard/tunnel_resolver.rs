//! DNS inside a tunnel: the profile's own name servers are queried through the tunnel, and no others.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::config::NameServerConfig;
use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime};

use super::stack::{Stack, TcpStream, UdpSocket};
use crate::dns::{ANSWER_TIMEOUT, Names, QueryOutcome};

pub(super) fn names(profile: &str, servers: &[IpAddr], stack: Stack) -> Names<Through> {
    Names::new(QueryOutcome {
        who: format!("the name server of the VPN “{profile}”"),
        servers: servers.iter().copied().map(NameServerConfig::udp_and_tcp).collect(),
        provider: Through { stack, handle: TokioHandle::default() },
        tls: None,
        own: HashMap::new(),
        anchors: None,
        search: Vec::new(),
    })
}

/// Transport of DNS queries through the tunnel.
#[derive(Clone)]
pub(super) struct Through {
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
            let opened = tokio::time::timeout(wait.unwrap_or(ANSWER_TIMEOUT), stack.connect(server)).await;
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
