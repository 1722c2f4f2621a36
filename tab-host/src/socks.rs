//! SOCKS5 handshake of the engine's connections to the tunnel.

use fast_socks5::server::Socks5ServerProtocol;
use fast_socks5::server::states::CommandRead;
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{ReplyError, Socks5Command};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection that waits for a reply, with the host and port that it requested.
pub(crate) type SocksRequest<S> = (Socks5ServerProtocol<S, CommandRead>, String, u16);

/// Reads the request of a new connection. Returns `None` for anything but a SOCKS5 CONNECT.
pub(crate) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Option<SocksRequest<S>> {
    let protocol = Socks5ServerProtocol::accept_no_auth(stream).await.ok()?;
    let (protocol, command, target) = protocol.read_command().await.ok()?;
    if command != Socks5Command::TCPConnect {
        // The engine may have closed the connection.
        let _ = protocol.reply_error(&ReplyError::CommandNotSupported).await;
        return None;
    }
    let (host, port) = match target {
        TargetAddr::Ip(address) => (address.ip().to_string(), address.port()),
        TargetAddr::Domain(name, port) => (name, port),
    };
    Some((protocol, host, port))
}
