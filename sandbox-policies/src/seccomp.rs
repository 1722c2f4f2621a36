//! Seccomp: names and constants of system calls, the filter of a policy, and a policy's decision about one call.
//!
//! The filter allows what the policy allows, and refuses the calls of `refuse` rules without a notification. Any other
//! call waits until the broker, which is notified, has refused it. Processes that have nobody to notify (such as the
//! broker itself) are refused at once.

use std::os::fd::{FromRawFd, OwnedFd};

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};

use crate::policy::{Allow, Condition, Place, Policy, Refuse, RuleAt, Value};

/// Error of libseccomp or of the kernel.
pub type SeccompError = libseccomp::error::SeccompError;

/// Constants that policy conditions may name.
const CONSTANTS: &[(&str, u64)] = &[
    ("AF_UNIX", 1),
    ("AF_INET", 2),
    ("AF_INET6", 10),
    ("AF_NETLINK", 16),
    ("CLONE_NEWTIME", 0x80),
    ("CLONE_VM", 0x100),
    ("CLONE_VFORK", 0x4000),
    ("CLONE_THREAD", 0x10000),
    ("CLONE_NEWNS", 0x20000),
    ("CLONE_NEWCGROUP", 0x0200_0000),
    ("CLONE_NEWUTS", 0x0400_0000),
    ("CLONE_NEWIPC", 0x0800_0000),
    ("CLONE_NEWUSER", 0x1000_0000),
    ("CLONE_NEWPID", 0x2000_0000),
    ("CLONE_NEWNET", 0x4000_0000),
    ("CLONE_UNTRACED", 0x0080_0000),
    ("CLONE_PTRACE", 0x2000),
    ("PROT_EXEC", 4),
    ("MAP_SHARED", 1),
    ("MAP_ANONYMOUS", 0x20),
    ("FIONREAD", 0x541b),
    ("FIONBIO", 0x5421),
    ("FIOCLEX", 0x5451),
    ("TCGETS", 0x5401),
    ("TIOCGWINSZ", 0x5413),
    ("SECCOMP_IOCTL_NOTIF_RECV", 0xc050_2100),
    ("SECCOMP_IOCTL_NOTIF_SEND", 0xc018_2101),
    ("SECCOMP_IOCTL_NOTIF_ID_VALID", 0x4008_2102),
    ("PR_SET_PDEATHSIG", 1),
    ("PR_GET_DUMPABLE", 3),
    ("PR_SET_DUMPABLE", 4),
    ("PR_SET_NAME", 15),
    ("PR_GET_NAME", 16),
    ("PR_CAPBSET_READ", 23),
    ("PR_SET_TIMERSLACK", 29),
    ("PR_SET_NO_NEW_PRIVS", 38),
    ("PR_GET_NO_NEW_PRIVS", 39),
    ("PR_SET_PTRACER", 0x5961_6d61),
    ("PR_SET_VMA", 0x5356_4d41),
    ("PTRACE_PEEKUSER", 3),
    ("PTRACE_CONT", 7),
    ("PTRACE_ATTACH", 16),
    ("PTRACE_DETACH", 17),
    ("PTRACE_GETREGSET", 0x4204),
    ("RLIMIT_NOFILE", 7),
    ("SIGABRT", 6),
    ("SIGCONT", 18),
    ("SIGSTOP", 19),
    ("IPPROTO_IP", 0),
    ("SOL_SOCKET", 1),
    ("IPPROTO_TCP", 6),
];

const ERRNOS: [(&str, i32); 10] = [
    ("EPERM", libc::EPERM),
    ("ENOENT", libc::ENOENT),
    ("EAGAIN", libc::EAGAIN),
    ("ENOMEM", libc::ENOMEM),
    ("EACCES", libc::EACCES),
    ("EINVAL", libc::EINVAL),
    ("EMFILE", libc::EMFILE),
    ("ENOSYS", libc::ENOSYS),
    ("EAFNOSUPPORT", libc::EAFNOSUPPORT),
    ("EOPNOTSUPP", libc::EOPNOTSUPP),
];

/// Exclusive upper bound of system call numbers on every architecture that Regen runs on.
const HIGHEST: i32 = 600;
/// Architectures on which names are checked, so that a policy written on one is valid on the other.
const MACHINES: [ScmpArch; 2] = [ScmpArch::X8664, ScmpArch::Aarch64];

