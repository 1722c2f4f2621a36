//! Requests about the history.

use regen_proto::places::v1::{VisitsReply, VisitsRequest};
use tonic::Status;

use super::Command;
use super::service::{Control, status};
use crate::codec::visits;
use crate::visit_log::Query;

impl Control {
    /// Lists, deletes or brings back visits. A change is on the disk when this returns.
    pub(super) async fn visits_now(&self, request: VisitsRequest) -> Result<VisitsReply, Status> {
        let query = visits::query(request)
            .ok_or_else(|| Status::invalid_argument("a request about the history without an action"))?;
        let changes = !matches!(query, Query::List { .. });
        let reply = self.broker.call(|answer| Command::Visits { query, answer }).await.map_err(status)?;
        if changes {
            self.flush().await?;
        }
        Ok(visits::reply(reply))
    }
}
