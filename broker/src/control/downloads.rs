//! Requests about downloads.

use regen_proto::downloads::v1::{DownloadsReply, DownloadsRequest};
use tonic::Status;

use super::Command;
use super::service::{Control, status};
use crate::codec::downloads;

impl Control {
    /// Lists the downloads, after an order was carried out if one is given.
    pub(super) async fn downloads_now(&self, request: DownloadsRequest) -> Result<DownloadsReply, Status> {
        let order = request.order.and_then(downloads::order);
        let all = self.broker.call(|answer| Command::Downloads { order, answer }).await.map_err(status)?;
        Ok(DownloadsReply { downloads: all.into_iter().map(downloads::listed).collect() })
    }
}
