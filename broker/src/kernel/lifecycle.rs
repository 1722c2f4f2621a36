//! Children from spawn to death: start, handshake, readiness, pulse, end.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use regen_proto::kernel::v1::{Configure, Hello, Role};
use regen_proto::kernel_channel::{self, KernelChannel};
use regen_proto::launcher::v1::{Exited, Spawn, Spawned};
use regen_proto::validate::BrokerToChild;
use regen_proto::version;
use regen_sandbox::spawn::outside_id;
use rustix::process::Signal;

use super::child::{self, Child, ChildId, role_name};
use super::process_stats::ProcessStats;
use super::supervision::Key;
use super::{Input, Kernel, SHUTDOWN_TIMEOUT};
use crate::crashes::{Crash, LogTail, Resources};
use crate::launcher::FromLauncherBody;
use crate::pidfd;
use crate::refused_calls::{self, NotifyPolicy, RefusedCall};
use crate::session::{Event, HostKey};
use crate::supervisor::{self, Machine};
use crate::window_size::Size;

/// A refused system call counts as the reason of a death that follows within this time.
const BLAMED: Duration = Duration::from_secs(2);
/// What a child said before its end has been read by then.
const LAST_WORDS: Duration = Duration::from_millis(100);

impl Kernel {
    /// Starts the process of a machine.
    pub(super) fn start(&mut self, key: &Key) {
        self.next_child += 1;
        let id = self.next_child;
        let (role, host) = match key {
            Key::Host(host) if self.take_spare(host) => return,
            Key::Host(host) => (Role::TabHost, Some(host.clone())),
            Key::Spare => (Role::TabHost, None),
            Key::Daemon(role) => (*role, None),
        };
        if let Err(error) = self.try_start(id, role, host) {
            self.empty_slot(id);
            tracing::error!(role = role_name(role), "cannot start: {error}");
            // As a death, so that its machine goes on; not at once, for it is just being told.
            self.later(Duration::ZERO, Input::NotStarted { key: key.clone(), reason: error.to_string() });
        }
    }

    fn try_start(&mut self, id: ChildId, role: Role, host: Option<HostKey>) -> anyhow::Result<()> {
        let mut slot = String::new();
        if role == Role::TabHost {
            slot = self.bucket_mounts.make(id)?.to_string_lossy().into_owned();
            if let Some(host) = &host {
                self.fill_slot(id, host)?;
            }
        }
        if role == Role::NetDaemon {
            let folder = self.profile.daemon(role_name(role));
            Self::make_bucket(&folder, role)?;
            slot = folder.to_string_lossy().into_owned();
        }
        // It is mounted where the role's policy has a place for it.
        let ca_bundle = self.options.ca_bundle.as_ref().map(|bundle| bundle.to_string_lossy().into_owned());
        let (ours, theirs) = kernel_channel::pair()?;
        let (log_read, log_write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let chosen = if role == Role::TabHost { self.make_chosen(id)? } else { String::new() };
        let spawn = Spawn {
            child: id,
            role: role_name(role).to_owned(),
            bucket: slot,
            chosen,
            ca_bundle: ca_bundle.unwrap_or_default(),
            jitless: self.options.jitless,
            watched: self.is_watched(role_name(role)),
            guest: None,
        };
        self.launcher.spawn(spawn, &[theirs.as_fd(), log_write.as_fd()])?;
        let site = host.as_ref().map(|host| host.site.as_str());
        self.audit.record("spawned", serde_json::json!({ "child": id, "role": role_name(role), "site": site }));
        rustix::io::ioctl_fionbio(&log_read, true)?;
        let who = child::ProcessLabel::named(match &host {
            Some(host) => format!("tab-host {}", host.site),
            None => role_name(role).to_owned(),
        });
        let tail = child::forward_log(who.clone(), log_read)?;
        let (outbox, pulse) = child::attach(id, role, KernelChannel::adopt(ours)?, self.inbox.clone());
        self.children.insert(
            id,
            Child {
                role,
                host,
                pid: 0,
                pidfd: None,
                stats: None,
                jail: None,
                helpers: Vec::new(),
                outbox,
                pulse,
                asked: None,
                waited: None,
                is_heavy: false,
                is_being_weighed: false,
                weighed: None,
                is_leaking: false,
                doom: None,
                tunnel: None,
                refused: None,
                born: Instant::now(),
                who,
                tail,
                dumper: None,
                resources: Resources::default(),
            },
        );
        Ok(())
    }

    fn write_coverage(&self) {
        let (Some(coverage), Some(role)) = (&self.coverage, &self.options.watched) else { return };
        let coverage = coverage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = coverage.write(&crate::coverage::in_profile(self.profile.root(), role)) {
            tracing::error!("what was seen of the {role} is lost: {error}");
        }
    }

    fn is_watched(&self, role: &str) -> bool {
        self.coverage.is_some() && self.options.watched.as_deref() == Some(role)
    }

    /// Storage of a role's own.
    pub(super) fn make_bucket(bucket: &Path, role: Role) -> std::io::Result<()> {
        std::fs::create_dir_all(bucket)?;
        let owner = outside_id(role_name(role));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(bucket, Some(owner), Some(owner))?;
        }
        Ok(())
    }

