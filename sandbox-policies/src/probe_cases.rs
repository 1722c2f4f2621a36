//! Test cases of `regen policy probe`: every rule of a policy as system calls. They cover the calls that a rule allows,
//! arguments that break its conditions, and every call that no rule mentions. The command makes them in the role's
//! sandbox and compares the results.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::policy::{Condition, Policy};
use crate::seccomp::{self, Comparison, Decision};

/// System call to make, with its expected result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeCase {
    /// Name of the call.
    pub call: String,
    /// Number of the call on this architecture.
    pub number: i32,
    /// Arguments with which the call does nothing even if it is allowed, such as an invalid descriptor or address.
    pub arguments: [u64; 6],
    /// Expected result.
    pub expected: Expected,
    /// Position of the rule that decides; empty if there is none.
    pub place: String,
}

/// Expected result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Allowed by the filter. The kernel may still fail the call.
    Allowed,
    /// Refused with this error, without a notification.
    Refused(i32),
    /// Refused, and the broker is notified.
    Notified,
}

/// Numbers of calls that may be newer than this machine's libseccomp.
const NEWER: std::ops::Range<i32> = 450..480;
/// Argument that is not a valid descriptor, address, process or option.
const NOTHING: u64 = u64::MAX;
/// Process id that cannot exist.
const NOBODY: u64 = 0x7fff_fff0;
/// `CLONE_SIGHAND` without `CLONE_VM`: the kernel refuses such a clone, whatever its other flags.
const IMPOSSIBLE_CLONE: u64 = 0x800;
/// `FUTEX_WAKE`, a valid operation, so that ENOSYS comes only from a filter.
const FUTEX_WAKE: u64 = 1;
/// Maximum number of refused argument rows of one call.
const MAX_REFUSED_ARGUMENTS: usize = 24;

/// Returns all test cases of a policy.
#[must_use]
pub fn cases(policy: &Policy) -> Vec<ProbeCase> {
    let below = seccomp::below(policy);
    let mut all = Vec::new();
    let mut mentioned: BTreeSet<String> = below.iter().cloned().collect();
    for call in &below {
        all.extend(case(policy, call, defaults(call), Some(Expected::Allowed)));
    }
    let allowed = policy.allow.iter().map(|rule| (&rule.calls, &rule.when, rule.times));
    let refused = policy.refuse.iter().map(|rule| (&rule.calls, &rule.when, None));
    for (calls, when, times) in allowed.chain(refused) {
        for call in calls.iter().filter(|call| !below.contains(call)) {
            mentioned.insert(call.clone());
            // The start of the probe itself has used up the allowed times.
            let expected = times.map(|_| Expected::Notified);
            for row in seccomp::combinations(when) {
                all.extend(case(policy, call, satisfying(call, &row), expected));
            }
        }
    }
    for call in mentioned.iter().filter(|call| !below.contains(call)) {
        all.extend(violating(policy, call).into_iter().filter_map(|arguments| case(policy, call, arguments, None)));
    }
    let others = seccomp::names().into_iter().filter(|name| !mentioned.contains(name));
    all.extend(others.filter_map(|call| case(policy, &call, defaults(&call), None)));
    let unnamed = NEWER.filter(|number| seccomp::name_of(*number).contains(' '));
    all.extend(unnamed.map(|number| ProbeCase {
        call: seccomp::name_of(number),
        number,
        arguments: [NOTHING; 6],
        expected: Expected::Notified,
        place: String::new(),
    }));
    // `exit_group` is tested by the end of the probe.
    all.retain(|case| case.call != "exit_group");
    all
}

fn case(policy: &Policy, call: &str, arguments: [u64; 6], expected: Option<Expected>) -> Option<ProbeCase> {
    let number = seccomp::number_of(call)?;
    let (by_policy, place) = match seccomp::decide(policy, call, &arguments) {
        Decision::Allowed(place) => (Expected::Allowed, place.to_string()),
        Decision::Refused { place, errno } => (Expected::Refused(errno), place.to_string()),
        Decision::Notified => (Expected::Notified, String::new()),
    };
    Some(ProbeCase { call: call.to_owned(), number, arguments, expected: expected.unwrap_or(by_policy), place })
}

/// Returns arguments with which a call does nothing.
fn defaults(call: &str) -> [u64; 6] {
    let mut arguments = [NOTHING; 6];
    let [first, second, ..] = &mut arguments;
    match call {
        "kill" | "tkill" => (*first, *second) = (NOBODY, 0),
        "clone" => *first = IMPOSSIBLE_CLONE,
        "futex" => *second = FUTEX_WAKE,
        _ => {}
    }
    arguments
}

fn set(arguments: &mut [u64; 6], which: u32, value: u64) {
    if let Some(argument) = arguments.get_mut(which as usize) {
        *argument = value;
    }
}

