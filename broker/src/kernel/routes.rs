//! Routes: which way out each site's process is granted, and what becomes of its connections when that changes.

use regen_net_config::route::{Hop, Route};
use regen_proto::kernel::v1::{Grant, NetworkSide, PrivateNetwork, Revoke, Role, Service, SiteFound};
use regen_proto::net::v1::{TorState, TorStatus};
use regen_proto::validate::BrokerToChild;

use super::Kernel;
use super::child::{Child, ChildId};
use crate::routes::Scope;
use crate::session::{Event, HostKey, Phase, Side, Tab};

/// The way to the network that a tab-host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tunnel {
    grant: u64,
    net: ChildId,
    route: Route,
}

impl Kernel {
    /// A tab-host gets its way to the network, if there is a network.
    pub(super) fn grant_tunnel(&mut self, host: ChildId) {
        let Some(net) = self.ready_child_of_role(Role::NetDaemon) else { return };
        let Some(key) = self.children.get(&host).and_then(|child| child.host.clone()) else { return };
        let route = self.settings.routes.of(&key).clone();
        let may_be_private = self.session.networks.may_be_private(&key);
        let private_network = if may_be_private { PrivateNetwork::Allowed } else { PrivateNetwork::Refused };
        let grant = Grant {
            service: Service::Tunnel.into(),
            host,
            partition: format!("{}|{}", key.workspace, key.site),
            route: route.to_string(),
            site: key.site.as_str().to_owned(),
            private_network: private_network.into(),
            ..Grant::default()
        };
        let granted = self.grant(net, host, grant);
        if let Some(child) = self.children.get_mut(&host) {
            child.tunnel = granted.map(|grant| Tunnel { grant, net, route });
        }
    }

    /// A tab-host's way to the network is another one from now on: the old one ends, with all that it has open.
    pub(super) fn grant_tunnel_anew(&mut self, host: ChildId) {
        let Some(child) = self.children.get_mut(&host) else { return };
        let Some(Tunnel { grant, net, .. }) = child.tunnel.take() else { return };
        // Its server first: from then on there is no way back, whatever the host does.
        self.send(net, BrokerToChild::Revoke(Revoke { grant }), Vec::new());
        self.send(host, BrokerToChild::Revoke(Revoke { grant }), Vec::new());
        if self.is_ready(host) {
            self.grant_tunnel(host);
        }
    }

    /// The net-daemon has found where the site of a grant is. That it is on the internet is kept as long as its storage.
    pub(super) fn site_found(&mut self, net: ChildId, found: SiteFound) {
        let is_its = |child: &&Child| {
            child.tunnel.as_ref().is_some_and(|tunnel| tunnel.grant == found.grant && tunnel.net == net)
        };
        // A grant that was revoked meanwhile is of no interest.
        let Some(host) = self.children.values().find(is_its).and_then(|child| child.host.clone()) else { return };
        let side = match found.side() {
            NetworkSide::Public => Side::Public,
            NetworkSide::Private => Side::Private,
            NetworkSide::Unspecified => return,
        };
        if side == Side::Public && !self.session.networks.is_public(&host) {
            let mark = self.profile.public_mark(&host.workspace, &host.site.folder());
            tokio::task::spawn_blocking(move || {
                if let Err(error) = crate::profile::mark(&mark) {
                    tracing::error!("the next start will not know that a site is on the internet: {error}");
                }
            });
        }
        self.apply(Event::SiteFound { host, side });
    }

    /// A tab's ways out in their order; nothing for one without a site.
    pub(super) fn route_of(&self, tab: &Tab) -> String {
        tab.host().map(|host| self.settings.routes.of(&host).to_string()).unwrap_or_default()
    }

    /// The user wants another way. Connections of the old one end at once.
    pub(super) fn choose_route(&mut self, scope: Scope, route: Option<Route>) {
        let words = route.as_ref().map(Route::to_string);
        self.audit.record("route", serde_json::json!({ "scope": scope.to_string(), "route": words }));
        self.settings.routes.choose(scope, route);
        self.store.put_routes(self.settings.routes.clone());
        self.tell_net();
        // Those that are about to end, too.
        let hosts: Vec<ChildId> = self.children.keys().copied().collect();
        for host in hosts {
            let Some(child) = self.children.get_mut(&host) else { continue };
            let routes = &self.settings.routes;
            let is_other = |tunnel: &mut Tunnel| child.host.as_ref().is_none_or(|key| *routes.of(key) != tunnel.route);
            if child.tunnel.as_mut().is_some_and(is_other) {
                self.grant_tunnel_anew(host);
            }
        }
        for tab in self.session.order.clone() {
            self.tab_changed(tab);
        }
        self.changed.send_modify(|generation| *generation += 1);
    }

    /// That Tor was needed and does not work, in words.
    pub(super) fn tor_trouble(&self) -> Option<String> {
        let is_failing = self.tor.state() == TorState::Failing;
        is_failing.then(|| self.tor.message.clone())
    }

    /// Why a tab is as it is; of a page that loads, what it waits for.
    pub(super) fn reason(&self, tab: &Tab) -> String {
        match (&tab.phase, tab.host()) {
            (Phase::Loading | Phase::Recovering, Some(host)) => self.waits_for(&host).unwrap_or_default(),
            _ => tab.phase.reason().to_owned(),
        }
    }

    fn waits_for(&self, host: &HostKey) -> Option<String> {
        if self.ready_child_of_role(Role::NetDaemon).is_none() {
            return Some("Regen's network process is not there at the moment: it comes back".to_owned());
        }
        let takes_tor = self.settings.routes.of(host).ways().any(|way| *way == Hop::Tor);
        let wants_tor = takes_tor && self.tor.waiting > 0;
        match self.tor.state() {
            TorState::Starting if wants_tor => {
                let TorStatus { percent, message, .. } = &self.tor;
                let why = if message.is_empty() { String::new() } else { format!(" ({message})") };
                Some(format!("Tor is starting: {percent} %{why}"))
            }
            TorState::Failing if takes_tor => self.tor_trouble(),
            TorState::Ready if wants_tor => Some("Tor is making a connection".to_owned()),
            TorState::Unspecified | TorState::Off | TorState::Starting | TorState::Ready | TorState::Failing => None,
        }
    }
}
