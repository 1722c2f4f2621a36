//! Tor as the broker reaches it, for people.

use std::pin::Pin;
use std::time::Duration;

use regen_proto::net::v1::tor_admin_server::TorAdmin;
use regen_proto::net::v1::{NewIdentityReply, NewIdentityRequest, TorStatus, TorWatchRequest};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::Tor;

/// How it is is told no more often, however often it changes.
const MIN_INTERVAL: Duration = Duration::from_millis(200);

/// On the broker's own connection.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Tor);

#[tonic::async_trait]
impl TorAdmin for Admin {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<TorStatus, Status>> + Send>>;

    async fn watch(&self, _: Request<TorWatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        // Of what changes in between, the last is told.
        let news = WatchStream::new(self.0.shared.status.subscribe()).throttle(MIN_INTERVAL);
        Ok(Response::new(Box::pin(news.map(Ok))))
    }

    async fn new_identity(&self, _: Request<NewIdentityRequest>) -> Result<Response<NewIdentityReply>, Status> {
        Ok(Response::new(NewIdentityReply { ended: self.0.new_identity() }))
    }
}
