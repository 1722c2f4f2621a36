//! Actions of the components, handed to the components that own what they change.

use std::time::Instant;

use regen_proto::role::Role;
use regen_session::{self as session, Effect, Event, HostCommand, HostKey, Side, Tab, TabId};
use regen_supervisor::{self as supervisor, Key, dependents};

use crate::answer::CommandError;
use crate::broker::Broker;
use crate::children::{Exit, Violation};
use crate::codec::permission_messages;
use crate::codec::{child as codec, configure, host as host_codec, window_updates};
use crate::control::PageAnswer;
use crate::control::questions::PageQuery;
use crate::error::BrokerError;
use crate::forgetting::Forgetting;
use crate::grants::GrantError;
use crate::host_grants::HostGrants;
use crate::kept;
use crate::lookup::{Lookup, host_of};
use crate::message::{ChildId, Outgoing};
use crate::network;
use crate::network_actions::NetworkActions;
use crate::observe::Refused;
use crate::page_queries::PageQueries;
use crate::permission_actions::PermissionActions;
use crate::permissions;
use crate::window;
use crate::window::events::News;
use crate::window_actions::WindowActions;
use crate::window_feed::WindowFeed;

impl Broker {
    /// Applies an event to the session, and carries out what follows.
    pub(crate) fn apply(&mut self, event: Event) {
        let effects = session::reduce(&mut self.session, event);
        let mut last: Vec<Effect> = Vec::new();
        for effect in effects {
            // An effect that is repeated within one step is carried out once, at the end.
            if last.contains(&effect) {
                continue;
            }
            if matches!(effect, Effect::Save(_) | Effect::SaveOrder | Effect::TabChanged(_) | Effect::OrderChanged) {
                last.push(effect);
                continue;
            }
            self.carry_out(effect);
        }
        last.into_iter().for_each(|effect| self.carry_out(effect));
        self.note_change();
    }

    fn carry_out(&mut self, effect: Effect) {
        let now = Instant::now();
        match effect {
            Effect::WantHost(host) => {
                let actions = self.supervisor.want(&Key::Host(host), now);
                self.supervise(actions);
            }
            Effect::UnwantHost(host) => {
                let actions = self.supervisor.unwant(&Key::Host(host), now);
                self.supervise(actions);
            }
            Effect::GrantAnew(host) => {
                if let Some(child) = self.lookup().of_host(&host) {
                    self.renew_tunnel(child);
                }
            }
            Effect::EndHost { host, reason } => {
                if let Some(child) = self.lookup().of_host(&host) {
                    self.children.kill(child, &reason);
                }
            }
            Effect::KillHost { host, reason } => {
                self.observer.count(Refused::NotAllowed);
                if let Some(child) = self.lookup().of_host(&host) {
                    self.children.kill(child, &reason);
                }
            }
            Effect::Send { host, tab, command } => self.send_command(&host, tab, command),
            Effect::Save(tab) => self.persistence.tab_changed(tab),
            Effect::Forget(tab) => self.persistence.tab_closed(tab),
            Effect::ZoomsChanged => self.persistence.zooms_changed(),
            Effect::HstsChanged => self.persistence.hsts_changed(),
            Effect::WorkspacesChanged => self.workspaces_changed(),
            Effect::WorkspaceEnded(workspace) => Forgetting::new(self).workspace_ended(&workspace),
            Effect::SaveOrder => self.persistence.order_changed(&self.session),
            Effect::TabChanged(tab) => self.show_tab(tab),
            Effect::TabClosed(tab) => {
                let actions = self.permissions.page_left(tab, None);
                self.after_permissions(actions);
                let actions = self.window.tab_closed(tab);
                self.after_window(actions);
            }
            Effect::OrderChanged => self.show(|feed| feed.order()),
            Effect::FaviconChanged(tab) => self.show(|feed| [feed.favicon(tab)]),
            Effect::GestureUsed(tab) => drop(self.window.gestures().take(tab)),
            Effect::LeftPage(tab) => {
                let shown = host_of(&self.session, tab);
                let actions = self.permissions.tab_shows(tab, shown.as_ref());
                self.after_permissions(actions);
                let actions = self.window.page_left(tab);
                self.after_window(actions);
            }
            Effect::Visited { tab, typed, same_document } => {
                let by_user = self.window.gestures().is_recent(tab, now);
                // A page may step through addresses of its own as it likes.
                if by_user || !same_document {
                    self.kept.visited(&self.session, tab, typed, by_user);
                }
            }
            Effect::Titled(tab) => self.kept.titled(&self.session, tab),
            Effect::PageWaits(tab) => {
                if let Some(dialog) = self.session.tabs.get(&tab).and_then(|tab| tab.dialog.as_ref()) {
                    self.questions.page_waits(tab, dialog);
                }
            }
        }
    }

