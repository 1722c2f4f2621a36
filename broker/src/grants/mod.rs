//! Grants: who may talk to whom. Each grant is a fresh socketpair whose ends the broker hands out; no child can make one alone.
//!
//! A route is a property of a tunnel's grant: a tab-host can name neither a route nor another site.

pub mod grant;

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use regen_audit_log::AuditLog;
use regen_net_config::host::HostKey;
use regen_net_config::host::is_throw_away;
use regen_net_config::route::Route;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::codec::child as codec;
use crate::message::{ChildId, Outgoing};
use grant::{Grant, Service};

/// Error of making a grant.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The system refused a pair of sockets.
    #[error("cannot make a connection to grant: {0}")]
    Socket(#[from] rustix::io::Errno),
}

/// A tab-host's grant to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TunnelGrant {
    grant: u64,
    net: ChildId,
    route: Route,
}

/// All grants. Only those that can be revoked are remembered.
#[derive(Debug)]
pub struct Grants {
    last: u64,
    /// By tab-host.
    tunnels: HashMap<ChildId, TunnelGrant>,
    audit: AuditLog,
}

impl Grants {
    /// Returns a component that has granted nothing.
    #[must_use]
    pub fn new(audit: AuditLog) -> Self {
        Self { last: 0, tunnels: HashMap::new(), audit }
    }

    /// Grants a tab-host its way to the network. `may_be_private`: the site's own host may be in the private network.
    ///
    /// # Errors
    /// When the system refuses a pair of sockets.
    pub fn tunnel(
        &mut self,
        net: ChildId,
        host: ChildId,
        key: &HostKey,
        route: &Route,
        may_be_private: bool,
    ) -> Result<Vec<Outgoing>, GrantError> {
        let grant = Grant {
            host: Some(host),
            partition: partition(key),
            route: Some(route.clone()),
            site: key.site.as_str().to_owned(),
            private_network: Some(may_be_private),
            ..Grant::of(Service::Tunnel)
        };
        let messages = self.grant(net, host, grant)?;
        self.tunnels.insert(host, TunnelGrant { grant: self.last, net, route: route.clone() });
        Ok(messages)
    }

    /// Takes a tab-host's way to the network back, with everything that is open on it. Nothing where it has none.
    pub fn revoke_tunnel(&mut self, host: ChildId) -> Vec<Outgoing> {
        let Some(TunnelGrant { grant, net, .. }) = self.tunnels.remove(&host) else { return Vec::new() };
        // The server comes first: from then on there is no way back, whatever the host does.
        [net, host].map(|to| codec::revoke(to, grant)).into()
    }

    /// Returns the tab-hosts whose grant has another route than this says.
    pub fn with_other_route<'a>(
        &self,
        hosts: impl IntoIterator<Item = (ChildId, &'a HostKey)>,
        route_of: impl Fn(&HostKey) -> Route,
    ) -> Vec<ChildId> {
        let has_other = |(host, key): &(ChildId, &HostKey)| {
            self.tunnels.get(host).is_some_and(|tunnel| tunnel.route != route_of(key))
        };
        hosts.into_iter().filter(has_other).map(|(host, _)| host).collect()
    }

    /// Returns the tab-host that holds a tunnel's grant of this net-daemon. A grant that was revoked has no holder.
    #[must_use]
    pub fn holder(&self, grant: u64, net: ChildId) -> Option<ChildId> {
        let is_it = |tunnel: &TunnelGrant| tunnel.grant == grant && tunnel.net == net;
        self.tunnels.iter().find(|(_, tunnel)| is_it(tunnel)).map(|(host, _)| *host)
    }

    /// Grants a tab-host a connection over which it hands verdict channels of its web processes to the net-daemon.
    ///
    /// # Errors
    /// When the system refuses a pair of sockets.
    pub fn verdict_channels(
        &mut self,
        net: ChildId,
        host: ChildId,
        key: &HostKey,
    ) -> Result<Vec<Outgoing>, GrantError> {
        let (site, partition) = (key.site.as_str().to_owned(), partition(key));
        self.grant(net, host, Grant { host: Some(host), site, partition, ..Grant::of(Service::VerdictChannels) })
    }

    /// Grants the window and a tab-host their surface channel.
    ///
    /// # Errors
    /// When the system refuses a pair of sockets.
    pub fn surface(&mut self, host: ChildId, window: ChildId) -> Result<Vec<Outgoing>, GrantError> {
        self.grant(host, window, Grant { host: Some(host), ..Grant::of(Service::Surface) })
    }

    /// Grants the broker itself the net-daemon's administration. Returns the message for the net-daemon and the broker's end.
    ///
    /// # Errors
    /// When the system refuses a pair of sockets.
    pub fn net_admin(&mut self, net: ChildId) -> Result<(Outgoing, OwnedFd), GrantError> {
        let (theirs, ours) = connection(Service::NetAdmin)?;
        self.last += 1;
        let grant = Grant { number: self.last, ..Grant::of(Service::NetAdmin) };
        self.audit.record(
            "granted",
            serde_json::json!({ "grant": grant.number, "service": grant.service.name(), "server": net, "client": "broker" }),
        );
        Ok((codec::grant(net, &grant, true, theirs), ours))
    }

