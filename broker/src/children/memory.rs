//! Memory, threads and descriptors of children: measured off the event loop, judged here.
//!
//! Where there is no memory control group, nothing but this ends a child before the whole machine is out of memory. Resident
//! memory counts shared pages once for each process; it is cheap to read, and an upper bound. Only where it is over the limit
//! is the proportional memory added up, which takes the kernel a millisecond for each process.

use std::collections::HashMap;
use std::sync::Arc;

use regen_proto::role::Role;
use regen_sandbox::policy::{Policy, Resource};

use super::process_stats::{ProcessStats, descriptors, resident_kb};
use crate::message::ChildId;

/// One of so many children is measured at each tick. Those over half of their limit are measured at every one.
const TURNS: u64 = 10;
/// Ticks after which a sum of proportional memory is out of date.
const SUM_AGE: u64 = 10;

/// A sum of proportional memory, and what was known when it was made.
#[derive(Debug, Clone, Copy)]
struct Sum {
    resident_kb: u64,
    helpers: usize,
    tick: u64,
    /// `None`: it is still being added up.
    proportional_kb: Option<u64>,
}

impl Sum {
    /// Returns whether the child may use more than the limit by now. It cannot use more than it did and has taken since; where
    /// processes that shared pages with others ended, and after a while, that is not known.
    fn may_exceed(&self, limit_kb: u64, resident_kb: u64, helpers: usize, tick: u64) -> bool {
        let Some(before) = self.proportional_kb else { return true };
        let most = before + resident_kb.saturating_sub(self.resident_kb);
        most > limit_kb || helpers < self.helpers || tick.saturating_sub(self.tick) >= SUM_AGE
    }
}

/// Memory of one child as the broker knows it.
#[derive(Debug, Default)]
pub(super) struct MemoryWatch {
    /// More than half of the limit: measured at every tick.
    is_heavy: bool,
    is_summing: bool,
    sum: Option<Sum>,
    /// The log says already that the child is about to run out of descriptors or threads.
    told_of_leak: bool,
}

/// Limits of a role's children.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    /// Memory of all of a child's processes together, KB.
    pub(super) memory_kb: Option<u64>,
    pub(super) descriptors: Option<u64>,
    pub(super) threads: Option<u64>,
}

/// Measurement of one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    pub(super) child: ChildId,
    pub(super) resident_kb: u64,
    pub(super) helpers: usize,
    /// Threads and open descriptors, where they were counted.
    pub(super) counts: Option<(u64, u64)>,
}

/// Measurement to make of one child. The event loop creates it, another thread carries it out.
#[derive(Debug)]
pub(super) struct Job {
    child: ChildId,
    pid: i32,
    stats: Option<Arc<ProcessStats>>,
    helpers: Vec<i32>,
    counts: bool,
}

impl Job {
    /// Returns the job for a child. `stats`: of its own process; `counts`: threads and descriptors are counted, too.
    pub(super) fn new(
        child: ChildId,
        pid: i32,
        stats: Option<Arc<ProcessStats>>,
        helpers: Vec<i32>,
        counts: bool,
    ) -> Self {
        Self { child, pid, stats, helpers, counts }
    }

    /// Reads the figures. Blocks.
    pub(super) fn measure(self) -> Measurement {
        let own = self.stats.as_ref().map_or(0, |stats| stats.resident_kb());
        let counts = self.stats.as_ref().filter(|_| self.counts).map(|stats| (stats.threads(), descriptors(self.pid)));
        Measurement {
            child: self.child,
            resident_kb: own + self.helpers.iter().copied().map(resident_kb).sum::<u64>(),
            helpers: self.helpers.len(),
            counts,
        }
    }
}

impl MemoryWatch {
    /// Returns whether it is the child's turn to be measured.
    pub(super) fn is_due(&self, child: ChildId, tick: u64) -> bool {
        self.is_heavy || (child + tick).is_multiple_of(TURNS)
    }

    /// Takes a measurement. Returns whether the proportional memory of the child's processes is to be added up, because it may
    /// be over its limit.
    pub(super) fn measured(&mut self, measurement: &Measurement, limits: Limits, tick: u64) -> bool {
        let Measurement { resident_kb: resident, helpers, .. } = *measurement;
        let Some(limit_kb) = limits.memory_kb else { return false };
        self.is_heavy = resident > limit_kb / 2;
        let may_be_over =
            resident > limit_kb && self.sum.is_none_or(|sum| sum.may_exceed(limit_kb, resident, helpers, tick));
        if !may_be_over || std::mem::replace(&mut self.is_summing, true) {
            return false;
        }
        self.sum = Some(Sum { resident_kb: resident, helpers, tick, proportional_kb: None });
        true
    }

