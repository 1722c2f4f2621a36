//! System calls that a child's policy does not mention: the process waits, the broker refuses the call, and logs it.
//!
//! Each child has a task of its own for this. It answers one call at a time, and more slowly when there are many, so
//! that a process in a loop of such calls delays itself and costs the broker little. Some calls are allowed a limited
//! number of times, such as the one with which the jail starts the role's program.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use regen_proto::kernel_channel;
use regen_sandbox::policy::Policy;
use regen_sandbox::seccomp::{self, Decision};
use regen_sandbox::sys::{self, Notification};
use tokio::io::Interest;

use regen_sandbox::coverage::Coverage;

/// Number of answers that are given without delay.
const AT_ONCE: u32 = 40;
/// Interval of later answers.
const ANSWER_INTERVAL: Duration = Duration::from_millis(50);
/// Time without such a call after which a child is answered without delay again.
const FORGIVEN: Duration = Duration::from_secs(10);

/// A refused call.
#[derive(Debug, Clone)]
pub struct RefusedCall {
    /// Process id as the broker sees it.
    pub pid: i32,
    /// Name of the call.
    pub call: String,
    /// Arguments of the call.
    pub arguments: [u64; 6],
    /// Number of times that this child has tried this call.
    pub times: u64,
    /// Nearest rule of the policy.
    pub rule: String,
}

impl std::fmt::Display for RefusedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arguments: Vec<String> = self.arguments.iter().map(|argument| format!("{argument:#x}")).collect();
        write!(f, "{}({}) by process {}: {}", self.call, arguments.join(", "), self.pid, self.rule)
    }
}

/// Handling of the calls that a filter asks about.
#[derive(Debug, Clone)]
pub enum NotifyPolicy {
    /// Refuses calls, more slowly when there are many.
    Paced,
    /// Refuses calls without delay, where nothing else waits for this broker.
    AtOnce,
    /// Allows calls, except those that the policy refuses, and records all of them.
    Watched(Arc<Mutex<Coverage>>),
}

/// Answers the calls of one child until it is gone. The filter's listener is received on `arrives`; each refused call
/// goes to `tell`.
pub fn answer_for(
    policy: Arc<Policy>,
    arrives: OwnedFd,
    notify_policy: NotifyPolicy,
    tell: impl Fn(RefusedCall) + Send + 'static,
) {
    tokio::spawn(async move {
        if let Err(error) = answer(&policy, arrives, &notify_policy, tell).await {
            tracing::error!("cannot answer a filter's system calls: {error}");
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
    // A jail that fails before it has a filter reports the failure itself.
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
    // The counts stay usable if a holder of the lock panicked.
    coverage.lock().unwrap_or_else(PoisonError::into_inner).note(&name, &call.arguments, &decision);
    match decision {
        Decision::Refused { errno, .. } => sys::refuse(listener, call, errno),
        Decision::Allowed(_) | Decision::Notified => sys::let_through(listener, call),
    }
}

/// Calls that a child has tried so far.
#[derive(Debug)]
struct Ledger {
    /// Remaining uses of calls that are allowed a limited number of times.
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

    /// Uses up one allowed use of a call. Returns whether there was one left.
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

/// Returns whether the call with this count is logged: the first three, then each power of two from 16.
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
