//! Connections through an upstream proxy. The proxy is reached directly, and resolves host names itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use fast_socks5::client::{Config, Socks5Stream};
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{ReplyError, Socks5Command, SocksError};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use regen_net_config::proxy::{Protocol, Proxy};
use regen_proto::net::v1::FailureKind;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Connection, Egress, Resolved, Stream, Target, direct};
use crate::dns::Dns;
use crate::error::HopError;
use crate::tls;

/// Timeout for opening a connection through a proxy.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// The egress of an upstream proxy.
#[derive(Debug)]
pub(crate) struct Proxied<'a> {
    pub(crate) proxy: &'a Proxy,
    /// Resolves the proxy's own name.
    pub(crate) dns: &'a Dns,
}

#[tonic::async_trait]
impl Egress for Proxied<'_> {
    fn network(&self) -> String {
        self.proxy.to_string()
    }

    /// Resolves addresses only: what a name means in the proxy's network, only the proxy knows.
    async fn resolve(&self, target: Target<'_>) -> Result<Resolved, HopError> {
        Ok(match literal(target.host) {
            Some(address) => Resolved::Here { addresses: vec![address], aliases: Vec::new() },
            None => Resolved::Elsewhere,
        })
    }

    async fn dial(&self, target: Target<'_>, _: Resolved) -> Result<Connection, HopError> {
        Ok(Connection::plain(connect(self.proxy, self.dns, target).await?))
    }
}

async fn connect(
    proxy: &Proxy,
    dns: &Dns,
    Target { partition, host, port }: Target<'_>,
) -> Result<Box<dyn Stream>, HopError> {
    let failed = |why: String| {
        let message = format!("the proxy {} does not work: {why}", plain(proxy));
        HopError::down(message)
    };
    let opening = async {
        let stream = direct::dial(&proxy.host, proxy.port, partition, dns).await;
        let stream = stream.map_err(|error| failed(error.message))?;
        match &proxy.protocol {
            Protocol::Socks5 => by_socks(stream, host, port, failed).await,
            Protocol::Https { pin } => by_https(stream, proxy, *pin, host, port, failed).await,
        }
    };
    let late = |_| failed(format!("it did not connect to {host} within {} s", CONNECT_TIMEOUT.as_secs()));
    timeout(CONNECT_TIMEOUT, opening).await.map_err(late)?
}

/// Returns the address of a host that is the same in every network: an IP literal or localhost.
fn literal(host: &str) -> Option<IpAddr> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    // Spellings that only some programs accept are included: 127.1, 0x7f.1, 2130706433.
    let spelt = if name.contains(':') { url::Host::parse(&format!("[{name}]")) } else { url::Host::parse(&name) };
    match spelt {
        _ if is_local => Some(Ipv4Addr::LOCALHOST.into()),
        Ok(url::Host::Ipv4(address)) => Some(address.into()),
        Ok(url::Host::Ipv6(address)) => Some(address.into()),
        Ok(url::Host::Domain(_)) | Err(_) => None,
    }
}

/// Returns the proxy's URL without the pinned key, for error messages.
fn plain(proxy: &Proxy) -> String {
    proxy.to_string().split('#').next().unwrap_or_default().to_owned()
}

async fn by_socks(
    stream: TcpStream,
    host: &str,
    port: u16,
    failed: impl Fn(String) -> HopError,
) -> Result<Box<dyn Stream>, HopError> {
    let target = match host.parse::<IpAddr>() {
        Ok(address) => TargetAddr::Ip(SocketAddr::new(address, port)),
        Err(_) => TargetAddr::Domain(host.to_owned(), port),
    };
    let mut socks = Socks5Stream::use_stream(stream, None, Config::default()).await.map_err(|error| {
        let is_closed = matches!(error, SocksError::AuthMethodUnacceptable(_));
        let words = format!("it does not speak SOCKS 5 ({error})");
        failed(if is_closed { "it requires a user name and password".to_owned() } else { words })
    })?;
    match socks.request(Socks5Command::TCPConnect, target).await {
        Ok(_) => Ok(Box::new(socks)),
        Err(SocksError::ReplyError(ReplyError::ConnectionRefused)) => {
            Err(HopError::target(FailureKind::Refused, format!("{host} refused the proxy's connection")))
        }
        // The proxy understood the request but could not fulfil it.
        Err(SocksError::ReplyError(reply)) => {
            Err(HopError::target(FailureKind::Unreachable, format!("the proxy cannot reach {host}: {reply}")))
        }
        Err(error) => Err(failed(format!("it disconnected ({error})"))),
    }
}

async fn by_https(
    stream: TcpStream,
    proxy: &Proxy,
    pin: Option<tls::Pin>,
    host: &str,
    port: u16,
    failed: impl Fn(String) -> HopError,
) -> Result<Box<dyn Stream>, HopError> {
    let config = tls::client(pin).map_err(&failed)?;
    let name = ServerName::try_from(proxy.host.clone()).map_err(|error| failed(error.to_string()))?;
    let secure = TlsConnector::from(config).connect(name, stream).await;
    let secure = secure.map_err(|error| failed(format!("the connection to it is not secure: {error}")))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(secure)).await.map_err(|error| failed(error.to_string()))?;
    // The connection task ends with the stream that it carries.
    tokio::spawn(connection.with_upgrades());
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let request = Request::connect(&authority).header(header::HOST, &authority).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| HopError::target(FailureKind::Name, error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(format!("it disconnected ({error})")))?;
    match answer.status() {
        status if status.is_success() => {
            let upgraded = hyper::upgrade::on(answer).await.map_err(|error| failed(error.to_string()))?;
            Ok(Box::new(TokioIo::new(upgraded)))
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(failed("it requires a user name and password".to_owned())),
        status => Err(HopError::target(FailureKind::Unreachable, format!("the proxy cannot reach {host}: {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_spelt() {
        let local = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        for host in ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "LOCALHOST.", "x.localhost"] {
            assert_eq!(literal(host), local, "{host}");
        }
        assert_eq!(literal("::1"), "::1".parse().ok());
        assert!(["example.org", "localhost.test", ""].into_iter().all(|host| literal(host).is_none()));
    }
}