    /// Forgets what a child was granted, and what it served.
    pub fn forget(&mut self, child: ChildId) {
        self.tunnels.retain(|host, tunnel| *host != child && tunnel.net != child);
    }

    /// Makes a connection, and returns the messages that hand out its ends.
    fn grant(&mut self, server: ChildId, client: ChildId, grant: Grant) -> Result<Vec<Outgoing>, GrantError> {
        let (ours, theirs) = connection(grant.service)?;
        self.last += 1;
        let grant = Grant { number: self.last, ..grant };
        let partition = if is_throw_away(&grant.partition) { "(throw-away)" } else { grant.partition.as_str() };
        self.audit.record_of(
            client,
            "granted",
            serde_json::json!({
                "grant": grant.number, "service": grant.service.name(), "server": server, "client": client,
                "partition": partition, "route": grant.route.as_ref().map(Route::to_string).unwrap_or_default(),
            }),
        );
        Ok(vec![codec::grant(server, &grant, true, ours), codec::grant(client, &grant, false, theirs)])
    }
}

/// Returns the isolation key of a site's connections, names and circuits.
fn partition(key: &HostKey) -> String {
    format!("{}|{}", key.workspace, key.site)
}

fn connection(service: Service) -> Result<(OwnedFd, OwnedFd), GrantError> {
    let kind = match service {
        Service::VerdictChannels | Service::Surface => SocketType::SEQPACKET,
        Service::Tunnel | Service::NetAdmin => SocketType::STREAM,
    };
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

#[cfg(test)]
mod tests {
    use regen_net_config::site::Site;
    use regen_proto::kernel::v1::{Grant as WireGrant, PrivateNetwork};
    use regen_proto::validate::BrokerToChild;

    use super::*;
    use regen_audit_log::Audit;

    const NET: ChildId = 1;
    const HOST: ChildId = 2;

    fn key(url: &str) -> HostKey {
        HostKey { site: Site::of(url).unwrap(), workspace: "work".to_owned() }
    }

    fn grants() -> (Grants, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path(), None).unwrap();
        (Grants::new(AuditLog::start(audit).unwrap()), folder)
    }

    fn grant_in(message: &Outgoing) -> &WireGrant {
        let BrokerToChild::Grant(grant) = &message.message else { panic!("{message:?}") };
        grant
    }

    #[test]
    fn both_ends_of_a_tunnel_are_handed_out_with_the_route_and_the_site() {
        let (mut grants, _folder) = grants();
        let tor: Route = "tor → block".parse().unwrap();
        let messages = grants.tunnel(NET, HOST, &key("https://a.test/"), &tor, false).unwrap();
        let [server, client] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!((server.to, client.to), (NET, HOST));
        assert!(grant_in(server).serve && !grant_in(client).serve);
        for message in [server, client] {
            let grant = grant_in(message);
            assert_eq!((grant.site.as_str(), grant.partition.as_str()), ("https://a.test", "work|https://a.test"));
            assert_eq!((grant.route.as_str(), grant.private_network()), ("tor → block", PrivateNetwork::Refused));
            assert_eq!(message.attachments.len(), 1);
        }
        let allowed = grants.tunnel(NET, HOST, &key("http://router/"), &tor, true).unwrap();
        assert_eq!(grant_in(&allowed[0]).private_network(), PrivateNetwork::Allowed);
    }

    #[test]
    fn a_revoked_tunnel_has_no_holder_and_its_server_hears_of_it_first() {
        let (mut grants, _folder) = grants();
        let direct: Route = "direct".parse().unwrap();
        let messages = grants.tunnel(NET, HOST, &key("https://a.test/"), &direct, false).unwrap();
        let grant = grant_in(&messages[0]).grant;
        assert_eq!(grants.holder(grant, NET), Some(HOST));
        assert_eq!(grants.holder(grant, NET + 7), None, "another net-daemon did not make it");
        let revoked: Vec<ChildId> = grants.revoke_tunnel(HOST).iter().map(|message| message.to).collect();
        assert_eq!(revoked, [NET, HOST]);
        assert_eq!(grants.holder(grant, NET), None);
        assert!(grants.revoke_tunnel(HOST).is_empty());
    }

    #[test]
    fn only_hosts_whose_route_changed_are_found() {
        let (mut grants, _folder) = grants();
        let (direct, tor): (Route, Route) = ("direct".parse().unwrap(), "tor".parse().unwrap());
        let (a, b) = (key("https://a.test/"), key("https://b.test/"));
        grants.tunnel(NET, HOST, &a, &direct, false).unwrap();
        grants.tunnel(NET, HOST + 1, &b, &direct, false).unwrap();
        let hosts = [(HOST, &a), (HOST + 1, &b), (HOST + 2, &a)];
        let route_of = |key: &HostKey| if *key == a { tor.clone() } else { direct.clone() };
        assert_eq!(grants.with_other_route(hosts, route_of), [HOST]);
        grants.forget(NET);
        assert!(grants.with_other_route(hosts, |_| tor.clone()).is_empty(), "its net-daemon is gone");
    }
}
