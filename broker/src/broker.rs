//! The broker: its components, and the dispatch of each event to the component that owns what the event is about.
//!
//! A component takes an event and returns actions; `actions` hands those to their owners. Decided here are only the order in
//! which a message is checked, and the end of the browser.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regen_audit_log::AuditLog;
use regen_proto::role::Role;
use regen_session::{Event, Form, Load, Method, PageEvent, PageLoad, Phase, Session, Side, Tab, TabId, address};
use regen_store::{OpenStore, SessionSettings, Settings as StoreSettings};
use regen_supervisor::{Hibernation, Key, Supervisor, memory_pressure};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::broker_setup::{BrokerSetup, Channels};
use crate::children::{self, ChildError, Children, Violation};
use crate::codec::child::ChildMessage;
use crate::configuration::DisplayOptions;
use crate::control::{Facts, PageQuestions, StatusView};
use crate::error::BrokerError;
use crate::grants::Grants;
use crate::host_reports::{HostReport, HostReports, Outcome};
use crate::kept::{Kept, Stored};
use crate::launcher::FromLauncherBody;
use crate::lookup::Lookup;
use crate::message::ChildId;
use crate::network::{self, Network, NetworkSettings};
use crate::observe::{Observer, Refused};
use crate::permissions::Permissions;
use crate::persistence::Persistence;
use crate::site_data::SiteData;
use crate::window::commands::SessionAnswer;
use crate::window::{self, Window};

/// Maximum number of notifications that the desktop shows at a time.
const MAX_NOTIFICATIONS: usize = 30;

/// The components.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) session: Session,
    pub(crate) supervisor: Supervisor,
    pub(crate) hibernation: Hibernation,
    pub(crate) children: Children,
    pub(crate) grants: Grants,
    pub(crate) network: Network,
    pub(crate) window: Window,
    pub(crate) persistence: Persistence,
    pub(crate) permissions: Permissions,
    /// Room for notifications on the desktop.
    pub(crate) notifications: Arc<Semaphore>,
    pub(crate) observer: Observer,
    pub(crate) kept: Kept,
    pub(crate) site_data: SiteData,
    pub(crate) questions: PageQuestions,
    pub(crate) display: DisplayOptions,
    pub(crate) facts: Facts,
    pub(crate) audit: AuditLog,
    pub(crate) window_events: mpsc::Sender<window::Event>,
    changed: watch::Sender<u64>,
    /// Settings that an earlier version kept in the store.
    stored: SessionSettings,
    ending: Option<End>,
}

/// Reason for the end of the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The user's wish.
    Wanted,
    /// A failure: the next start asks about the session.
    Failed,
}

impl Broker {
    /// Makes the components. Starts nothing.
    pub(crate) fn new(setup: BrokerSetup, channels: Channels) -> Self {
        let now = Instant::now();
        let OpenStore { store, previous, settings, visits, bookmarks, .. } = setup.store;
        let StoreSettings { session, shields, routes, vpn, dns, https_only, hsts, zooms, workspaces, permissions } =
            settings;
        let (audit, profile) = (setup.children.audit.clone(), setup.children.profile.clone());
        let facts = Facts::new(&profile, setup.display.headless, setup.extra_ca, &setup.children.policies);
        let stored = Stored { visits, bookmarks };
        let kept = Kept::new(stored, setup.settings, setup.settings_file, store.clone(), now);
        let network_settings = NetworkSettings { routes, dns, shields, vpn };
        let mut broker = Self {
            session: Session::new(https_only, hsts, zooms, workspaces),
            supervisor: Supervisor::new(setup.spare, now),
            hibernation: Hibernation::new(None),
            children: Children::new(setup.children, channels.children),
            grants: Grants::new(audit.clone()),
            network: Network::new(network_settings, setup.network, store.clone(), audit.clone(), channels.network),
            window: Window::new(profile, setup.downloads, audit.clone(), channels.window.clone()),
            permissions: Permissions::new(permissions, store.clone(), audit.clone()),
            notifications: Arc::new(Semaphore::new(MAX_NOTIFICATIONS)),
            persistence: Persistence::new(store, previous, setup.secrets, channels.persistence),
            observer: Observer::new(audit.clone(), setup.warnings, now),
            kept,
            site_data: SiteData::default(),
            questions: PageQuestions::default(),
            display: setup.display,
            facts,
            audit,
            window_events: channels.window,
            changed: channels.changed,
            stored: session,
            ending: None,
        };
        broker.follow_settings();
        broker
    }

