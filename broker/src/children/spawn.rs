//! Starting children: the sandbox's folders, the channel, the log, and the spare that becomes a site's host.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use regen_proto::kernel_channel::{self, ChannelError, KernelChannel};
use regen_proto::role::Role;
use regen_sandbox::policy::Policy;
use tokio::sync::mpsc;

use super::bucket_mounts::BucketMounts;
use super::buckets::Buckets;
use super::child::Child;
use super::events::Event;
use super::log::{self, ProcessLabel};
use super::memory::MemoryWatch;
use super::payloads::Payloads;
use super::refused_calls::{self, NotifyPolicy};
use super::{Children, channel, limits};
use crate::launcher::{Launcher, Spawn};
use crate::message::ChildId;
use crate::profile::Profile;
use regen_audit_log::AuditLog;
use regen_crash_reports::Resources;
use regen_sandbox::coverage::{self, Coverage};
use regen_session::HostKey;
use regen_supervisor::Key;

/// Error of starting a child. Its machine takes it for a death.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A folder, pipe or socket could not be made.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The launcher is gone.
    #[error(transparent)]
    Launcher(#[from] ChannelError),
}

impl From<rustix::io::Errno> for SpawnError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Parts and settings that the children's component is made of.
#[derive(Debug)]
pub struct ChildrenSetup {
    /// The profile's folders.
    pub profile: Profile,
    /// Mounts of sites' storage.
    pub bucket_mounts: BucketMounts,
    /// The process that starts processes.
    pub launcher: Launcher,
    /// Policies of all roles.
    pub policies: Vec<Policy>,
    /// Certificate authorities of the profile, over the machine's.
    pub ca_bundle: Option<PathBuf>,
    /// Pages may not make machine code.
    pub jitless: bool,
    /// Maximum memory of a site's processes in bytes, where the user wants less than the policy allows.
    pub site_memory: Option<u64>,
    /// Role whose system calls are written down, and none refused.
    pub watched: Option<String>,
    /// The audit log.
    pub audit: AuditLog,
}

impl Children {
    /// Returns the component without children; its events go to `events`. Starts nothing.
    #[must_use]
    pub fn new(setup: ChildrenSetup, events: mpsc::Sender<Event>) -> Self {
        let watched = setup.watched.and_then(|role| {
            let policy = setup.policies.iter().find(|policy| policy.role == role)?;
            Some((role, Arc::new(Mutex::new(Coverage::of(policy)))))
        });
        Self {
            table: HashMap::new(),
            by_key: HashMap::new(),
            last_id: 0,
            launcher: setup.launcher,
            buckets: Buckets::new(setup.profile.clone(), setup.bucket_mounts),
            profile: setup.profile,
            limits: limits(&setup.policies, setup.site_memory),
            policies: setup.policies.into_iter().map(|policy| (policy.role.clone(), Arc::new(policy))).collect(),
            ca_bundle: setup.ca_bundle,
            jitless: setup.jitless,
            watched,
            payloads: Payloads::new(events.clone()),
            events,
            audit: setup.audit,
            ticks: 0,
            is_measuring: false,
        }
    }

    /// Starts the process of a child. Returns whether the site's storage has something from the internet. A failure comes as
    /// an event, so that the supervisor, which is just being told, goes on first.
    pub fn spawn(&mut self, key: &Key) -> bool {
        self.last_id += 1;
        let id = self.last_id;
        let host = match key {
            Key::Host(host) => Some(host.clone()),
            Key::Spare | Key::Daemon(_) => None,
        };
        match self.try_spawn(id, key.role(), host) {
            Ok(is_public) => is_public,
            Err(error) => {
                self.buckets.empty(id);
                tracing::error!(role = %key.role(), "cannot start: {error}");
                let (events, failed) =
                    (self.events.clone(), Event::NotStarted { key: key.clone(), reason: error.to_string() });
                // The event loop may have ended meanwhile.
                tokio::spawn(async move { drop(events.send(failed).await) });
                false
            }
        }
    }

