//! One child: its process, its helpers, its channel, and what is remembered of it until it ends.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regen_proto::role::Role;
use regen_proto::validate::BrokerToChild;
use tokio::sync::mpsc;

use super::log::ProcessLabel;
use super::memory::MemoryWatch;
use super::process_stats::ProcessStats;
use super::pulse::Pulse;
use super::refused_calls::RefusedCall;
use crate::message::Attachment;
use regen_crash_reports::{LogTail, Resources};
use regen_session::HostKey;
use regen_supervisor::Key;

/// Helper process that a tab-host started inside its sandbox.
#[derive(Debug)]
pub(super) struct Helper {
    pub(super) name: String,
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

/// The role's own process, from its Hello on.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// `None` where the process was gone before its files in `/proc` were open.
    pub(super) stats: Option<Arc<ProcessStats>>,
}

/// One child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) role: Role,
    /// The site of a tab-host; `None` for a spare and for daemons.
    pub(super) host: Option<HostKey>,
    pub(super) process: Option<Process>,
    /// The first process of the child's PID namespace: with it ends everything inside.
    pub(super) jail: Option<OwnedFd>,
    pub(super) helpers: Vec<Helper>,
    pub(super) sender: mpsc::Sender<(BrokerToChild, Vec<Attachment>)>,
    pub(super) pulse: Pulse,
    /// Time of the oldest heartbeat that was not answered.
    pub(super) heartbeat_sent: Option<Instant>,
    /// Time that the process and the broker had waited for a processor when the answer was first missed.
    pub(super) starved_before: Option<Duration>,
    pub(super) memory: MemoryWatch,
    /// Reason for its end, where the broker or the child itself gave one.
    pub(super) doom: Option<String>,
    pub(super) started: Instant,
    pub(super) label: ProcessLabel,
    pub(super) log_tail: LogTail,
    /// Socket in which the child's minidump arrives.
    pub(super) dumper: Option<OwnedFd>,
    pub(super) resources: Resources,
    /// The last system call that the child was refused.
    pub(super) refused: Option<(Instant, RefusedCall)>,
}

impl Child {
    /// Returns the identity that this process has for the supervisor.
    pub(super) fn key(&self) -> Key {
        match &self.host {
            Some(host) => Key::Host(host.clone()),
            None if self.role == Role::TabHost => Key::Spare,
            None => Key::Daemon(self.role),
        }
    }

    /// Returns the process id; 0 until its Hello.
    pub(super) fn pid(&self) -> i32 {
        self.process.as_ref().map_or(0, |process| process.pid)
    }

    /// Returns the site as logs and reports may name it; `None` for a spare and for daemons.
    pub(super) fn site(&self) -> Option<&str> {
        self.host.as_ref().map(HostKey::recorded_site)
    }

    /// Returns a reason as logs may tell it: one may name an address, which must not be written down of a throw-away workspace.
    pub(super) fn recorded<'a>(&self, reason: &'a str) -> &'a str {
        if self.host.as_ref().is_some_and(HostKey::is_throw_away) { "(throw-away)" } else { reason }
    }

    /// Returns the ids of the role's process and of its helpers.
    pub(super) fn pids(&self) -> Vec<i32> {
        self.helpers.iter().map(|helper| helper.pid).chain([self.pid()]).filter(|pid| *pid > 0).collect()
    }
}
