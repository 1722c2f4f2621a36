//! Validation of policies: rejects unclear and unknown rules, with their position and a remedy.

use std::collections::{HashMap, HashSet};

use super::{Condition, MountKind, Namespace, Place, Policy, PolicyError};
use crate::seccomp;

pub(super) fn check(policy: &Policy) -> Result<(), PolicyError> {
    let whole = Place { file: format!("{}.toml", policy.role), line: 1 };
    let wrong = |place: &Place, what: String| Err(PolicyError::Rule { place: place.clone(), what });
    for (key, value) in [("role", &policy.role), ("summary", &policy.summary), ("program", &policy.program)] {
        if value.is_empty() {
            return wrong(&whole, format!("`{key}` is missing or empty; set it"));
        }
    }
    let has_landlock = (1..=policy.landlock_abi).contains(&policy.landlock_minimum);
    if policy.budget == 0 || (policy.is_jailed() && !has_landlock) {
        let what =
            "`budget` is 0, or a jailed role's `landlock_minimum` is not from 1 to `landlock_abi`; set valid values";
        return wrong(&whole, what.into());
    }
    reasoned(&whole, &policy.namespaces.reason, "namespaces")?;
    if policy.is_jailed() {
        for needed in [Namespace::User, Namespace::Pid] {
            if !policy.namespaces.new.contains(&needed) {
                return wrong(&whole, format!("a jailed role needs a {} namespace; add it to `new`", needed.file()));
            }
        }
    }
    match &policy.memory {
        Some(memory) => {
            reasoned(&whole, &memory.reason, "memory")?;
            if memory.oom_score_adj > 1000 {
                return wrong(&whole, "`oom_score_adj` is too high; use 0 to 1000".into());
            }
        }
        None if policy.is_jailed() => {
            return wrong(&whole, "there is no [memory] table; a jailed role needs one".into());
        }
        None => {}
    }
    mounts(policy)?;
    for rule in &policy.tcp {
        reasoned(&rule.place, &rule.reason, "tcp")?;
        if rule.bind.is_none() == rule.connect.is_none() {
            return wrong(&rule.place, "a [[tcp]] rule needs either `bind` or `connect`".into());
        }
    }
    calls(policy)?;
    let mut names = HashSet::new();
    for env in &policy.env {
        reasoned(&env.place, &env.reason, &env.name)?;
        if !names.insert(&env.name) {
            return wrong(&env.place, format!("the variable “{}” is given twice; keep one", env.name));
        }
    }
    let mut limits = HashSet::new();
    for limit in &policy.limit {
        reasoned(&limit.place, &limit.reason, "limit")?;
        if !limits.insert(limit.resource) {
            return wrong(&limit.place, "this limit is given twice; keep one".into());
        }
    }
    Ok(())
}

fn mounts(policy: &Policy) -> Result<(), PolicyError> {
    let mut targets = HashSet::new();
    for mount in &policy.mount {
        let target = mount.target();
        let wrong = |what: String| Err(PolicyError::Rule { place: mount.place.clone(), what });
        reasoned(&mount.place, &mount.reason, target)?;
        if mount.kind != MountKind::Display && !target.starts_with('/') {
            return wrong(format!("mount “{target}”: the path inside must be absolute; set `at`"));
        }
        if target.split('/').chain(mount.execute.iter().flat_map(|file| file.split('/'))).any(|part| part == "..") {
            return wrong(format!("mount “{target}”: `..` is not allowed; remove it"));
        }
        if !targets.insert(target) {
            return wrong(format!("mount “{target}” is given twice; keep one"));
        }
        if (mount.kind == MountKind::Tmpfs) != mount.size.is_some() {
            return wrong(format!("mount “{target}”: a tmpfs needs `size`, and no other kind has it"));
        }
        let may_execute = matches!(mount.kind, MountKind::ReadOnly | MountKind::File);
        if !mount.execute.is_empty() && !may_execute {
            return wrong(format!("mount “{target}”: only a `read-only` or `file` mount may have `execute`"));
        }
    }
    Ok(())
}

