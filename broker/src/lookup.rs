//! Questions that need several components: which process shows a tab, what is known of it, which processes a signal is for.

use regen_proto::role::Role;
use regen_session::{HostKey, Phase, Session, Tab, TabId};
use regen_supervisor::{Key, Supervisor};

use crate::answer::CommandError;
use crate::children::Children;
use crate::codec::window_updates::TabContext;
use crate::control::{SignalTarget, TabInfo, tab_info};
use crate::message::ChildId;
use crate::network::Network;
use crate::permissions::Permissions;
use crate::site_report::{Connection, SiteQuery, SiteReport};

/// The components that are asked. They do not change meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookup<'a> {
    pub(crate) session: &'a Session,
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) children: &'a Children,
    pub(crate) network: &'a Network,
}

impl Lookup<'_> {
    /// Returns the process of a daemon, unless it is ending.
    pub(crate) fn running(&self, role: Role) -> Option<ChildId> {
        self.staying(&Key::Daemon(role))
    }

    /// Returns the process of a daemon, where it takes commands.
    pub(crate) fn ready(&self, role: Role) -> Option<ChildId> {
        self.children.of_key(&Key::Daemon(role)).filter(|_| self.supervisor.is_ready(&Key::Daemon(role)))
    }

    /// Returns the process of a site, unless it is ending.
    pub(crate) fn of_host(&self, host: &HostKey) -> Option<ChildId> {
        self.staying(&Key::Host(host.clone()))
    }

    /// Returns the process that shows a tab.
    pub(crate) fn of_tab(&self, tab: TabId) -> Option<ChildId> {
        self.session.tabs.get(&tab).filter(|tab| tab.view)?;
        self.of_host(&host_of(self.session, tab)?)
    }

    pub(crate) fn ready_hosts(&self) -> Vec<ChildId> {
        let is_ready = |host: &HostKey| self.supervisor.is_ready(&Key::Host(host.clone()));
        self.children.hosts().into_iter().filter(|(_, host)| is_ready(host)).map(|(child, _)| child).collect()
    }

    /// Returns what is shown of a tab beside the session's own state.
    pub(crate) fn context(&self, tab: &Tab) -> TabContext {
        let host = tab.host();
        let route = host.as_ref().map(|host| self.network.settings().routes.of(host).to_string());
        let reason = match (&tab.phase, &host) {
            (Phase::Loading | Phase::Recovering, Some(host)) => {
                self.network.waits_for(host, self.ready(Role::NetDaemon).is_some()).unwrap_or_default()
            }
            _ => tab.phase.reason().to_owned(),
        };
        let child = host.and_then(|host| self.of_host(&host));
        TabContext { child, route: route.unwrap_or_default(), reason }
    }

    pub(crate) fn tab_info(&self, tab: TabId) -> Result<TabInfo, CommandError> {
        let shown = self.session.tabs.get(&tab).ok_or(CommandError::NoSuchTab(tab))?;
        let context = self.context(shown);
        let pid = context.child.filter(|_| shown.view).map_or(0, |child| self.children.pid(child));
        Ok(tab_info(shown, self.session.active == Some(tab), context, pid))
    }

    /// Returns what is known about a site, and where to find out the rest.
    pub(crate) fn site(&self, host: HostKey, permissions: &Permissions) -> SiteQuery {
        let key = Key::Host(host.clone());
        let info = self.children.processes().into_iter().find(|info| info.key == key);
        let pid = info.as_ref().map_or(0, |info| info.pid);
        let pids = info.into_iter().flat_map(|info| info.helpers.into_iter().map(|(_, pid)| pid).chain([info.pid]));
        let settings = self.network.settings();
        SiteQuery {
            pids: pids.collect(),
            storage: self.children.storage(&host),
            admin: self.network.admin(),
            page: None,
            report: SiteReport {
                connection: Connection::default(),
                pid,
                memory_kb: 0,
                storage_bytes: 0,
                storage_files: 0,
                route: settings.routes.of(&host).to_string(),
                level: settings.shields.of(&host),
                has_own_level: settings.shields.sites.contains_key(host.site.as_str()),
                blocked: Vec::new(),
                permissions: permissions.states(&host),
                host,
            },
        }
    }

    /// Sends a signal to processes of this browser. Returns their ids.
    pub(crate) fn signal(
        &self,
        target: &SignalTarget,
        signal: rustix::process::Signal,
    ) -> Result<Vec<i32>, CommandError> {
        let (pids, otherwise) = match target {
            SignalTarget::Role(name) => match Role::from_name(name) {
                Some(role) => (self.children.signal(signal, |_, its| its == role), format!("no {role} is running")),
                None => {
                    let roles = Role::ALL.map(Role::name).join(", ");
                    let text = format!("there is no role “{name}”; the roles are {roles}");
                    return Err(CommandError::NoSuchProcess(text));
                }
            },
            SignalTarget::Tab(tab) => {
                let info = self.tab_info(*tab)?;
                let child = self.of_tab(*tab);
                let pids = child.map(|child| self.children.signal(signal, |id, _| id == child)).unwrap_or_default();
                (pids, format!("tab {tab} has no process: it is {}", info.state))
            }
            SignalTarget::Process(pid) => {
                (self.children.signal_pid(*pid, signal), format!("process {pid} is not one of this browser's"))
            }
        };
        if pids.is_empty() { Err(CommandError::NoSuchProcess(otherwise)) } else { Ok(pids) }
    }

    fn staying(&self, key: &Key) -> Option<ChildId> {
        self.children.of_key(key).filter(|_| !self.supervisor.is_stopping(key))
    }
}

/// Returns the host that a tab's page belongs to.
pub(crate) fn host_of(session: &Session, tab: TabId) -> Option<HostKey> {
    session.tabs.get(&tab).and_then(Tab::host)
}
