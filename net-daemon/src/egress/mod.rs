//! Egress: the ways out of this machine. Each resolves names in its own network and dials there, and nowhere else.
//!
//! Checks are layers around an egress: they see what a name resolves to before anything is dialled.

mod cname;
pub(crate) mod direct;
mod private_network;
pub(crate) mod proxy;

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) use cname::CnameCheck;
pub(crate) use private_network::{PrivateNetworkCheck, Reach};

use crate::error::HopError;

/// A bidirectional byte stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection.
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    /// Cancelled when the connection must end.
    pub(crate) over: CancellationToken,
    /// Notified when sent data has long been unanswered.
    pub(crate) doubt: Option<Arc<Notify>>,
    /// Guard that counts the connection as open.
    pub(crate) _open: Option<Box<dyn Send>>,
}

impl Connection {
    /// Returns a connection that its egress does not end, check or count.
    pub(crate) fn plain(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), over: CancellationToken::new(), doubt: None, _open: None }
    }
}

/// A host and port to connect to, and the partition of the page that wants it: partitions share no circuits, caches and lists
/// of dead addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) partition: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

/// Result of resolving a target's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// The host has these addresses.
    Here {
        addresses: Vec<IpAddr>,
        /// CNAME targets, which may be trackers that hide behind the name.
        aliases: Vec<String>,
    },
    /// The egress resolves the host itself when it dials; the addresses are not known here.
    Elsewhere,
}

/// A way out of this machine.
#[tonic::async_trait]
pub(crate) trait Egress: Send + Sync {
    /// Returns the name of the network in which this egress resolves and dials: one private address belongs to different
    /// machines in different networks.
    fn network(&self) -> String;

    /// Resolves the target's host.
    async fn resolve(&self, target: Target<'_>) -> Result<Resolved, HopError>;

    /// Opens a connection. `resolved`: the result of [`Self::resolve`], as the layers have left it.
    async fn dial(&self, target: Target<'_>, resolved: Resolved) -> Result<Connection, HopError>;
}
