//! Tunnels: bytes between a tab-host and a host on the network. Back-pressure is HTTP/2's, in both directions.

use bytes::{Bytes, BytesMut};
use regen_proto::net::v1::tunnel_server::Tunnel;
use regen_proto::net::v1::{Failed, FailureKind, FromNetwork, Open, Opened, ToNetwork, from_network, to_network};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::route::{Route, RouteError};
use crate::shields::{Asking, Shields};

/// Bytes read at once. Larger chunks are fewer messages.
const CHUNK: usize = 64 * 1024;
/// Chunks that may wait for a slow page, per tunnel.
const WAITING: usize = 4;
/// Longest host name in DNS.
const MAX_HOST: usize = 255;

/// What a granted connection may do. The tab-host cannot change it.
#[derive(Debug, Clone)]
pub(crate) struct TunnelGrant {
    pub(crate) host: u64,
    pub(crate) route: Route,
    /// Whose shields hold.
    pub(crate) asking: Asking,
}

/// The service; all other state is in the tunnels themselves.
#[derive(Debug, Clone)]
pub(crate) struct Tunnels(pub(crate) Shields);

type Down = mpsc::Sender<Result<FromNetwork, Status>>;

#[tonic::async_trait]
impl Tunnel for Tunnels {
    type RelayStream = ReceiverStream<Result<FromNetwork, Status>>;

    async fn relay(&self, request: Request<Streaming<ToNetwork>>) -> Result<Response<Self::RelayStream>, Status> {
        let grant = request
            .extensions()
            .get::<TunnelGrant>()
            .cloned()
            .ok_or_else(|| Status::permission_denied("this connection has no grant"))?;
        let mut up = request.into_inner();
        let (down, stream) = mpsc::channel(WAITING);
        let shields = self.0.clone();
        tokio::spawn(async move {
            // When the page goes away its receiver closes, and nobody is left to connect for.
            let opened = tokio::select! {
                opened = open(&grant, &shields, &mut up) => opened,
                () = down.closed() => return,
            };
            match opened {
                Ok(connection) => relay(connection, up, down).await,
                Err(error) => {
                    tracing::info!(host = grant.host, "{error}");
                    let failed = Failed { kind: error.kind.into(), message: error.message };
                    let _ = down.send(message(from_network::Body::Failed(failed))).await;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn message(body: from_network::Body) -> Result<FromNetwork, Status> {
    Ok(FromNetwork { body: Some(body) })
}

async fn open(grant: &TunnelGrant, shields: &Shields, up: &mut Streaming<ToNetwork>) -> Result<TcpStream, RouteError> {
    let refuse = |message: &str| RouteError { kind: FailureKind::Policy, message: message.to_owned() };
    let first = up.message().await.map_err(|status| refuse(status.message()))?;
    let Some(ToNetwork { body: Some(to_network::Body::Open(Open { host, port })) }) = first else {
        return Err(refuse("a tunnel starts with the host to open"));
    };
    let port = u16::try_from(port).ok().filter(|port| *port != 0).ok_or_else(|| refuse("there is no such port"))?;
    if host.is_empty() || host.len() > MAX_HOST || host.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(refuse("there is no such host name"));
    }
    let verdict = shields.check_host(&grant.asking, &host).await;
    if verdict.blocked {
        return Err(refuse(&format!("shields do not let this page reach {host}: {} ({})", verdict.rule, verdict.list)));
    }
    grant.route.connect(&host, port).await
}

async fn relay(connection: TcpStream, up: Streaming<ToNetwork>, down: Down) {
    if down.send(message(from_network::Body::Opened(Opened {}))).await.is_err() {
        return;
    }
    let (read, write) = connection.into_split();
    let upward = tokio::spawn(send_up(up, write));
    send_down(read, down).await;
    upward.abort();
}

async fn send_down(mut read: OwnedReadHalf, down: Down) {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        buffer.reserve(CHUNK);
        let got = tokio::select! {
            got = read.read_buf(&mut buffer) => got,
            () = down.closed() => return,
        };
        match got {
            Ok(0) => return,
            Ok(_) => {
                let chunk: Bytes = buffer.split().freeze();
                if down.send(message(from_network::Body::Data(chunk))).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = down.send(Err(Status::unavailable(error.to_string()))).await;
                return;
            }
        }
    }
}

async fn send_up(mut up: Streaming<ToNetwork>, mut write: OwnedWriteHalf) {
    while let Ok(Some(ToNetwork { body: Some(to_network::Body::Data(chunk)) })) = up.message().await {
        if write.write_all(&chunk).await.is_err() {
            return;
        }
    }
    // The page has said all it wanted; the other end may still answer.
    let _ = write.shutdown().await;
}
