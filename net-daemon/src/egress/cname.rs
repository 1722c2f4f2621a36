//! CNAME check: a tracker may hide behind a name of the page's own site.

use std::sync::Arc;

use regen_proto::net::v1::FailureKind;

use super::{Connection, Egress, Resolved, Target};
use crate::error::HopError;
use crate::shields::{Shields, ShieldsContext};

/// Layer that refuses hosts whose aliases shields block.
pub(crate) struct CnameCheck<'a, E> {
    pub(crate) inner: E,
    /// Shields that apply; `None` for connections that no page has requested.
    pub(crate) shields: Option<&'a (Shields, Arc<ShieldsContext>)>,
}

#[tonic::async_trait]
impl<E: Egress> Egress for CnameCheck<'_, E> {
    fn network(&self) -> String {
        self.inner.network()
    }

    async fn resolve(&self, target: Target<'_>) -> Result<Resolved, HopError> {
        let resolved = self.inner.resolve(target).await?;
        let host = target.host;
        let shields = self.shields.filter(|(_, context)| !context.is_opened(host));
        if let (Resolved::Here { aliases, .. }, Some((shields, context))) = (&resolved, shields) {
            for alias in aliases {
                let alias = alias.trim_end_matches('.');
                if shields.check_host(context, alias).await.blocked {
                    let message = format!("connection to {host} blocked by shields: it is an alias of {alias}");
                    return Err(HopError::target(FailureKind::Policy, message));
                }
            }
        }
        Ok(resolved)
    }

    async fn dial(&self, target: Target<'_>, resolved: Resolved) -> Result<Connection, HopError> {
        self.inner.dial(target, resolved).await
    }
}