    /// Carries out what the supervisor decided.
    pub(crate) fn supervise(&mut self, actions: Vec<supervisor::Action>) {
        use supervisor::Action;
        for action in actions {
            match action {
                Action::Spawn(key) => self.spawn(&key),
                Action::AskToEnd(key) => {
                    if let Some(child) = self.children.of_key(&key) {
                        self.send(codec::shutdown(child));
                    }
                }
                Action::Kill { key, reason } => {
                    if let Some(child) = self.children.of_key(&key) {
                        self.children.kill(child, &reason);
                    }
                }
                Action::SendHeartbeat(key) => {
                    if let Some(heartbeat) = self.children.heartbeat(&key, Instant::now()) {
                        self.send(heartbeat);
                    }
                }
                Action::ReportUp(host) => self.apply(Event::HostUp(host)),
                Action::ReportDown { host, reason, given_up } => self.apply(Event::HostDied { host, reason, given_up }),
            }
        }
        self.note_change();
    }

    /// Starts the process of a child; a site gets the spare where there is one.
    fn spawn(&mut self, key: &Key) {
        if let Key::Host(host) = key
            // The spare's storage is on the disk.
            && !host.is_throw_away()
            && self.supervisor.is_ready(&Key::Spare)
            && let Some((child, is_public)) = self.children.take_spare(host)
        {
            self.supervisor.spare_taken();
            let level = self.network.settings().shields.of(host);
            self.site_is_public(host, is_public);
            self.send(codec::show_site(child, &host.site, level));
            self.send(permission_messages::inform(child, &self.permissions, host));
            self.give_cookies(child);
            return;
        }
        let is_public = self.children.spawn(key);
        if let Key::Host(host) = key {
            self.site_is_public(host, is_public);
        }
    }

    fn site_is_public(&mut self, host: &HostKey, is_public: bool) {
        if is_public {
            self.apply(Event::SiteFound { host: host.clone(), side: Side::Public });
        }
    }

    /// Tells a child that said Hello who the broker is, and what the child is to be.
    pub(crate) fn configure(&mut self, child: ChildId) {
        let Some(role) = self.children.role(child) else { return };
        let (host, size) = (self.children.host(child), self.window.size());
        let configuration = configure::configure(child, role, host, &self.display, size, &self.network);
        self.send(codec::hello(child));
        self.send(configuration);
        if let Some(host) = self.children.host(child) {
            self.send(permission_messages::inform(child, &self.permissions, host));
        }
        self.give_cookies(child);
    }

    /// Gives a host the session cookies that an earlier process of its site had.
    fn give_cookies(&mut self, child: ChildId) {
        let Some(cookies) = self.children.host(child).and_then(|host| self.persistence.cookies(host)) else { return };
        match codec::cookies(child, cookies) {
            Ok(cookies) => self.send(cookies),
            Err(error) => tracing::error!("a site's session cookies are lost: {error}"),
        }
    }

    /// Takes a child's word that it is ready.
    pub(crate) fn child_ready(&mut self, child: ChildId) {
        let Some(key) = self.children.key(child) else { return };
        let Some(actions) = self.supervisor.ready(&key, Instant::now()) else { return };
        let (role, pid) = (key.role(), self.children.pid(child));
        let site = self.children.host(child).map(|host| host.recorded_site().to_owned());
        tracing::info!(%role, pid, site, "ready");
        self.audit
            .record("ready", serde_json::json!({ "child": child, "role": role.name(), "pid": pid, "site": site }));
        match &key {
            Key::Host(host) => {
                self.grant_network(child);
                self.grant_surface(child);
                self.supervise(actions);
                let actions = self.window.host_ready(host, child);
                self.after_window(actions);
                return;
            }
            Key::Daemon(Role::NetDaemon) => self.connect_net(child),
            Key::Daemon(Role::UiShell) => self.show_everything(),
            Key::Daemon(_) | Key::Spare => {}
        }
        self.supervise(actions);
    }

