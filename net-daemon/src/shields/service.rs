//! Services of shields: for pages through their tab-host, and for the user through the broker.

use regen_proto::net::v1::lists_request as list_change;
use regen_proto::net::v1::shields_admin_server::ShieldsAdmin;
use regen_proto::net::v1::shields_server::Shields as ShieldsService;
use regen_proto::net::v1::{
    CommonRequest, CommonRules, DocumentRequest, DocumentRules, HideReply, HideRequest, ListsReply, ListsRequest,
    OwnRules, OwnRulesRequest, ShieldsLog, ShieldsLogRequest, ShieldsStatus, ShieldsStatusRequest, TestRequest,
    Verdict,
};
use tonic::{Request, Response, Status};

use super::Shields;
use super::user_rules::{OwnListsError, OwnRulesError};
use crate::http_client::Fetcher;
use crate::tunnel::TunnelGrant;

/// Maximum size of a request, in bytes: a document that has grown names many classes.
pub(crate) const MAX_REQUEST: usize = 128 * 1024;
/// Maximum size of a change, in bytes: it may contain a whole list.
pub(crate) const MAX_CHANGE: usize = 40 << 20;

/// Service for a tab-host's connection.
#[derive(Debug, Clone)]
pub(crate) struct ForPages(pub(crate) Shields);

#[tonic::async_trait]
impl ShieldsService for ForPages {
    async fn begin(&self, request: Request<DocumentRequest>) -> Result<Response<DocumentRules>, Status> {
        let grant = grant(&request)?;
        Ok(Response::new(self.0.begin(&grant.asking, request.into_inner()).await))
    }

    async fn common(&self, request: Request<CommonRequest>) -> Result<Response<CommonRules>, Status> {
        let grant = grant(&request)?;
        Ok(Response::new(self.0.common(&grant.asking).await))
    }

    async fn hide(&self, request: Request<HideRequest>) -> Result<Response<HideReply>, Status> {
        let grant = grant(&request)?;
        Ok(Response::new(HideReply { selectors: self.0.hidden(&grant.asking, request.into_inner()).await }))
    }
}

fn grant<T>(request: &Request<T>) -> Result<TunnelGrant, Status> {
    let grant = request.extensions().get::<TunnelGrant>().cloned();
    grant.ok_or_else(|| Status::permission_denied("this connection has no grant"))
}

/// Service for the broker's connection.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) shields: Shields,
    pub(crate) fetcher: Fetcher,
}

#[tonic::async_trait]
impl ShieldsAdmin for Admin {
    async fn status(&self, _: Request<ShieldsStatusRequest>) -> Result<Response<ShieldsStatus>, Status> {
        let (checked, blocked, wait) = {
            let log = self.shields.log();
            (log.checked, log.blocked, log.wait())
        };
        let rules = self.shields.rules.borrow().clone();
        let mut told = ShieldsStatus { ready: rules.is_some(), checked, blocked, wait, ..ShieldsStatus::default() };
        if let Some(rules) = rules {
            (told.lists, told.error) = (rules.lists.clone(), rules.error.clone());
            (told.read_ms, told.from_cache) = (rules.read_ms, rules.from_cache);
            // An index that cannot be read is reported in `error` already.
            for source in self.shields.sources().await.unwrap_or_default() {
                for list in told.lists.iter_mut().filter(|list| list.name == source.name) {
                    (list.url, list.checked_s) = (source.url.clone().unwrap_or_default(), source.checked_s);
                    list.error = self.shields.stale().get(&source.name).cloned().unwrap_or_default();
                }
            }
        }
        Ok(Response::new(told))
    }

    async fn log(&self, request: Request<ShieldsLogRequest>) -> Result<Response<ShieldsLog>, Status> {
        Ok(Response::new(ShieldsLog { entries: self.shields.log().after(request.get_ref().after) }))
    }

    async fn own(&self, request: Request<OwnRulesRequest>) -> Result<Response<OwnRules>, Status> {
        let OwnRulesRequest { add, remove } = request.into_inner();
        let changed = self.shields.change_own(add, remove).await;
        let rules = changed.map_err(|error| match error {
            OwnRulesError::NotARule { .. } | OwnRulesError::NotThere(_) | OwnRulesError::TooLong => {
                Status::invalid_argument(error.to_string())
            }
            OwnRulesError::Io(_) => Status::internal(error.to_string()),
        })?;
        Ok(Response::new(OwnRules { rules }))
    }

    async fn lists(&self, request: Request<ListsRequest>) -> Result<Response<ListsReply>, Status> {
        let Self { shields, fetcher } = self;
        let changed = match request.into_inner().change {
            Some(list_change::Change::Add(add)) => shields.add_list(add, fetcher).await,
            Some(list_change::Change::Remove(name)) => shields.remove_list(name).await,
            Some(list_change::Change::Update(_)) => shields.update_lists(fetcher).await,
            None => Ok(()),
        };
        changed.map_err(|error| match error {
            OwnListsError::Io(_) => Status::internal(error.to_string()),
            OwnListsError::NotThere(_) | OwnListsError::Exists(_) | OwnListsError::Name(_) => {
                Status::invalid_argument(error.to_string())
            }
            OwnListsError::TooMany | OwnListsError::Broken { .. } => Status::failed_precondition(error.to_string()),
        })?;
        Ok(Response::new(ListsReply {}))
    }

    async fn test(&self, request: Request<TestRequest>) -> Result<Response<Verdict>, Status> {
        let TestRequest { site, request } = request.into_inner();
        Ok(Response::new(self.shields.test(&site, "", request.unwrap_or_default()).await))
    }
}
