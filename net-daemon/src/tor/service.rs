//! Tor service for the broker, on behalf of the user.

use std::pin::Pin;
use std::time::Duration;

use regen_proto::net::v1::tor_admin_server::TorAdmin;
use regen_proto::net::v1::{NewIdentityReply, NewIdentityRequest, TorStatus, TorWatchRequest};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::Tor;

/// Minimum interval between Tor status updates.
const MIN_INTERVAL: Duration = Duration::from_millis(200);

/// Service for the broker's connection.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Tor);

#[tonic::async_trait]
impl TorAdmin for Admin {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<TorStatus, Status>> + Send>>;

    async fn watch(&self, _: Request<TorWatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        // Of several changes in between, only the last is sent.
        let news = WatchStream::new(self.0.shared.status.subscribe()).throttle(MIN_INTERVAL);
        Ok(Response::new(Box::pin(news.map(Ok))))
    }

    async fn new_identity(&self, _: Request<NewIdentityRequest>) -> Result<Response<NewIdentityReply>, Status> {
        Ok(Response::new(NewIdentityReply { ended: self.0.new_identity() }))
    }
}