    fn try_spawn(&mut self, id: ChildId, role: Role, host: Option<HostKey>) -> Result<bool, SpawnError> {
        let bucket = self.buckets.make(id, role, host.as_ref())?;
        let is_public = host.as_ref().map(|host| self.buckets.fill(id, host)).transpose()?.unwrap_or(false);
        let chosen = if role == Role::TabHost { Some(self.buckets.make_chosen(id, host.as_ref())?) } else { None };
        let (ours, theirs) = kernel_channel::pair()?;
        let (log_read, log_write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let words = |path: Option<&PathBuf>| path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let spawn = Spawn {
            child: id,
            role: role.name().to_owned(),
            bucket: words(bucket.as_ref()),
            chosen: words(chosen.as_ref()),
            // Mounted where the role's policy has a place for it.
            ca_bundle: words(self.ca_bundle.as_ref()),
            jitless: self.jitless,
            watched: self.coverage_of(role.name()).is_some(),
            guest: None,
        };
        self.launcher.spawn(spawn, &[theirs.as_fd(), log_write.as_fd()])?;
        let site = host.as_ref().map(HostKey::recorded_site);
        self.audit.record("spawned", serde_json::json!({ "child": id, "role": role.name(), "site": site }));
        rustix::io::ioctl_fionbio(&log_read, true)?;
        let label = ProcessLabel::named(match &host {
            Some(host) => label_of(host),
            None => role.name().to_owned(),
        });
        let is_silent = host.as_ref().is_some_and(HostKey::is_throw_away);
        let log_tail = log::forward_log(label.clone(), log_read, is_silent)?;
        let (sender, pulse) = channel::attach(id, role, KernelChannel::adopt(ours)?, self.events.clone());
        let child = Child {
            role,
            host,
            process: None,
            jail: None,
            helpers: Vec::new(),
            sender,
            pulse,
            heartbeat_sent: None,
            starved_before: None,
            memory: MemoryWatch::default(),
            doom: None,
            started: Instant::now(),
            label,
            log_tail,
            dumper: None,
            resources: Resources::default(),
            refused: None,
        };
        self.by_key.insert(child.key(), id);
        self.table.insert(id, child);
        Ok(is_public)
    }

    /// Makes the spare the host of a site. Returns its number, and whether the site's storage has something from the internet;
    /// `None` where there is no spare, or it cannot have the storage.
    pub fn take_spare(&mut self, host: &HostKey) -> Option<(ChildId, bool)> {
        let id = self.of_key(&Key::Spare)?;
        let is_public = match self.buckets.fill(id, host) {
            Ok(is_public) => is_public,
            Err(error) => {
                tracing::error!("the spare cannot have the storage of {}: {error}", host.recorded_site());
                return None;
            }
        };
        let child = self.table.get_mut(&id)?;
        child.heartbeat_sent = None;
        child.label.rename(label_of(host));
        child.host = Some(host.clone());
        self.by_key.remove(&Key::Spare);
        self.by_key.insert(Key::Host(host.clone()), id);
        self.audit.record("spare_taken", serde_json::json!({ "child": id, "site": host.recorded_site() }));
        Some((id, is_public))
    }

    /// Notes that the launcher made the process of a child, and answers the system calls that its filter asks about.
    pub(super) fn spawned(&mut self, id: ChildId, descriptors: Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        let (jail, listener) = (descriptors.next(), descriptors.next());
        let Some(role) = self.role(id) else { return };
        let notify_policy = match self.coverage_of(role.name()) {
            Some(coverage) => NotifyPolicy::Watched(Arc::clone(coverage)),
            None => NotifyPolicy::Paced,
        };
        let Some(child) = self.table.get_mut(&id) else { return };
        child.jail = jail;
        if let (Some(listener), Some(policy)) = (listener, self.policies.get(role.name())) {
            // The minidump arrives after the listener; it is read when the child is dead.
            child.dumper = listener.try_clone().ok();
            let events = self.events.clone();
            refused_calls::answer_for(Arc::clone(policy), listener, notify_policy, move |refused| {
                // A call that is left out here is counted: see `RefusedCall::times`.
                let _ = events.try_send(Event::RefusedCall { child: id, refused });
            });
        }
    }

    /// Writes down what was seen of the watched role.
    pub fn write_coverage(&self) {
        let Some((role, coverage)) = &self.watched else { return };
        let coverage = coverage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = coverage.write(&coverage::in_profile(self.profile.root(), role)) {
            tracing::error!("what was seen of the {role} is lost: {error}");
        }
    }

    fn coverage_of(&self, role: &str) -> Option<&Arc<Mutex<Coverage>>> {
        self.watched.as_ref().filter(|(watched, _)| watched == role).map(|(_, coverage)| coverage)
    }
}

/// Returns the name of a site's host in the log.
fn label_of(host: &HostKey) -> String {
    format!("tab-host {}", host.recorded_site())
}
