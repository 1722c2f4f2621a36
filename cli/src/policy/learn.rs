//! `regen policy learn` and `coverage`: record which system calls a role makes.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use regen_broker::children::refused_calls::NotifyPolicy;
use regen_broker::launcher::LauncherProcess;
use regen_broker::startup::options::BrowserOptions;
use regen_proto::control::v1::QuitRequest;
use regen_sandbox::coverage::{self, Coverage};
use regen_sandbox::policy::{Mode, Policy, ROLES};
use serde_json::json;

use super::sandboxes::Order;
use super::{exec, role_policy};
use crate::arguments::{Learn, Output};
use crate::client::{Client, Failure};
use crate::launch;
use crate::render::print_json;

/// Runs the scenario, adds its calls to the recorded coverage, and proposes rules for calls that the policy does not
/// allow. The exit code is the scenario's.
pub(super) async fn run(launchers: Vec<LauncherProcess>, order: Learn, output: Output) -> Result<ExitCode, Failure> {
    let policy = role_policy(&order.role, Mode::Jit)?;
    exec::jailed(&policy)?;
    let (seen, code) = if order.guest {
        in_the_sandbox(launchers, &policy, &order).await?
    } else {
        beside_a_browser(&policy, &order).await?
    };
    let path = remembered(&policy.role)?;
    let mut all = Coverage::read(&path)?.unwrap_or_else(|| Coverage::of(&policy));
    all.add(&seen);
    all.write(&path)?;
    if output == Output::Json {
        print_json(
            &json!({ "role": policy.role, "exit_code": code, "wanted": seen.wanted, "proposal": seen.proposal() }),
        );
    } else if seen.wanted.is_empty() {
        println!("# The policy of the {} allows all calls that were made.", policy.role);
    } else {
        println!(
            "# The {} made calls that its policy does not allow. Write a reason for each rule that is really needed.\n",
            policy.role
        );
        print!("{}", seen.proposal());
    }
    Ok(ExitCode::from(code))
}

async fn in_the_sandbox(
    launchers: Vec<LauncherProcess>,
    policy: &Policy,
    order: &Learn,
) -> Result<(Coverage, u8), Failure> {
    let guest = exec::guest(&order.command, &[])?;
    let guest = guest.ok_or_else(|| Failure::NotFound("there is no such program".to_owned()))?;
    let seen = Arc::new(Mutex::new(Coverage::of(policy)));
    let mut sandboxes = exec::sandboxes(launchers)?;
    let notify_policy = NotifyPolicy::Watched(Arc::clone(&seen));
    let order = Order { role: policy.role.clone(), mode: Mode::Jit, guest, notify_policy, bucket: None };
    // The scenario prints to stderr: stdout is for the proposal.
    let outcome = sandboxes.attached(&order, std::io::stderr()).await?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((seen, exec::code(&outcome.end)))
}

/// Runs the scenario beside a browser with a temporary profile.
async fn beside_a_browser(policy: &Policy, order: &Learn) -> Result<(Coverage, u8), Failure> {
    let profile = std::env::temp_dir().join(format!("regen-learn-{}", std::process::id()));
    let browser = BrowserOptions {
        profile: Some(profile.clone()),
        headless: policy.role != "ui-shell",
        watch: Some(policy.role.clone()),
        ..BrowserOptions::default()
    };
    launch::start_detached(&browser).await?;
    let status = scenario(&order.command, &profile);
    let mut client = Client::connect(Some(&profile)).await?;
    // A lost reply does not matter: the wait below shows that the browser has exited.
    let _ = client.api.quit(QuitRequest {}).await;
    client.wait_until_gone().await?;
    let seen = Coverage::read(&coverage::in_profile(&profile, &policy.role))?;
    std::fs::remove_dir_all(&profile)?;
    let seen = seen.ok_or_else(|| Failure::Other(format!("no {} was started by the scenario", policy.role)))?;
    let code = u8::try_from(status?.code().unwrap_or(1)).unwrap_or(1);
    Ok((seen, code))
}

#[expect(clippy::disallowed_methods, reason = "the user's own command, outside every sandbox")]
fn scenario(command: &[String], profile: &Path) -> Result<std::process::ExitStatus, Failure> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| Failure::Usage("the scenario is missing".to_owned()))?;
    let mut command = Command::new(program);
    // The scenario prints to stderr: stdout is for the proposal.
    let stdout = Stdio::from(std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned()?);
    command.args(arguments).env("REGEN_PROFILE", profile).stdout(stdout);
    command.status().map_err(|error| Failure::NotFound(format!("cannot run the scenario “{program}”: {error}")))
}

/// Returns the path of a role's recorded coverage.
fn remembered(role: &str) -> Result<PathBuf, Failure> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")));
    let state = state.ok_or_else(|| Failure::Other("neither XDG_STATE_HOME nor HOME is set".to_owned()))?;
    Ok(state.join(format!("regen/coverage/{role}.json")))
}

/// Prints the rules of each role that no recorded run has used.
pub(super) fn coverage(only: Option<&str>, reset: bool, output: Output) -> Result<(), Failure> {
    let mut roles = Vec::new();
    for role in ROLES.iter().filter(|role| only.is_none_or(|only| only == **role)) {
        let policy = role_policy(role, Mode::Jit)?;
        if policy.is_jailed() {
            roles.push(policy);
        }
    }
    if let (Some(role), true) = (only, roles.is_empty()) {
        exec::jailed(&role_policy(role, Mode::Jit)?)?;
    }
    let mut all = Vec::new();
    for policy in roles {
        let path = remembered(&policy.role)?;
        if reset && path.exists() {
            std::fs::remove_file(&path)?;
        }
        let seen = Coverage::read(&path)?.filter(|seen| seen.sha256 == policy.sha256);
        let unused = seen.as_ref().map(|seen| seen.unused(&policy));
        if output == Output::Text {
            match &unused {
                None => println!("{}: no coverage recorded for this policy: run `regen policy learn`", policy.role),
                Some(unused) => {
                    let calls: usize = unused.iter().map(|(_, calls)| calls.len()).sum();
                    println!("{}: {calls} calls in {} rules were never used", policy.role, unused.len());
                    unused.iter().for_each(|(place, calls)| println!("  {place}  {}", calls.join(" ")));
                }
            }
        }
        let unused = unused.map(|unused| {
            unused.into_iter().map(|(place, calls)| json!({ "rule": place, "calls": calls })).collect::<Vec<_>>()
        });
        all.push(json!({ "role": policy.role, "unused": unused }));
    }
    if output == Output::Json {
        print_json(&json!(all));
    }
    Ok(())
}