/// Returns the number of an errno name that policies may use.
#[must_use]
pub fn errno(name: &str) -> Option<i32> {
    ERRNOS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// Returns whether a system call of this name exists on any supported architecture.
#[must_use]
pub fn is_known(call: &str) -> bool {
    MACHINES.iter().any(|machine| ScmpSyscall::from_name_by_arch(call, *machine).is_ok())
}

/// Returns the names of this architecture's system calls.
#[must_use]
pub fn names() -> Vec<String> {
    (0..HIGHEST).filter_map(|number| ScmpSyscall::from(number).get_name().ok()).collect()
}

/// Returns the number of a system call on this architecture.
#[must_use]
pub fn number_of(call: &str) -> Option<i32> {
    ScmpSyscall::from_name(call).ok().map(i32::from).filter(|number| *number >= 0)
}

/// Returns the name of a system call on this architecture.
#[must_use]
pub fn name_of(number: i32) -> String {
    ScmpSyscall::from(number).get_name().unwrap_or_else(|_| format!("system call {number}"))
}

/// Returns the number of a constant that policies may name, such as `AF_INET`.
#[must_use]
pub fn constant(name: &str) -> Option<u64> {
    CONSTANTS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

pub(crate) fn constant_names() -> Vec<String> {
    CONSTANTS.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// Returns the number of a value, or the first unknown constant name as the error.
pub(crate) fn number(value: &Value) -> Result<u64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Name(names) => names.split('|').map(str::trim).try_fold(0, |all, name| {
            let known = CONSTANTS.iter().find(|(known, _)| *known == name);
            known.map(|(_, number)| all | number).ok_or_else(|| name.to_owned())
        }),
    }
}

/// Comparison of one system call argument with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Index of the argument, from 0.
    pub argument: u32,
    /// Bits that are compared; all bits if `None`.
    pub mask: Option<u64>,
    /// Number that the masked argument must equal.
    pub number: u64,
}

impl Condition {
    /// Returns the comparisons that this condition stands for. The condition holds if any of them holds.
    #[must_use]
    pub fn alternatives(&self) -> Vec<Comparison> {
        let value = |value: &Value| number(value).unwrap_or(u64::MAX);
        if self.has.is_some() || self.lacks.is_some() {
            let (has, lacks) = (self.has.as_ref().map_or(0, value), self.lacks.as_ref().map_or(0, value));
            return vec![Comparison { argument: self.arg, mask: Some(has | lacks), number: has }];
        }
        let all = self.is.iter().chain(&self.one_of);
        all.map(|one| Comparison { argument: self.arg, mask: None, number: value(one) }).collect()
    }

    /// Returns whether the condition holds for these arguments.
    #[must_use]
    pub fn holds(&self, arguments: &[u64; 6]) -> bool {
        let argument = arguments.get(self.arg as usize).copied().unwrap_or(0);
        self.alternatives().iter().any(|one| argument & one.mask.unwrap_or(u64::MAX) == one.number)
    }
}

impl Comparison {
    fn as_rule(self) -> ScmpArgCompare {
        let operator = self.mask.map_or(ScmpCompareOp::Equal, ScmpCompareOp::MaskedEqual);
        ScmpArgCompare::new(self.argument, operator, self.number)
    }
}

/// Returns every combination of the conditions' alternatives, with one alternative of each condition.
#[must_use]
pub fn combinations(when: &[Condition]) -> Vec<Vec<Comparison>> {
    when.iter().fold(vec![Vec::new()], |rows, condition| {
        let alternatives = condition.alternatives();
        rows.iter().flat_map(|row| alternatives.iter().map(|one| row.iter().copied().chain([*one]).collect())).collect()
    })
}

/// Action of a filter for calls that its policy does not mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// Notifies the broker; the call waits for its answer.
    Notify,
    /// Fails the call with EPERM.
    Refuse,
    /// Fails the call with ENOSYS, unless a child's filter notifies the broker: of the actions of several filters, the
    /// kernel takes the one with the highest precedence, and a notification precedes this one.
    RefuseUnlessNotified,
}