    /// Moves a setting that an earlier version kept in the store to the user's file.
    fn adopt_stored_settings(&mut self) {
        if !std::mem::take(&mut self.stored).restore {
            return;
        }
        self.kept.restore_sessions();
        self.persistence.store().put_session_settings(SessionSettings::default());
        self.follow_settings();
    }

    /// Starts the daemons, and opens what the user asked for.
    pub(crate) fn start(&mut self, urls: Vec<String>) {
        let now = Instant::now();
        let window = (!self.facts.headless).then_some(Role::UiShell);
        for role in [Role::NetDaemon, Role::AgentDaemon].into_iter().chain(window) {
            let actions = self.supervisor.want(&Key::Daemon(role), now);
            self.supervise(actions);
        }
        self.adopt_stored_settings();
        self.go_on_forgetting();
        if let Some(session) = self.persistence.restored_by_itself() {
            let tabs = self.answer_session(&SessionAnswer { session, restore: true, tabs: Vec::new() });
            tracing::info!("{tabs} tabs of the last session are back");
        }
        let actions = self.window.start();
        self.after_window(actions);
        let is_empty = urls.is_empty();
        for url in urls {
            let url = address::to_url(&url, self.kept.searches());
            self.open_by_user(url, false, String::new());
        }
        if is_empty && !self.facts.headless {
            let workspace = self.session.workspace().to_owned();
            self.apply(Event::Open { load: None, workspace, background: false, opener: None });
        }
    }

