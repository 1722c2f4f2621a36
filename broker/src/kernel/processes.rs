//! Processes as the control API shows them, and signals to them.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use regen_proto::control::v1::{
    Broker, Dialog as DialogInfo, EventLoop, Helper as HelperInfo, Process, StatusReply, Tab as TabInfo,
};
use regen_proto::kernel::v1::{HelperStarted, Role};
use regen_proto::version::BUILD;
use rustix::process::Signal;

use super::Kernel;
use super::child::{ChildId, Helper, Violation, role_name};
use super::process_stats::resident_kb;
use super::supervision::Key;
use crate::pidfd::{self, pid_namespace, process_id};
use crate::session::{Tab, TabId};
use crate::step_times::Summary;

/// Helper processes of one host. The engine starts one for each view, and one for all.
const MAX_HELPERS: usize = 512;

impl Kernel {
    /// A tab-host names a process that it started. Believed only where the kernel confirms it.
    pub(super) fn helper_started(&mut self, id: ChildId, started: HelperStarted, descriptors: Vec<OwnedFd>) {
        let Some(child) = self.children.get_mut(&id) else { return };
        let Some(pidfd) = descriptors.into_iter().next() else { return };
        let helper = process_id(&pidfd)
            .filter(|pid| pid_namespace(*pid).is_some_and(|namespace| Some(namespace) == pid_namespace(child.pid)));
        match helper {
            Some(pid) => {
                child.helpers.retain(|helper| helper.pid != pid && process_id(&helper.pidfd).is_some());
                if child.helpers.len() >= MAX_HELPERS {
                    self.violation(id, &Violation::Malformed("more helper processes than any page needs".into()));
                    return;
                }
                child.helpers.push(Helper { name: started.name, pid, pidfd });
            }
            None => {
                // It may have ended before we looked; anything else is a lie.
                if !pidfd::is_pidfd(&pidfd) {
                    self.violation(id, &Violation::Malformed("a descriptor that is no process of its own".into()));
                }
            }
        }
    }

    fn event_loop(&self) -> EventLoop {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let Summary { steps, p99, longest, longest_kind } = self.step_times.summary();
        EventLoop { steps, p99_us: micros(p99), longest_us: micros(longest), longest_kind: longest_kind.to_owned() }
    }

    pub(super) fn tab_info(&self, tab: &Tab) -> TabInfo {
        let host = tab.host();
        let pid = host
            .as_ref()
            .filter(|_| tab.view)
            .and_then(|host| self.child_of_host(host))
            .and_then(|id| self.children.get(&id))
            .map_or(0, |child| child.pid);
        TabInfo {
            id: tab.id,
            url: tab.address().to_owned(),
            title: tab.segment().title.clone(),
            route: self.route_of(tab),
            site: host.map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
            state: tab.phase.name().to_owned(),
            pid,
            reason: self.reason(tab),
            active: self.session.active == Some(tab.id),
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

    pub(super) fn status(&self) -> StatusReply {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let mut processes = vec![process_info("broker", own, "")];
        let mut children: Vec<_> = self.children.iter().collect();
        children.sort_by_key(|(id, _)| **id);
        for (_, child) in children {
            let site = child.host.as_ref().map(|host| host.site.as_str()).unwrap_or_default();
            let mut info = process_info(role_name(child.role), child.pid, site);
            if let Some(machine) = self.machine_of(child) {
                // A tab-host without a site is ready to be taken.
                let is_spare = child.key() == Key::Spare && machine.is_ready();
                if is_spare { "spare" } else { machine.name() }.clone_into(&mut info.state);
                info.restarts = machine.crashes();
            }
            info.workspace = child.host.as_ref().map(|host| host.workspace.clone()).unwrap_or_default();
            for helper in child.helpers.iter().filter(|helper| process_id(&helper.pidfd).is_some()) {
                info.rss_kb += resident_kb(helper.pid);
                info.helpers.push(HelperInfo { name: helper.name.clone(), pid: helper.pid });
            }
            processes.push(info);
        }
        StatusReply {
            broker: Some(Broker {
                pid: own,
                uptime_s: self.started.elapsed().as_secs_f64(),
                version: BUILD.to_owned(),
                profile: self.profile.root().display().to_string(),
                headless: self.options.headless,
                secrets: self.secrets.to_owned(),
                event_loop: Some(self.event_loop()),
            }),
            processes,
            tabs: self
                .session
                .order
                .iter()
                .filter_map(|id| self.session.tabs.get(id))
                .map(|t| self.tab_info(t))
                .collect(),
            warnings: self
                .warnings
                .iter()
                .cloned()
                .chain(self.store.trouble())
                .chain(self.struggling())
                .chain(self.tor_trouble())
                .chain(self.audit_trouble())
                .chain(self.download_questions())
                .collect(),
            refusals: Some(self.refusals),
            extra_ca: self.options.extra_ca,
            offer: self.offered().map(super::sessions::as_saved),
            policies: self.digests.clone(),
        }
    }

    /// Sends a signal to every process of a role. Returns their ids.
    pub(super) fn signal_role(&self, role: &str, signal: Signal) -> Vec<i32> {
        let matching = self.children.values().filter(|child| role_name(child.role) == role);
        matching.filter_map(|child| Some((child.pid, child.pidfd.as_ref()?))).filter_map(send(signal)).collect()
    }

    /// Sends a signal to the host of a tab.
    pub(super) fn signal_tab(&self, tab: TabId, signal: Signal) -> Vec<i32> {
        let child = self
            .session
            .tabs
            .get(&tab)
            .and_then(Tab::host)
            .and_then(|host| self.child_of_host(&host))
            .and_then(|id| self.children.get(&id));
        child.and_then(|child| Some((child.pid, child.pidfd.as_ref()?))).and_then(send(signal)).into_iter().collect()
    }

    /// Sends a signal to one of our processes by its id; a stranger's id does nothing.
    pub(super) fn signal_pid(&self, pid: i32, signal: Signal) -> Vec<i32> {
        let helpers = self.children.values().flat_map(|child| &child.helpers).map(|helper| (helper.pid, &helper.pidfd));
        let roles = self.children.values().filter_map(|child| Some((child.pid, child.pidfd.as_ref()?)));
        roles.chain(helpers).find(|(other, _)| *other == pid).and_then(send(signal)).into_iter().collect()
    }

    pub(super) fn role_exists(name: &str) -> bool {
        [Role::TabHost, Role::NetDaemon, Role::AgentDaemon, Role::UiShell].iter().any(|role| role_name(*role) == name)
    }
}

fn send(signal: Signal) -> impl Fn((i32, &OwnedFd)) -> Option<i32> {
    move |(pid, pidfd)| rustix::process::pidfd_send_signal(pidfd, signal).ok().map(|()| pid)
}

fn process_info(role: &str, pid: i32, site: &str) -> Process {
    Process {
        role: role.to_owned(),
        pid,
        site: site.to_owned(),
        state: "ready".to_owned(),
        restarts: 0,
        rss_kb: resident_kb(pid),
        pss_kb: 0,
        helpers: Vec::new(),
        workspace: String::new(),
    }
}

pub(crate) fn proportional_kb(pid: i32) -> u64 {
    field_kb(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn field_kb(path: &str, field: &str) -> u64 {
    let value = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(field).map(str::to_owned))?;
        line.split_whitespace().next()?.parse().ok()
    };
    fs::read_to_string(path).ok().and_then(value).unwrap_or(0)
}
