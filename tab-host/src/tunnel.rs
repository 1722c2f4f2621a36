//! The way out: a SOCKS5 front on this sandbox's own loopback, and behind it one gRPC call per connection to the
//! net-daemon. Names are resolved over there. Without a grant nothing connects.

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
/// While the net-daemon restarts, new connections wait this long for its return.
pub(crate) const RECONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The engine says hello on a fresh connection within this time.
const GREETING: Duration = Duration::from_secs(10);

/// The engine drops a page whose connection takes ten seconds, and says that it was cancelled. Before, it is told that there is
/// one.
const ENGINE_WAITS: Duration = Duration::from_secs(5);

/// Why connections to a host failed last, for the error page.
pub(crate) type Failures = Arc<Mutex<HashMap<String, Failure>>>;

/// Why a host was not reached.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) why: String,
    /// It is the host that does not answer, and not the way there.
    pub(crate) is_its_own: bool,
    /// Since when the net-daemon was gone, where that is why.
    pub(crate) without_network: Option<Instant>,
}

/// Where the front listens.
#[derive(Debug, Clone)]
pub(crate) struct TunnelPort {
    pub(crate) port: u16,
    pub(crate) failures: Failures,
}

/// The connection to the net-daemon, and what it is called.
pub(crate) type Granted = Option<(u64, Channel)>;

/// Holds the present grant.
#[derive(Debug)]
pub(crate) struct Dialer {
    granted: watch::Sender<Granted>,
}

impl Dialer {
    /// From now on, new connections go this way.
    pub(crate) fn grant(&self, grant: u64, stream: UnixStream) {
        self.granted.send_replace(Some((grant, grpc::client(stream))));
    }

    /// The way to the network, whichever it is.
    pub(crate) fn watch(&self) -> watch::Receiver<Granted> {
        self.granted.subscribe()
    }

    /// This way is closed.
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

/// Where the front listens: the one port of its own loopback that the policy has.
const PORT: u16 = 1080;

/// Starts the front on this sandbox's loopback.
pub(crate) async fn start() -> std::io::Result<(Dialer, TunnelPort)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).await?;
    let failures = Failures::default();
    let port = TunnelPort { port: listener.local_addr()?.port(), failures: Arc::clone(&failures) };
    let (granted, watching) = watch::channel(None);
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Latency over bandwidth, on a loopback that has plenty of it.
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(stream, watching.clone(), Arc::clone(&failures)));
                }
                Err(error) => {
                    tracing::warn!("tunnel: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok((Dialer { granted }, port))
}

/// Why there is no connection, for the engine and for the person.
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
    // The engine may have gone whenever it is answered.
    match timeout(ENGINE_WAITS, &mut opening).await {
        Ok(opened) => match noted(&failures, &host, opened) {
            Ok((up, down)) => {
                if let Ok(stream) = protocol.reply_success(nowhere).await {
                    note_end(&failures, &host, relay(stream, up, down).await);
                }
            }
            Err(reply) => drop(protocol.reply_error(&reply).await),
        },
        // What it sends waits here; what becomes of it, it learns later.
        Err(_) => {
            let Ok(stream) = protocol.reply_success(nowhere).await else { return };
            match noted(&failures, &host, opening.await) {
                Ok((up, down)) => note_end(&failures, &host, relay(stream, up, down).await),
                Err(_) => cut_off(&stream),
            }
        }
    }
}

/// Keeps why there is no connection, for the error page.
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

/// Keeps why a connection ended that was there, where the net-daemon is why.
fn note_end(failures: &Failures, host: &str, end: End) {
    if end == End::WithoutNetwork {
        let why = "Regen's network process ended".to_owned();
        let failure = Failure { why, is_its_own: false, without_network: Some(Instant::now()) };
        failures.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), failure);
    }
}

/// Whoever closes now does not say that all has been said.
fn cut_off(stream: &TcpStream) {
    // A peer that is gone needs no sign.
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
        tracing::debug!("tunnel: {gone}");
        // The net-daemon died: a new grant is on its way.
        let deadline = *deadline.get_or_insert_with(|| tokio::time::Instant::now() + RECONNECT_TIMEOUT);
        match tokio::time::timeout_at(deadline, granted.changed()).await {
            Ok(Ok(())) => {}
            _ => return Err(no_network()),
        }
    }
}

type Ends = (mpsc::Sender<ToNetwork>, Streaming<FromNetwork>);
type Opened = Result<Ends, Refused>;

/// Asks for one connection. `Err` means that the net-daemon itself cannot be reached.
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
            let why = "Regen's network process gave no answer".to_owned();
            Err(Refused { reply: ReplyError::GeneralFailure, why, is_without_network: false })
        }
    })
}

/// End of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Ended by the engine or the server.
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
            // The other end has said all it wanted.
            Ok(None) => {
                let _ = write.shutdown().await;
                return End::Usual;
            }
            // It was cut off: what arrived must not pass for all there is.
            broken @ (Ok(Some(_)) | Err(_)) => {
                cut_off(write.as_ref());
                // Dropped, it would say that all has been said.
                write.forget();
                // Only a status of the transport has a source; the net-daemon's own have none.
                let is_gone = broken.is_err_and(|status| std::error::Error::source(&status).is_some());
                return if is_gone { End::WithoutNetwork } else { End::Usual };
            }
        }
    }
}