    /// Takes the end of a child: those who dealt with it hear of it, then the supervisor decides.
    pub(crate) fn child_ended(&mut self, child: ChildId, exit: &Exit) {
        let (Some(key), host) = (self.children.key(child), self.children.host(child).cloned()) else { return };
        let state = self.supervisor.state(&key);
        let Some(ended) = self.children.ended(child, exit, state) else { return };
        self.questions.child_gone(child);
        self.grants.forget(child);
        let actions = match key.role() {
            Role::UiShell => self.permissions.window_gone(),
            Role::TabHost | Role::NetDaemon | Role::AgentDaemon => self.permissions.child_gone(child),
        };
        self.after_permissions(actions);
        let actions = match key.role() {
            Role::UiShell => self.window.gone(),
            Role::TabHost | Role::NetDaemon | Role::AgentDaemon => self.window.child_gone(child, host.as_ref()),
        };
        self.after_window(actions);
        if key.role() == Role::NetDaemon {
            self.network.disconnected();
        }
        if let Some(host) = host {
            Forgetting::new(self).host_ended(&host);
        }
        let actions = self.supervisor.died(&ended.key, &ended.reason, Instant::now());
        self.supervise(actions);
    }

    /// Ends a child that did what it may not.
    pub(crate) fn violation(&mut self, child: ChildId, violation: &Violation) {
        let role = self.children.role(child).map(Role::name);
        let details = serde_json::json!({ "child": child, "role": role, "what": violation.to_string() });
        self.audit.record("violation", details);
        self.observer.count(violation.refused());
        self.children.kill(child, &violation.to_string());
    }

    pub(crate) fn send(&mut self, outgoing: Outgoing) {
        let to = outgoing.to;
        if let Err(violation) = self.children.send(outgoing) {
            self.violation(to, &violation);
        }
    }

    /// Connects to a net-daemon that is up, and grants those who depend on it their tunnels.
    fn connect_net(&mut self, net: ChildId) {
        if let Err(error) = self.open_admin(net) {
            return tracing::error!("{error}");
        }
        // Settings may have changed since its Hello.
        self.send(configure::net_daemon(net, &self.network));
        if dependents(Role::NetDaemon).any(|role| role == Role::TabHost) {
            for host in self.lookup().ready_hosts() {
                self.grant_network(host);
            }
        }
    }

    fn open_admin(&mut self, net: ChildId) -> Result<(), BrokerError> {
        let (grant, socket) = self.grants.net_admin(net)?;
        self.send(grant);
        Ok(self.network.connect(net, socket, &self.session.hsts)?)
    }

    fn grant_network(&mut self, host: ChildId) {
        let granted = self.host_grants().network(host);
        self.hand_out(granted);
    }

    pub(crate) fn renew_tunnel(&mut self, host: ChildId) {
        let (revoked, granted) = self.host_grants().renew_tunnel(host);
        revoked.into_iter().for_each(|message| self.send(message));
        self.hand_out(granted);
    }

    fn grant_surface(&mut self, host: ChildId) {
        let granted = self.host_grants().surface(host);
        self.hand_out(granted);
    }

