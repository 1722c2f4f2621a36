//! `regen policy exec`: runs a program of the user in a role's sandbox.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use regen_broker::children::refused_calls::NotifyPolicy;
use regen_broker::launcher::LauncherProcess;
use regen_proto::launcher::v1::Exited;
use regen_sandbox::policy::{Guest, Policy};

use super::findings::BESIDE;
use super::probe::DUMPER;
use super::sandboxes::{Order, Sandboxes};
use super::{mode, role_policy};
use crate::arguments::Exec;
use crate::client::Failure;

/// Exit code when the sandbox fails, not the program.
const FAILED: u8 = 125;
/// Exit code when the program does not exist.
const NOT_FOUND: u8 = 127;

pub(super) async fn run(launchers: Vec<LauncherProcess>, order: Exec) -> Result<ExitCode, Failure> {
    match start(launchers, &order).await {
        Ok(code) => Ok(code),
        // 125 keeps our failure apart from the program's own exit codes.
        Err(failure @ (Failure::Other(_) | Failure::Timeout(_) | Failure::NotRunning(_))) => {
            eprintln!("regen: {failure}");
            Ok(ExitCode::from(FAILED))
        }
        Err(failure @ (Failure::Usage(_) | Failure::NotFound(_))) => Err(failure),
    }
}

async fn start(launchers: Vec<LauncherProcess>, order: &Exec) -> Result<ExitCode, Failure> {
    let mode = mode(order.jitless);
    // The dumper runs in the sandbox of the role whose crash it waits for.
    let as_dumper = order.role == DUMPER;
    let role = if as_dumper { BESIDE.to_owned() } else { order.role.clone() };
    jailed(&role_policy(&role, mode)?)?;
    let Some(guest) = guest(&order.command, &order.bind)? else {
        let name = order.command.first().map_or("", String::as_str);
        eprintln!("regen: there is no program “{name}”");
        return Ok(ExitCode::from(NOT_FOUND));
    };
    let mut sandboxes = sandboxes(launchers)?;
    let (guest, bucket) = (Guest { as_dumper, ..guest }, order.bucket.clone());
    let outcome = sandboxes
        .attached(&Order { role, mode, guest, notify_policy: NotifyPolicy::Paced, bucket }, std::io::stdout())
        .await?;
    Ok(ExitCode::from(code(&outcome.end)))
}

/// Checks that a role has a sandbox of its own, which a guest needs.
pub(super) fn jailed(policy: &Policy) -> Result<(), Failure> {
    if policy.is_jailed() {
        return Ok(());
    }
    Err(Failure::Usage(format!("the {} has no sandbox of its own: choose another role, such as tab-host", policy.role)))
}

pub(super) fn sandboxes(launchers: Vec<LauncherProcess>) -> Result<Sandboxes, Failure> {
    let forked = launchers.into_iter().next().ok_or_else(|| Failure::Other("there is no launcher".to_owned()))?;
    Sandboxes::new(forked, 0)
}

/// Resolves the program and the files to mount to absolute paths. Returns `None` if the program does not exist. Files
/// that are only named as arguments are not mounted, so that a user can test whether the role can read them.
pub(super) fn guest(command: &[String], bind: &[PathBuf]) -> Result<Option<Guest>, Failure> {
    let Some((name, arguments)) = command.split_first() else { return Ok(None) };
    let Some(program) = find(name) else { return Ok(None) };
    let mut files = Vec::new();
    for path in bind {
        let path = std::path::absolute(path)?;
        if path == Path::new("/") || !path.exists() {
            return Err(Failure::Usage(format!("{} cannot be mounted in the sandbox", path.display())));
        }
        files.push(path);
    }
    if program.to_str().is_none() {
        return Err(Failure::Usage(format!("{} is not UTF-8: give it another name", program.display())));
    }
    Ok(Some(Guest { program, arguments: arguments.to_vec(), files, as_dumper: false }))
}

/// Finds a program as a shell does.
fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return std::path::absolute(name).ok().filter(|path| path.is_file());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Returns the exit code as a shell does: 128 plus the signal if a signal ended the program.
pub(super) fn code(end: &Exited) -> u8 {
    let Some(status) = end.status else {
        eprintln!("regen: {}", end.cause);
        return FAILED;
    };
    let (ended_by, exit) = (status & 0x7f, (status >> 8) & 0xff);
    if ended_by != 0 {
        eprintln!("regen: {}", end.cause);
    }
    u8::try_from(if ended_by == 0 { exit } else { 128 + ended_by }).unwrap_or(FAILED)
}
