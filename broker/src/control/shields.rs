//! What people ask about shields, and where the answer comes from.

use std::time::Duration;

use regen_proto::control::v1::{ShieldsReply, ShieldsRequest};
use regen_proto::net::v1::{
    CheckRequest, OwnRules, OwnRulesRequest, ShieldsLog, ShieldsLogRequest, ShieldsStatusRequest, TestRequest, Verdict,
};
use regen_proto::site::{Site, SiteError};
use tonic::Status;

use super::net::{DEFAULT, answered, answered_within};
use super::service::{Control, status};
use crate::kernel::Command;
use crate::shields::{Level, ShieldsSettings};

/// All lists are read anew within this time.
const REBUILT: Duration = Duration::from_secs(60);

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
        let ShieldsSettings { level, sites } =
            self.kernel.call(|answer| Command::Shields { answer }).await.map_err(status)?;
        let net = self.kernel.call(|answer| Command::Net { answer }).await.map_err(status)?;
        let sites = sites.into_iter().map(|(site, level)| (site, level.to_string())).collect();
        let engine = match net {
            // One that has just died has a successor soon: how the settings are is known without it.
            Some(mut net) => answered(net.shields.status(ShieldsStatusRequest {})).await.ok(),
            None => None,
        };
        Ok(ShieldsReply { level: level.to_string(), sites, engine })
    }

    pub(super) async fn blocked(&self, request: ShieldsLogRequest) -> Result<ShieldsLog, Status> {
        answered(self.net().await?.shields.log(request)).await
    }

    pub(super) async fn own_rules(&self, request: OwnRulesRequest) -> Result<OwnRules, Status> {
        answered_within(REBUILT, self.net().await?.shields.own(request)).await
    }

    pub(super) async fn would_block(&self, request: CheckRequest) -> Result<Verdict, Status> {
        let site = Site::of(&request.page).map_err(no_site)?.as_str().to_owned();
        Site::of(&request.url).map_err(no_site)?;
        let test = TestRequest { site, request: Some(request) };
        answered(self.net().await?.shields.test(test)).await
    }
}

pub(super) fn no_site(error: SiteError) -> Status {
    Status::invalid_argument(error.to_string())
}