    fn host_grants(&mut self) -> HostGrants<'_> {
        let Self { session, supervisor, children, network, grants, .. } = self;
        HostGrants { lookup: Lookup { session, supervisor, children, network }, grants }
    }

    fn hand_out(&mut self, granted: Result<Vec<Outgoing>, GrantError>) {
        match granted {
            Ok(messages) => messages.into_iter().for_each(|message| self.send(message)),
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Sends a command to a host.
    fn send_command(&mut self, host: &HostKey, tab: TabId, command: HostCommand) {
        let Some(child) = self.lookup().of_host(host) else { return };
        match host_codec::session_command(child, tab, command) {
            Ok(outgoing) => self.send(outgoing),
            Err(error) => tracing::error!("cannot hand over a form or a snapshot: {error}"),
        }
    }

    /// Carries out what the window component wants.
    pub(crate) fn after_window(&mut self, actions: Vec<window::Action>) {
        WindowActions::new(self).carry_out(actions);
    }

    /// Carries out what the permissions component wants.
    pub(crate) fn after_permissions(&mut self, actions: Vec<permissions::Action>) {
        PermissionActions::new(self).carry_out(actions);
    }

    /// Tells those concerned what of the kept has changed.
    pub(crate) fn after_kept(&mut self, changes: kept::Changes) {
        if changes.bookmarks {
            self.tell_news(News::BookmarksChanged);
        }
        if changes.settings {
            self.follow_settings();
        }
        if let Some(unsaved) = changes.unsaved {
            let events = self.window_events.clone();
            tokio::spawn(async move {
                if let Ok(Err(error)) = unsaved.await {
                    let text = format!("The setting holds until Regen ends: settings.toml cannot be written: {error}");
                    // The event loop may have ended meanwhile.
                    let _ = events.send(window::Event::NotSaved { text }).await;
                }
            });
        }
    }

    /// Hands the settings to those who follow them at once.
    pub(crate) fn follow_settings(&mut self) {
        let followed = self.kept.follow_settings();
        self.hibernation.set_after(followed.sleep_after);
        self.persistence.set_restores(followed.restores);
        self.show(|feed| [feed.settings()]);
    }

    /// Goes on with what an earlier run could not finish to forget.
    pub(crate) fn go_on_forgetting(&mut self) {
        Forgetting::new(self).go_on();
    }

    /// Saves the workspaces, and shows them.
    pub(crate) fn workspaces_changed(&mut self) {
        self.persistence.workspaces_changed(&self.session);
        self.show(|feed| [feed.workspaces()]);
        self.note_change();
    }

    /// Carries out what the network component wants.
    pub(crate) fn after_network(&mut self, actions: Vec<network::Action>) {
        NetworkActions::new(self).carry_out(actions);
    }

    /// Tells the window, where there is one.
    pub(crate) fn tell_window(&mut self, update: impl FnOnce(ChildId) -> Outgoing) {
        if let Some(window) = self.lookup().ready(Role::UiShell) {
            self.send(update(window));
        }
    }

    pub(crate) fn tell_news(&mut self, news: News) {
        self.tell_window(|window| window_updates::news(window, news));
    }

    pub(crate) fn notice(&mut self, level: &'static str, text: String) {
        self.tell_news(News::Notice { level, text });
    }

    fn feed(&self) -> Option<WindowFeed<'_>> {
        WindowFeed::new(self.lookup(), &self.persistence, &self.observer, self.kept.settings())
    }

    /// Sends what a part of the feed says, where there is a window.
    pub(crate) fn show<I: IntoIterator<Item = Outgoing>>(&mut self, part: impl FnOnce(&WindowFeed<'_>) -> I) {
        let messages: Vec<Outgoing> = self.feed().map(|feed| part(&feed).into_iter().collect()).unwrap_or_default();
        messages.into_iter().for_each(|message| self.send(message));
    }

    /// Tells a new window everything, and grants it the pages of every host.
    fn show_everything(&mut self) {
        self.show(|feed| feed.everything());
        for host in self.lookup().ready_hosts() {
            self.grant_surface(host);
        }
        let actions = self.window.shown();
        self.after_window(actions);
        let questions: Vec<_> = self.permissions.shown().map(permissions::Action::Ask).collect();
        self.after_permissions(questions);
        self.show(|feed| feed.offer());
    }

    pub(crate) fn show_tab(&mut self, tab: TabId) {
        self.show(|feed| feed.tab(tab));
    }

    /// Puts a question to the page of a tab.
    pub(crate) fn ask_page(&mut self, tab: TabId, kind: PageQuery, events: u32) -> Result<PageAnswer, CommandError> {
        let (question, answer) = self.page_queries().ask(tab, kind, events)?;
        self.send(question);
        Ok(answer)
    }

    /// Puts a question to all pages of a kind that can answer it.
    pub(crate) fn ask_pages(&mut self, kind: PageQuery, which: impl Fn(&Tab) -> bool) -> Vec<PageAnswer> {
        let (questions, answers): (Vec<_>, _) = self.page_queries().ask_all(kind, which).into_iter().unzip();
        questions.into_iter().for_each(|question| self.send(question));
        answers
    }

    fn page_queries(&mut self) -> PageQueries<'_> {
        let Self { session, supervisor, children, network, questions, .. } = self;
        PageQueries { lookup: Lookup { session, supervisor, children, network }, questions }
    }
}
