//! The tunnel to the network: a SOCKS5 server on the sandbox's own loopback, which relays each connection to the
//! net-daemon in one gRPC call. The net-daemon resolves names. Without a grant nothing connects.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fast_socks5::ReplyError;
use regen_proto::grpc;
use regen_proto::net::v1::tunnel_client::TunnelClient;
use regen_proto::net::v1::{FailureKind, FromNetwork, Open, ToNetwork, from_network, to_network};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::socks::greet;

const CHUNK: usize = 64 * 1024;
const WAITING: usize = 4;
/// Time that a new connection waits for the net-daemon while it restarts.
pub(crate) const RECONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout for the SOCKS handshake of a new connection.
const GREETING: Duration = Duration::from_secs(10);

/// Time after which a pending connection is reported to the engine as established. The engine cancels a page whose
/// connection takes ten seconds, and reports no reason.
const ENGINE_WAITS: Duration = Duration::from_secs(5);

/// Reason of the last failed connection to each host, for the error page.
pub(crate) type Failures = Arc<Mutex<HashMap<String, Failure>>>;

/// Reason why a host was not reached.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) why: String,
    /// Set if the host itself failed, rather than the route to it.
    pub(crate) is_its_own: bool,
    /// Time at which the net-daemon was found to be gone, if that is the reason.
    pub(crate) without_network: Option<Instant>,
}

/// Port of the SOCKS server, and the failures that it records.
#[derive(Debug, Clone)]
pub(crate) struct TunnelPort {
    pub(crate) port: u16,
    pub(crate) failures: Failures,
}

/// Channel to the net-daemon with the ID of its grant; `None` without a grant.
pub(crate) type Granted = Option<(u64, Channel)>;

/// Holder of the current grant.
#[derive(Debug)]
pub(crate) struct Dialer {
    granted: watch::Sender<Granted>,
}

impl Dialer {
    /// Sends new connections over this grant.
    pub(crate) fn grant(&self, grant: u64, stream: UnixStream) {
        self.granted.send_replace(Some((grant, grpc::client(stream))));
    }

    /// Returns a receiver that follows the current grant.
    pub(crate) fn watch(&self) -> watch::Receiver<Granted> {
        self.granted.subscribe()
    }

    /// Drops a grant, if it is the current one.
    pub(crate) fn revoke(&self, grant: u64) {
        self.granted.send_if_modified(|granted| {
            let is_it = granted.as_ref().is_some_and(|(present, _)| *present == grant);
            if is_it {
                *granted = None;
            }
            is_it
        });
    }
}

/// Port of the SOCKS server, the only loopback port that the sandbox policy allows.
const PORT: u16 = 1080;

/// Starts the SOCKS server on the sandbox's loopback.
pub(crate) async fn start() -> std::io::Result<(Dialer, TunnelPort)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).await?;
    let failures = Failures::default();
    let port = TunnelPort { port: listener.local_addr()?.port(), failures: Arc::clone(&failures) };
    let (granted, watching) = watch::channel(None);
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Favour latency: loopback has bandwidth to spare.
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(stream, watching.clone(), Arc::clone(&failures)));
                }
                Err(error) => {
                    tracing::warn!("tunnel: cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok((Dialer { granted }, port))
}

/// Reason why there is no connection: a SOCKS reply for the engine, and words for the user.
struct Refused {
    reply: ReplyError,
    why: String,
    is_without_network: bool,
}

async fn serve(stream: TcpStream, granted: watch::Receiver<Granted>, failures: Failures) {
    let Ok(Some((protocol, host, port))) = timeout(GREETING, greet(stream)).await else { return };
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let opening = open(granted, &host, port);
    tokio::pin!(opening);
    // The engine may have closed the connection before it is answered.
    match timeout(ENGINE_WAITS, &mut opening).await {
        Ok(opened) => match noted(&failures, &host, opened) {
            Ok((up, down)) => {
                if let Ok(stream) = protocol.reply_success(nowhere).await {
                    note_end(&failures, &host, relay(stream, up, down).await);
                }
            }
            Err(reply) => drop(protocol.reply_error(&reply).await),
        },
        // Report success early. The engine's data waits in the socket, which is reset if opening fails.
        Err(_) => {
            let Ok(stream) = protocol.reply_success(nowhere).await else { return };
            match noted(&failures, &host, opening.await) {
                Ok((up, down)) => note_end(&failures, &host, relay(stream, up, down).await),
                Err(_) => cut_off(&stream),
            }
        }
    }
}

/// Records the reason of a failed connection for the error page.
fn noted(failures: &Failures, host: &str, opened: Opened) -> Result<Ends, ReplyError> {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    match opened {
        Ok(ends) => {
            failures.remove(host);
            Ok(ends)
        }
        Err(refused) => {
            let is_its_own = matches!(
                refused.reply,
                ReplyError::HostUnreachable | ReplyError::ConnectionRefused | ReplyError::TtlExpired
            );
            let without_network = refused.is_without_network.then(Instant::now);
            failures.insert(host.to_owned(), Failure { why: refused.why, is_its_own, without_network });
            Err(refused.reply)
        }
    }
}

/// Records that an open connection ended because the net-daemon died.
fn note_end(failures: &Failures, host: &str, end: End) {
    if end == End::WithoutNetwork {
        let why = "the connection was lost: Regen's network process ended".to_owned();
        let failure = Failure { why, is_its_own: false, without_network: Some(Instant::now()) };
        failures.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), failure);
    }
}

