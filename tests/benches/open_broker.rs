//! A broker for the benches that starts its children without a sandbox, to measure the sandbox's cost. It must never be
//! shipped; nothing in the product can be told to do this.
//!
//! The program needs root, and empty folders `/bucket`, `/chosen` and `/regen` to mount on: the paths of the sandbox's file
//! view.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use clap::Parser;
use regen_broker::launcher::LaunchMethod;
use regen_broker::startup;
use regen_broker::startup::options::BrowserOptions;
use regen_sandbox::policy::Policy;
use regen_sandbox::spawn::{Jailed, Launch, SpawnError};
use regen_sandbox::sys;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    browser: BrowserOptions,
    #[arg(long)]
    echo_log: bool,
}

fn main() -> anyhow::Result<()> {
    let Arguments { browser, echo_log } = Arguments::parse();
    Ok(startup::start(browser, echo_log, LaunchMethod { prepare: || Ok(()), spawn })?)
}

fn spawn(launch: Launch) -> Result<Jailed, SpawnError> {
    let policy = launch.contents.policy()?;
    let failed = |step: &'static str| move |error: std::io::Error| SpawnError::Io { step, error };
    let (report, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed("pipe")(e.into()))?;
    let (listener, _) = std::os::unix::net::UnixStream::pair().map_err(failed("pair"))?;
    let Some(pid) = sys::fork().map_err(failed("fork"))? else {
        let outcome = waiter(&launch, &policy);
        let said = outcome.map_or_else(|error| format!("setup failed: {error}"), |status| format!("status {status}"));
        let _ = sys::say(write.as_raw_fd(), &said);
        sys::exit_now(0);
    };
    let process = Pid::from_raw(pid).ok_or_else(|| failed("pid")(std::io::Error::other("no child")))?;
    let pidfd = rustix::process::pidfd_open(process, PidfdFlags::empty()).map_err(|e| failed("pidfd")(e.into()))?;
    Ok(Jailed { pid, pidfd, listener: OwnedFd::from(listener), report })
}

/// Starts the role in place of the jail, and waits until it ends. Returns its status.
fn waiter(launch: &Launch, policy: &Policy) -> std::io::Result<i32> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    places(launch)?;
    match sys::fork()? {
        Some(role) => loop {
            let (pid, status) = sys::wait_any()?;
            if pid == role {
                return Ok(status);
            }
        },
        None => {
            let error = role(launch, policy).err().unwrap_or_else(|| std::io::Error::other("exec"));
            let _ = sys::say(2, &format!("open broker: {error}\n"));
            sys::exit_now(127);
        }
    }
}

/// Mounts the paths that a role expects, in a mount namespace of its own.
fn places(launch: &Launch) -> std::io::Result<()> {
    #[expect(unsafe_code, reason = "a mount namespace of this process's own")]
    // SAFETY: this process has one thread.
    unsafe {
        rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS)?;
    }
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    let contents = &launch.contents;
    for (folder, place) in [(&contents.bucket, "/bucket"), (&contents.chosen, "/chosen")] {
        if let Some(folder) = folder {
            mount_bind(folder, place)?;
        }
    }
    mount("none", "/regen", "tmpfs", MountFlags::empty(), None)?;
    std::fs::create_dir("/regen/page-agent")?;
    mount_bind(&contents.programs, "/regen/page-agent")?;
    mount("none", "/tmp", "tmpfs", MountFlags::empty(), None)?;
    Ok(())
}

fn role(launch: &Launch, policy: &Policy) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::setsid()?;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let wanted =
        [(null.as_raw_fd(), 0), (null.as_raw_fd(), 1), (launch.log.as_raw_fd(), 2), (launch.channel.as_raw_fd(), 3)];
    let mut copies = Vec::new();
    for (from, to) in wanted {
        copies.push((sys::copy_above(from, 32)?, to));
    }
    for (from, to) in copies {
        sys::place(from, to)?;
    }
    std::mem::forget(null);
    sys::close_from(4)?;
    let environment = policy.env.iter().filter_map(|env| Some(format!("{}={}", env.name, env.value.as_ref()?)));
    let environment = environment.map(CString::new).collect::<Result<Vec<_>, _>>()?;
    let program = Path::new("/regen/page-agent").join(&policy.program);
    let program = CString::new(program.into_os_string().into_encoded_bytes())?;
    Err(sys::exec(&program, std::slice::from_ref(&program), &environment))
}
