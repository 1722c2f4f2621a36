//! Routes: how a connection leaves this machine. A grant names one; there is no fallback from one to another.

mod direct;

use regen_proto::net::v1::FailureKind;
use tokio::net::TcpStream;

/// The way out that a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Plain TCP from this machine, names resolved by the system.
    Direct,
}

/// Why a connection could not be opened, in the words of the error page.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RouteError {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// A grant with a route that this build does not have.
#[derive(Debug, thiserror::Error)]
#[error("there is no route “{0}”")]
pub(crate) struct UnknownRoute(String);

impl Route {
    pub(crate) fn parse(name: &str) -> Result<Self, UnknownRoute> {
        match name {
            "direct" => Ok(Self::Direct),
            other => Err(UnknownRoute(other.to_owned())),
        }
    }

    pub(crate) async fn connect(self, host: &str, port: u16) -> Result<TcpStream, RouteError> {
        match self {
            Self::Direct => direct::connect(host, port).await,
        }
    }
}