    /// Takes a sum of proportional memory. Returns why the child is to be killed, where it is over its limit.
    pub(super) fn summed(&mut self, proportional_kb: u64, limits: Limits) -> Option<String> {
        self.is_summing = false;
        if let Some(sum) = &mut self.sum {
            sum.proportional_kb = Some(proportional_kb);
        }
        let limit = limits.memory_kb.filter(|limit| proportional_kb > *limit)?;
        Some(format!("memory: it used {} MB, and the limit is {} MB", proportional_kb >> 10, limit >> 10))
    }

    /// Returns a warning, once, for a child that is about to run out of descriptors or threads.
    pub(super) fn leak(&mut self, measurement: &Measurement, limits: Limits) -> Option<String> {
        let (threads, descriptors) = measurement.counts?;
        let near = |now: u64, limit: Option<u64>| limit.is_some_and(|limit| now > limit * 3 / 4);
        let leak = if near(descriptors, limits.descriptors) {
            format!("leaks: it has {descriptors} descriptors")
        } else if near(threads, limits.threads) {
            format!("leaks: it has {threads} threads")
        } else {
            return None;
        };
        (!std::mem::replace(&mut self.told_of_leak, true)).then_some(leak)
    }
}

/// Limits of each role: what its policy says, and for sites the user's own memory limit where that is less.
pub(super) fn limits(policies: &[Policy], site_memory: Option<u64>) -> HashMap<Role, Limits> {
    let of = |role: Role| {
        let policy = policies.iter().find(|policy| policy.role == role.name());
        let resource = |resource| {
            let limits = policy.map(|policy| policy.limit.as_slice()).unwrap_or_default();
            limits.iter().find(|limit| limit.resource == resource).map(|limit| limit.value)
        };
        let memory = policy.and_then(|policy| policy.memory.as_ref()).map(|memory| memory.resident);
        let own = site_memory.filter(|_| role == Role::TabHost).unwrap_or(u64::MAX);
        Limits {
            memory_kb: memory.map(|memory| memory.min(own) >> 10),
            descriptors: resource(Resource::Nofile),
            threads: resource(Resource::Nproc),
        }
    };
    Role::ALL.into_iter().map(|role| (role, of(role))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_added_up_when_it_may_have_become_too_much() {
        let sum = Sum { resident_kb: 6000, helpers: 40, tick: 100, proportional_kb: Some(1000) };
        assert!(!sum.may_exceed(4000, 6000, 40, 101), "nothing has changed");
        assert!(!sum.may_exceed(4000, 9000, 40, 101), "1,000 and 3,000 more");
        assert!(sum.may_exceed(4000, 9001, 40, 101), "and one more");
        assert!(sum.may_exceed(4000, 5000, 39, 101), "one ended: the others have its share of common pages");
        assert!(sum.may_exceed(4000, 6000, 40, 110), "a while later");
        let outstanding = Sum { proportional_kb: None, ..sum };
        assert!(outstanding.may_exceed(4000, 6000, 40, 101));
    }

    #[test]
    fn a_child_is_added_up_once_and_killed_only_when_its_own_share_is_too_much() {
        let limits = Limits { memory_kb: Some(1000), descriptors: Some(100), threads: Some(10) };
        let at = |resident_kb, counts| Measurement { child: 1, resident_kb, helpers: 2, counts };
        let mut watch = MemoryWatch::default();
        assert!(!watch.measured(&at(400, None), limits, 1) && !watch.is_due(3, 1));
        assert!(!watch.measured(&at(900, None), limits, 2) && watch.is_due(3, 1), "heavy: measured at every tick");
        assert!(watch.measured(&at(1500, None), limits, 3));
        assert!(!watch.measured(&at(1600, None), limits, 4), "it is being added up");
        assert_eq!(watch.summed(999, limits), None);
        assert!(watch.measured(&at(1602, None), limits, 5));
        assert!(watch.summed(2048, limits).unwrap().contains("2 MB"));
        assert_eq!(watch.leak(&at(1, Some((2, 70))), limits), None);
        assert!(watch.leak(&at(1, Some((2, 76))), limits).unwrap().contains("76 descriptors"));
        assert_eq!(watch.leak(&at(1, Some((9, 76))), limits), None, "it was said");
    }
}