/// Makes the close of a connection a reset (RST, not FIN), so that truncation is not taken as completion.
fn cut_off(stream: &TcpStream) {
    // Fails only if the peer is already gone.
    let _ = stream.set_zero_linger();
}

async fn open(mut granted: watch::Receiver<Granted>, host: &str, port: u16) -> Opened {
    let mut deadline = None;
    let no_network = || Refused {
        reply: ReplyError::NetworkUnreachable,
        why: "Regen's network process is not there at the moment".to_owned(),
        is_without_network: true,
    };
    loop {
        let client = granted.borrow_and_update().as_ref().map(|(_, channel)| TunnelClient::new(channel.clone()));
        let gone = match client {
            Some(client) => match try_open(client, host, port).await {
                Ok(opened) => return opened,
                Err(gone) => gone,
            },
            None => tonic::Status::unavailable("no grant"),
        };
        tracing::debug!("tunnel: cannot reach the net-daemon: {gone}");
        // The net-daemon died. Wait for the grant to its successor.
        let deadline = *deadline.get_or_insert_with(|| tokio::time::Instant::now() + RECONNECT_TIMEOUT);
        match tokio::time::timeout_at(deadline, granted.changed()).await {
            Ok(Ok(())) => {}
            _ => return Err(no_network()),
        }
    }
}

type Ends = (mpsc::Sender<ToNetwork>, Streaming<FromNetwork>);
type Opened = Result<Ends, Refused>;

/// Opens one connection. The outer `Err` means that the net-daemon itself cannot be reached.
async fn try_open(mut client: TunnelClient<Channel>, host: &str, port: u16) -> Result<Opened, tonic::Status> {
    let (up, stream) = mpsc::channel(WAITING);
    let open = Open { host: host.to_owned(), port: port.into() };
    let first = ToNetwork { body: Some(to_network::Body::Open(open)) };
    up.try_send(first).map_err(|_| tonic::Status::internal("a fresh channel is full"))?;
    let mut down = client.relay(ReceiverStream::new(stream)).await?.into_inner();
    let answer = down.message().await?.and_then(|message| message.body);
    Ok(match answer {
        Some(from_network::Body::Opened(_)) => Ok((up, down)),
        Some(from_network::Body::Failed(failed)) => {
            let reply = match failed.kind() {
                FailureKind::Name => ReplyError::NetworkUnreachable,
                FailureKind::Unreachable => ReplyError::HostUnreachable,
                FailureKind::Refused => ReplyError::ConnectionRefused,
                FailureKind::Timeout => ReplyError::TtlExpired,
                FailureKind::Policy | FailureKind::Route => ReplyError::ConnectionNotAllowed,
                FailureKind::Other | FailureKind::Unspecified => ReplyError::GeneralFailure,
            };
            Err(Refused { reply, why: failed.message, is_without_network: false })
        }
        Some(from_network::Body::Data(_)) | None => {
            let why = "Regen's network process did not answer".to_owned();
            Err(Refused { reply: ReplyError::GeneralFailure, why, is_without_network: false })
        }
    })
}

/// Reason why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Closed or cut by the engine or the server.
    Usual,
    /// The net-daemon died.
    WithoutNetwork,
}

async fn relay(stream: TcpStream, up: mpsc::Sender<ToNetwork>, down: Streaming<FromNetwork>) -> End {
    let (read, write) = stream.into_split();
    let upward = tokio::spawn(send_up(read, up));
    let end = send_down(down, write).await;
    upward.abort();
    end
}

async fn send_up(mut read: OwnedReadHalf, up: mpsc::Sender<ToNetwork>) {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        buffer.reserve(CHUNK);
        match read.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let chunk: Bytes = buffer.split().freeze();
                let message = ToNetwork { body: Some(to_network::Body::Data(chunk)) };
                if up.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn send_down(mut down: Streaming<FromNetwork>, mut write: OwnedWriteHalf) -> End {
    loop {
        match down.message().await {
            Ok(Some(FromNetwork { body: Some(from_network::Body::Data(chunk)) })) => {
                if write.write_all(&chunk).await.is_err() {
                    return End::Usual;
                }
            }
            // The server has closed the connection properly.
            Ok(None) => {
                let _ = write.shutdown().await;
                return End::Usual;
            }
            // The connection was cut: what arrived must not be taken as complete.
            broken @ (Ok(Some(_)) | Err(_)) => {
                cut_off(write.as_ref());
                // Dropping the write half would send a FIN.
                write.forget();
                // Only a transport error has a source; a status that the net-daemon sends has none.
                let is_gone = broken.is_err_and(|status| std::error::Error::source(&status).is_some());
                return if is_gone { End::WithoutNetwork } else { End::Usual };
            }
        }
    }
}