    /// An empty folder for files that the user chooses for this host's pages.
    fn make_chosen(&self, id: ChildId) -> std::io::Result<String> {
        let folder = self.profile.chosen(id);
        std::fs::create_dir_all(&folder)?;
        // Its owner may be another user than the host's process; nothing in it is secret from the host.
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(folder.to_string_lossy().into_owned())
    }

    pub(super) fn launcher_news(&mut self, news: FromLauncherBody, descriptors: Vec<OwnedFd>) {
        match news {
            FromLauncherBody::Spawned(Spawned { child, .. }) => {
                let mut descriptors = descriptors.into_iter();
                let (jail, listener) = (descriptors.next(), descriptors.next());
                if let Some(known) = self.children.get_mut(&child) {
                    known.jail = jail;
                    let policy = self.policies.get(role_name(known.role));
                    if let (Some(listener), Some(policy)) = (listener, policy) {
                        // What arrives after the listener is the minidump; it is looked at when the child is dead.
                        known.dumper = listener.try_clone().ok();
                        let manner = match &self.coverage {
                            Some(coverage) if self.is_watched(&policy.role) => {
                                NotifyPolicy::Watched(Arc::clone(coverage))
                            }
                            _ => NotifyPolicy::Paced,
                        };
                        let inbox = self.inbox.clone();
                        refused_calls::answer_for(Arc::clone(policy), listener, manner, move |refused| {
                            // What is left out is counted: see `times`.
                            let _ = inbox.try_send(Input::RefusedCall { child, refused });
                        });
                    }
                }
            }
            FromLauncherBody::Failed(failed) => self.ended(failed.child, &failed.reason, false, None),
            FromLauncherBody::Exited(Exited { child, cause, clean, status }) => {
                // Messages that it sent before it died count.
                if let Some(ended) = self.payloads.after(child, Input::Ended { child, cause, clean, status }) {
                    self.handle(ended);
                }
            }
        }
    }

    /// The first message of a child: who it is is known from its channel; that it is alive and of this build is new.
    pub(super) fn hello(&mut self, id: ChildId, hello: &Hello, sender: i32) {
        let Some(child) = self.children.get_mut(&id) else { return };
        if let Err(error) = version::agree(hello, child.role) {
            self.refusals.version += 1;
            self.kill_child(id, &error.to_string());
            return;
        }
        let Some(pidfd) = pidfd::of_sender(sender, child.jail.as_ref()) else {
            self.kill_child(id, "the process that said Hello is gone, or is not in its sandbox");
            return;
        };
        child.pidfd = Some(pidfd);
        child.pid = sender;
        child.stats = ProcessStats::of(sender);
        let level = child.host.as_ref().map(|host| self.settings.shields.of(&host.site)).unwrap_or_default();
        let level = regen_proto::kernel::v1::ShieldsLevel::from(level);
        let headless = Size { width: self.options.size.0, height: self.options.size.1, maximized: false };
        let unknown = Size { width: 0, height: 0, maximized: false };
        let Size { width, height, maximized } =
            if child.role == Role::UiShell { self.window_size.get().unwrap_or(unknown) } else { headless };
        let configure = Configure {
            site: child.host.as_ref().map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
            headless: self.options.headless,
            width,
            height,
            maximized,
            scale: self.options.scale,
            dark: self.options.dark,
            keyboard_layout: self.options.keyboard.layout.clone(),
            keyboard_variant: self.options.keyboard.variant.clone(),
            keyboard_options: self.options.keyboard.options.clone(),
            languages: self.options.languages.clone(),
            time_zone: self.options.time_zone.clone(),
            level: level.into(),
            ..if child.role == Role::NetDaemon { self.for_net() } else { Configure::default() }
        };
        self.send(id, BrokerToChild::Hello(version::hello(Role::Unspecified)), Vec::new());
        self.send(id, BrokerToChild::Configure(configure), Vec::new());
        self.give_cookies(id);
    }