    /// Returns the components for questions that need several of them.
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        Lookup {
            session: &self.session,
            supervisor: &self.supervisor,
            children: &self.children,
            network: &self.network,
        }
    }

    /// Returns the components that the status speaks of.
    pub(crate) fn status_view(&self) -> StatusView<'_> {
        StatusView {
            session: &self.session,
            supervisor: &self.supervisor,
            children: &self.children,
            network: &self.network,
            window: &self.window,
            persistence: &self.persistence,
            observer: &self.observer,
            facts: &self.facts,
        }
    }

    pub(crate) fn children(&self) -> &Children {
        &self.children
    }

    /// Returns whether the browser is to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    pub(crate) fn quit(&mut self) {
        self.ending.get_or_insert(End::Wanted);
    }

    /// Notes how long a step took.
    pub(crate) fn step_took(&mut self, kind: &'static str, took: Duration) {
        self.observer.step(kind, took);
    }

    /// Tells those who wait for a change that there is one.
    pub(crate) fn note_change(&self) {
        self.changed.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn launcher_gone(&mut self) {
        tracing::error!("the launcher is gone: nothing can be started any more, so everything ends");
        self.ending = Some(End::Failed);
    }

    pub(crate) fn launcher_message(&mut self, message: FromLauncherBody, descriptors: Vec<OwnedFd>) {
        if let Some(event) = self.children.launcher_says(message, descriptors) {
            self.child_event(event);
        }
    }

    /// Lets time pass.
    pub(crate) fn tick(&mut self) {
        let is_loading = self.session.is_loading();
        let actions = self.supervisor.tick(Instant::now(), &mut self.children, is_loading);
        self.supervise(actions);
        if self.supervisor.is_full_second() {
            self.check_store();
            for sleeper in self.hibernation.due(&self.session, Instant::now(), memory_pressure()) {
                let (site, unseen) = (sleeper.host.recorded_site().to_owned(), sleeper.unseen.as_secs());
                tracing::info!(role = %Role::TabHost, site, "sleeps: nobody looked at it for {unseen} s");
                self.audit.record("hibernated", serde_json::json!({ "site": site, "unseen_s": unseen }));
                self.apply(Event::Sleep(sleeper.host));
            }
        }
        self.kept.tick(Instant::now());
        self.children.measure();
        let hosts = &self.session.hosts;
        self.supervisor.prune(|host| hosts.contains_key(host));
    }

    /// Opens an address that the user entered, in a new tab.
    pub(crate) fn open_by_user(&mut self, url: String, background: bool, workspace: String) -> Option<TabId> {
        let load = Some(PageLoad::by_user(url));
        self.apply(Event::Open { load, workspace, background, opener: None });
        let opened = self.session.order.last().copied()?;
        self.window.gestures().address(opened, Instant::now());
        Some(opened)
    }

    /// Restores an earlier session or some of its tabs, or dismisses it. Returns the number of tabs that came back.
    pub(crate) fn answer_session(&mut self, reply: &SessionAnswer) -> usize {
        let Some(back) = self.persistence.answered(reply.session, reply.restore, &reply.tabs) else { return 0 };
        let count = back.tabs.len();
        if count > 0 {
            // The empty tab that a window starts with has served its purpose.
            let is_blank = |tab: &&Tab| tab.phase == Phase::Blank && tab.segments.len() == 1;
            let blank: Vec<TabId> = self.session.tabs.values().filter(is_blank).map(|tab| tab.id).collect();
            self.apply(Event::Restore { tabs: back.tabs, active: back.active });
            blank.into_iter().for_each(|tab| self.apply(Event::Close { tab, ask: false }));
        }
        self.persistence.restored(&self.session, back.session, back.is_all);
        self.show(|feed| feed.offer());
        count
    }

    /// Looks after the store and the audit log.
    pub(crate) fn check_store(&mut self) {
        let (warning, head) = self.observer.check_audit();
        if let Some(warning) = warning {
            self.notice("error", warning.to_owned());
        }
        head.into_iter().for_each(|head| self.persistence.store().put_audit_head(head));
        let (network, permissions) = (self.network.settings(), self.permissions.settings());
        let to_keep = || StoreSettings { permissions: permissions.clone(), ..network.to_keep(&self.session) };
        let check = self.persistence.check_store(&self.session, to_keep);
        if check.is_back {
            self.kept.save_all();
        }
        for notice in check.notices {
            self.notice(notice.level, notice.text);
        }
    }

    pub(crate) fn save(&mut self, all: bool) {
        self.persistence.save(&self.session, all);
    }

    pub(crate) fn network_event(&mut self, event: network::Event) {
        let actions = self.network.event(event);
        self.after_network(actions);
    }

    pub(crate) fn window_event(&mut self, event: window::Event) {
        let actions = self.window.event(event, Instant::now());
        self.after_window(actions);
    }

    /// Takes an event about a child.
    pub(crate) fn child_event(&mut self, event: children::Event) {
        use children::Event as Child;
        match event {
            Child::Message { child, message, descriptors, sender } => {
                self.message(child, message, descriptors, sender);
            }
            Child::Violation { child, violation } => self.violation(child, &violation),
            Child::RefusedCall { child, refused } => {
                self.observer.count(Refused::SystemCall);
                self.children.call_refused(child, refused);
            }
            Child::NotStarted { key, reason } => {
                let actions = self.supervisor.died(&key, &reason, Instant::now());
                self.supervise(actions);
            }
            Child::Ended { child, exit } => self.child_ended(child, &exit),
            Child::Measured(measurements) => self.children.measured(measurements),
            Child::Summed { child, proportional_kb } => self.children.summed(child, proportional_kb),
            Child::Snapshot { host, tab, snapshot: Ok(snapshot), .. } => {
                self.apply(Event::Snapshot { host, tab, snapshot });
            }
            Child::Cookies { host, cookies: Ok(cookies), .. } => {
                // Cookies may arrive after their workspace is gone.
                if self.session.workspaces.get(&host.workspace).is_some() {
                    self.persistence.keep_cookies(host, cookies);
                }
            }
            Child::Form { child, tab, load, content_type, body: Ok(body) } => {
                let Some(host) = self.children.host(child).cloned() else { return };
                let form = (!body.is_empty()).then(|| Form { body: body.into(), content_type });
                let event = PageEvent::Handover(Load { method: Method::Post(form), ..load });
                self.apply(Event::Page { host, tab, event });
            }
            Child::Snapshot { child, snapshot: Err(error), .. } => self.unreadable(child, "a snapshot", &error),
            Child::Cookies { child, cookies: Err(error), .. } => self.unreadable(child, "cookies", &error),
            Child::Form { child, body: Err(error), .. } => self.unreadable(child, "a form", &error),
        }
    }

    fn unreadable(&mut self, child: ChildId, what: &str, error: &str) {
        self.violation(child, &Violation::Malformed(format!("{what} that cannot be read: {error}")));
    }

    /// Takes a child's message. Its role may send it, and nothing in it is over a limit; whether it makes sense now is checked
    /// here and by its owner.
    fn message(&mut self, id: ChildId, message: ChildMessage, descriptors: Vec<OwnedFd>, sender: i32) {
        let is_hello = matches!(message, ChildMessage::Hello(_));
        if self.children.key(id).is_none() {
            return;
        }
        if is_hello == self.children.is_known(id) {
            let what = if is_hello { "a second Hello" } else { "a message before its Hello" };
            return self.violation(id, &Violation::Malformed(what.into()));
        }
        match message {
            ChildMessage::Hello(hello) => match self.children.hello(id, &hello, sender) {
                Ok(()) => self.configure(id),
                Err(error) => {
                    if matches!(error, ChildError::Hello(_)) {
                        self.observer.count(Refused::Version);
                    }
                    self.children.kill(id, &error.to_string());
                }
            },
            ChildMessage::Ready => self.child_ready(id),
            ChildMessage::Exit { reason } => self.children.says_exit(id, reason),
            ChildMessage::Helper { name } => {
                if let Err(violation) = self.children.helper_started(id, name, descriptors) {
                    self.violation(id, &violation);
                }
            }
            ChildMessage::Page { tab, report } => self.host_says(id, HostReport::Page { tab, report }, descriptors),
            ChildMessage::Snapshot { tab, snapshot } => {
                self.host_says(id, HostReport::Snapshot { tab, snapshot }, descriptors);
            }
            ChildMessage::Cookies { size } => self.host_says(id, HostReport::Cookies { size }, descriptors),
            ChildMessage::Reply(reply) => self.questions.replied(id, reply, descriptors),
            ChildMessage::UserCommand(command) => {
                let actions = self.window.command(command, Instant::now());
                self.after_window(actions);
            }
            ChildMessage::SiteFound { grant, side } => self.site_found(id, grant, side),
        }
    }

    fn host_says(&mut self, id: ChildId, report: HostReport, descriptors: Vec<OwnedFd>) {
        let Self { session, supervisor, children, network, window, persistence, permissions, .. } = self;
        let mut reports = HostReports { session, supervisor, children, network, window, persistence, permissions };
        for outcome in reports.take(id, report, descriptors, Instant::now()) {
            match outcome {
                Outcome::Session(event) => self.apply(event),
                Outcome::Window(actions) => self.after_window(actions),
                Outcome::Permissions(actions) => self.after_permissions(actions),
                Outcome::Child(event) => self.child_event(event),
                Outcome::Violation(violation) => self.violation(id, &violation),
            }
        }
    }

    /// Takes what the net-daemon found about the site of a grant. That a site is on the internet is kept as long as its storage.
    fn site_found(&mut self, net: ChildId, grant: u64, side: Side) {
        let host = self.grants.holder(grant, net).and_then(|child| self.children.host(child)).cloned();
        let Some(host) = host else { return };
        if side == Side::Public && !self.session.networks.is_public(&host) {
            self.children.keep_public(&host);
        }
        self.apply(Event::SiteFound { host, side });
    }

    /// Asks every child to end.
    pub(crate) fn end_children(&mut self) {
        let actions = self.supervisor.end_all(Instant::now());
        self.supervise(actions);
    }

    /// Brings everything to the disk, at the end. Blocks, for a bounded time.
    pub(crate) fn end(&mut self) {
        let has_failed = self.ending == Some(End::Failed);
        self.window.end();
        self.children.clear_memory();
        self.children.write_coverage();
        self.audit.record("stopped", serde_json::json!({ "failed": has_failed }));
        self.audit.flush();
        self.check_store();
        self.kept.end();
        self.persistence.store().put_audit_head(self.audit.head());
        self.save(true);
        if let Err(error) = self.persistence.flush(!has_failed).map_err(BrokerError::from) {
            tracing::error!("{error}");
        }
    }
}
