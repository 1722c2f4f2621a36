//! Children: live processes from spawn to end. Their handshakes, channels, helpers, memory and storage.
//!
//! The component starts nothing by itself, and kills by itself only a child that is over its memory limit: it does what the
//! supervisor decided, and reports what it observes. A child's number is never reused, so that a late message cannot reach another process.

pub mod announced;
pub mod bucket_mounts;
mod buckets;
mod channel;
mod child;
mod crash_reports;
mod events;
mod log;
mod memory;
mod memory_folder;
pub mod payloads;
pub mod pidfd;
mod process_stats;
mod pulse;
pub mod refused_calls;
mod spawn;
mod violation;
mod vitals;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regen_audit_log::AuditLog;
use regen_net_config::host::HostKey;
use regen_proto::kernel_channel::ChannelError;
use regen_proto::role::Role;
use regen_proto::version::{self, Hello, HelloError};
use regen_sandbox::policy::Policy;
use regen_supervisor::{ChildState, Key};
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};

pub use events::{ChildEnd, Event, Exit, ProcessInfo};
pub use process_stats::{proportional_kb, resident_kb};
pub use spawn::{ChildrenSetup, SpawnError};
pub use violation::Violation;

use buckets::Buckets;
use child::{Child, Helper, Process};
use crash_reports::{crash_of, write_report};
use memory::{Job, Limits, Measurement, limits};
use payloads::{Payload, Payloads};
use process_stats::ProcessStats;
use refused_calls::RefusedCall;
use regen_sandbox::coverage::Coverage;

use crate::codec::child as codec;
use crate::launcher::{FromLauncherBody, Launcher};
use crate::message::{ChildId, Outgoing};
use crate::profile::Profile;

/// A refused system call counts as the reason of a death that follows within this time.
const BLAME_WINDOW: Duration = Duration::from_secs(2);
/// Maximum number of helper processes of one host. The engine starts one for each view, and one for all.
const MAX_HELPERS: usize = 512;
/// Ticks between two counts of descriptors and threads.
const COUNT_TICKS: u64 = 100;

/// Error of a message or process of a child. The child is to be killed.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The child did what its role may not.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The child is of another build, or not of its role.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// The sender of the Hello is not the process that was started.
    #[error("the process that said Hello is gone, or is not in its sandbox")]
    NotInSandbox,
}

/// All children.
#[derive(Debug)]
pub struct Children {
    table: HashMap<ChildId, Child>,
    /// Identities of the children in the table: each is looked up several times a second.
    by_key: HashMap<Key, ChildId>,
    last_id: ChildId,
    launcher: Launcher,
    profile: Profile,
    buckets: Buckets,
    /// By role.
    policies: HashMap<String, Arc<Policy>>,
    limits: HashMap<Role, Limits>,
    /// Certificate authorities of the profile, over the machine's.
    ca_bundle: Option<PathBuf>,
    jitless: bool,
    /// The role that is watched, and what was seen of it.
    watched: Option<(String, Arc<Mutex<Coverage>>)>,
    payloads: Payloads<Event>,
    events: mpsc::Sender<Event>,
    audit: AuditLog,
    ticks: u64,
    is_measuring: bool,
}

impl Children {
    /// Waits for the launcher's next message.
    ///
    /// # Errors
    /// When the launcher is gone, or sent nonsense.
    pub async fn launcher_message(&self) -> Result<(FromLauncherBody, Vec<OwnedFd>), ChannelError> {
        self.launcher.next().await
    }

    /// Takes a message of the launcher. Returns the end of a child, where that is what it says and everything that the child
    /// announced before has been read; otherwise the end comes as an event.
    pub fn launcher_says(&mut self, message: FromLauncherBody, descriptors: Vec<OwnedFd>) -> Option<Event> {
        match message {
            FromLauncherBody::Spawned(spawned) => {
                self.spawned(spawned.child, descriptors);
                None
            }
            FromLauncherBody::Failed(failed) => {
                let exit = Exit { cause: failed.reason, clean: false, status: None };
                Some(Event::Ended { child: failed.child, exit })
            }
            FromLauncherBody::Exited(exited) => {
                let exit = Exit { cause: exited.cause, clean: exited.clean, status: exited.status };
                self.payloads.after(exited.child, Event::Ended { child: exited.child, exit })
            }
        }
    }