fn calls(policy: &Policy) -> Result<(), PolicyError> {
    // A call may have several rules with conditions, but only one without.
    let mut plain: HashMap<&str, &Place> = HashMap::new();
    let mut with_conditions: HashSet<(&str, Vec<String>)> = HashSet::new();
    let allowed = policy.allow.iter().map(|rule| (&rule.place, &rule.reason, &rule.calls, &rule.when, rule.times));
    let refused = policy.refuse.iter().map(|rule| (&rule.place, &rule.reason, &rule.calls, &rule.when, None));
    for (place, reason, calls, when, times) in allowed.chain(refused) {
        let wrong = |what: String| Err(PolicyError::Rule { place: place.clone(), what });
        reasoned(place, reason, calls.first().map_or("a rule without calls", String::as_str))?;
        if calls.is_empty() {
            return wrong("the rule has no system calls; name at least one".into());
        }
        for condition in when {
            if let Err(what) = well_formed(condition) {
                return wrong(what);
            }
        }
        for call in calls {
            if !seccomp::is_known(call) {
                let names = seccomp::names();
                return wrong(format!("there is no system call “{call}”; {}", suggestion(call, &names)));
            }
            let twice = if let Some(times) = times {
                plain.contains_key(call.as_str()) || !with_conditions.insert((call, vec![format!("{times} times")]))
            } else if when.is_empty() {
                plain.insert(call, place).is_some()
            } else {
                plain.contains_key(call.as_str())
                    || !with_conditions.insert((call, when.iter().map(ToString::to_string).collect()))
            };
            if twice {
                return wrong(format!("“{call}” is allowed twice, or also refused; keep one rule for it"));
            }
        }
    }
    for (call, _) in &with_conditions {
        if let Some(place) = plain.get(call) {
            let what = format!("“{call}” is in a rule with conditions and in one without; keep one of them");
            return Err(PolicyError::Rule { place: (*place).clone(), what });
        }
    }
    for rule in &policy.refuse {
        if seccomp::errno(&rule.errno).is_none() {
            let what = format!("“{}” is not an error that a rule can return; use EPERM, EACCES, ENOSYS …", rule.errno);
            return Err(PolicyError::Rule { place: rule.place.clone(), what });
        }
    }
    Ok(())
}

fn well_formed(condition: &Condition) -> Result<(), String> {
    if condition.arg > 5 {
        return Err(format!("a system call has no argument {}; use 0 to 5", condition.arg));
    }
    let given = usize::from(condition.is.is_some())
        + usize::from(!condition.one_of.is_empty())
        + usize::from(condition.has.is_some() || condition.lacks.is_some());
    if given != 1 {
        return Err("a condition needs exactly one of `is`, `one_of` and `has`/`lacks`".into());
    }
    let values = [&condition.is, &condition.has, &condition.lacks].into_iter().flatten().chain(&condition.one_of);
    for value in values {
        seccomp::number(value).map_err(|name| {
            format!("there is no constant “{name}”; {}", suggestion(&name, &seccomp::constant_names()))
        })?;
    }
    Ok(())
}

fn reasoned(place: &Place, reason: &str, rule: &str) -> Result<(), PolicyError> {
    if reason.trim().is_empty() {
        let what = format!("“{rule}” has no reason; say what needs it");
        return Err(PolicyError::Rule { place: place.clone(), what });
    }
    Ok(())
}

/// Returns “did you mean …?” with the most similar name, or nothing if there are no names.
pub(super) fn suggestion(wrong: &str, names: &[String]) -> String {
    let best = names.iter().max_by(|a, b| {
        strsim::jaro_winkler(wrong, a).total_cmp(&strsim::jaro_winkler(wrong, b)).then_with(|| b.cmp(a))
    });
    best.map_or_else(String::new, |best| format!("did you mean “{best}”?"))
}
