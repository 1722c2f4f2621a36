//! The direct route: the system's resolver, then TCP to each address in turn.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use regen_proto::net::v1::FailureKind;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{RouteError, Spaces, WayError};

const RESOLVE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(30);

pub(super) async fn connect(host: &str, port: u16, site: &str, spaces: &Spaces) -> Result<TcpStream, WayError> {
    over_tcp(host, port, site, spaces).await.map_err(|error| match error.kind {
        // Somebody was there.
        FailureKind::Refused | FailureKind::Policy | FailureKind::Other => WayError::Target(error),
        FailureKind::Name
        | FailureKind::Unreachable
        | FailureKind::Timeout
        | FailureKind::Route
        | FailureKind::Unspecified => WayError::Down(error),
    })
}

async fn over_tcp(host: &str, port: u16, site: &str, spaces: &Spaces) -> Result<TcpStream, RouteError> {
    let addresses = spaces.reachable(site, host, resolve(host, port).await?)?;
    let mut last = RouteError { kind: FailureKind::Name, message: format!("“{host}” has no address") };
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Latency over bandwidth: the engine writes whole requests.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = refused(host, address, &error),
            Err(_) => {
                let message = format!("{host} ({address}) did not answer within {} s", CONNECT.as_secs());
                last = RouteError { kind: FailureKind::Timeout, message };
            }
        }
    }
    Err(last)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, RouteError> {
    match timeout(RESOLVE, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => {
            let message = format!("the name “{host}” could not be resolved ({error})");
            Err(RouteError { kind: FailureKind::Name, message })
        }
        Err(_) => {
            let message = format!("no name server answered for “{host}” within {} s", RESOLVE.as_secs());
            Err(RouteError { kind: FailureKind::Timeout, message })
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the system's errors are many, and speak for themselves")]
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
