//! System calls that a child's filter does not know: the process waits, the broker refuses, and everybody learns of it.
//!
//! Each child has a task of its own for this. It answers one call at a time, and slower when there are many: a process that
//! does nothing but try is held up itself, and costs the broker next to nothing. A few calls are allowed a number of times,
//! such as the one by which the jail starts the role's program.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use regen_proto::kernel_channel;
use regen_sandbox::policy::Policy;
use regen_sandbox::seccomp::{self, Decision};
use regen_sandbox::sys::{self, Notification};
use tokio::io::Interest;

use crate::children::coverage::Coverage;

/// Answers that are given at once; later ones wait their turn.
const AT_ONCE: u32 = 40;
/// The pace of later answers.
const ANSWER_INTERVAL: Duration = Duration::from_millis(50);
/// A child that refrained for this long is answered at once again.
const FORGIVEN: Duration = Duration::from_secs(10);

/// One refused call, for the log and whoever reads it.
#[derive(Debug, Clone)]
pub struct RefusedCall {
    /// As the broker sees it.
    pub pid: i32,
    /// By name.
    pub call: String,
    /// As the process gave them.
    pub arguments: [u64; 6],
    /// How often this child has tried this call.
    pub times: u64,
    /// What the policy says of it.
    pub rule: String,
}

impl std::fmt::Display for RefusedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arguments: Vec<String> = self.arguments.iter().map(|argument| format!("{argument:#x}")).collect();
        write!(f, "{}({}) by process {}: {}", self.call, arguments.join(", "), self.pid, self.rule)
    }
}

/// How the calls that a filter asks about are answered.
#[derive(Debug, Clone)]
pub enum NotifyPolicy {
    /// Refused, slower when there are many.
    Paced,
    /// Refused, at once: nothing else waits for this broker.
    AtOnce,
    /// Everything is allowed but what the policy refuses quietly, and written down.
    Watched(Arc<Mutex<Coverage>>),
}

/// Answers for one child until it is gone. `arrives` is where its listener comes from; each refused call goes to `tell`.
pub fn answer_for(
    policy: Arc<Policy>,
    arrives: OwnedFd,
    notify_policy: NotifyPolicy,
    tell: impl Fn(RefusedCall) + Send + 'static,
) {
    tokio::spawn(async move {
        if let Err(error) = answer(&policy, arrives, &notify_policy, tell).await {
            tracing::error!("a filter's listener: {error}");
        }
    });
}

async fn answer(
    policy: &Policy,
    arrives: OwnedFd,
    notify_policy: &NotifyPolicy,
    tell: impl Fn(RefusedCall),
) -> std::io::Result<()> {
    rustix::io::ioctl_fionbio(&arrives, true)?;
    let arrives = kernel_channel::register(arrives, Interest::READABLE)?;
    let listener = arrives.async_io(Interest::READABLE, sys::receive_descriptor).await?;
    // A jail that fails before it has a filter says so in its report.
    let Some(listener) = listener else { return Ok(()) };
    let listener = kernel_channel::register(listener, Interest::READABLE)?;
    let mut ledger = Ledger::new(policy);
    loop {
        let mut ready = listener.readable().await?;
        match sys::next_notification(listener.get_ref())? {
            sys::Next::None => ready.clear_ready(),
            sys::Next::Gone => return Ok(()),
            sys::Next::Call(call) => {
                drop(ready);
                if let NotifyPolicy::Watched(coverage) = notify_policy {
                    watch(policy, listener.get_ref(), &call, coverage)?;
                    continue;
                }
                if ledger.is_granted(&call) {
                    sys::let_through(listener.get_ref(), &call)?;
                    continue;
                }
                tell(ledger.enter(policy, &call));
                if matches!(notify_policy, NotifyPolicy::Paced) {
                    tokio::time::sleep(ledger.patience(Instant::now())).await;
                }
                sys::refuse(listener.get_ref(), &call, rustix::io::Errno::PERM.raw_os_error())?;
            }
        }
    }
}

fn watch(policy: &Policy, listener: &OwnedFd, call: &Notification, coverage: &Mutex<Coverage>) -> std::io::Result<()> {
    let name = seccomp::name_of(call.number);
    let decision = seccomp::decide(policy, &name, &call.arguments);
    // A poisoned count is still a count.
    coverage.lock().unwrap_or_else(PoisonError::into_inner).note(&name, &call.arguments, &decision);
    match decision {
        Decision::Refused { errno, .. } => sys::refuse(listener, call, errno),
        Decision::Allowed(_) | Decision::Notified => sys::let_through(listener, call),
    }
}

/// What a child has tried so far.
#[derive(Debug)]
struct Ledger {
    /// System calls that are allowed a number of times, and how often still.
    granted: HashMap<String, u32>,
    tried: HashMap<i32, u64>,
    recently: u32,
    last: Instant,
}

impl Ledger {
    fn new(policy: &Policy) -> Self {
        let granted = policy.allow.iter().filter_map(|allow| Some((allow, allow.times?)));
        let granted = granted.flat_map(|(allow, times)| allow.calls.iter().map(move |call| (call.clone(), times)));
        Self { granted: granted.collect(), tried: HashMap::new(), recently: 0, last: Instant::now() }
    }

    /// Allowed a number of times, and this is one of them.
    fn is_granted(&mut self, call: &Notification) -> bool {
        match self.granted.get_mut(&seccomp::name_of(call.number)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn enter(&mut self, policy: &Policy, call: &Notification) -> RefusedCall {
        let times = self.tried.entry(call.number).or_default();
        *times += 1;
        let name = seccomp::name_of(call.number);
        let rule = seccomp::nearest_rule(policy, &name);
        RefusedCall { pid: call.pid, call: name, arguments: call.arguments, times: *times, rule }
    }

    fn patience(&mut self, now: Instant) -> Duration {
        if now.duration_since(self.last) > FORGIVEN {
            self.recently = 0;
        }
        self.last = now;
        self.recently = self.recently.saturating_add(1);
        if self.recently <= AT_ONCE { Duration::ZERO } else { ANSWER_INTERVAL }
    }
}

/// The first few are told, then each time that their number has doubled: enough to see it, too few to drown in it.
#[must_use]
pub fn is_worth_telling(times: u64) -> bool {
    times <= 3 || (times.is_power_of_two() && times >= 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: i32) -> Notification {
        Notification { id: 1, pid: 2, number, arguments: [0; 6] }
    }

    #[test]
    fn the_program_is_started_once_and_never_again() {
        let policy = Policy::of("net-daemon").unwrap();
        let mut ledger = Ledger::new(&policy);
        let execve = call(seccomp::number_of("execve").unwrap());
        assert!(ledger.is_granted(&execve));
        assert!(!ledger.is_granted(&execve));
        assert!(!ledger.is_granted(&call(seccomp::number_of("ptrace").unwrap())));
    }

    #[test]
    fn who_tries_too_often_waits_and_is_forgiven_later() {
        let mut ledger = Ledger::new(&Policy::of("net-daemon").unwrap());
        let start = Instant::now();
        assert!((0..AT_ONCE).all(|_| ledger.patience(start).is_zero()));
        assert_eq!(ledger.patience(start), ANSWER_INTERVAL);
        assert!(ledger.patience(start + FORGIVEN + ANSWER_INTERVAL).is_zero());
    }

    #[test]
    fn a_flood_of_refusals_is_told_in_a_few_lines() {
        assert!((1..=1_000_000).filter(|times| is_worth_telling(*times)).count() < 25);
    }
}
