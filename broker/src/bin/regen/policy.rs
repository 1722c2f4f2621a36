//! `regen policy`: what every process may do, and whether the kernel enforces it right now.

use std::process::ExitCode;

use regen_proto::control::v1::{StatusReply, StatusRequest};
use regen_sandbox::policy::{self, Difference, Policy, PolicyError};
use regen_sandbox::seccomp::{self, Verdict};
use regen_sandbox::verify::{self, Report};
use serde_json::json;

use crate::arguments::{Output, PolicyCommand};
use crate::client::{Client, Failure};
use crate::render::print_json;

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::Other(error.to_string())
    }
}

pub(crate) async fn run(
    command: PolicyCommand,
    profile: Option<&std::path::Path>,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::List => list(output)?,
        PolicyCommand::Show { role, oci: true } => print_json(&crate::oci::config(&role_policy(&role)?)),
        PolicyCommand::Show { role, oci: false } => show(&role, output)?,
        PolicyCommand::Diff { first, second } => {
            let differences = policy::differences(&role_policy(&first)?, &role_policy(&second)?);
            return Ok(diff(&first, &second, &differences, output));
        }
        PolicyCommand::Explain { role, call } => explain(&role, &call, output)?,
        PolicyCommand::Verify { pid } => {
            let mut client = Client::connect(profile).await?;
            let status = client.api.status(StatusRequest { memory: false }).await?.into_inner();
            return verified(&status, pid, output);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn role_policy(role: &str) -> Result<Policy, Failure> {
    Policy::of(role).map_err(|error| match error {
        PolicyError::UnknownRole(_) => Failure::NotFound(error.to_string()),
        PolicyError::Syntax { .. } | PolicyError::Rule { .. } | PolicyError::Looser { .. } | PolicyError::Io { .. } => {
            Failure::Other(error.to_string())
        }
    })
}

fn list(output: Output) -> Result<(), Failure> {
    let policies = policy::all()?;
    if output == Output::Json {
        let all: Vec<_> = policies
            .iter()
            .map(|policy| {
                json!({
                    "role": policy.role, "summary": policy.summary, "system_calls": policy.calls().len(),
                    "budget": policy.budget, "mounts": policy.mount.len(), "sha256": policy::digest(policy),
                })
            })
            .collect();
        print_json(&json!(all));
        return Ok(());
    }
    println!("{:<14} {:>12} {:>7}  SHA-256       SUMMARY", "ROLE", "CALLS/BUDGET", "MOUNTS");
    for policy in &policies {
        let digest: String = policy::digest(policy).chars().take(12).collect();
        let calls = format!("{}/{}", policy.calls().len(), policy.budget);
        println!("{:<14} {calls:>12} {:>7}  {digest}  {}", policy.role, policy.mount.len(), policy.summary);
    }
    Ok(())
}

fn show(role: &str, output: Output) -> Result<(), Failure> {
    let policy = role_policy(role)?;
    if output == Output::Json {
        print_json(&serde_json::to_value(&policy).map_err(|error| Failure::Other(error.to_string()))?);
        return Ok(());
    }
    println!("{} · {}\nprogram {} · policy {}\n", policy.role, policy.summary, policy.program, policy::digest(&policy));
    let namespaces: Vec<&str> = policy.namespaces.new.iter().map(|namespace| namespace.file()).collect();
    println!("namespaces of its own: {}\n    {}\n", namespaces.join(" "), policy.namespaces.reason);
    println!("file view");
    for mount in &policy.mount {
        let size = mount.size.as_deref().map(|size| format!(" ({size})")).unwrap_or_default();
        let kind = format!("{:?}", mount.kind).to_lowercase();
        println!("  {kind:<10} {}{size}\n    {} · {}", mount.target(), mount.reason, mount.place);
        if !mount.execute.is_empty() {
            println!("    executes {}", mount.execute.join(" "));
        }
    }
    for tcp in &policy.tcp {
        println!("\ntcp bind {:?} connect {:?}\n    {} · {}", tcp.bind, tcp.connect, tcp.reason, tcp.place);
    }
    println!("\nsystem calls: {} of {} that its budget allows", policy.calls().len(), policy.budget);
    for allow in &policy.allow {
        println!(
            "  {}{}\n    {} · {}",
            allow.calls.join(" "),
            conditions(&allow.when, allow.times),
            allow.reason,
            allow.place
        );
    }
    println!("\nrefused without a word");
    for refuse in &policy.refuse {
        let when = conditions(&refuse.when, None);
        println!("  {}{when} → {}\n    {} · {}", refuse.calls.join(" "), refuse.errno, refuse.reason, refuse.place);
    }
    println!("\nlimits");
    for limit in &policy.limit {
        println!(
            "  {:<8} {}\n    {} · {}",
            format!("{:?}", limit.resource).to_lowercase(),
            limit.value,
            limit.reason,
            limit.place
        );
    }
    println!("\nenvironment");
    for env in &policy.env {
        let value = env.value.as_deref().unwrap_or("(the user's)");
        println!("  {}={value}\n    {} · {}", env.name, env.reason, env.place);
    }
    Ok(())
}

fn conditions(when: &[policy::Condition], times: Option<u32>) -> String {
    let when: Vec<String> = when.iter().map(ToString::to_string).collect();
    let when = if when.is_empty() { String::new() } else { format!(" where {}", when.join(" and ")) };
    times.map_or(when.clone(), |times| format!("{when} at most {times} times"))
}

/// Exit code 1 where there are differences, as `diff` has it.
fn diff(first: &str, second: &str, differences: &[Difference], output: Output) -> ExitCode {
    if output == Output::Json {
        print_json(&json!(differences));
    } else {
        println!("--- {first}\n+++ {second}");
        for difference in differences {
            println!("{} {} {}", if difference.only_first { '-' } else { '+' }, difference.kind, difference.what);
        }
    }
    ExitCode::from(u8::from(!differences.is_empty()))
}

fn explain(role: &str, call: &str, output: Output) -> Result<(), Failure> {
    let policy = role_policy(role)?;
    if !seccomp::is_known(call) {
        let names = seccomp::names();
        let close: Vec<&String> = names.iter().filter(|name| name.contains(call)).take(5).collect();
        return Err(Failure::NotFound(format!("there is no system call “{call}”; some that look like it: {close:?}")));
    }
    let verdict = seccomp::explain(&policy, call);
    if output == Output::Json {
        let (word, rules) = match &verdict {
            Verdict::Allowed(rules) => ("allowed", serde_json::to_value(rules)),
            Verdict::Refused(rules) => ("refused", serde_json::to_value(rules)),
            Verdict::Notified => ("notified", Ok(json!([]))),
        };
        let rules = rules.map_err(|error| Failure::Other(error.to_string()))?;
        print_json(&json!({ "role": role, "call": call, "verdict": word, "rules": rules }));
        return Ok(());
    }
    match verdict {
        Verdict::Allowed(rules) => {
            for rule in rules {
                let when = conditions(&rule.when, rule.times);
                println!("{call} is allowed in {role}{when}\n    {} · {}", rule.reason, rule.place);
            }
        }
        Verdict::Refused(rules) => {
            for rule in rules {
                let when = conditions(&rule.when, None);
                println!(
                    "{call} fails with {} in {role}{when}, without a word\n    {} · {}",
                    rule.errno, rule.reason, rule.place
                );
            }
        }
        Verdict::Notified => println!("{call} is not allowed in {role}: it fails with EPERM, and the broker is told"),
    }
    Ok(())
}

fn verified(status: &StatusReply, only: Option<i32>, output: Output) -> Result<ExitCode, Failure> {
    let broker = status.broker.as_ref().map_or(0, |broker| broker.pid);
    let gone = |pid: i32| {
        move |error: std::io::Error| Failure::NotFound(format!("process {pid} cannot be looked at: {error}"))
    };
    let mut processes: Vec<(String, i32)> = Vec::new();
    for process in status.processes.iter().filter(|process| process.pid > 0) {
        processes.push((process.role.clone(), process.pid));
        processes.extend(process.helpers.iter().map(|helper| (process.role.clone(), helper.pid)));
        if process.role != "broker" {
            processes.push(("jail".to_owned(), verify::jail_of(process.pid).map_err(gone(process.pid))?));
        }
    }
    if let Some(launcher) = verify::launcher_of(broker).map_err(gone(broker))? {
        processes.push(("launcher".to_owned(), launcher));
    }
    if let Some(pid) = only {
        processes.retain(|(_, other)| *other == pid);
        if processes.is_empty() {
            return Err(Failure::NotFound(format!("process {pid} is not one of this browser's; see `regen status`")));
        }
    }
    let mut reports = Vec::new();
    for (role, pid) in processes {
        reports.push(verify::verify(&role_policy(&role)?, pid, broker).map_err(gone(pid))?);
    }
    if output == Output::Json {
        print_json(&json!(
            reports.iter().map(|report| json!({ "holds": report.holds(), "process": report })).collect::<Vec<_>>()
        ));
    } else {
        reports.iter().for_each(print_report);
    }
    let drift = reports.iter().filter(|report| !report.holds()).count();
    if output == Output::Text {
        println!("{} processes, {drift} of them not as their policy has it", reports.len());
    }
    Ok(ExitCode::from(u8::from(drift > 0)))
}

fn print_report(report: &Report) {
    let kinds: Vec<String> = report.descriptors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("{} {} {}", report.role, report.pid, report.program);
    for check in &report.checks {
        let mark = if check.holds { "ok   " } else { "DRIFT" };
        let wanted = if check.holds { String::new() } else { format!("   (wanted: {})", check.wanted) };
        println!("  {mark} {:<36} {}{wanted}", check.name, check.found);
    }
    if let Some(lacks) = &report.lacks {
        println!("  lacks {:<36} {lacks}", "optional");
    }
    println!("        {:<36} {}\n", "open descriptors", kinds.join(", "));
}
