//! Requests about permissions of sites.

use regen_proto::permissions::v1::{PermissionsReply, PermissionsRequest};
use tonic::Status;

use super::Command;
use super::service::{Control, status};
use crate::codec::permissions;

impl Control {
    /// Lists the kept permissions, after a change was made if one is given.
    pub(super) async fn permissions_now(&self, request: PermissionsRequest) -> Result<PermissionsReply, Status> {
        let is_change = request.change.is_some();
        let change = request.change.map(permissions::change).transpose();
        let change = change.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let all = self.broker.call(|answer| Command::Permissions { change, answer }).await.map_err(status)?;
        if is_change {
            // A confirmed choice must survive a crash.
            self.flush().await?;
        }
        Ok(PermissionsReply { permissions: all })
    }
}
