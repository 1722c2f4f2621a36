//! Actions of the network component, carried out with the components that they concern.

use regen_proto::role::Role;
use regen_session::{Event, TabId};

use crate::broker::Broker;
use crate::codec::{configure, window_updates};
use crate::network;

/// The broker, as the network component directs it.
pub(crate) struct NetworkActions<'a> {
    broker: &'a mut Broker,
}

impl<'a> NetworkActions<'a> {
    pub(crate) fn new(broker: &'a mut Broker) -> Self {
        Self { broker }
    }

    /// Carries out what the network component wants.
    pub(crate) fn carry_out(&mut self, actions: Vec<network::Action>) {
        use network::Action;
        for action in actions {
            match action {
                Action::Configure => {
                    if let Some(net) = self.broker.lookup().ready(Role::NetDaemon) {
                        self.broker.send(configure::net_daemon(net, &self.broker.network));
                    }
                }
                Action::RenewTunnels => {
                    let routes = &self.broker.network.settings().routes;
                    let hosts = self
                        .broker
                        .grants
                        .with_other_route(self.broker.children.hosts(), |host| routes.of(host).clone());
                    hosts.into_iter().for_each(|host| self.broker.renew_tunnel(host));
                }
                Action::ShowTabs => {
                    self.broker.session.order.clone().into_iter().for_each(|tab| self.broker.show_tab(tab))
                }
                Action::ShowLoadingTabs => {
                    let loading = self.broker.session.tabs.values().filter(|tab| !tab.phase.is_settled());
                    let loading: Vec<TabId> = loading.map(|tab| tab.id).collect();
                    loading.into_iter().for_each(|tab| self.broker.show_tab(tab));
                }
                Action::ShieldsChanged { before } => {
                    let changed = self
                        .broker
                        .network
                        .settings()
                        .shields
                        .strict_changed(&before, self.broker.session.hosts.keys());
                    changed.into_iter().for_each(|host| self.broker.apply(Event::Sleep(host)));
                }
                Action::AskAboutVpn(question) => {
                    self.broker.tell_window(|window| window_updates::vpn_question(window, question));
                }
                Action::Notice { level, text } => self.broker.notice(level, text),
            }
        }
        self.broker.note_change();
    }
}