/// Builds the filter of a policy without loading it.
///
/// # Errors
/// If libseccomp cannot build it.
pub fn filter(policy: &Policy, otherwise: Otherwise) -> Result<ScmpFilterContext, SeccompError> {
    let default = match otherwise {
        Otherwise::Notify => ScmpAction::Notify,
        Otherwise::Refuse => ScmpAction::Errno(libc::EPERM),
        // No tracer handles seccomp events, so this action fails the call with ENOSYS.
        Otherwise::RefuseUnlessNotified => ScmpAction::Trace(0),
    };
    let mut filter = ScmpFilterContext::new(default)?;
    filter.set_ctl_nnp(true)?;
    // Calls of another ABI, such as 32-bit ones, have other numbers and would bypass the rules.
    filter.set_act_badarch(ScmpAction::KillProcess)?;
    // Level 2 searches a binary tree of call numbers instead of a list.
    filter.set_ctl_optimize(2)?;
    let below = below(policy);
    add(&mut filter, ScmpAction::Allow, &below, &[])?;
    for allow in policy.allow.iter().filter(|allow| allow.times.is_none()) {
        let calls: Vec<String> = allow.calls.iter().filter(|call| !below.contains(call)).cloned().collect();
        add(&mut filter, ScmpAction::Allow, &calls, &allow.when)?;
    }
    for refuse in &policy.refuse {
        let errno = errno(&refuse.errno).unwrap_or(libc::EPERM);
        add(&mut filter, ScmpAction::Errno(errno), &refuse.calls, &refuse.when)?;
    }
    Ok(filter)
}

/// Builds a filter that notifies the broker of every call except `sendmsg`. It records what a role needs and protects
/// nothing.
///
/// # Errors
/// If libseccomp cannot build it.
pub fn watching() -> Result<ScmpFilterContext, SeccompError> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Notify)?;
    filter.set_ctl_nnp(true)?;
    // `sendmsg` transfers the listener to the broker. Until then nobody could answer its notification.
    add(&mut filter, ScmpAction::Allow, &["sendmsg".to_owned()], &[])?;
    Ok(filter)
}

/// Returns the calls that roles below a process may make, with any arguments: their own filters check the arguments.
#[must_use]
pub fn below(policy: &Policy) -> Vec<String> {
    let roles = policy.superset.iter().filter_map(|role| Policy::of(role).ok());
    let calls: std::collections::BTreeSet<String> =
        roles.flat_map(|role| role.allow.iter().flat_map(|allow| allow.calls.clone()).collect::<Vec<_>>()).collect();
    calls.into_iter().collect()
}

fn add(
    filter: &mut ScmpFilterContext,
    action: ScmpAction,
    calls: &[String],
    when: &[Condition],
) -> Result<(), SeccompError> {
    for call in calls {
        // A name of the other architecture only: there is nothing to add here.
        let Ok(number) = ScmpSyscall::from_name(call) else { continue };
        if i32::from(number) < 0 {
            continue;
        }
        for comparisons in combinations(when) {
            let rules: Vec<ScmpArgCompare> = comparisons.into_iter().map(Comparison::as_rule).collect();
            filter.add_rule_conditional(action, number, &rules)?;
        }
    }
    Ok(())
}

/// Loads a filter into this process; it cannot be removed. Returns the listener if the filter notifies the broker.
///
/// # Errors
/// If the kernel refuses.
#[expect(unsafe_code, reason = "libseccomp returns the listener as a raw descriptor")]
pub fn load(filter: &ScmpFilterContext, otherwise: Otherwise) -> Result<Option<OwnedFd>, SeccompError> {
    filter.load()?;
    if otherwise != Otherwise::Notify {
        return Ok(None);
    }
    let listener = filter.get_notify_fd()?;
    // SAFETY: loading created this descriptor, and libseccomp leaves closing it to its caller.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(listener) }))
}

/// Rules of a policy about one system call.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Allowed by any of these rules.
    Allowed(Vec<&'a RuleAt<Allow>>),
    /// Refused by these rules, without a notification.
    Refused(Vec<&'a RuleAt<Refuse>>),
    /// Mentioned by no rule: refused, and the broker is notified.
    Notified,
}

/// Returns the rules of a policy about a call of this name, whatever its arguments.
#[must_use]
pub fn explain<'a>(policy: &'a Policy, call: &str) -> Verdict<'a> {
    let allowed: Vec<_> = policy.allow.iter().filter(|rule| rule.calls.iter().any(|name| name == call)).collect();
    if !allowed.is_empty() {
        return Verdict::Allowed(allowed);
    }
    let refused: Vec<_> = policy.refuse.iter().filter(|rule| rule.calls.iter().any(|name| name == call)).collect();
    if refused.is_empty() { Verdict::Notified } else { Verdict::Refused(refused) }
}