    pub(super) fn ready(&mut self, id: ChildId) {
        let Some(key) = self.children.get(&id).map(Child::key) else { return };
        if self.is_ready(id) {
            return;
        }
        self.supervise(&key, supervisor::Event::IsReady);
        let Some(child) = self.children.get(&id).filter(|_| self.is_ready(id)) else { return };
        let (role, host) = (child.role, child.host.clone());
        let site = host.as_ref().map(|host| host.site.as_str().to_owned());
        self.audit.record(
            "ready",
            serde_json::json!({ "child": id, "role": role_name(role), "pid": child.pid, "site": site }),
        );
        tracing::info!(role = role_name(role), pid = child.pid, site = host.as_ref().map(|h| h.site.as_str()), "ready");
        match (role, host) {
            (Role::TabHost, Some(host)) => {
                self.grant_tunnel(id);
                self.grant_page(id);
                self.apply(Event::HostUp(host.clone()));
                let actions = self.downloads.host_ready(&host, id);
                self.do_with_downloads(actions);
            }
            (Role::NetDaemon, _) => {
                self.connect_net(id);
                self.grant_anew(role);
            }
            (Role::UiShell, _) => self.window_ready(),
            (Role::TabHost | Role::AgentDaemon | Role::Unspecified, _) => {}
        }
        self.changed.send_modify(|generation| *generation += 1);
    }

    /// Those who need a role get what they have of it once more.
    fn grant_anew(&mut self, role: Role) {
        if supervisor::who_needs(role).any(|who| who == Role::TabHost) {
            for host in self.ready_hosts() {
                self.grant_tunnel(host);
            }
        }
    }

    pub(super) fn ready_hosts(&self) -> Vec<ChildId> {
        let mut hosts: Vec<ChildId> = self
            .children
            .iter()
            .filter(|(id, child)| child.host.is_some() && self.is_ready(**id))
            .map(|(id, _)| *id)
            .collect();
        hosts.sort_unstable();
        hosts
    }

    /// Ends a child now, with the reason for the log and the person.
    pub(super) fn kill_child(&mut self, id: ChildId, reason: &str) {
        let Some(child) = self.children.get_mut(&id) else { return };
        let site = child.host.as_ref().map(|host| host.site.as_str());
        tracing::warn!(role = role_name(child.role), pid = child.pid, site, "killed: {reason}");
        child.doom.get_or_insert_with(|| reason.to_owned());
        // The jail is the first process of its namespace: with it goes everything inside.
        if let Some(jail) = &child.jail
            && let Err(error) = rustix::process::pidfd_send_signal(jail, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::error!("cannot kill a child: {error}");
        }
    }

