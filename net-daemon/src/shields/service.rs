//! Shields as others reach them: pages by their tab-host, people by the broker.

use regen_proto::net::v1::shields_admin_server::ShieldsAdmin;
use regen_proto::net::v1::shields_server::Shields as ShieldsService;
use regen_proto::net::v1::{
    CheckRequest, ShieldsLog, ShieldsLogRequest, ShieldsStatus, ShieldsStatusRequest, TestRequest, Verdict,
};
use tonic::{Request, Response, Status};

use regen_proto::KINDS;

use super::Shields;
use crate::tunnel::TunnelGrant;

/// The largest question, in bytes.
pub(crate) const LARGEST: usize = 32 * 1024;
/// No method has a longer name.
const LONGEST_METHOD: usize = 32;

/// On the connection of a tab-host.
#[derive(Debug, Clone)]
pub(crate) struct ForPages(pub(crate) Shields);

#[tonic::async_trait]
impl ShieldsService for ForPages {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<Verdict>, Status> {
        let grant = request.extensions().get::<TunnelGrant>().cloned();
        let grant = grant.ok_or_else(|| Status::permission_denied("this connection has no grant"))?;
        let request = request.into_inner();
        if !KINDS.contains(&request.kind.as_str()) || request.method.len() > LONGEST_METHOD {
            return Err(Status::invalid_argument("not a kind of request"));
        }
        Ok(Response::new(self.0.check(&grant.asking, request).await))
    }
}

/// On the broker's own connection.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Shields);

#[tonic::async_trait]
impl ShieldsAdmin for Admin {
    async fn status(&self, _: Request<ShieldsStatusRequest>) -> Result<Response<ShieldsStatus>, Status> {
        let (checked, blocked) = {
            let log = self.0.log();
            (log.checked, log.blocked)
        };
        let rules = self.0.rules.borrow().clone();
        let mut told = ShieldsStatus { ready: rules.is_some(), checked, blocked, ..ShieldsStatus::default() };
        if let Some(rules) = rules {
            (told.lists, told.error) = (rules.lists.clone(), rules.error.clone());
        }
        Ok(Response::new(told))
    }

    async fn log(&self, request: Request<ShieldsLogRequest>) -> Result<Response<ShieldsLog>, Status> {
        Ok(Response::new(ShieldsLog { entries: self.0.log().after(request.get_ref().after) }))
    }

    async fn test(&self, request: Request<TestRequest>) -> Result<Response<Verdict>, Status> {
        let TestRequest { site, request } = request.into_inner();
        Ok(Response::new(self.0.test(&site, &request.unwrap_or_default()).await))
    }
}
