//! Direct connections: DNS, then TCP to the first address that answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use regen_proto::net::v1::FailureKind;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Inside, RouteError, WayError, race};
use crate::dns::{Dns, Meaning};

const CONNECT: Duration = Duration::from_secs(30);

/// Connects on behalf of a page.
pub(super) async fn connect(host: &str, port: u16, inside: &Inside<'_>, dns: &Dns) -> Result<TcpStream, WayError> {
    over_tcp(host, port, inside, dns).await.map_err(|error| match error.kind {
        // The host refused, or policy forbids the connection: no other hop is tried.
        FailureKind::Refused | FailureKind::Policy | FailureKind::Other => WayError::Target(error),
        FailureKind::Name
        | FailureKind::Unreachable
        | FailureKind::Timeout
        | FailureKind::Route
        | FailureKind::Unspecified => WayError::Down(error),
    })
}

async fn over_tcp(host: &str, port: u16, inside: &Inside<'_>, dns: &Dns) -> Result<TcpStream, RouteError> {
    let Meaning { addresses, aliases } = dns.meaning(inside.partition, host).await?;
    inside.lets_out(host, &aliases).await?;
    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    to_one_of(host, inside.reach.filter("", host, addresses).await?, inside.partition, dns).await
}

/// Connects to a host that the user has named, on any network.
pub(super) async fn dial(host: &str, port: u16, partition: &str, dns: &Dns) -> Result<TcpStream, RouteError> {
    let found = dns.addresses(partition, host).await?;
    to_one_of(host, found.into_iter().map(|address| SocketAddr::new(address, port)).collect(), partition, dns).await
}

async fn to_one_of(
    host: &str,
    addresses: Vec<SocketAddr>,
    partition: &str,
    dns: &Dns,
) -> Result<TcpStream, RouteError> {
    let connect = |address| async move {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Nagle's algorithm would only delay: the engine writes whole requests.
                let _ = stream.set_nodelay(true);
                Ok(stream)
            }
            Ok(Err(error)) => Err(refused(host, address, &error)),
            Err(_) => {
                let message = format!("{host} ({address}) did not answer within {} s", CONNECT.as_secs());
                Err(RouteError { kind: FailureKind::Timeout, message })
            }
        }
    };
    race::first(addresses, partition, dns.dead(), connect)
        .await
        .unwrap_or_else(|| Err(RouteError { kind: FailureKind::Name, message: format!("“{host}” has no address") }))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other errors of the system are shown as they are")]
fn refused(host: &str, address: SocketAddr, error: &io::Error) -> RouteError {
    let (kind, message) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (FailureKind::Refused, format!("{host} ({address}) refused the connection: nothing listens there"))
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            (FailureKind::Unreachable, format!("{host} ({address}) cannot be reached from this network"))
        }
        _ => (FailureKind::Other, format!("{host} ({address}): {error}")),
    };
    RouteError { kind, message }
}