/// Returns arguments that satisfy these comparisons, and with which the call otherwise does nothing.
fn satisfying(call: &str, row: &[Comparison]) -> [u64; 6] {
    let mut arguments = defaults(call);
    let free = if call == "clone" { IMPOSSIBLE_CLONE } else { 0 };
    for one in row {
        set(&mut arguments, one.argument, one.mask.map_or(one.number, |mask| (free & !mask) | one.number));
    }
    arguments
}

/// Returns rows of arguments with which no rule allows a call.
fn violating(policy: &Policy, call: &str) -> Vec<[u64; 6]> {
    let allowed = policy.allow.iter().filter(|rule| rule.calls.iter().any(|name| name == call)).map(|rule| &rule.when);
    let refused = policy.refuse.iter().filter(|rule| rule.calls.iter().any(|name| name == call)).map(|rule| &rule.when);
    let conditions: Vec<&Condition> = allowed.chain(refused).flatten().collect();
    let mut rows = vec![defaults(call)];
    for argument in conditions.iter().map(|condition| condition.arg).collect::<BTreeSet<_>>() {
        let about = conditions.iter().filter(|condition| condition.arg == argument);
        let values: BTreeSet<u64> = about.flat_map(|condition| condition.alternatives()).flat_map(breaking).collect();
        let with = |row: &[u64; 6], value: u64| {
            let mut row = *row;
            set(&mut row, argument, if call == "clone" { value | IMPOSSIBLE_CLONE } else { value });
            row
        };
        rows = rows.iter().flat_map(|row| values.iter().map(|value| with(row, *value)).collect::<Vec<_>>()).collect();
    }
    rows.retain(|row| !matches!(seccomp::decide(policy, call, row), Decision::Allowed(_)));
    rows.truncate(MAX_REFUSED_ARGUMENTS);
    rows
}

/// Returns values that break a comparison, and the one that satisfies it while another argument breaks its own.
fn breaking(one: Comparison) -> Vec<u64> {
    let Some(mask) = one.mask else { return vec![one.number, one.number + 1, 0x7fff] };
    let bits = (0..64).map(|bit| 1_u64 << bit).filter(|bit| mask & bit != 0);
    bits.map(|bit| one.number ^ bit).chain([one.number]).collect()
}

/// Encodes cases as one argument for the probe.
#[must_use]
pub fn plan(cases: &[ProbeCase]) -> String {
    let line = |case: &ProbeCase| {
        let arguments: Vec<String> = case.arguments.iter().map(|value| format!("{value:x}")).collect();
        format!("{}:{}", case.number, arguments.join(","))
    };
    cases.iter().map(line).collect::<Vec<_>>().join(";")
}

/// Decodes the calls of a plan, in order; `None` if the plan is malformed.
#[must_use]
pub fn read(plan: &str) -> Option<Vec<(i32, [u64; 6])>> {
    let one = |text: &str| {
        let (number, arguments) = text.split_once(':')?;
        let arguments: Result<Vec<u64>, _> = arguments.split(',').map(|word| u64::from_str_radix(word, 16)).collect();
        Some((i32::from_str(number).ok()?, <[u64; 6]>::try_from(arguments.ok()?).ok()?))
    };
    plan.split(';').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ROLES;

    #[test]
    fn every_rule_is_tried_and_every_condition_is_broken() {
        for role in ROLES {
            let policy = Policy::of(role).unwrap();
            let all = cases(&policy);
            for rule in &policy.allow {
                let here = |call: &&String| seccomp::number_of(call).is_some() && *call != "exit_group";
                for call in rule.calls.iter().filter(here) {
                    assert!(all.iter().any(|case| case.call == *call), "{role}: {call}");
                    let plain = |other: &crate::policy::Allow| other.calls.contains(call) && other.when.is_empty();
                    if !policy.allow.iter().any(|other| plain(other)) && !seccomp::below(&policy).contains(call) {
                        let broken = |case: &&ProbeCase| case.call == *call && case.expected != Expected::Allowed;
                        assert!(all.iter().any(|case| broken(&case)), "{role}: {call} is never refused");
                    }
                }
            }
            assert!(all.len() > 300, "{role}: {}", all.len());
            let made = read(&plan(&all)).unwrap();
            assert_eq!(made.len(), all.len());
            assert_eq!(made.last().unwrap().1, all.last().unwrap().arguments);
        }
    }

    #[test]
    fn a_clone_is_tried_with_each_namespace() {
        let all = cases(&Policy::of("tab-host").unwrap());
        let refused = all.iter().filter(|case| case.call == "clone" && case.expected == Expected::Notified);
        assert!(refused.count() >= 8);
    }
}
