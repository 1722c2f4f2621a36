//! `regen policy explain`: explains whether a policy allows a system call, path, address family or port, and by which
//! rule.

use regen_sandbox::policy::{MountKind, Policy, Ports};
use regen_sandbox::seccomp::{self, Decision, Verdict};
use serde_json::{Value, json};

use super::{conditions, ports};
use crate::arguments::Output;
use crate::client::Failure;
use crate::render::print_json;

/// Answer of one rule, or of the policy's default if no rule matches.
struct Answer {
    is_allowed: bool,
    /// Explanation for the user.
    words: String,
    /// Reason and place of the rule; `None` if no rule matches.
    rule: Option<(String, String)>,
}

/// Prints the answers of all matching rules. Returns whether any of them allows it.
pub(super) fn explain(policy: &Policy, what: &str, output: Output) -> Result<bool, Failure> {
    let (kind, answers) = if what.starts_with('/') {
        ("path", path(policy, what))
    } else if what.starts_with("AF_") {
        ("address family", vec![family(policy, what)?])
    } else if let Some(port) = what.strip_prefix("tcp:") {
        let port = port.parse().map_err(|_| Failure::Usage(format!("“{port}” is not a port: use tcp:443")))?;
        ("port", port_of(policy, port))
    } else {
        ("call", call(policy, what)?)
    };
    let is_allowed = answers.iter().any(|answer| answer.is_allowed);
    if output == Output::Json {
        let rules: Vec<Value> = answers
            .iter()
            .filter_map(|answer| {
                let (reason, place) = answer.rule.as_ref()?;
                Some(json!({ "allows": answer.is_allowed, "says": answer.words, "reason": reason, "place": place }))
            })
            .collect();
        let verdict = match answers.first() {
            _ if is_allowed => "allowed",
            Some(Answer { rule: Some(_), .. }) => "refused",
            Some(_) | None => "notified",
        };
        print_json(&json!({ "role": policy.role, "kind": kind, "call": what, "verdict": verdict, "rules": rules }));
        return Ok(is_allowed);
    }
    for Answer { words, rule, .. } in answers {
        println!("{words}");
        if let Some((reason, place)) = rule {
            println!("    {reason} · {place}");
        }
    }
    Ok(is_allowed)
}

fn call(policy: &Policy, call: &str) -> Result<Vec<Answer>, Failure> {
    if !seccomp::is_known(call) {
        let names = seccomp::names();
        let close: Vec<&str> = names.iter().filter(|name| name.contains(call)).map(String::as_str).take(5).collect();
        let close = if close.is_empty() { String::new() } else { format!("; similar names: {}", close.join(", ")) };
        return Err(Failure::NotFound(format!("there is no system call “{call}”{close}")));
    }
    let role = &policy.role;
    Ok(match seccomp::explain(policy, call) {
        Verdict::Allowed(rules) => rules
            .into_iter()
            .map(|rule| Answer {
                is_allowed: true,
                words: format!("{call} is allowed in {role}{}", conditions(&rule.when, rule.times)),
                rule: Some((rule.reason.clone(), rule.place.to_string())),
            })
            .collect(),
        Verdict::Refused(rules) => rules
            .into_iter()
            .map(|rule| {
                let when = conditions(&rule.when, None);
                Answer {
                    is_allowed: false,
                    words: format!("{call} fails with {} in {role}{when}, without notifying the broker", rule.errno),
                    rule: Some((rule.reason.clone(), rule.place.to_string())),
                }
            })
            .collect(),
        Verdict::Notified => vec![Answer {
            is_allowed: false,
            words: format!("{call} is not allowed in {role}: it fails with EPERM, and the broker is notified"),
            rule: None,
        }],
    })
}

fn family(policy: &Policy, family: &str) -> Result<Answer, Failure> {
    let Some(number) = seccomp::constant(family) else {
        return Err(Failure::NotFound(format!(
            "no policy names the address family “{family}”: use one such as AF_INET or AF_UNIX"
        )));
    };
    let role = &policy.role;
    Ok(match seccomp::decide(policy, "socket", &[number, 0, 0, 0, 0, 0]) {
        Decision::Allowed(place) => Answer {
            is_allowed: true,
            words: format!("{role} may create sockets of the family {family}"),
            rule: Some((reason(policy, place), place.to_string())),
        },
        Decision::Refused { place, errno } => {
            let error = std::io::Error::from_raw_os_error(errno);
            Answer {
                is_allowed: false,
                words: format!("sockets of the family {family} fail in {role}, without notifying the broker ({error})"),
                rule: Some((reason(policy, place), place.to_string())),
            }
        }
        Decision::Notified => Answer {
            is_allowed: false,
            words: format!(
                "sockets of the family {family} are not allowed in {role}: EPERM, and the broker is notified"
            ),
            rule: None,
        },
    })
}

/// Returns the reason of the rule at a place.
fn reason(policy: &Policy, place: &regen_sandbox::policy::Place) -> String {
    let allowed = policy.allow.iter().find(|rule| rule.place == *place).map(|rule| rule.reason.clone());
    let refused = || policy.refuse.iter().find(|rule| rule.place == *place).map(|rule| rule.reason.clone());
    allowed.or_else(refused).unwrap_or_default()
}

fn port_of(policy: &Policy, port: u16) -> Vec<Answer> {
    let is_about = |tcp: &&regen_sandbox::policy::RuleAt<regen_sandbox::policy::Tcp>| {
        tcp.bind == Some(port) || matches!(tcp.connect, Some(Ports::Any)) || tcp.connect == Some(Ports::One(port))
    };
    let rules: Vec<Answer> = policy
        .tcp
        .iter()
        .filter(is_about)
        .map(|tcp| Answer {
            is_allowed: true,
            words: format!("{} {}", policy.role, ports(tcp)),
            rule: Some((tcp.reason.clone(), tcp.place.to_string())),
        })
        .collect();
    if !rules.is_empty() {
        return rules;
    }
    let words = format!("{} may neither connect to TCP port {port} nor listen on it", policy.role);
    vec![Answer { is_allowed: false, words, rule: None }]
}

fn path(policy: &Policy, path: &str) -> Vec<Answer> {
    let asked = std::path::Path::new(path);
    let is_about = |target: &str| asked.starts_with(regen_sandbox::filled(target));
    // The innermost mount decides.
    let rule = policy
        .mount
        .iter()
        .filter(|mount| is_about(mount.target()))
        .max_by_key(|mount| regen_sandbox::filled(mount.target()).len());
    let role = &policy.role;
    let Some(mount) = rule else {
        let words = format!("{path} does not exist in {role}: no rule mounts it");
        return vec![Answer { is_allowed: false, words, rule: None }];
    };
    let target = regen_sandbox::filled(mount.target());
    let how = match mount.kind {
        MountKind::ReadOnly | MountKind::File | MountKind::CaBundle | MountKind::Display => {
            "reads the machine's own files there"
        }
        MountKind::Chosen => "reads files there that the user chose",
        MountKind::Bucket => "reads and writes the site's own storage there",
        MountKind::Tmpfs => "reads and writes files in memory there, until the process ends",
        MountKind::Proc => "sees only its own processes there",
        MountKind::Devices => "finds only harmless devices there",
        MountKind::Symlink => "finds a symbolic link there",
    };
    let executes = if mount.execute.is_empty() { "" } else { ", and executes some files there" };
    vec![Answer {
        is_allowed: true,
        words: format!("{path} is below {target} in {role}, which {how}{executes}"),
        rule: Some((mount.reason.clone(), mount.place.to_string())),
    }]
}