    /// Checks the first message of a child. The channel says which child it is; new is that it lives, and is of this build.
    ///
    /// # Errors
    /// When the child is of another build or role, or the sender is not in the child's sandbox.
    pub fn hello(&mut self, id: ChildId, hello: &Hello, sender: i32) -> Result<(), ChildError> {
        let Some(child) = self.table.get_mut(&id) else { return Ok(()) };
        version::agree(hello, child.role)?;
        let pidfd = pidfd::of_sender(sender, child.jail.as_ref()).ok_or(ChildError::NotInSandbox)?;
        child.process = Some(Process { pid: sender, pidfd, stats: ProcessStats::of(sender).map(Arc::new) });
        Ok(())
    }

    /// Returns whether a child has said Hello.
    #[must_use]
    pub fn is_known(&self, id: ChildId) -> bool {
        self.table.get(&id).is_some_and(|child| child.process.is_some())
    }

    /// Notes why a child says that it ends.
    pub fn says_exit(&mut self, id: ChildId, reason: String) {
        if let Some(child) = self.table.get_mut(&id) {
            child.doom = Some(reason);
        }
    }

    /// Sends a message. A child that is gone is no error.
    ///
    /// # Errors
    /// When the child does not read its channel: it is to be ended.
    pub fn send(&self, Outgoing { to, message, attachments }: Outgoing) -> Result<(), Violation> {
        let Some(child) = self.table.get(&to) else { return Ok(()) };
        match child.sender.try_send((message, attachments)) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Violation::DoesNotRead),
        }
    }

    /// Returns the heartbeat for a child, and notes that it was sent.
    pub fn heartbeat(&mut self, key: &Key, now: Instant) -> Option<Outgoing> {
        let id = self.of_key(key)?;
        let child = self.table.get_mut(&id)?;
        if child.heartbeat_sent.is_none() {
            (child.heartbeat_sent, child.starved_before) = (Some(now), None);
        }
        Some(codec::heartbeat(id))
    }

    /// Kills a child, with the reason for the log and the user.
    pub fn kill(&mut self, id: ChildId, reason: &str) {
        let Some(child) = self.table.get_mut(&id) else { return };
        tracing::warn!(role = %child.role, pid = child.pid(), site = child.site(), "killed: {}", child.recorded(reason));
        child.doom.get_or_insert_with(|| reason.to_owned());
        // The jail is the first process of its namespace: with it ends everything inside.
        if let Some(jail) = &child.jail
            && let Err(error) = rustix::process::pidfd_send_signal(jail, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::error!("cannot kill a child: {error}");
        }
    }

    /// Takes a child out of the table after its process is gone. `state`: as the supervisor had it.
    pub fn ended(&mut self, id: ChildId, exit: &Exit, state: Option<ChildState>) -> Option<ChildEnd> {
        let child = self.table.remove(&id)?;
        let key = child.key();
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
        }
        self.payloads.forget(id);
        self.buckets.empty(id);
        let mut reason = match &child.doom {
            Some(doom) => format!("{doom} ({})", exit.cause),
            None => exit.cause.clone(),
        };
        // A process that dies right after a refusal most likely dies of it.
        let refused = child.refused.as_ref().filter(|(at, _)| !exit.clean && at.elapsed() < BLAME_WINDOW);
        let refused_call = refused.map(|(_, refused)| refused.to_string());
        if let Some(call) = &refused_call {
            reason = format!("{reason}, after it was refused {call}");
        }
        let was_asked = state.is_some_and(|state| state.is_stopping);
        let (role, site) = (child.role.name(), child.site().map(str::to_owned));
        let details = serde_json::json!({ "child": id, "role": role, "site": site, "asked": was_asked, "cause": child.recorded(&reason) });
        self.audit.record_end(id, "ended", details);
        if was_asked {
            tracing::info!(role, site, "ended");
        } else {
            tracing::warn!(role, site, clean = exit.clean, "died: {}", child.recorded(&reason));
            let crash = crash_of(&child, id, &reason, refused_call, state, exit);
            // A report would tell of the site, and its minidump of the page.
            if !child.host.as_ref().is_some_and(HostKey::is_throw_away) {
                write_report(crash, child, self.profile.root().to_path_buf());
            }
        }
        Some(ChildEnd { key, reason })
    }

    /// Notes a helper process that a tab-host started. The host is believed only where the kernel confirms it.
    ///
    /// # Errors
    /// When the descriptor is no process of the host's sandbox, or the host has too many helpers.
    pub fn helper_started(&mut self, id: ChildId, name: String, descriptors: Vec<OwnedFd>) -> Result<(), Violation> {
        let Some(child) = self.table.get_mut(&id) else { return Ok(()) };
        let Some(pidfd) = descriptors.into_iter().next() else { return Ok(()) };
        let namespace = pidfd::pid_namespace(child.pid());
        let is_inside = |pid: &i32| pidfd::pid_namespace(*pid).is_some_and(|inside| Some(inside) == namespace);
        let Some(pid) = pidfd::process_id(&pidfd).filter(is_inside) else {
            // A helper may have ended before it was looked at; anything else is a lie.
            let lies = !pidfd::is_pidfd(&pidfd);
            return if lies {
                Err(Violation::Malformed("a descriptor that is no process of its own".into()))
            } else {
                Ok(())
            };
        };
        child.helpers.retain(|helper| helper.pid != pid && pidfd::process_id(&helper.pidfd).is_some());
        if child.helpers.len() >= MAX_HELPERS {
            return Err(Violation::Malformed("more helper processes than any page needs".into()));
        }
        child.helpers.push(Helper { name, pid, pidfd });
        Ok(())
    }

    /// Notes a system call that a child was refused.
    pub fn call_refused(&mut self, id: ChildId, refused: RefusedCall) {
        let Some(child) = self.table.get_mut(&id) else { return };
        if refused_calls::is_worth_telling(refused.times) {
            tracing::warn!(role = %child.role, site = child.site(), times = refused.times, "refused {refused}");
            self.audit.record_of(
                id,
                "refused_call",
                serde_json::json!({
                    "child": id, "role": child.role.name(), "pid": refused.pid, "call": refused.call,
                    "arguments": refused.arguments, "times": refused.times, "rule": refused.rule,
                }),
            );
        }
        child.refused = Some((Instant::now(), refused));
    }

    /// Keeps that a site is on the internet, beside its storage. Done off the event loop.
    pub fn keep_public(&self, host: &HostKey) {
        self.buckets.keep_public(host);
    }

    /// Returns the folder of a site's storage, wherever it is at the moment.
    #[must_use]
    pub fn storage(&self, host: &HostKey) -> PathBuf {
        self.buckets.storage(host, self.of_key(&Key::Host(host.clone())))
    }

    /// Throws the storage of a site away that no process has. The receiver is told once nothing of it is left.
    ///
    /// # Errors
    /// Returns an error if the file system refuses: the storage is then where it was.
    pub fn discard_storage(&self, host: &HostKey) -> io::Result<oneshot::Receiver<()>> {
        self.buckets.discard(host)
    }

    /// Returns whether a process of a workspace's sites lives.
    #[must_use]
    pub fn has_host_in(&self, workspace: &str) -> bool {
        self.table.values().filter_map(|child| child.host.as_ref()).any(|host| host.workspace == workspace)
    }

    /// Throws the storage of all sites of a workspace away, of which no process lives. The receiver is told once nothing of it
    /// is left.
    ///
    /// # Errors
    /// Returns an error if the file system refuses.
    pub fn discard_workspace(&self, workspace: &str) -> io::Result<oneshot::Receiver<()>> {
        self.buckets.discard_workspace(workspace)
    }

    /// Removes everything of throw-away workspaces, at the end of the browser.
    pub fn clear_memory(&self) {
        self.buckets.clear_memory();
    }

    /// Reads a payload that a child announced, off the event loop; the result comes as an event.
    pub fn read_payload(&mut self, id: ChildId, payload: Payload<Event>) {
        self.payloads.read(id, payload);
    }

    /// Returns the event, unless a payload of the child is being read: then the event comes after that.
    pub fn after_payloads(&mut self, id: ChildId, event: Event) -> Option<Event> {
        self.payloads.after(id, event)
    }

    /// Measures the memory of children whose turn it is, off the event loop; the result comes as an event.
    pub fn measure(&mut self) {
        self.ticks += 1;
        if self.is_measuring {
            return;
        }
        let (tick, counts) = (self.ticks, self.ticks.is_multiple_of(COUNT_TICKS));
        for child in self.table.values_mut() {
            child.helpers.retain(|helper| !pidfd::has_ended(&helper.pidfd));
        }
        let job = |(id, child): (&ChildId, &Child)| {
            let process = child.process.as_ref().filter(|_| counts || child.memory.is_due(*id, tick))?;
            let helpers = child.helpers.iter().map(|helper| helper.pid).collect();
            Some(Job::new(*id, process.pid, process.stats.clone(), helpers, counts))
        };
        let jobs: Vec<Job> = self.table.iter().filter_map(job).collect();
        if jobs.is_empty() {
            return;
        }
        self.is_measuring = true;
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let measured: Vec<Measurement> = jobs.into_iter().map(Job::measure).collect();
            // The event loop may have ended meanwhile.
            let _ = events.blocking_send(Event::Measured(measured));
        });
    }

    /// Takes measurements. Where a child may be over its limit, its proportional memory is added up off the event loop.
    pub fn measured(&mut self, measurements: Vec<Measurement>) {
        self.is_measuring = false;
        for measurement in measurements {
            let id = measurement.child;
            let Some(child) = self.table.get_mut(&id) else { continue };
            let limits = self.limits.get(&child.role).copied().unwrap_or_default();
            // A child that is ending shrinks: the figures before that are of interest.
            if measurement.resident_kb > 0 && child.doom.is_none() {
                child.resources.resident_kb = measurement.resident_kb;
                child.resources.helpers = measurement.helpers;
            }
            if let Some((threads, descriptors)) = measurement.counts {
                (child.resources.threads, child.resources.descriptors) = (threads, descriptors);
            }
            if let Some(leak) = child.memory.leak(&measurement, limits) {
                tracing::warn!(role = %child.role, pid = child.pid(), "{leak}");
            }
            if !child.memory.measured(&measurement, limits, self.ticks) {
                continue;
            }
            let pids = child.pids();
            let events = self.events.clone();
            tokio::task::spawn_blocking(move || {
                let proportional_kb = pids.into_iter().map(proportional_kb).sum();
                // The event loop may have ended meanwhile.
                let _ = events.blocking_send(Event::Summed { child: id, proportional_kb });
            });
        }
    }

    /// Takes a sum of proportional memory, and kills the child where it is over its limit.
    pub fn summed(&mut self, id: ChildId, proportional_kb: u64) {
        let Some(child) = self.table.get_mut(&id) else { return };
        let limits = self.limits.get(&child.role).copied().unwrap_or_default();
        if let Some(reason) = child.memory.summed(proportional_kb, limits) {
            self.kill(id, &reason);
        }
    }

    /// Returns the process that a child has, whatever state it is in.
    #[must_use]
    pub fn of_key(&self, key: &Key) -> Option<ChildId> {
        self.by_key.get(key).copied()
    }

    /// Returns the identity of a child.
    #[must_use]
    pub fn key(&self, id: ChildId) -> Option<Key> {
        self.table.get(&id).map(Child::key)
    }

    /// Returns the site of a tab-host.
    #[must_use]
    pub fn host(&self, id: ChildId) -> Option<&HostKey> {
        self.table.get(&id)?.host.as_ref()
    }

    /// Returns the role of a child.
    #[must_use]
    pub fn role(&self, id: ChildId) -> Option<Role> {
        self.table.get(&id).map(|child| child.role)
    }

    /// Returns the process id of a child's own process; 0 until its Hello.
    #[must_use]
    pub fn pid(&self, id: ChildId) -> i32 {
        self.table.get(&id).map_or(0, Child::pid)
    }

    /// Returns whether no process is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns all tab-hosts that have a site, oldest first.
    #[must_use]
    pub fn hosts(&self) -> Vec<(ChildId, &HostKey)> {
        let mut hosts: Vec<_> = self.table.iter().filter_map(|(id, child)| Some((*id, child.host.as_ref()?))).collect();
        hosts.sort_unstable_by_key(|(id, _)| *id);
        hosts
    }

    /// Returns all processes, oldest first.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessInfo> {
        let mut all: Vec<_> = self.table.iter().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        let info = |(_, child): (&ChildId, &Child)| ProcessInfo {
            key: child.key(),
            pid: child.pid(),
            helpers: child
                .helpers
                .iter()
                .filter(|helper| !pidfd::has_ended(&helper.pidfd))
                .map(|helper| (helper.name.clone(), helper.pid))
                .collect(),
        };
        all.into_iter().map(info).collect()
    }

    /// Sends a signal to the own processes of these children. Returns their ids.
    #[must_use]
    pub fn signal(&self, signal: Signal, is_meant: impl Fn(ChildId, Role) -> bool) -> Vec<i32> {
        let meant = self.table.iter().filter(|(id, child)| is_meant(**id, child.role));
        let processes = meant.filter_map(|(_, child)| child.process.as_ref());
        processes.filter_map(|process| pidfd::signal(process.pid, &process.pidfd, signal)).collect()
    }

    /// Sends a signal to a process of this browser by its id. The id of any other process does nothing.
    #[must_use]
    pub fn signal_pid(&self, pid: i32, signal: Signal) -> Vec<i32> {
        let helpers = self.table.values().flat_map(|child| &child.helpers).map(|helper| (helper.pid, &helper.pidfd));
        let own = self.table.values().filter_map(|child| child.process.as_ref());
        let all = own.map(|process| (process.pid, &process.pidfd)).chain(helpers);
        let found = { all }.find(|(other, _)| *other == pid);
        found.and_then(|(pid, pidfd)| pidfd::signal(pid, pidfd, signal)).into_iter().collect()
    }
}
