//! What the engine says on a fresh connection to the tunnel's front: SOCKS 5, and which host it wants.

use fast_socks5::server::Socks5ServerProtocol;
use fast_socks5::server::states::CommandRead;
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{ReplyError, Socks5Command};
use tokio::io::{AsyncRead, AsyncWrite};

/// Who wants to be connected, and to what.
pub(crate) type Asked<S> = (Socks5ServerProtocol<S, CommandRead>, String, u16);

/// What is asked for on a fresh connection. The front serves this sandbox only: whoever does not speak SOCKS here, or wants something
/// else than a connection, is its own problem.
pub(crate) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Option<Asked<S>> {
    let protocol = Socks5ServerProtocol::accept_no_auth(stream).await.ok()?;
    let (protocol, command, target) = protocol.read_command().await.ok()?;
    if command != Socks5Command::TCPConnect {
        // The engine may have gone meanwhile.
        let _ = protocol.reply_error(&ReplyError::CommandNotSupported).await;
        return None;
    }
    let (host, port) = match target {
        TargetAddr::Ip(address) => (address.ip().to_string(), address.port()),
        TargetAddr::Domain(name, port) => (name, port),
    };
    Some((protocol, host, port))
}