    pub(super) fn ended(&mut self, id: ChildId, cause: &str, clean: bool, status: Option<i32>) {
        let Some(key) = self.children.get(&id).map(Child::key) else { return };
        let machine = self.machines.get(&key);
        let was_asked = machine.is_some_and(Machine::is_stopping);
        let (state, before) = machine.map_or(("", 0), |machine| (machine.name(), machine.crashes()));
        let Some(child) = self.children.remove(&id) else { return };
        self.payloads.forget(id);
        let closed = if child.role == Role::UiShell {
            self.file_choosers.window_gone()
        } else {
            self.file_choosers.child_gone(id)
        };
        self.do_with_choosers(closed);
        self.requests.retain(|_, request| request.child != id);
        self.downloads_interrupted(id, child.host.as_ref());
        self.forget_chosen(id);
        self.empty_slot(id);
        let mut reason = match &child.doom {
            Some(doom) => format!("{doom} ({cause})"),
            None => cause.to_owned(),
        };
        // ProcessLabel dies right after a refusal most likely dies of it.
        let blamed = child.refused.filter(|(at, _)| !clean && at.elapsed() < BLAMED).map(|(_, refused)| refused);
        if let Some(refused) = &blamed {
            reason = format!("{reason}, after it was refused {refused}");
        }
        let site = child.host.as_ref().map(|host| host.site.as_str());
        let (role, asked) = (role_name(child.role), was_asked);
        // Lines about it that its budget did not allow.
        let left_out = Some(self.audit.forget(id)).filter(|lines| *lines > 0);
        self.audit.record(
            "ended",
            serde_json::json!({
                "child": id, "role": role, "site": site, "asked": asked, "cause": reason, "left_out": left_out,
            }),
        );
        if was_asked {
            tracing::info!(role = role_name(child.role), site, "ended");
        } else {
            tracing::warn!(role = role_name(child.role), site, clean, "died: {reason}");
            let crash = Crash {
                site: site.map(str::to_owned),
                pid: child.pid,
                reason: reason.clone(),
                refused_call: blamed.map(|refused| refused.to_string()),
                state: state.to_owned(),
                crashes_before: before,
                lived_s: child.born.elapsed().as_secs_f64(),
                resources: child.resources,
                build: version::BUILD.to_owned(),
                ..Crash::now(role, id).ended(status)
            };
            write_report(crash, child.tail, child.dumper, self.profile.root().to_path_buf());
        }
        if child.role == Role::TabHost {
            self.host_gone(id);
        }
        if child.role == Role::NetDaemon {
            self.net_gone();
        }
        self.died(&key, &reason);
        self.changed.send_modify(|generation| *generation += 1);
    }

    /// A child tried what its policy does not allow.
    pub(super) fn call_refused(&mut self, id: ChildId, refused: RefusedCall) {
        self.refusals.system_calls += 1;
        let Some(child) = self.children.get_mut(&id) else { return };
        if refused_calls::is_worth_telling(refused.times) {
            let site = child.host.as_ref().map(|host| host.site.as_str());
            tracing::warn!(role = role_name(child.role), site, times = refused.times, "refused {refused}");
            self.audit.record_of(
                id,
                "refused_call",
                serde_json::json!({
                    "child": id, "role": role_name(child.role), "pid": refused.pid, "call": refused.call,
                    "arguments": refused.arguments, "times": refused.times, "rule": refused.rule,
                }),
            );
        }
        child.refused = Some((Instant::now(), refused));
    }

    pub(super) fn later(&self, delay: Duration, input: Input) {
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // The kernel may have ended meanwhile.
            let _ = inbox.send(input).await;
        });
    }

    /// The end: children are asked to save what they have, the store is flushed, and nobody is left.
    pub(super) async fn shut_down(&mut self) {
        let ids: Vec<ChildId> = self.children.keys().copied().collect();
        for id in ids {
            if let Some(key) = self.children.get(&id).map(Child::key) {
                self.supervise(&key, supervisor::Event::Unwanted);
            }
        }
        let deadline = tokio::time::Instant::now() + SHUTDOWN_TIMEOUT;
        while !self.children.is_empty() {
            tokio::select! {
                news = self.launcher.next() => match news {
                    Ok((news, descriptors)) => self.launcher_news(news, descriptors),
                    Err(_) => break,
                },
                Some(input) = self.queue.recv() => {
                    // Last snapshots count; new wishes do not.
                    let is_last = matches!(
                        &input,
                        Input::Message { .. } | Input::Snapshot { .. } | Input::Cookies { .. } | Input::Ended { .. }
                    );
                    if is_last {
                        self.handle(input);
                    }
                }
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        self.downloads.end();
        self.write_coverage();
        self.audit.record("stopped", serde_json::json!({ "failed": self.failed }));
        self.look_after_store();
        self.store.put_audit_head(self.audit.head().clone());
        self.save_changed(true);
        if let Err(why) = self.store.flush(!self.failed) {
            tracing::error!("{why}");
        }
    }
}

/// Once its last words have been read: they are still in the pipe when it is over. Its minidump waits in a socket.
fn write_report(mut crash: Crash, tail: LogTail, dumper: Option<OwnedFd>, profile: PathBuf) {
    tokio::spawn(async move {
        tokio::time::sleep(LAST_WORDS).await;
        crash.log = tail.lines();
        let written = tokio::task::spawn_blocking(move || {
            let minidump = crash.dumped(dumper.as_ref());
            crash.write(&profile, minidump.as_deref())
        });
        if let Err(error) = written.await.unwrap_or_else(|panic| Err(panic.into())) {
            tracing::error!("the crash report is lost: {error}");
        }
    });
}
