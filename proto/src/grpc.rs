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

/// Maximum number of concurrent calls on one connection.
pub const MAX_CALLS: u32 = 2048;
/// Flow-control window of one call, in bytes: unread data fills it, and further data waits at the sender.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Flow-control window of a client's connection, in bytes. It is the maximum of HTTP/2, so that unread data of some
/// calls does not block the others.
const CLIENT_WINDOW: u32 = (1 << 31) - 1;
/// Flow-control window of a server's connection, in bytes: a server has many clients, and holds this much for each at
/// most.
const SERVER_WINDOW: u32 = 64 * 1024 * 1024;

/// A stream that the broker granted, with the grant's data.
#[derive(Debug)]
pub struct GrantedStream<G> {
    stream: UnixStream,
    grant: G,
}

impl<G> GrantedStream<G> {
    /// Combines a socket with its grant, which every call on it carries.
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

/// Returns the settings of a server: bounded, and wide enough for bulk data.
#[must_use]
pub fn server() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(SERVER_WINDOW)
        .max_concurrent_streams(MAX_CALLS)
}

/// Maximum number of unread answer bytes of one call, besides one message.
const MAX_UNREAD: usize = 16 * 1024;
/// Flow-control windows of a granted connection, in bytes: of one call, and of all.
const GRANTED_STREAM_WINDOW: u32 = 128 * 1024;
const GRANTED_WINDOW: u32 = 16 * 1024 * 1024;

/// Serves one granted connection until it ends. Each call carries the grant among its extensions. Unread bytes are
/// bounded, per call and per connection, in both directions.
///
/// # Errors
/// Returns an error if the connection fails.
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

/// Returns a client on one granted socket. When the socket closes, every call fails: there is nothing to reconnect to.
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
