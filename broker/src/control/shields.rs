//! What people ask about shields, and where the answer comes from.

use std::time::Duration;

use regen_proto::control::v1::{ShieldsReply, ShieldsRequest};
use regen_proto::net::v1::{CheckRequest, ShieldsLog, ShieldsLogRequest, ShieldsStatusRequest, TestRequest, Verdict};
use regen_proto::site::{Site, SiteError};
use tonic::{Response, Status};

use super::service::{Control, status};
use crate::kernel::{Command, ShieldsAdmin};
use crate::shields::{Level, ShieldsSettings};

/// The net-daemon answers within this time, if at all; the first time it may be reading its lists.
const ANSWERS: Duration = Duration::from_secs(5);
/// How a site is told to have no level of its own.
const DEFAULT: &str = "default";

impl Control {
    /// Changes the level where one is given; then how things are.
    pub(super) async fn shields_now(&self, request: ShieldsRequest) -> Result<ShieldsReply, Status> {
        let site = match request.site.as_str() {
            "" => None,
            url => Some(Site::of(url).map_err(no_site)?),
        };
        if !request.level.is_empty() {
            let level = match request.level.as_str() {
                DEFAULT => None,
                word => Some(word.parse::<Level>().map_err(|error| Status::invalid_argument(error.to_string()))?),
            };
            let choose = |answer| Command::ChooseShields { site, level, answer };
            let chosen = self.kernel.call(choose).await.map_err(status)?;
            chosen.map_err(|error| Status::resource_exhausted(error.to_string()))?;
        }
        let (ShieldsSettings { level, sites }, admin) = self.shields().await?;
        let sites = sites.into_iter().map(|(site, level)| (site, level.to_string())).collect();
        let engine = match admin {
            // One that has just died has a successor soon: how the settings are is known without it.
            Some(mut admin) => answered(admin.status(ShieldsStatusRequest {})).await.ok(),
            None => None,
        };
        Ok(ShieldsReply { level: level.to_string(), sites, engine })
    }

    pub(super) async fn blocked(&self, request: ShieldsLogRequest) -> Result<ShieldsLog, Status> {
        answered(self.shields_admin().await?.log(request)).await
    }

    pub(super) async fn would_block(&self, request: CheckRequest) -> Result<Verdict, Status> {
        let site = Site::of(&request.page).map_err(no_site)?.as_str().to_owned();
        Site::of(&request.url).map_err(no_site)?;
        let test = TestRequest { site, request: Some(request) };
        answered(self.shields_admin().await?.test(test)).await
    }

    async fn shields(&self) -> Result<(ShieldsSettings, Option<ShieldsAdmin>), Status> {
        self.kernel.call(|answer| Command::Shields { answer }).await.map_err(status)
    }

    async fn shields_admin(&self) -> Result<ShieldsAdmin, Status> {
        let missing = || Status::unavailable("Regen's network process is not there at the moment: try again");
        self.shields().await?.1.ok_or_else(missing)
    }
}

/// The broker waits for no child without an end.
async fn answered<T>(asked: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(ANSWERS, asked).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Status::unavailable("Regen's network process does not answer at the moment: try again")),
    }
}

fn no_site(error: SiteError) -> Status {
    Status::invalid_argument(error.to_string())
}
