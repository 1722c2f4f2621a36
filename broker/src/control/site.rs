//! Requests about a site and its data.

use regen_net_config::site::Site;
use regen_proto::control::v1::SiteRequest;
use regen_proto::net::v1::SiteReport;
use regen_session::HostKey;
use tonic::Status;

use super::Command;
use super::replies::no_site;
use super::service::{Control, status};
use crate::codec::site;

impl Control {
    /// Reports on a site, after its data was cleared if that is wanted.
    pub(super) async fn site_now(&self, request: SiteRequest) -> Result<SiteReport, Status> {
        let SiteRequest { url, workspace, clear } = request;
        let host = HostKey { site: Site::of(&url).map_err(no_site)?, workspace };
        if clear {
            let clear = |answer| Command::ClearSite { host: host.clone(), answer };
            let removed = self.broker.call(clear).await.map_err(status)?;
            removed.await.map_err(|_| Status::unavailable("the browser ended before the data was removed"))?;
            self.flush().await?;
        }
        let query = self.broker.call(|answer| Command::Site { host, answer }).await.map_err(status)?;
        Ok(site::report(query.gather().await))
    }
}
