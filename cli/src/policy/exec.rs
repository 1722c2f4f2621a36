//! `regen policy exec`: a program of the user's in a role's sandbox.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use regen_broker::children::refused_calls::NotifyPolicy;
use regen_broker::launcher::Forked;
use regen_proto::launcher::v1::Exited;
use regen_sandbox::policy::{Guest, Policy};

use super::probe::{BESIDE, DUMPER};
use super::sandboxes::{Order, Sandboxes};
use super::{mode, role_policy};
use crate::arguments::Exec;
use crate::client::Failure;

/// The sandbox failed, not the program.
const FAILED: u8 = 125;
/// There is no such program.
const NOT_FOUND: u8 = 127;

pub(super) async fn run(launchers: Vec<Forked>, order: Exec) -> Result<ExitCode, Failure> {
    match start(launchers, &order).await {
        Ok(code) => Ok(code),
        // Whatever went wrong, it is not what the program says.
        Err(failure @ (Failure::Other(_) | Failure::Timeout(_) | Failure::NotRunning(_))) => {
            eprintln!("regen: {failure}");
            Ok(ExitCode::from(FAILED))
        }
        Err(failure @ (Failure::Usage(_) | Failure::NotFound(_))) => Err(failure),
    }
}

async fn start(launchers: Vec<Forked>, order: &Exec) -> Result<ExitCode, Failure> {
    let mode = mode(order.jitless);
    // The dumper has a place beside the role whose crash it waits for.
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

/// Only a role with a sandbox can have a guest.
pub(super) fn jailed(policy: &Policy) -> Result<(), Failure> {
    if policy.is_jailed() {
        return Ok(());
    }
    Err(Failure::Usage(format!("the {} has no sandbox of its own: it runs in the machine's view", policy.role)))
}

pub(super) fn sandboxes(launchers: Vec<Forked>) -> Result<Sandboxes, Failure> {
    let forked = launchers.into_iter().next().ok_or_else(|| Failure::Other("there is no launcher".to_owned()))?;
    Sandboxes::new(forked, 0)
}

/// The program and the files that come with it, all by absolute paths; nothing where there is no such program. A file that is
/// only an argument is not put there: whether the role can read it is what somebody may want to know.
pub(super) fn guest(command: &[String], bind: &[PathBuf]) -> Result<Option<Guest>, Failure> {
    let Some((name, arguments)) = command.split_first() else { return Ok(None) };
    let Some(program) = find(name) else { return Ok(None) };
    let mut files = Vec::new();
    for path in bind {
        let path = std::path::absolute(path)?;
        if path == Path::new("/") || !path.exists() {
            return Err(Failure::Usage(format!("{} cannot be put into the file view", path.display())));
        }
        files.push(path);
    }
    if program.to_str().is_none() {
        return Err(Failure::Usage(format!("{} is not UTF-8: give it another name", program.display())));
    }
    Ok(Some(Guest { program, arguments: arguments.to_vec(), files, as_dumper: false }))
}

/// As a shell finds it.
fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return std::path::absolute(name).ok().filter(|path| path.is_file());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// As a shell has it.
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
