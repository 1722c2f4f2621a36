//! The status and the tabs as the control API shows them.

use std::collections::HashMap;
use std::time::Duration;

use regen_proto::control::v1::{
    Broker, Dialog as DialogInfo, EventLoop, Helper, Process, Refusals, SavedSession, StatusReply, Tab as TabInfo,
};
use regen_proto::version::BUILD;
use regen_sandbox::policy::Policy;
use regen_session::{Session, Tab};
use regen_store::Saved;
use regen_supervisor::{Key, Supervisor};

use crate::children::Children;
use crate::codec::window_updates::TabContext;
use crate::health::HealthQuery;
use crate::network::Network;
use crate::observe::step_times::Summary;
use crate::observe::{self, Observer};
use crate::persistence::Persistence;
use crate::persistence::earlier::count;
use crate::profile::Profile;
use crate::window::Window;

/// Components that the status speaks of.
#[derive(Debug)]
pub struct StatusView<'a> {
    /// Tabs.
    pub session: &'a Session,
    /// States of children.
    pub supervisor: &'a Supervisor,
    /// Processes.
    pub children: &'a Children,
    /// Routes and Tor.
    pub network: &'a Network,
    /// Questions about downloads.
    pub window: &'a Window,
    /// The store and earlier sessions.
    pub persistence: &'a Persistence,
    /// Counts and times.
    pub observer: &'a Observer,
    /// Facts that do not change while the broker runs.
    pub facts: &'a Facts,
}

/// Facts about a broker that do not change while it runs.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The profile's folder.
    pub profile: String,
    /// Set if no window is opened.
    pub headless: bool,
    /// Number of certificate authorities that the profile added.
    pub extra_ca: u32,
    /// SHA-256 of each role's policy.
    pub policies: HashMap<String, String>,
}

impl Facts {
    /// Returns the facts of a start.
    #[must_use]
    pub fn new(profile: &Profile, headless: bool, extra_ca: u32, policies: &[Policy]) -> Self {
        let digest = |policy: &Policy| (policy.role.clone(), policy.sha256.clone());
        Self {
            profile: profile.root().display().to_string(),
            headless,
            extra_ca,
            policies: policies.iter().map(digest).collect(),
        }
    }
}

impl StatusView<'_> {
    /// Returns the status. Memory is left out: reading it takes time, and is done off the event loop. `tabs`: in their order.
    #[must_use]
    pub fn status(&self, tabs: Vec<TabInfo>) -> StatusReply {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let broker = Process { role: "broker".to_owned(), pid: own, state: "ready".to_owned(), ..Process::default() };
        StatusReply {
            broker: Some(Broker {
                pid: own,
                uptime_s: self.observer.uptime().as_secs_f64(),
                version: BUILD.to_owned(),
                profile: self.facts.profile.clone(),
                headless: self.facts.headless,
                secrets: self.persistence.secrets().to_owned(),
                event_loop: Some(event_loop(self.observer.step_times())),
            }),
            processes: std::iter::once(broker).chain(self.processes()).collect(),
            tabs,
            warnings: self
                .observer
                .warnings()
                .chain(self.persistence.trouble())
                .chain(self.supervisor.warnings())
                .chain(self.network.tor_trouble())
                .chain(self.window.warnings())
                .collect(),
            refusals: Some(refusals(self.observer.refusals())),
            extra_ca: self.facts.extra_ca,
            offer: self.persistence.offered().map(saved_session),
            policies: self.facts.policies.clone(),
            // Added off the event loop.
            health: Vec::new(),
        }
    }

    /// Returns what the health of the browser is made of.
    #[must_use]
    pub fn health(&self) -> HealthQuery {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let infos = self.children.processes();
        let restarts = infos.iter().filter_map(|info| self.supervisor.state(&info.key)).map(|state| state.crashes);
        let settings = self.network.settings();
        HealthQuery {
            uptime: self.observer.uptime(),
            tabs: self.session.tabs.len(),
            restarts: restarts.sum(),
            pids: infos
                .into_iter()
                .flat_map(|info| info.helpers.into_iter().map(|(_, pid)| pid).chain([info.pid]))
                .chain([own])
                .collect(),
            store_trouble: self.persistence.trouble(),
            unsaved: self.persistence.unsaved(),
            shields: settings.shields.level,
            tor: self.network.tor().clone(),
            vpn: settings.vpn.clone(),
            admin: self.network.admin(),
        }
    }

    fn processes(&self) -> impl Iterator<Item = Process> {
        self.children.processes().into_iter().map(|info| {
            let state = self.supervisor.state(&info.key);
            // A tab-host without a site is ready to be taken.
            let is_spare = info.key == Key::Spare && state.is_some_and(|state| state.is_ready);
            let host = match &info.key {
                Key::Host(host) => Some(host),
                Key::Spare | Key::Daemon(_) => None,
            };
            let helper = |(name, pid)| Helper { name, pid };
            Process {
                role: info.key.role().name().to_owned(),
                pid: info.pid,
                site: host.map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
                workspace: host.map(|host| host.workspace.clone()).unwrap_or_default(),
                state: if is_spare { "spare" } else { state.map_or("ready", |state| state.name) }.to_owned(),
                restarts: state.map_or(0, |state| state.crashes),
                helpers: info.helpers.into_iter().map(helper).collect(),
                ..Process::default()
            }
        })
    }
}

fn event_loop(summary: Summary) -> EventLoop {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let Summary { steps, p99, longest, longest_kind } = summary;
    EventLoop { steps, p99_us: micros(p99), longest_us: micros(longest), longest_kind: longest_kind.to_owned() }
}

fn refusals(counts: observe::Refusals) -> Refusals {
    let observe::Refusals { malformed, oversized, too_frequent, not_allowed, version, system_calls } = counts;
    Refusals { malformed, oversized, too_frequent, not_allowed, version, system_calls }
}

/// Returns an earlier session as the control API shows it.
#[must_use]
pub(super) fn saved_session(saved: &Saved) -> SavedSession {
    SavedSession {
        session: saved.epoch,
        tabs: count(saved),
        saved_at: saved.saved_at,
        clean: saved.clean,
        dismissed: saved.dismissed,
        stale: saved.is_stale(),
    }
}

/// Returns a tab as the control API shows it. `pid`: the process that shows it; 0: none.
#[must_use]
pub fn tab_info(tab: &Tab, is_active: bool, context: TabContext, pid: i32) -> TabInfo {
    TabInfo {
        id: tab.id,
        url: tab.address().to_owned(),
        title: tab.segment().title.clone(),
        route: context.route,
        site: tab.host().map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
        state: tab.phase.name().to_owned(),
        pid,
        reason: context.reason,
        active: is_active,
        can_go_back: tab.can_go_back(),
        can_go_forward: tab.can_go_forward(),
        workspace: tab.workspace.clone(),
        unresponsive: tab.unresponsive,
        blocked: tab.blocked,
        dialog: tab.dialog.as_ref().map(|dialog| DialogInfo {
            kind: dialog.kind.name().to_owned(),
            text: dialog.text.clone(),
            preset: dialog.preset.clone(),
            server: dialog.server.clone(),
            again: dialog.again,
        }),
    }
}
