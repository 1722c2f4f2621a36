//! Grants: who may talk to whom. Each is a fresh socketpair whose ends the kernel hands out; nobody can make one alone.

use std::os::fd::OwnedFd;

use regen_proto::kernel::v1::{BufferShared, Empty, HostCommand, host_command};
use regen_proto::kernel::v1::{Grant, HostGone, Role, Service, ShareBuffer, shell_update};
use regen_proto::validate::BrokerToChild;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::Kernel;
use super::child::{Attachment, ChildId};

pub(super) fn connection(service: Service) -> Option<(OwnedFd, OwnedFd)> {
    let kind = if service == Service::Verdicts { SocketType::SEQPACKET } else { SocketType::STREAM };
    match rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None) {
        Ok(pair) => Some(pair),
        Err(error) => {
            tracing::error!("cannot make a connection to grant: {error}");
            None
        }
    }
}

impl Kernel {
    /// Both ends get theirs. Gives the grant's name, where there is one.
    pub(super) fn grant(&mut self, server: ChildId, client: ChildId, grant: Grant) -> Option<u64> {
        let (ours, theirs) = connection(grant.service())?;
        self.next_grant += 1;
        let grant = Grant { grant: self.next_grant, ..grant };
        let (service, partition) =
            (grant.service().as_str_name().trim_start_matches("SERVICE_").to_lowercase(), &grant.partition);
        self.audit.record_of(
            client,
            "granted",
            serde_json::json!({
                "grant": grant.grant, "service": service, "server": server, "client": client, "partition": partition,
                "route": grant.route,
            }),
        );
        self.send(server, BrokerToChild::Grant(Grant { serve: true, ..grant.clone() }), vec![Attachment::Fd(ours)]);
        self.send(client, BrokerToChild::Grant(Grant { serve: false, ..grant }), vec![Attachment::Fd(theirs)]);
        Some(self.next_grant)
    }

    /// A tab-host wants one more line to the verdicts, for a web process. Without a net-daemon it asks again when there is one.
    pub(super) fn grant_line(&mut self, host: ChildId) {
        let Some(net) = self.ready_child_of_role(Role::NetDaemon) else { return };
        let Some(key) = self.children.get(&host).and_then(|child| child.host.clone()) else { return };
        let (site, partition) = (key.site.as_str().to_owned(), format!("{}|{}", key.workspace, key.site));
        let service = Service::Verdicts.into();
        self.grant(net, host, Grant { service, host, site, partition, ..Grant::default() });
    }

    /// The window gets the pages of a tab-host, if there is a window.
    pub(super) fn grant_page(&mut self, host: ChildId) {
        let Some(window) = self.ready_child_of_role(Role::UiShell) else { return };
        let grant = Grant { service: Service::Page.into(), host, ..Grant::default() };
        self.grant(host, window, grant);
        // Buffers that an earlier window had are of no use to this one.
        let command = HostCommand { tab: 0, body: Some(host_command::Body::ReleaseBuffers(Empty {})) };
        self.send(host, BrokerToChild::Command(command), Vec::new());
    }

    /// A host's pixels, on their way to the window.
    pub(super) fn share_buffer(&mut self, host: ChildId, buffer: &ShareBuffer, descriptors: Vec<OwnedFd>) {
        let shared =
            BufferShared { tab: buffer.tab, host, buffer: buffer.buffer, width: buffer.width, height: buffer.height };
        let attachments = descriptors.into_iter().map(Attachment::Fd).collect();
        self.tell_window(shell_update::Body::Buffer(shared), attachments);
    }

    pub(super) fn host_gone(&mut self, host: ChildId) {
        self.tell_window(shell_update::Body::HostGone(HostGone { host }), Vec::new());
    }
}
