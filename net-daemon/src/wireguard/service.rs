//! VPN service for the broker, on behalf of the user.

use regen_proto::net::v1::vpn_admin_server::VpnAdmin;
use regen_proto::net::v1::{VpnProfiles, VpnStatus, VpnStatusRequest};
use tonic::{Request, Response, Status};

use super::WireGuard;

/// Maximum size of a request with all profiles, in bytes.
pub(crate) const MAX_REQUEST: usize = 16 << 20;

/// Service for the broker's connection.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) WireGuard);

#[tonic::async_trait]
impl VpnAdmin for Admin {
    async fn set(&self, request: Request<VpnProfiles>) -> Result<Response<VpnStatus>, Status> {
        self.0.set(request.into_inner().profiles);
        Ok(Response::new(VpnStatus { tunnels: self.0.status() }))
    }

    async fn status(&self, _: Request<VpnStatusRequest>) -> Result<Response<VpnStatus>, Status> {
        Ok(Response::new(VpnStatus { tunnels: self.0.status() }))
    }
}
