//! Parts of replies that several services share.

use std::time::Duration;

use regen_net_config::settings::scope::Scope;
use regen_net_config::site::{Site, SiteError};
use tonic::{Response, Status};

/// Word that removes the setting of a site or a workspace.
pub(super) const DEFAULT: &str = "default";
/// Timeout of a request to the net-daemon, which may still be reading its lists after its start.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for an answer of the net-daemon, for [`ANSWER_TIMEOUT`] at most.
pub(super) async fn answered<T>(asked: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    answered_within(ANSWER_TIMEOUT, asked).await
}

/// Waits for an answer of the net-daemon, for this time at most.
pub(super) async fn answered_within<T>(
    time: Duration,
    asked: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(time, asked).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Status::unavailable("Regen's network process does not answer at the moment: try again")),
    }
}

/// Returns the scope of a setting: a site, a workspace, or everything.
pub(super) fn scope(site: &str, workspace: String, what: &str) -> Result<Scope, Status> {
    match (site, workspace.as_str()) {
        ("", "") => Ok(Scope::Everywhere),
        ("", _) => Ok(Scope::Workspace(workspace)),
        (url, "") => Ok(Scope::Site(Site::of(url).map_err(no_site)?)),
        _ => Err(Status::invalid_argument(format!("{what} is for a site or for a workspace, not for both"))),
    }
}

/// Returns the error for an address that has no site.
pub(super) fn no_site(error: SiteError) -> Status {
    Status::invalid_argument(error.to_string())
}
