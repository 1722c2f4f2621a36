//! Observability of the broker: the audit log, the log, times of the event loop's steps, and counts of refusals.

pub mod logs;
pub mod step_times;

use std::time::{Duration, Instant};

use regen_proto::validate::Refusal;

use regen_audit_log::{AuditLog, Head};
use step_times::{StepTimes, Summary};

/// Warning about an audit log that somebody else changed. It stays for ever.
const AUDIT_BROKEN: &str =
    "The audit log was changed by somebody else than Regen: `regen audit verify` tells when and how.";

/// A reason for which something was refused, for the counts of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A message that makes no sense.
    Malformed,
    /// A message over a limit.
    Oversized,
    /// A message or event that the sender may not send.
    NotAllowed,
    /// Messages that came too fast, or that a child does not read.
    TooFrequent,
    /// A process of another version or build.
    Version,
    /// A system call.
    SystemCall,
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Malformed(_) => Self::Malformed,
            Refusal::Oversized { .. } => Self::Oversized,
            Refusal::NotAllowed { .. } => Self::NotAllowed,
        }
    }
}

/// Counts of refusals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it")]
pub struct Refusals {
    pub malformed: u64,
    pub oversized: u64,
    pub too_frequent: u64,
    pub not_allowed: u64,
    pub version: u64,
    pub system_calls: u64,
}

/// Figures and warnings about the broker.
#[derive(Debug)]
pub struct Observer {
    audit: AuditLog,
    /// Length of the audit log as the store knows it.
    saved_length: u64,
    refusals: Refusals,
    step_times: StepTimes,
    /// Warnings of the start.
    warnings: Vec<String>,
    started: Instant,
}

impl Observer {
    /// Returns an observer that has seen nothing. `warnings`: what a person should know from the start.
    #[must_use]
    pub fn new(audit: AuditLog, warnings: Vec<String>, now: Instant) -> Self {
        Self {
            audit,
            saved_length: 0,
            refusals: Refusals::default(),
            step_times: StepTimes::default(),
            warnings,
            started: now,
        }
    }

    /// Counts a refusal.
    pub fn count(&mut self, refused: Refused) {
        let count = match refused {
            Refused::Malformed => &mut self.refusals.malformed,
            Refused::Oversized => &mut self.refusals.oversized,
            Refused::NotAllowed => &mut self.refusals.not_allowed,
            Refused::TooFrequent => &mut self.refusals.too_frequent,
            Refused::Version => &mut self.refusals.version,
            Refused::SystemCall => &mut self.refusals.system_calls,
        };
        *count += 1;
    }

    /// Notes how long a step of the event loop took.
    pub fn step(&mut self, kind: &'static str, took: Duration) {
        self.step_times.record(kind, took);
    }

    /// Looks after the audit log, once a second. Returns a warning where a new break was found, and the log's end where the
    /// store does not know it.
    pub fn check_audit(&mut self) -> (Option<&'static str>, Option<Head>) {
        let warning = self.audit.take_new_breaks().then_some(AUDIT_BROKEN);
        self.audit.check_file();
        let head = self.audit.head();
        let is_new = std::mem::replace(&mut self.saved_length, head.length) != head.length;
        (warning, is_new.then_some(head))
    }

    /// Returns the warnings of the start, and that the audit log is broken.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let broken = self.audit.is_broken().then(|| AUDIT_BROKEN.to_owned());
        self.warnings.iter().cloned().chain(broken)
    }

    /// Returns the counts of refusals, for the status.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.refusals
    }

    /// Returns the times of the event loop's steps.
    #[must_use]
    pub fn step_times(&self) -> Summary {
        self.step_times.summary()
    }

    /// Returns for how long the broker has run.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}
