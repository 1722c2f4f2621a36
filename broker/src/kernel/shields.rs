//! Shields: what the user has chosen goes to the net-daemon, and what they ask about it is asked there.

use regen_proto::convert::ForChild;
use regen_proto::grpc;
use regen_proto::kernel::v1::{Configure, Grant, Role, Service};
use regen_proto::net::v1::shields_admin_client::ShieldsAdminClient;
use regen_proto::site::Site;
use tonic::transport::Channel;

use super::Kernel;
use super::child::{Attachment, ChildId};
use super::grants::{DEFAULT_ROUTE, connection};
use crate::shields::{Level, TooManySites};

/// The largest answer: a full log, in bytes.
const LARGEST: usize = 16 << 20;

/// The broker's own connection to the net-daemon.
pub type ShieldsAdmin = ShieldsAdminClient<Channel>;

impl Kernel {
    /// A net-daemon is there: whoever asks about shields is answered by it.
    pub(super) fn connect_shields(&mut self, net: ChildId) {
        let Some((theirs, ours)) = connection() else { return };
        let ours = std::os::unix::net::UnixStream::from(ours);
        match ours.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(ours)) {
            Ok(stream) => {
                self.shields_admin = {
                    let admin = ShieldsAdminClient::new(grpc::client(stream));
                    Some(admin.max_decoding_message_size(LARGEST))
                }
            }
            Err(error) => return tracing::error!("shields cannot be asked: {error}"),
        }
        self.next_grant += 1;
        let service = Service::ShieldsAdmin.into();
        let route = DEFAULT_ROUTE.to_owned();
        let grant = Grant { service, serve: true, grant: self.next_grant, route, ..Grant::default() };
        self.audit.record(
            "granted",
            serde_json::json!({ "grant": grant.grant, "service": "shields_admin", "server": net, "client": "broker" }),
        );
        self.send(net, ForChild::Grant(grant), vec![Attachment::Fd(theirs)]);
        // What was chosen since it said Hello.
        self.tell_shields(net);
    }

    fn tell_shields(&mut self, net: ChildId) {
        let configure = Configure { shields: Some(self.shields.to_wire()), ..Configure::default() };
        self.send(net, ForChild::Configure(configure), Vec::new());
    }

    /// The user wants more or less of them.
    pub(super) fn choose_shields(&mut self, site: Option<&Site>, level: Option<Level>) -> Result<(), TooManySites> {
        self.shields.choose(site, level)?;
        self.store.put_shields(self.shields.clone());
        let (site, level) = (site.map(Site::as_str), level.map(|level| level.to_string()));
        self.audit.record("shields", serde_json::json!({ "site": site, "level": level }));
        if let Some(net) = self.ready_child_of_role(Role::NetDaemon) {
            self.tell_shields(net);
        }
        Ok(())
    }
}
