//! Actions of the window component, carried out with the components that they concern.

use regen_net_config::settings::scope::Scope;
use regen_proto::role::Role;
use regen_session::{Event, PageLoad, Tab, address};
use tokio::sync::oneshot;

use crate::broker::Broker;
use crate::codec::permission_messages;
use crate::codec::{host as host_codec, window_updates};
use crate::control::count_objections;
use crate::control::questions::PageQuery;
use crate::forgetting::Forgetting;
use crate::lookup::host_of;
use crate::network;
use crate::site_orders;
use crate::site_report::SiteQuery;
use crate::window;
use crate::window::commands::{Question, SiteOrder};
use crate::workspace_orders::WorkspaceOrders;

/// The broker, as the window component directs it.
pub(crate) struct WindowActions<'a> {
    broker: &'a mut Broker,
}

impl<'a> WindowActions<'a> {
    pub(crate) fn new(broker: &'a mut Broker) -> Self {
        Self { broker }
    }

    /// Carries out what the window component wants.
    pub(crate) fn carry_out(&mut self, actions: Vec<window::Action>) {
        use window::Action;
        for action in actions {
            match action {
                Action::Tell(news) => self.broker.tell_news(news),
                Action::Send(message) => self.broker.send(host_codec::host_message(message)),
                Action::Command { tab, command } => {
                    if let Some(child) = self.broker.lookup().of_tab(tab) {
                        self.broker.send(host_codec::page_command(child, tab, command));
                    }
                }
                Action::Session(event) => self.broker.apply(event),
                Action::Open { input, background } => {
                    let url = address::to_url(&input, self.broker.kept.searches());
                    let workspace = self.broker.session.workspace().to_owned();
                    self.broker.open_by_user(url, background, workspace);
                }
                Action::OpenEmpty { background } => {
                    let workspace = self.broker.session.workspace().to_owned();
                    self.broker.apply(Event::Open { load: None, workspace, background, opener: None });
                }
                Action::Health(request) => {
                    let (query, events) = (self.broker.status_view().health(), self.broker.window_events.clone());
                    tokio::spawn(async move {
                        let lines = query.gather(true).await;
                        // The event loop may have ended meanwhile.
                        let _ = events.send(window::Event::HealthReported { request, lines }).await;
                    });
                }
                Action::AnswerPermission { question, answer } => {
                    let actions = self.broker.permissions.answered(question, answer);
                    self.broker.after_permissions(actions);
                }
                Action::ChoosePermission { tab, kind, kept } => {
                    if let Some(host) = host_of(&self.broker.session, tab) {
                        self.broker.permissions.record_choice(&host, kind, kept);
                        let actions = self.broker.permissions.choose(&host, kind, kept);
                        self.broker.after_permissions(actions);
                    }
                }
                Action::NotificationClicked { child, tab, number } => {
                    // The page may have left the tab meanwhile.
                    if self.broker.lookup().of_tab(tab) == Some(child) {
                        self.broker.apply(Event::Activate(tab));
                        self.broker.tell_window(window_updates::raise);
                        self.broker.send(permission_messages::notification_clicked(child, tab, number));
                    }
                }
                Action::Workspaces(order) => {
                    if let Err(error) = WorkspaceOrders::new(self.broker).carry_out(order) {
                        self.broker.notice("warning", error.to_string());
                    }
                }
                Action::Navigate { tab, input } => {
                    let load = PageLoad::by_user(address::to_url(&input, self.broker.kept.searches()));
                    self.broker.apply(Event::Navigate { tab, load });
                }
                Action::AskPages => self.ask_whether_pages_object(),
                Action::Quit => self.broker.quit(),
                Action::AnswerSession(reply) => drop(self.broker.answer_session(&reply)),
                Action::OfferSession => match self.broker.persistence.offer_again() {
                    Some(offer) => self.broker.tell_window(|window| window_updates::session_offer(window, Some(offer))),
                    None => self.broker.notice("info", "There is no earlier session.".to_owned()),
                },
                Action::Ask { request, question } => self.answer_window(request, question),
                Action::Site(order) => self.site_order(order),
                Action::AnswerVpn(reply) => {
                    let has_window = self.broker.lookup().running(Role::UiShell).is_some();
                    let actions = self.broker.network.vpn_answered(reply, has_window);
                    self.broker.after_network(actions);
                }
            }
        }
    }

    fn answer_window(&mut self, request: u64, question: Question) {
        let Some(window) = self.broker.lookup().ready(Role::UiShell) else { return };
        let (message, changes) = self.broker.kept.answer(&self.broker.session, window, request, question);
        self.broker.send(message);
        self.broker.after_kept(changes);
    }

    fn site_order(&mut self, order: SiteOrder) {
        let events = self.broker.window_events.clone();
        let Some(host) = host_of(&self.broker.session, order.tab()) else { return };
        if host.is_throw_away() && order.is_kept() {
            let text = "What is chosen for one site is kept, which a throw-away workspace must not cause. Choose the level of \
                        shields for the whole workspace instead.";
            return self.broker.notice("info", text.to_owned());
        }
        match order {
            SiteOrder::Report { request, .. } => {
                let page = self.broker.ask_page(order.tab(), PageQuery::Connection, 0).ok();
                let query = SiteQuery { page, ..self.broker.lookup().site(host, &self.broker.permissions) };
                site_orders::report(query, request, events);
            }
            SiteOrder::Clear(_) => {
                let (to, told) = oneshot::channel();
                Forgetting::new(self.broker).clear_site(host.clone(), to);
                site_orders::tell_when_cleared(host, told, events);
            }
            SiteOrder::SetLevel { level, .. } => {
                let (to, _told) = oneshot::channel();
                let command = network::Command::SetShields { scope: Scope::Site(host.site), level, answer: to };
                let actions = self.broker.network.command(command, true);
                self.broker.after_network(actions);
            }
            SiteOrder::Allow { url, .. } => {
                if let Some(admin) = self.broker.network.admin() {
                    site_orders::allow(admin, host.site, &url, events);
                }
            }
        }
    }

    /// Asks the pages that their user has used whether they object to the end of the browser.
    fn ask_whether_pages_object(&mut self) {
        let is_used = |tab: &Tab| tab.is_used && !tab.unresponsive && tab.dialog.is_none();
        let asked = self.broker.ask_pages(PageQuery::Objects, is_used);
        let events = self.broker.window_events.clone();
        tokio::spawn(async move {
            let objecting = count_objections(asked).await;
            // The event loop may have ended meanwhile.
            let _ = events.send(window::Event::PagesAnswered { objecting }).await;
        });
    }
}
