//! Comparison of two policies, and the check that one allows nothing that the other does not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Mount, MountKind, Policy};

/// Difference between two policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Kind of the rule, such as `namespace`, `mount` or `allow`.
    pub kind: &'static str,
    /// Description of the rule.
    pub what: String,
    /// True if only the first policy has the rule, false if only the second has it.
    pub only_first: bool,
}

type Rules = BTreeMap<(&'static str, String), ()>;

fn rules(policy: &Policy) -> Rules {
    let mut all = BTreeMap::new();
    let mut add = |kind: &'static str, what: String| {
        all.insert((kind, what), ());
    };
    for namespace in &policy.namespaces.new {
        add("namespace", namespace.file().to_owned());
    }
    for mount in &policy.mount {
        add("mount", describe(mount));
    }
    for tcp in &policy.tcp {
        add("tcp", format!("bind {:?} connect {:?}", tcp.bind, tcp.connect));
    }
    for allow in &policy.allow {
        for call in &allow.calls {
            add("allow", with_conditions(call, &allow.when, allow.times));
        }
    }
    for refuse in &policy.refuse {
        for call in &refuse.calls {
            add("refuse", format!("{} with {}", with_conditions(call, &refuse.when, None), refuse.errno));
        }
    }
    for env in &policy.env {
        add("env", format!("{}={}", env.name, env.value.as_deref().unwrap_or("(the user's)")));
    }
    if let Some(memory) = &policy.memory {
        add("memory", format!("oom_score_adj {} resident {}", memory.oom_score_adj, memory.resident));
    }
    for limit in &policy.limit {
        add("limit", format!("{:?} {}", limit.resource, limit.value).to_lowercase());
    }
    all
}

fn describe(mount: &Mount) -> String {
    let execute =
        if mount.execute.is_empty() { String::new() } else { format!(" execute {}", mount.execute.join(" ")) };
    let size = mount.size.as_deref().map(|size| format!(" size {size}")).unwrap_or_default();
    format!("{:?} {}{size}{execute}", mount.kind, mount.target()).to_lowercase()
}

fn with_conditions(call: &str, when: &[super::Condition], times: Option<u32>) -> String {
    let when: Vec<String> = when.iter().map(ToString::to_string).collect();
    let times = times.map(|times| format!(" at most {times} times")).unwrap_or_default();
    if when.is_empty() { format!("{call}{times}") } else { format!("{call} when {}{times}", when.join(" and ")) }
}

/// Returns every difference between two policies.
#[must_use]
pub fn differences(first: &Policy, second: &Policy) -> Vec<Difference> {
    let (ours, theirs) = (rules(first), rules(second));
    let only = |a: &Rules, b: &Rules, only_first: bool| -> Vec<Difference> {
        let missing = a.keys().filter(|rule| !b.contains_key(*rule));
        missing.map(|(kind, what)| Difference { kind, what: what.clone(), only_first }).collect()
    };
    let mut all = only(&ours, &theirs, true);
    all.extend(only(&theirs, &ours, false));
    all.sort_by(|a, b| (a.kind, &a.what).cmp(&(b.kind, &b.what)));
    all
}

/// Describes what `candidate` allows and `reference` does not. Rules are compared by their descriptions, and a
/// different one counts as additional: a stricter policy leaves rules out, or lowers limits.
#[must_use]
pub fn looser(candidate: &Policy, reference: &Policy) -> Vec<String> {
    let mut more = Vec::new();
    for difference in differences(candidate, reference) {
        let Difference { kind, what, only_first } = difference;
        match kind {
            "namespace" | "refuse" if !only_first => more.push(format!("missing {kind} rule “{what}”")),
            "mount" | "tcp" | "allow" | "env" if only_first => more.push(format!("additional {kind} rule “{what}”")),
            _ => {}
        }
    }
    for limit in &reference.limit {
        let own = candidate.limit.iter().find(|own| own.resource == limit.resource);
        if own.is_none_or(|own| own.value > limit.value) {
            more.push(format!("limit {:?} missing or above {}", limit.resource, limit.value).to_lowercase());
        }
    }
    let goes_first = |policy: &Policy| policy.memory.as_ref().map_or(0, |memory| memory.oom_score_adj);
    if goes_first(candidate) < goes_first(reference) {
        more.push("lower oom_score_adj".to_owned());
    }
    let may_have = |policy: &Policy| policy.memory.as_ref().map_or(u64::MAX, |memory| memory.resident);
    if may_have(candidate) > may_have(reference) {
        more.push("more resident memory".to_owned());
    }
    let tmpfs = |policy: &Policy| policy.mount.iter().filter(|mount| mount.kind == MountKind::Tmpfs).count();
    if tmpfs(candidate) > tmpfs(reference) {
        more.push("more tmpfs mounts".to_owned());
    }
    if candidate.program != reference.program || candidate.role != reference.role {
        more.push("different program or role".to_owned());
    }
    if candidate.landlock_abi < reference.landlock_abi || candidate.landlock_minimum < reference.landlock_minimum {
        more.push("older Landlock version".to_owned());
    }
    more
}
