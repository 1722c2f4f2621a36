//! The direct route: the system's resolver, then TCP to each address in turn.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use regen_proto::net::v1::FailureKind;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{RouteError, WayError};

const RESOLVE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(30);

pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, WayError> {
    if is_onion(host) {
        let message =
            format!("{host} is an onion service, which only Tor reaches: `regen route set tor` takes you there");
        return Err(WayError::Down(RouteError { kind: FailureKind::Route, message }));
    }
    over_tcp(host, port).await.map_err(WayError::Target)
}

/// The name says who its visitor is: no name server may see it.
fn is_onion(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|label| label.eq_ignore_ascii_case("onion"))
}

async fn over_tcp(host: &str, port: u16) -> Result<TcpStream, RouteError> {
    let addresses = resolve(host, port).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_onion_services_are_known() {
        assert!(["a.onion", "x.y.ONION", "a.onion."].into_iter().all(is_onion));
        assert!(!["onion.test", "a.onions", ""].into_iter().any(is_onion));
    }
}
