//! Policy files that are compiled in, and an administrator's stricter ones.

use std::path::Path;

use super::{Mode, Policy, PolicyError, check, looser, read};

/// Roles that have a policy.
pub const ROLES: [&str; 9] =
    ["broker", "launcher", "jail", "tab-host", "net-daemon", "agent-daemon", "ui-shell", "agent-worker", "dumper"];
/// Folder of an administrator's policies.
pub const ADMINISTRATORS: &str = "/etc/regen/sandbox-policies";

/// JSON Schema of policy files.
pub const SCHEMA: &str = include_str!("../../policy.schema.json");

const FILES: [(&str, &str); 12] = [
    ("broker", include_str!("../../broker.toml")),
    ("launcher", include_str!("../../launcher.toml")),
    ("jail", include_str!("../../jail.toml")),
    ("tab-host", include_str!("../../tab-host.toml")),
    ("net-daemon", include_str!("../../net-daemon.toml")),
    ("agent-daemon", include_str!("../../agent-daemon.toml")),
    ("ui-shell", include_str!("../../ui-shell.toml")),
    ("agent-worker", include_str!("../../agent-worker.toml")),
    ("dumper", include_str!("../../dumper.toml")),
    ("_rust", include_str!("../../_rust.toml")),
    ("_small", include_str!("../../_small.toml")),
    ("_engine", include_str!("../../_engine.toml")),
];

pub(super) fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
}

/// Returns the text of an included file. Only files whose name begins with `_` can be included.
pub(super) fn included(name: &str) -> Result<&'static str, Vec<&'static str>> {
    let shared = FILES.iter().map(|(file, _)| *file).filter(|file| file.starts_with('_'));
    text(name).filter(|_| name.starts_with('_')).ok_or_else(|| shared.collect())
}

/// Returns the shipped policy of a role, or the administrator's stricter one.
///
/// # Errors
/// If the role is unknown, a file is invalid, or an administrator's file is looser.
pub(super) fn load(role: &str) -> Result<Policy, PolicyError> {
    let text = text(role).filter(|_| ROLES.contains(&role)).ok_or_else(|| {
        let (role, roles) = (role.to_owned(), ROLES.join(", "));
        PolicyError::UnknownRole { role, roles }
    })?;
    // The shipped policy is not checked again for every child: [`all`] checks it when the browser starts, and so do the
    // tests.
    let shipped = read::policy(&format!("{role}.toml"), text, &included)?;
    let file = Path::new(ADMINISTRATORS).join(format!("{role}.toml"));
    let name = file.display().to_string();
    match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(shipped),
        Err(error) => Err(PolicyError::Io { file: name, error }),
        Ok(text) => {
            let policy = Policy::parse(&name, &text)?;
            let what = looser(&policy, &shipped);
            if what.is_empty() { Ok(policy) } else { Err(PolicyError::Looser { file: name, what }) }
        }
    }
}

/// Returns the policies of all roles as this machine uses them, checked.
///
/// # Errors
/// If a policy cannot be loaded or is invalid.
pub fn all(mode: Mode) -> Result<Vec<Policy>, PolicyError> {
    let checked = |role: &&str| {
        let policy = Policy::in_mode(role, mode)?;
        check::check(&policy).map(|()| policy)
    };
    ROLES.iter().map(checked).collect()
}
