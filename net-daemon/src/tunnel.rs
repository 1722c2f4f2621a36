//! Tunnels: byte streams between a tab-host and a host on the network, with HTTP/2 flow control in both directions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use regen_proto::net::v1::tunnel_server::Tunnel;
use regen_proto::net::v1::{Failed, FailureKind, FromNetwork, Open, Opened, ToNetwork, from_network, to_network};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::egress::{Connection, Stream};
use crate::error::ConnectError;
use crate::route::GrantedRoute;
use crate::shields::{Shields, ShieldsContext};

mod limits;

use limits::{Chunk, Chunks};
pub(crate) use limits::{Limits, PartitionLimits};

/// Maximum number of chunks that wait for a slow page, per tunnel.
const WAITING: usize = 2;
/// Interval at which a hop is notified while sent data is unanswered.
const SILENCE: Duration = Duration::from_secs(10);
/// Maximum length of a host name in DNS.
const MAX_HOST: usize = 255;

/// Permissions of a granted connection. The tab-host cannot change them.
#[derive(Debug, Clone)]
pub(crate) struct TunnelGrant {
    pub(crate) host: u64,
    pub(crate) route: GrantedRoute,
    /// Context whose shields settings apply.
    pub(crate) asking: Arc<ShieldsContext>,
    /// Limits on the connection's tunnels.
    pub(crate) limits: PartitionLimits,
    /// Cancelled when the grant is revoked, which ends its tunnels.
    pub(crate) revoked: CancellationToken,
    /// Held while the connection is open, so that the server can forget closed ones.
    pub(crate) _open: Arc<()>,
}

/// The tunnel service. All state but the shields belongs to the tunnels themselves.
#[derive(Debug, Clone)]
pub(crate) struct Tunnels(pub(crate) Shields);

type Down = mpsc::Sender<Chunk>;

#[tonic::async_trait]
impl Tunnel for Tunnels {
    type RelayStream = Chunks;

    async fn relay(&self, request: Request<Streaming<ToNetwork>>) -> Result<Response<Self::RelayStream>, Status> {
        let grant = request
            .extensions()
            .get::<TunnelGrant>()
            .cloned()
            .ok_or_else(|| Status::permission_denied("this connection has no grant"))?;
        let Some(place) = grant.limits.take_place() else {
            return Err(Status::resource_exhausted("too many open connections: close some tabs and try again"));
        };
        let up = request.into_inner();
        let (down, waiting) = mpsc::channel(WAITING);
        let shields = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = grant.revoked.cancelled() => {}
                // The receiver closes when the page goes away: the connection is no longer needed.
                () = down.closed() => return,
                () = serve(&grant, &shields, up, &down) => return,
            }
            // Sends an error, so that truncation is not taken as completion.
            let _ = down.send(plain(Err(Status::aborted("the route was changed")))).await;
        });
        Ok(Response::new(Chunks::new(waiting, place)))
    }
}

/// Returns a chunk that does not count towards the byte limits.
fn plain(message: Result<FromNetwork, Status>) -> Chunk {
    Chunk { message, held: None }
}

fn message(body: from_network::Body) -> Chunk {
    plain(Ok(FromNetwork { body: Some(body) }))
}

async fn serve(grant: &TunnelGrant, shields: &Shields, mut up: Streaming<ToNetwork>, down: &Down) {
    match open(grant, shields, &mut up).await {
        Ok(Connection { stream, over, doubt, .. }) => tokio::select! {
            () = relay(stream, doubt, up, down, &grant.limits) => {}
            () = over.cancelled() => {
                let _ = down.send(plain(Err(Status::aborted("its Tor identity or VPN tunnel has ended")))).await;
            }
        },
        Err(error) => {
            if grant.asking.is_throw_away() {
                tracing::debug!(host = grant.host, "{error}");
            } else {
                tracing::info!(host = grant.host, "{error}");
            }
            let failed = Failed { kind: error.kind.into(), message: error.message };
            let _ = down.send(message(from_network::Body::Failed(failed))).await;
        }
    }
}

