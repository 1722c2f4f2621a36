//! Starts a browser, or opens tabs in the one that is already running.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use regen_broker::profile::Profile;
use regen_broker::startup::options::BrowserOptions;
use regen_proto::control::v1::{OpenTabRequest, StatusReply, StatusRequest};

use crate::arguments::Output;
use crate::client::{Client, Failure};
use crate::render;

/// Maximum time until a detached browser answers.
const START: Duration = Duration::from_secs(20);

pub(crate) async fn launch(mut browser: BrowserOptions, detach: bool, output: Output) -> Result<ExitCode, Failure> {
    match Client::connect(browser.profile.as_deref()).await {
        Ok(mut client) => {
            // An exiting browser may still accept connections, but does not answer.
            if let Ok(status) = client.api.status(StatusRequest { memory: false }).await {
                return open_there(client, &browser, &status.into_inner(), output).await;
            }
        }
        Err(Failure::NotRunning(_)) => {}
        Err(other) => return Err(other),
    }
    if !browser.headless && !has_display() {
        eprintln!("regen: no display (neither WAYLAND_DISPLAY nor DISPLAY is set): starting headless");
        browser.headless = true;
    }
    if detach {
        render::started(&start_detached(&browser).await?, output);
        return Ok(ExitCode::SUCCESS);
    }
    Err(become_broker(&browser))
}

fn has_display() -> bool {
    ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

async fn open_there(
    mut client: Client,
    browser: &BrowserOptions,
    status: &StatusReply,
    output: Output,
) -> Result<ExitCode, Failure> {
    for url in &browser.urls {
        let request = OpenTabRequest { url: url.clone(), raise: true, ..OpenTabRequest::default() };
        let tab = client.api.open_tab(request).await?.into_inner().tab.unwrap_or_default();
        render::tab(&tab, output);
    }
    if browser.urls.is_empty() {
        let pid = status.broker.as_ref().map_or(0, |broker| broker.pid);
        eprintln!("regen: a browser already runs on this profile (process {pid})");
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the folder of Regen's programs: the one that contains this executable.
pub(crate) fn programs() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_path_buf())
}

fn broker_program() -> Result<PathBuf, Failure> {
    let program = programs()?.join("regen-broker");
    if program.exists() {
        Ok(program)
    } else {
        Err(Failure::Other(format!("{} is missing: install all of Regen's programs in one folder", program.display())))
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line starts the broker, outside every sandbox")]
fn broker_command(browser: &BrowserOptions, extra: &[OsString]) -> Result<Command, Failure> {
    let mut command = Command::new(broker_program()?);
    command.args(extra).args(browser.to_arguments());
    Ok(command)
}

/// Replaces this process with the broker, so that Ctrl+C, exit code and log work as the user expects.
fn become_broker(browser: &BrowserOptions) -> Failure {
    match broker_command(browser, &["--echo-log".into()]) {
        Ok(mut command) => Failure::Other(format!("cannot start the broker: {}", command.exec())),
        Err(failure) => failure,
    }
}

/// Starts a browser that keeps running after this command exits.
pub(crate) async fn start_detached(browser: &BrowserOptions) -> Result<StatusReply, Failure> {
    start_detached_with(browser, &[]).await
}

/// Starts a detached browser with additional environment variables.
pub(crate) async fn start_detached_with(
    browser: &BrowserOptions,
    environment: &[(&str, &OsStr)],
) -> Result<StatusReply, Failure> {
    let complaints = tempfile()?;
    let mut command = broker_command(browser, &[])?;
    command.envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints.try_clone()?).process_group(0);
    let mut child = command.spawn()?;
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if let Ok(mut client) = Client::connect(browser.profile.as_deref()).await
            && let Ok(status) = client.api.status(StatusRequest { memory: false }).await
        {
            // The thread reaps the broker, so that a campaign that starts many leaves no zombies.
            std::thread::Builder::new().spawn(move || child.wait())?;
            return Ok(status.into_inner());
        }
        if let Some(status) = child.try_wait()? {
            let said = read_back(complaints)?;
            return Err(Failure::Other(if said.is_empty() { format!("the broker ended: {status}") } else { said }));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let log = Profile::find(browser.profile.as_deref())?.log();
    Err(Failure::Timeout(format!("the broker did not answer within 20 s: see its log, {}", log.display())))
}

/// Returns an unnamed temporary file for the broker's stderr, used until its log is open.
fn tempfile() -> Result<std::fs::File, Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::TMPFILE.bits().cast_signed();
    Ok(OpenOptions::new().read(true).write(true).custom_flags(flags).mode(0o600).open(std::env::temp_dir())?)
}

fn read_back(mut file: std::fs::File) -> Result<String, Failure> {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text.trim().trim_start_matches("Error: ").to_owned())
}
