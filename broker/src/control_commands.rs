//! Commands of the control API, carried out with the components that they concern.

use std::time::Instant;

use regen_net_config::settings::permissions::PERMISSION_KINDS;
use regen_net_config::site::Site;
use regen_proto::role::Role;
use regen_session::{DialogAnswer, Event, HostKey, PageLoad, TabId, address};

use crate::answer::{CommandError, answer};
use crate::broker::Broker;
use crate::codec::permissions::{self, Change};
use crate::codec::{host as host_codec, window_updates};
use crate::control::questions::{Input, PageQuery};
use crate::control::{Command, PageAnswer, StatusReply, TabInfo};
use crate::forgetting::Forgetting;
use crate::health::HealthQuery;
use crate::page_queries::no_page;
use crate::workspace_orders::WorkspaceOrders;
use crate::workspaces;

/// The broker, as the control API commands it.
pub(crate) struct ControlCommands<'a> {
    broker: &'a mut Broker,
}

impl<'a> ControlCommands<'a> {
    pub(crate) fn new(broker: &'a mut Broker) -> Self {
        Self { broker }
    }

    /// Carries out a command of the control API.
    pub(crate) fn carry_out(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Status { answer: to } => answer(to, Ok(self.status())),
            Command::Open { url, workspace, background, raise, answer: to } => {
                if raise {
                    self.broker.tell_window(window_updates::raise);
                }
                let url = address::to_url(&url, self.broker.kept.searches());
                let opened = self.workspace_to_open(workspace).and_then(|workspace| {
                    self.broker.open_by_user(url, background, workspace).ok_or(CommandError::Ending)
                });
                answer(to, opened);
            }
            Command::Goto { tab, url, answer: to } => {
                self.broker.window.gestures().address(tab, now);
                let load = PageLoad::by_user(address::to_url(&url, self.broker.kept.searches()));
                let event = Event::Navigate { tab, load };
                let info = self.change_tab(tab, Some(event));
                answer(to, info);
            }
            Command::Tab { tab, event, answer: to } => {
                let info = self.change_tab(tab, event);
                answer(to, info);
            }
            Command::AnswerDialog { tab, reply, answer: to } => {
                let info = self.answer_dialog(tab, reply);
                answer(to, info);
            }
            Command::AllowDownloads { tab, allow, answer: to } => {
                if let Some(host) = self.broker.session.tabs.get(&tab).and_then(regen_session::Tab::host) {
                    let actions = self.broker.window.answer_downloads(&host, allow);
                    self.broker.after_window(actions);
                }
                answer(to, self.broker.lookup().tab_info(tab));
            }
            Command::Downloads { order, answer: to } => {
                let done = order.map_or(Some(Vec::new()), |order| self.broker.window.order_download(order));
                let listed =
                    done.map(|actions| self.broker.after_window(actions)).map(|()| self.broker.window.downloads());
                answer(to, listed.ok_or(CommandError::Download));
            }
            Command::Permissions { change, answer: to } => {
                change.into_iter().for_each(|change| self.change_permissions(change));
                answer(to, Ok(permissions::listed(&self.broker.permissions)));
            }
            Command::Workspaces { order, answer: to } => {
                let done = order
                    .map_or(Ok(workspaces::Done::Changed), |order| WorkspaceOrders::new(self.broker).by_name(order));
                let settings = self.broker.network.settings();
                let views = || workspaces::views(&self.broker.session, &settings.routes, &settings.shields);
                let listed = done.map(|done| (views(), done));
                answer(to, listed);
            }
            Command::Ask { tab, kind, answer: to } => {
                let asked = self.broker.ask_page(tab, kind, 0);
                answer(to, asked);
            }
            Command::Input { tab, events, answer: to } => {
                let done = self.input(tab, events);
                answer(to, done);
            }
            Command::Snapshots { answer: to } => {
                let pages = self.broker.ask_pages(PageQuery::Saved, |_| true);
                answer(to, Ok(pages));
            }
            Command::Signal { target, signal, answer: to } => answer(to, self.broker.lookup().signal(&target, signal)),
            Command::Save { answer: to } => {
                // A store that has just come back from a failure is told everything first.
                self.broker.check_store();
                self.broker.kept.save();
                self.broker.save(true);
                answer(to, Ok(self.broker.persistence.store().clone()));
            }
            Command::AnswerSession { reply, answer: to } => {
                let count = self.broker.answer_session(&reply);
                answer(to, Ok(count));
            }
            Command::Sessions { answer: to } => {
                answer(to, Ok((self.broker.persistence.earlier().to_vec(), self.broker.persistence.restores())));
            }
            Command::Site { host, answer: to } => {
                let host = HostKey { workspace: self.workspace(host.workspace), ..host };
                answer(to, Ok(self.broker.lookup().site(host, &self.broker.permissions)));
            }
            Command::ClearSite { host, answer: to } => {
                let host = HostKey { workspace: self.workspace(host.workspace), ..host };
                Forgetting::new(self.broker).clear_site(host, to);
            }
            Command::Run { name, answer: to } => {
                let run = self.run_command(name);
                answer(to, run);
            }
            Command::Network(command) => {
                let has_window = self.broker.lookup().running(Role::UiShell).is_some();
                let command = command.with_workspace(|name| self.workspace_with_setting(name));
                let actions = self.broker.network.command(command, has_window);
                self.broker.after_network(actions);
                // The routes and shields of workspaces are shown with them.
                self.broker.show(|feed| [feed.workspaces()]);
            }
            Command::Kept(command) => {
                let changes = self.broker.kept.command(command);
                self.broker.after_kept(changes);
            }
            Command::HttpsOnly { answer: to } => answer(to, Ok(self.broker.session.https_only.clone())),
            Command::SetHttpsOnly { site, on, answer: to } => {
                self.set_https_only(site.as_ref(), on);
                answer(to, Ok(()));
            }
            Command::AuditHead { answer: to } => answer(to, Ok(self.broker.audit.flushed())),
            Command::RecordOrder { what, details, by, answer: to } => {
                self.broker.audit.record("ordered", serde_json::json!({ "what": what, "details": details, "by": by }));
                answer(to, Ok(self.broker.audit.flushed()));
            }
            Command::Quit { answer: to } => {
                self.broker.quit();
                answer(to, Ok(()));
            }
        }
    }

    fn change_permissions(&mut self, change: Change) {
        let Change { host, kind, kept } = change;
        let host = HostKey { workspace: self.workspace(host.workspace), ..host };
        let kinds = kind.map_or_else(|| PERMISSION_KINDS.to_vec(), |kind| vec![kind]);
        for kind in kinds {
            self.broker.permissions.record_choice(&host, kind, kept);
            let actions = self.broker.permissions.choose(&host, kind, kept);
            self.broker.after_permissions(actions);
        }
    }

    /// Returns the identifier of a workspace that is given by name or identifier; an unknown one stands for itself.
    fn workspace(&self, name: String) -> String {
        self.broker.session.workspaces.find(&name).unwrap_or(name)
    }

    /// Returns the workspace that gets a setting. One that does not exist is made, so that the setting is listed with it.
    fn workspace_with_setting(&mut self, name: String) -> String {
        let workspace = self.workspace(name);
        if self.broker.session.workspaces.note(&workspace) {
            self.broker.workspaces_changed();
        }
        workspace
    }

    /// Returns the workspace in which a tab is to open. One that does not exist is made, if its name can be an identifier.
    fn workspace_to_open(&mut self, name: String) -> Result<String, CommandError> {
        let is_identifier =
            |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && name.len() <= 40;
        match self.broker.session.workspaces.find(&name) {
            // Data left of a deleted workspace must not be found by its successor.
            Err(_) if self.broker.session.workspaces.removing().any(|left| left == name) => {
                Ok(self.broker.session.workspaces.create(&name, None)?)
            }
            Err(_) if is_identifier(&name) => Ok(name),
            found => Ok(found?),
        }
    }

    /// Applies an event about a tab. Returns the tab as it is then; one that is closed by that, as it was before.
    fn change_tab(&mut self, tab: TabId, event: Option<Event>) -> Result<TabInfo, CommandError> {
        let before = self.broker.lookup().tab_info(tab)?;
        event.into_iter().for_each(|event| self.broker.apply(event));
        Ok(self.broker.lookup().tab_info(tab).unwrap_or(before))
    }

    fn answer_dialog(&mut self, tab: TabId, reply: DialogAnswer) -> Result<TabInfo, CommandError> {
        let shown = self.broker.session.tabs.get(&tab).ok_or(CommandError::NoSuchTab(tab))?;
        let Some(number) = shown.dialog.as_ref().map(|dialog| dialog.number) else {
            return Err(CommandError::Page(format!("tab {tab} shows no dialog")));
        };
        self.change_tab(tab, Some(Event::AnswerDialog { tab, answer: DialogAnswer { number, ..reply } }))
    }

    fn status(&self) -> (StatusReply, HealthQuery) {
        let view = self.broker.status_view();
        let tabs = self.broker.session.order.iter().filter_map(|tab| self.broker.lookup().tab_info(*tab).ok());
        (view.status(tabs.collect()), view.health())
    }

    /// Gives input to the page of a tab. Whoever may use the control socket is the user.
    fn input(&mut self, tab: TabId, events: Vec<Input>) -> Result<PageAnswer, CommandError> {
        let info = self.broker.lookup().tab_info(tab)?;
        let used = self.broker.window.input(tab, Instant::now());
        self.broker.apply(used);
        // Only the page in front takes input.
        if self.broker.session.active != Some(tab) {
            self.broker.apply(Event::Activate(tab));
        }
        let count = events.iter().map(Input::weight).sum();
        for event in events {
            let Some(child) = self.broker.lookup().of_tab(tab) else { return Err(no_page(&info)) };
            self.broker.send(host_codec::input(child, tab, event));
        }
        self.broker.ask_page(tab, PageQuery::Settled, count)
    }

    /// Runs a command of the browser in the window.
    fn run_command(&mut self, name: String) -> Result<(), CommandError> {
        let window = self.broker.lookup().ready(Role::UiShell).ok_or(CommandError::NoWindow)?;
        self.broker.send(window_updates::run_command(window, name));
        Ok(())
    }

    fn set_https_only(&mut self, site: Option<&Site>, on: Option<bool>) {
        self.broker.apply(Event::HttpsOnly { site: site.cloned(), on });
        self.broker.persistence.store().put_https_only(self.broker.session.https_only.clone());
        self.broker.audit.record("https_only", serde_json::json!({ "site": site.map(Site::as_str), "on": on }));
    }
}