async fn open(
    grant: &TunnelGrant,
    shields: &Shields,
    up: &mut Streaming<ToNetwork>,
) -> Result<Connection, ConnectError> {
    let refuse = |message: &str| ConnectError { kind: FailureKind::Policy, message: message.to_owned() };
    let first = up.message().await.map_err(|status| refuse(status.message()))?;
    let Some(ToNetwork { body: Some(to_network::Body::Open(Open { host, port })) }) = first else {
        return Err(refuse("the first message of a tunnel must be `open`"));
    };
    let port = u16::try_from(port).ok().filter(|port| *port != 0).ok_or_else(|| refuse("invalid port number"))?;
    if host.is_empty() || host.len() > MAX_HOST || host.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(refuse("invalid host name"));
    }
    let verdict = shields.check_host(&grant.asking, &host).await;
    if verdict.blocked {
        // The log names the rule. A page's processes must not learn it.
        return Err(refuse(&format!("connection to {host} blocked by shields")));
    }
    grant.route.connect(&host, port).await
}

async fn relay(
    connection: Box<dyn Stream>,
    doubt: Option<Arc<Notify>>,
    up: Streaming<ToNetwork>,
    down: &Down,
    limits: &PartitionLimits,
) {
    if down.send(message(from_network::Body::Opened(Opened {}))).await.is_err() {
        return;
    }
    let (read, write) = tokio::io::split(connection);
    let unanswered = AtomicBool::new(false);
    let upward = send_up(up, write, &unanswered);
    let downward = send_down(read, down, limits, &unanswered);
    // When the remote end has finished, data that the page still sends is discarded.
    let both = async {
        tokio::pin!(upward, downward);
        tokio::select! {
            () = &mut downward => {}
            () = &mut upward => downward.await,
        }
    };
    tokio::select! {
        () = both => {}
        () = doubts(doubt.as_deref(), &unanswered) => {}
    }
}

/// Notifies `doubt` at each interval while sent data is unanswered. Never returns.
async fn doubts(doubt: Option<&Notify>, unanswered: &AtomicBool) {
    let Some(doubt) = doubt else { return std::future::pending().await };
    loop {
        tokio::time::sleep(SILENCE).await;
        if unanswered.load(Ordering::Relaxed) {
            doubt.notify_one();
        }
    }
}

async fn send_down(
    mut read: ReadHalf<Box<dyn Stream>>,
    down: &Down,
    limits: &PartitionLimits,
    unanswered: &AtomicBool,
) {
    let mut buffer = BytesMut::new();
    loop {
        let size = limits.chunk_size();
        buffer.reserve(size);
        let mut got = tokio::select! {
            got = read.read_buf(&mut buffer) => got,
            () = down.closed() => return,
        };
        // Adds data that has arrived already: Tor delivers its data in cells of about 500 bytes.
        while got.as_ref().is_ok_and(|count| *count > 0) && buffer.len() < size {
            got = tokio::select! {
                biased;
                more = read.read_buf(&mut buffer) => more,
                () = std::future::ready(()) => break,
            };
        }
        if !buffer.is_empty() {
            unanswered.store(false, Ordering::Relaxed);
            let chunk: Bytes = buffer.split().freeze();
            let held = Some(limits.hold(chunk.len()));
            let message = Ok(FromNetwork { body: Some(from_network::Body::Data(chunk)) });
            if down.send(Chunk { message, held }).await.is_err() {
                return;
            }
        }
        match got {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                let _ = down.send(plain(Err(Status::unavailable(error.to_string())))).await;
                return;
            }
        }
    }
}

async fn send_up(mut up: Streaming<ToNetwork>, mut write: WriteHalf<Box<dyn Stream>>, unanswered: &AtomicBool) {
    while let Ok(Some(ToNetwork { body: Some(to_network::Body::Data(chunk)) })) = up.message().await {
        // Some hops collect data into larger pieces and must send it now.
        if write.write_all(&chunk).await.is_err() || write.flush().await.is_err() {
            return;
        }
        unanswered.store(true, Ordering::Relaxed);
    }
    // The page has finished sending. The remote end may still answer.
    let _ = write.shutdown().await;
}
