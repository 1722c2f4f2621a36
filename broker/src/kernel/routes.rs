//! Routes: which way out each site's process is granted, and what becomes of its connections when that changes.

use regen_proto::convert::ForChild;
use regen_proto::kernel::v1::{Grant, Revoke, Role, Service};
use regen_proto::net::v1::{TorState, TorStatus};
use regen_proto::route::{Route, Way};

use super::Kernel;
use super::child::ChildId;
use crate::routes::Scope;
use crate::session::{HostKey, Phase, Tab};

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
        let route = self.choices.routes.of(&key).clone();
        let grant = Grant {
            service: Service::Tunnel.into(),
            host,
            partition: format!("{}|{}", key.workspace, key.site),
            route: route.to_string(),
            site: key.site.as_str().to_owned(),
            ..Grant::default()
        };
        let granted = self.grant(net, host, grant);
        if let Some(child) = self.children.get_mut(&host) {
            child.tunnel = granted.map(|grant| Tunnel { grant, net, route });
        }
    }

    /// A tab's ways out in their order; nothing for one without a site.
    pub(super) fn route_of(&self, tab: &Tab) -> String {
        tab.host().map(|host| self.choices.routes.of(&host).to_string()).unwrap_or_default()
    }

    /// The user wants another way. Connections of the old one end at once.
    pub(super) fn choose_route(&mut self, scope: Scope, route: Option<Route>) {
        let words = route.as_ref().map(Route::to_string);
        self.audit.record("route", serde_json::json!({ "scope": scope.to_string(), "route": words }));
        self.choices.routes.choose(scope, route);
        self.store.put_routes(self.choices.routes.clone());
        self.tell_net();
        // Those that are about to end, too.
        let hosts: Vec<ChildId> = self.children.keys().copied().collect();
        for host in hosts {
            let Some(child) = self.children.get_mut(&host) else { continue };
            let routes = &self.choices.routes;
            let is_other = |tunnel: &mut Tunnel| child.host.as_ref().is_none_or(|key| *routes.of(key) != tunnel.route);
            let Some(Tunnel { grant, net, .. }) = child.tunnel.take_if(is_other) else { continue };
            // Its server first: from then on there is no way back, whatever the host does.
            self.send(net, ForChild::Revoke(Revoke { grant }), Vec::new());
            self.send(host, ForChild::Revoke(Revoke { grant }), Vec::new());
            if self.is_ready(host) {
                self.grant_tunnel(host);
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
        let takes_tor = self.choices.routes.of(host).ways().any(|way| *way == Way::Tor);
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
