//! `regen policy`: shows, compares, verifies and tests the sandbox policies of all roles.

mod exec;
mod explain;
mod findings;
mod learn;
mod live;
mod oci;
mod probe;
mod probe_report;
mod sandboxes;

use std::process::ExitCode;

use regen_broker::launcher::LauncherProcess;
use regen_proto::control::v1::StatusRequest;
use regen_sandbox::policy::{self, Difference, Mode, Policy, PolicyError};
use serde_json::json;

use crate::arguments::{Output, PolicyCommand};
use crate::client::{Client, Failure};
use crate::launch;
use crate::render::print_json;

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::Other(error.to_string())
    }
}

/// Returns the number of launchers that a command needs for its own sandboxes. They are forked while this process has
/// one thread.
pub(crate) fn launchers(command: &PolicyCommand) -> usize {
    match command {
        PolicyCommand::Exec(_) => 1,
        PolicyCommand::Learn(learn) => usize::from(learn.guest),
        // The second one starts a neighbour while the first one's guest exhausts resources.
        PolicyCommand::Probe { .. } => 2,
        PolicyCommand::List
        | PolicyCommand::Show { .. }
        | PolicyCommand::Diff { .. }
        | PolicyCommand::Explain { .. }
        | PolicyCommand::Verify { .. }
        | PolicyCommand::Coverage { .. }
        | PolicyCommand::Schema => 0,
    }
}

pub(crate) async fn run(
    command: PolicyCommand,
    launchers: Vec<LauncherProcess>,
    profile: Option<&std::path::Path>,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::List => list(output)?,
        PolicyCommand::Show { role, jitless, oci: true } => {
            print_json(&oci::config(&role_policy(&role, mode(jitless))?, &launch::programs()?))
        }
        PolicyCommand::Show { role, jitless, oci: false } => show(&role, mode(jitless), output)?,
        PolicyCommand::Diff { first, second } => {
            let differences = policy::differences(&role_policy(&first, Mode::Jit)?, &role_policy(&second, Mode::Jit)?);
            return Ok(diff(&first, &second, &differences, output));
        }
        PolicyCommand::Explain { role, what, check } => {
            let is_allowed = explain::explain(&role_policy(&role, Mode::Jit)?, &what, output)?;
            return Ok(ExitCode::from(u8::from(check && !is_allowed)));
        }
        PolicyCommand::Verify { pid } => {
            let mut client = Client::connect(profile).await?;
            let status = client.api.status(StatusRequest { memory: false }).await?.into_inner();
            return live::verified(&status, pid, output);
        }
        PolicyCommand::Probe { role, junit, markdown } => {
            return probe::run(launchers, role.as_deref(), junit.as_deref(), markdown, output).await;
        }
        PolicyCommand::Exec(order) => return exec::run(launchers, order).await,
        PolicyCommand::Learn(order) => return learn::run(launchers, order, output).await,
        PolicyCommand::Coverage { role, reset } => learn::coverage(role.as_deref(), reset, output)?,
        PolicyCommand::Schema => print!("{}", policy::SCHEMA),
    }
    Ok(ExitCode::SUCCESS)
}

fn mode(jitless: bool) -> Mode {
    if jitless { Mode::Jitless } else { Mode::Jit }
}

fn role_policy(role: &str, mode: Mode) -> Result<Policy, Failure> {
    Policy::in_mode(role, mode).map_err(|error| match error {
        PolicyError::UnknownRole { .. } => Failure::NotFound(error.to_string()),
        PolicyError::Syntax { .. } | PolicyError::Rule { .. } | PolicyError::Looser { .. } | PolicyError::Io { .. } => {
            Failure::Other(error.to_string())
        }
    })
}

fn list(output: Output) -> Result<(), Failure> {
    let policies = policy::all(Mode::Jit)?;
    if output == Output::Json {
        let all: Vec<_> = policies
            .iter()
            .map(|policy| {
                json!({
                    "role": policy.role, "summary": policy.summary, "system_calls": policy.calls().len(),
                    "budget": policy.budget, "mounts": policy.mount.len(), "sha256": policy.sha256,
                })
            })
            .collect();
        print_json(&json!(all));
        return Ok(());
    }
    println!("{:<14} {:>12} {:>7}  SHA-256       SUMMARY", "ROLE", "CALLS/BUDGET", "MOUNTS");
    for policy in &policies {
        let digest: String = policy.sha256.chars().take(12).collect();
        let calls = format!("{}/{}", policy.calls().len(), policy.budget);
        println!("{:<14} {calls:>12} {:>7}  {digest}  {}", policy.role, policy.mount.len(), policy.summary);
    }
    Ok(())
}

fn show(role: &str, mode: Mode, output: Output) -> Result<(), Failure> {
    let policy = role_policy(role, mode)?;
    if output == Output::Json {
        print_json(&serde_json::to_value(&policy).map_err(|error| Failure::Other(error.to_string()))?);
        return Ok(());
    }
    println!("{} · {}\nprogram {} · policy {}\n", policy.role, policy.summary, policy.program, policy.sha256);
    let namespaces: Vec<&str> = policy.namespaces.new.iter().map(|namespace| namespace.file()).collect();
    println!("new namespaces: {}\n    {}\n", namespaces.join(" "), policy.namespaces.reason);
    if let Some(memory) = &policy.memory {
        println!(
            "memory: {} MB, oom_score_adj {}\n    {}\n",
            memory.resident >> 20,
            memory.oom_score_adj,
            memory.reason
        );
    }
    println!("Landlock: ABI version {}, required version {}\n", policy.landlock_abi, policy.landlock_minimum);
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
        println!("\ntcp: {}\n    {} · {}", ports(tcp), tcp.reason, tcp.place);
    }
    println!("\nsystem calls: {} of a budget of {}", policy.calls().len(), policy.budget);
    for allow in &policy.allow {
        println!(
            "  {}{}\n    {} · {}",
            allow.calls.join(" "),
            conditions(&allow.when, allow.times),
            allow.reason,
            allow.place
        );
    }
    println!("\nrefused without notifying the broker");
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

/// Describes the ports of a rule.
fn ports(tcp: &policy::Tcp) -> String {
    let connect = tcp.connect.map(|ports| match ports {
        policy::Ports::Any => "connects to any port".to_owned(),
        policy::Ports::One(port) => format!("connects to port {port}"),
    });
    let bind = tcp.bind.map(|port| format!("listens on port {port}"));
    connect.into_iter().chain(bind).collect::<Vec<_>>().join(", ")
}

fn conditions(when: &[policy::Condition], times: Option<u32>) -> String {
    let when: Vec<String> = when.iter().map(ToString::to_string).collect();
    let when = if when.is_empty() { String::new() } else { format!(" where {}", when.join(" and ")) };
    times.map_or(when.clone(), |times| format!("{when} at most {times} times"))
}

/// Prints the differences. The exit code is 1 if there are any, as with `diff`.
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
