//! Direct connections: DNS, then TCP to the first address that answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use regen_proto::net::v1::FailureKind;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Connection, Egress, Resolved, Target};
use crate::dns::{Dns, Resolution};
use crate::error::{ConnectError, HopError};
use crate::race;

/// Timeout for a connection to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The direct egress: this machine's own network.
#[derive(Debug)]
pub(crate) struct Direct<'a>(pub(crate) &'a Dns);

#[tonic::async_trait]
impl Egress for Direct<'_> {
    fn network(&self) -> String {
        String::new()
    }

    async fn resolve(&self, target: Target<'_>) -> Result<Resolved, HopError> {
        let Resolution { addresses, aliases } = self.0.meaning(target.partition, target.host).await.map_err(whose)?;
        Ok(Resolved::Here { addresses, aliases })
    }

    async fn dial(&self, target: Target<'_>, resolved: Resolved) -> Result<Connection, HopError> {
        let Resolved::Here { addresses, .. } = resolved else {
            return Err(HopError::down("a direct connection needs an address".to_owned()));
        };
        let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, target.port)).collect();
        let stream = to_one_of(target.host, addresses, target.partition, self.0).await.map_err(whose)?;
        Ok(Connection::plain(stream))
    }
}

/// Returns whether the target or the hop failed.
fn whose(error: ConnectError) -> HopError {
    match error.kind {
        // The host refused, or policy forbids the connection: no other hop is tried.
        FailureKind::Refused | FailureKind::Policy | FailureKind::Other => HopError::Target(error),
        FailureKind::Name
        | FailureKind::Unreachable
        | FailureKind::Timeout
        | FailureKind::Route
        | FailureKind::Unspecified => HopError::Down(error),
    }
}

/// Connects to a host that the user has named, on any network.
pub(crate) async fn dial(host: &str, port: u16, partition: &str, dns: &Dns) -> Result<TcpStream, ConnectError> {
    let found = dns.addresses(partition, host).await?;
    to_one_of(host, found.into_iter().map(|address| SocketAddr::new(address, port)).collect(), partition, dns).await
}

async fn to_one_of(
    host: &str,
    addresses: Vec<SocketAddr>,
    partition: &str,
    dns: &Dns,
) -> Result<TcpStream, ConnectError> {
    let connect = |address| async move {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Nagle's algorithm would only delay: the engine writes whole requests.
                let _ = stream.set_nodelay(true);
                Ok(stream)
            }
            Ok(Err(error)) => Err(refused(host, address, &error)),
            Err(_) => {
                let message = format!("{host} ({address}) did not answer within {} s", CONNECT_TIMEOUT.as_secs());
                Err(ConnectError { kind: FailureKind::Timeout, message })
            }
        }
    };
    race::first(addresses, partition, dns.dead(), connect).await.unwrap_or_else(|| {
        Err(ConnectError { kind: FailureKind::Name, message: format!("“{host}” has no address") })
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other errors of the system are shown as they are")]
fn refused(host: &str, address: SocketAddr, error: &io::Error) -> ConnectError {
    let (kind, message) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (FailureKind::Refused, format!("{host} ({address}) refused the connection: nothing listens there"))
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            (FailureKind::Unreachable, format!("{host} ({address}) cannot be reached from this network"))
        }
        _ => (FailureKind::Other, format!("{host} ({address}): {error}")),
    };
    ConnectError { kind, message }
}