/// Decision of a policy about one call with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Allowed by this rule.
    Allowed(&'a Place),
    /// Refused by this rule with this error, without a notification.
    Refused { place: &'a Place, errno: i32 },
    /// Covered by no rule: refused, and the broker is notified.
    Notified,
}

/// Returns the decision of a policy about one call with its arguments. Rules with `times` count as allowing it.
#[must_use]
pub fn decide<'a>(policy: &'a Policy, call: &str, arguments: &[u64; 6]) -> Decision<'a> {
    let fits = |calls: &[String], when: &[Condition]| {
        calls.iter().any(|name| name == call) && when.iter().all(|condition| condition.holds(arguments))
    };
    if let Some(rule) = policy.allow.iter().find(|rule| fits(&rule.calls, &rule.when)) {
        return Decision::Allowed(&rule.place);
    }
    match policy.refuse.iter().find(|rule| fits(&rule.calls, &rule.when)) {
        Some(rule) => Decision::Refused { place: &rule.place, errno: errno(&rule.errno).unwrap_or(libc::EPERM) },
        None => Decision::Notified,
    }
}

/// Describes the rule that comes closest to a refused call, for the log.
#[must_use]
pub fn nearest_rule(policy: &Policy, call: &str) -> String {
    match explain(policy, call) {
        Verdict::Allowed(rules) => {
            let places: Vec<String> = rules.iter().map(|rule| rule.place.to_string()).collect();
            format!("allowed only under conditions, at {}", places.join(" and "))
        }
        Verdict::Refused(rules) => rules.first().map(|rule| rule.place.to_string()).unwrap_or_default(),
        Verdict::Notified => format!("{}.toml does not allow it", policy.role),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_every_policy_is_known_on_both_machines_or_on_one_of_them() {
        for role in crate::policy::ROLES {
            let policy = Policy::of(role).unwrap();
            assert!(policy.calls().iter().all(|call| is_known(call)), "{role}");
            filter(&policy, Otherwise::Notify).unwrap();
        }
    }

    #[test]
    fn the_constants_are_those_of_the_c_library() {
        let known = |name: &str| number(&Value::Name(name.into())).unwrap();
        let signed = |value: i32| u64::from(value.cast_unsigned());
        assert_eq!(known("CLONE_NEWUSER"), signed(libc::CLONE_NEWUSER));
        assert_eq!(known("CLONE_NEWNS | CLONE_NEWNET"), signed(libc::CLONE_NEWNS | libc::CLONE_NEWNET));
        assert_eq!(known("PR_SET_NAME"), signed(libc::PR_SET_NAME));
        assert_eq!(known("PR_SET_NO_NEW_PRIVS"), signed(libc::PR_SET_NO_NEW_PRIVS));
        assert_eq!(known("MAP_ANONYMOUS"), signed(libc::MAP_ANONYMOUS));
        assert_eq!(known("PROT_EXEC"), signed(libc::PROT_EXEC));
        assert_eq!(known("FIONREAD"), libc::FIONREAD);
        assert_eq!(known("FIONBIO"), libc::FIONBIO);
        assert_eq!(known("FIOCLEX"), libc::FIOCLEX);
        assert_eq!(known("TCGETS"), libc::TCGETS);
        assert_eq!(known("AF_NETLINK"), signed(libc::AF_NETLINK));
        assert_eq!(number(&Value::Name("AF_UNIX|AF_NOTHING".into())), Err("AF_NOTHING".into()));
    }

    #[test]
    fn conditions_hold_as_they_read() {
        let condition = |text: &str| toml::from_str::<Condition>(text).unwrap();
        let lacks = condition("arg = 0\nlacks = 'CLONE_NEWUSER|CLONE_NEWNS'");
        assert!(lacks.holds(&[0x10000, 0, 0, 0, 0, 0]) && !lacks.holds(&[0x1000_0000, 0, 0, 0, 0, 0]));
        let one_of = condition("arg = 1\none_of = ['FIONREAD', 7]");
        assert!(one_of.holds(&[0, 7, 0, 0, 0, 0]) && !one_of.holds(&[7, 8, 0, 0, 0, 0]));
        let has = condition("arg = 2\nhas = 3");
        assert!(has.holds(&[0, 0, 7, 0, 0, 0]) && !has.holds(&[0, 0, 5, 0, 0, 0]));
    }
}
