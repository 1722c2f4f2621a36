//! Requests about the history and the bookmarks.

use regen_proto::places::v1::{BookmarksReply, BookmarksRequest, VisitsReply, VisitsRequest};
use tonic::Status;

use super::Command;
use super::service::{Control, status};
use crate::codec::{bookmarks, visits};
use crate::kept::{self, bookmark_shelf, visit_log};

impl Control {
    /// Lists, deletes or brings back visits. A change is on the disk when this returns.
    pub(super) async fn visits_now(&self, request: VisitsRequest) -> Result<VisitsReply, Status> {
        let query = visits::query(request)
            .ok_or_else(|| Status::invalid_argument("a request about the history without an action"))?;
        let changes = !matches!(query, visit_log::Query::List { .. });
        let reply =
            self.broker.call(|answer| Command::Kept(kept::Command::Visits { query, answer })).await.map_err(status)?;
        if changes {
            self.flush().await?;
        }
        Ok(visits::reply(reply))
    }

    /// Lists or changes bookmarks. A change is on the disk when this returns.
    pub(super) async fn bookmarks_now(&self, request: BookmarksRequest) -> Result<BookmarksReply, Status> {
        let query = bookmarks::query(request)
            .ok_or_else(|| Status::invalid_argument("a request about bookmarks without an action"))?;
        let changes = !matches!(query, bookmark_shelf::Query::List { .. });
        let reply = self
            .broker
            .call(|answer| Command::Kept(kept::Command::Bookmarks { query, answer }))
            .await
            .map_err(status)?;
        if changes {
            self.flush().await?;
        }
        Ok(bookmarks::reply(reply))
    }
}
