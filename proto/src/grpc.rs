//! gRPC over granted socketpairs: a server that only accepts streams it was handed, and a client that has only one.
//!
//! Neither end can be reached by path, name or address.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::Service as _;

/// Calls on one connection at a time.
pub const MAX_CALLS: u32 = 2048;
/// Room for bytes in flight on one tunnel or stream. What is not read fills it, and waits at the other end.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Room on all of a client's together, which is the most that there may be: what is not read of some must not hold up the others.
const CLIENT_WINDOW: u32 = (1 << 31) - 1;
/// The same of a server, which has many clients, and holds no more than that for each.
const SERVER_WINDOW: u32 = 64 * 1024 * 1024;

/// A stream that the broker granted, with what the grant says.
#[derive(Debug)]
pub struct GrantedStream<G> {
    stream: UnixStream,
    grant: G,
}

impl<G> GrantedStream<G> {
    /// Pairs a socket with its grant, which every call on it will carry.
    pub fn new(stream: UnixStream, grant: G) -> Self {
        Self { stream, grant }
    }
}

impl<G: Clone + Send + Sync + 'static> Connected for GrantedStream<G> {
    type ConnectInfo = G;
    fn connect_info(&self) -> G {
        self.grant.clone()
    }
}

impl<G: Unpin> AsyncRead for GrantedStream<G> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<G: Unpin> AsyncWrite for GrantedStream<G> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A server's settings: bounded, and wide enough for bulk bytes.
#[must_use]
pub fn server() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(SERVER_WINDOW)
        .max_concurrent_streams(MAX_CALLS)
}

/// Room for the answers of one call that its client does not read, beside one message.
const MAX_UNREAD: usize = 16 * 1024;
/// Room for what the clients of a granted connection send and nobody takes: of one call, and of all.
const GRANTED_STREAM_WINDOW: u32 = 128 * 1024;
const GRANTED_WINDOW: u32 = 16 * 1024 * 1024;

/// Serves one granted connection until it ends. Each call carries the grant among its extensions. Bytes that either end does not
/// take are bounded for each call and for the connection.
///
/// # Errors
/// When the connection fails.
pub async fn serve<G>(stream: UnixStream, grant: G, routes: Routes) -> Result<(), hyper::Error>
where
    G: Clone + Send + Sync + 'static,
{
    let routes = routes.prepare();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(grant.clone());
        routes.clone().call(request.map(Body::new))
    });
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(GRANTED_STREAM_WINDOW)
        .initial_connection_window_size(GRANTED_WINDOW)
        .max_concurrent_streams(MAX_CALLS)
        .max_send_buf_size(MAX_UNREAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// A client on one granted socket. When that socket dies, every call fails: there is nothing to reconnect to.
#[must_use]
pub fn client(stream: UnixStream) -> Channel {
    let only = Arc::new(Mutex::new(Some(stream)));
    Endpoint::from_static("http://granted.invalid")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CLIENT_WINDOW)
        .connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let stream = only.lock().ok().and_then(|mut only| only.take());
            async move {
                stream
                    .map(TokioIo::new)
                    .ok_or_else(|| io::Error::new(io::ErrorKind::BrokenPipe, "the granted connection is gone"))
            }
        }))
}
