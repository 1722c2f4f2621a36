//! Crash reports of children that ended unexpectedly.

use std::path::PathBuf;
use std::time::Duration;

use regen_proto::version;
use regen_supervisor::ChildState;

use super::child::Child;
use super::events::Exit;
use crate::message::ChildId;
use regen_crash_reports::Crash;

/// Time within which the broker has read what a child logged before its end.
const LOG_DRAIN_TIME: Duration = Duration::from_millis(100);

/// Returns the report of a child's end. `state`: as the supervisor had it.
pub(super) fn crash_of(
    child: &Child,
    id: ChildId,
    reason: &str,
    refused_call: Option<String>,
    state: Option<ChildState>,
    exit: &Exit,
) -> Crash {
    Crash {
        site: child.site().map(str::to_owned),
        pid: child.pid(),
        reason: reason.to_owned(),
        refused_call,
        state: state.map(|state| state.name.to_owned()).unwrap_or_default(),
        crashes_before: state.map_or(0, |state| state.crashes),
        lived_s: child.started.elapsed().as_secs_f64(),
        resources: child.resources,
        build: version::BUILD.to_owned(),
        ..Crash::now(child.role.name(), id).ended(exit.status)
    }
}

/// Writes a crash report once the child's last log lines have been read: they are still in the pipe when the child is gone.
/// Its minidump waits in a socket.
pub(super) fn write_report(mut crash: Crash, child: Child, profile: PathBuf) {
    tokio::spawn(async move {
        tokio::time::sleep(LOG_DRAIN_TIME).await;
        crash.log = child.log_tail.lines();
        let dumper = child.dumper;
        let written = tokio::task::spawn_blocking(move || {
            let minidump = crash.dumped(dumper.as_ref());
            crash.write(&profile, minidump.as_deref())
        });
        if let Err(error) = written.await.unwrap_or_else(|panic| Err(panic.into())) {
            tracing::error!("the crash report is lost: {error}");
        }
    });
}
