//! Requests about workspaces.

use regen_proto::workspaces::v1::{WorkspacesReply, WorkspacesRequest};
use tonic::Status;

use super::Command;
use super::service::{Control, status};
use crate::codec::workspaces;
use crate::workspaces::Done;

impl Control {
    /// Returns the identifier of a workspace that is given by name or identifier; an unknown one stands for itself.
    pub(super) async fn workspace_id(&self, name: String) -> Result<String, Status> {
        let (all, _) = self.broker.call(|answer| Command::Workspaces { order: None, answer }).await.map_err(status)?;
        let named = all.into_iter().find(|one| one.workspace.name.to_lowercase() == name.to_lowercase());
        Ok(named.map_or(name, |one| one.workspace.id))
    }

    /// Lists the workspaces, after an order was carried out if one is given.
    pub(super) async fn workspaces_now(&self, request: WorkspacesRequest) -> Result<WorkspacesReply, Status> {
        let is_change = request.action.is_some();
        let order = request.action.map(workspaces::order).transpose();
        let order = order.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let (all, done) = self.broker.call(|answer| Command::Workspaces { order, answer }).await.map_err(status)?;
        let created = match done {
            Done::Created(id) => Some(id),
            Done::Deleted(removed) => {
                let left =
                    |_| Status::internal("the workspace is gone, but what its sites stored could not be removed");
                removed.await.map_err(left)?;
                None
            }
            Done::Changed => None,
        };
        if is_change {
            // A confirmed choice must survive a crash.
            self.flush().await?;
        }
        Ok(workspaces::reply(all, created))
    }
}
