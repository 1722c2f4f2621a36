//! Requests about shields and HTTPS only.

use std::time::Duration;

use regen_net_config::site::Site;
use regen_proto::control::v1::{HttpsOnlyReply, HttpsOnlyRequest, ShieldsReply, ShieldsRequest};
use regen_proto::net::v1::{
    CheckRequest, ListsReply, ListsRequest, OwnRules, OwnRulesRequest, ShieldsLog, ShieldsLogRequest,
    ShieldsStatusRequest, TestRequest, Verdict,
};
use tonic::Status;

use super::Command;
use super::replies::{DEFAULT, answered, answered_within, no_site, scope};
use super::service::{Control, status};
use crate::network;
use regen_net_config::settings::shields::{Level, ShieldsSettings};
use regen_session::HttpsOnly;

/// Timeout of a change of the user's rules: all lists are compiled again.
const REBUILT: Duration = Duration::from_secs(60);

/// Timeout of a change of lists: those with an address are fetched first.
const FETCHED: Duration = Duration::from_secs(600);

impl Control {
    /// Changes the level if one is given. Returns the settings and the state of the engine.
    pub(super) async fn shields_now(&self, request: ShieldsRequest) -> Result<ShieldsReply, Status> {
        let scope = scope(&request.site, request.workspace, "a level of shields")?;
        if !request.level.is_empty() {
            let level = match request.level.as_str() {
                DEFAULT => None,
                word => Some(word.parse::<Level>().map_err(|error| Status::invalid_argument(error.to_string()))?),
            };
            let choose = |answer| Command::Network(network::Command::SetShields { scope, level, answer });
            let chosen = self.broker.call(choose).await.map_err(status)?;
            chosen.map_err(|error| Status::resource_exhausted(error.to_string()))?;
        }
        let ShieldsSettings { level, sites, workspaces } =
            self.broker.call(|answer| Command::Network(network::Command::Shields { answer })).await.map_err(status)?;
        let net =
            self.broker.call(|answer| Command::Network(network::Command::Admin { answer })).await.map_err(status)?;
        let words = |own: std::collections::BTreeMap<String, Level>| {
            own.into_iter().map(|(name, level)| (name, level.to_string())).collect()
        };
        let engine = match net {
            // If the net-daemon is just being restarted, the settings are returned without it.
            Some(mut net) => answered(net.shields.status(ShieldsStatusRequest {})).await.ok(),
            None => None,
        };
        Ok(ShieldsReply { level: level.to_string(), sites: words(sites), workspaces: words(workspaces), engine })
    }

    /// Changes the HTTPS-only settings if a choice is given. Returns the settings.
    pub(super) async fn https_only_now(&self, request: HttpsOnlyRequest) -> Result<HttpsOnlyReply, Status> {
        let HttpsOnlyRequest { choice, site } = request;
        let site = if site.is_empty() { None } else { Some(Site::of(&site).map_err(no_site)?) };
        if !choice.is_empty() {
            let on = match choice.as_str() {
                "on" => Some(true),
                "off" => Some(false),
                DEFAULT => None,
                word => return Err(Status::invalid_argument(format!("use on, off or {DEFAULT}, not “{word}”"))),
            };
            let choose = |answer| Command::SetHttpsOnly { site, on, answer };
            self.broker.call(choose).await.map_err(status)?;
            self.flush().await?;
        }
        let HttpsOnly { on, sites } = self.broker.call(|answer| Command::HttpsOnly { answer }).await.map_err(status)?;
        Ok(HttpsOnlyReply { on, sites: sites.into_iter().collect() })
    }

    pub(super) async fn blocked(&self, request: ShieldsLogRequest) -> Result<ShieldsLog, Status> {
        answered(self.net().await?.shields.log(request)).await
    }

    pub(super) async fn own_rules(&self, request: OwnRulesRequest) -> Result<OwnRules, Status> {
        answered_within(REBUILT, self.net().await?.shields.own(request)).await
    }

    pub(super) async fn own_lists(&self, request: ListsRequest) -> Result<ListsReply, Status> {
        answered_within(FETCHED, self.net().await?.shields.lists(request)).await
    }

    pub(super) async fn would_block(&self, request: CheckRequest) -> Result<Verdict, Status> {
        let site = Site::of(&request.page).map_err(no_site)?.as_str().to_owned();
        Site::of(&request.url).map_err(no_site)?;
        let test = TestRequest { site, request: Some(request) };
        answered(self.net().await?.shields.test(test)).await
    }
}
