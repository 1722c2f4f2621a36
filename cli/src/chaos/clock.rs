//! Jumps of the wall clock by hours in a running browser. libfaketime, preloaded into the broker, reads the offset from
//! a file. Monotonic clocks are not changed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use regen_proto::control::v1::{SessionAction, SessionRequest, StatusReply, StatusRequest};

use super::plan::Step;
use super::testbed::{POLL_INTERVAL, RECOVERY_TIMEOUT, Testbed};
use crate::client::{Client, Failure};
use crate::launch;

/// Path of libfaketime below a library folder.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
const LIBRARY_FOLDERS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib64",
    "/usr/local/lib",
];
/// Size of a jump, forwards or backwards.
const HOURS: u64 = 6;
/// Time that the browser runs on after a jump: longer than the heartbeat interval.
const GOES_ON: Duration = Duration::from_millis(1500);

/// Starts a browser, restores its session, and lets the clock jump away, back and away again. Then kills the browser,
/// so that the next one finds a session saved hours away. No process may die of a jump, and saving must work.
pub(super) async fn jump(testbed: &Testbed, step: &Step) -> Result<(), Failure> {
    let library = library()?;
    let file = testbed.file("clock")?;
    let away = if step.after_ms.is_multiple_of(2) { format!("+{HOURS}h") } else { format!("-{HOURS}h") };
    set(&file, "+0")?;
    let environment = [
        ("LD_PRELOAD", library.as_os_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_os_str()),
        ("FAKETIME_NO_CACHE", OsStr::new("1")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", OsStr::new("1")),
    ];
    launch::start_detached_with(&testbed.browser, &environment).await?;
    let mut client = Client::connect(testbed.browser.profile.as_deref()).await?;
    let session = |action: SessionAction| SessionRequest { action: action.into(), ..SessionRequest::default() };
    client.api.session(session(SessionAction::Restore)).await?;
    let before = all_ready(&mut client).await?;
    for offset in [away.as_str(), "+0", away.as_str()] {
        set(&file, offset)?;
        client.api.session(session(SessionAction::Save)).await?;
        tokio::time::sleep(GOES_ON).await;
    }
    let after = all_ready(&mut client).await?;
    if !before.is_subset(&after) {
        return Err(Failure::Other("a process died when the clock jumped".to_owned()));
    }
    client.api.session(session(SessionAction::Save)).await?;
    testbed.kill(&client.api.status(StatusRequest { memory: false }).await?.into_inner()).await?;

    // Control: the saved time shows that the clock really jumped.
    let status = launch::start_detached(&testbed.browser).await?;
    let mut client = Client::connect(testbed.browser.profile.as_deref()).await?;
    let list = client.api.session(session(SessionAction::List)).await?.into_inner();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let jumped = list.sessions.first().map_or(0, |saved| saved.saved_at.abs_diff(now));
    if jumped.abs_diff(HOURS * 3600) > RECOVERY_TIMEOUT.as_secs() {
        return Err(Failure::Other(format!("the browser's clock did not jump as expected: it differs by {jumped} s")));
    }
    testbed.kill(&status).await
}

/// Waits until every process is ready. Returns their process IDs.
async fn all_ready(client: &mut Client) -> Result<BTreeSet<i32>, Failure> {
    let deadline = std::time::Instant::now() + RECOVERY_TIMEOUT;
    loop {
        let status: StatusReply = client.api.status(StatusRequest { memory: false }).await?.into_inner();
        let is_up = |state: &str| ["ready", "spare"].contains(&state);
        let has_spare = status.processes.iter().any(|process| process.state == "spare");
        if has_spare && status.processes.iter().all(|process| is_up(&process.state)) {
            return Ok(status.processes.iter().map(|process| process.pid).collect());
        }
        if std::time::Instant::now() > deadline {
            return Err(Failure::Timeout("the browser with the faked clock did not become ready".to_owned()));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Replaces the offset file atomically.
fn set(file: &Path, offset: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, format!("{offset}\n"))?;
    fs::rename(new, file)
}

fn library() -> Result<PathBuf, Failure> {
    let found = LIBRARY_FOLDERS.iter().map(|folder| Path::new(folder).join(LIBRARY)).find(|path| path.exists());
    found.ok_or_else(|| Failure::Usage("the fault clock-jump needs libfaketime: install libfaketime".to_owned()))
}
