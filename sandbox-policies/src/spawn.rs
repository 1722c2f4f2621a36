//! Start of a child: new namespaces, id maps, and `regen-jail` with exactly the descriptors that it needs.
//!
//! Runs in the launcher, which has one thread. The setup inside the namespaces is in `jail/`.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::pipe::PipeFlags;
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use crate::policy::{Guest, Mode, Policy, PolicyError};
use crate::sys::{self, Cloned};

/// Descriptor of the child's kernel channel. The role inherits only this one, its standard streams and [`DUMPER`].
pub const CHANNEL: RawFd = 3;
/// Descriptor of the pipe on which the jail waits until the launcher has written the id maps.
pub const GO: RawFd = 4;
/// Descriptor in the role for reporting a crash to its dumper. It reuses the number of [`GO`].
pub const DUMPER: RawFd = 4;
/// Path of the dumper's socket, for the engine's helpers, which inherit no descriptor.
pub const DUMPER_PATH: &str = "/regen/dumper";
/// Descriptor of the pipe to which the jail writes how the role ended.
pub const REPORT: RawFd = 5;
/// Descriptor of the socket on which the role sends its filter's listener to the broker, and the dumper its minidump.
pub const LISTENER: RawFd = 6;

/// User id inside every sandbox.
pub const INSIDE_ID: u32 = 1000;
/// First of the user ids that children get outside if the broker runs as root (systemd's range for dynamic users).
const OUTSIDE_BASE: u32 = 61_600;
/// Capabilities that the jail needs to build the sandbox. It drops all of them afterwards.
const SETUP: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_ADMIN);

/// Settings that differ between children of one role. The jail receives them as its only argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contents {
    /// Name of the role.
    pub role: String,
    /// JavaScript mode of the engine.
    pub mode: Mode,
    /// Folder of Regen's programs.
    pub programs: PathBuf,
    /// Folder outside the sandbox that is mounted as the bucket, such as a tab-host's slot.
    pub bucket: Option<PathBuf>,
    /// Folder into which the broker puts files that the user chose.
    pub chosen: Option<PathBuf>,
    /// Certificate authorities of the profile, if it adds any.
    pub ca_bundle: Option<PathBuf>,
    /// Learning mode: the broker is notified of every call and refuses only those of `refuse` rules. It protects
    /// nothing.
    pub watched: bool,
    /// Program that runs instead of the role's own.
    pub guest: Option<Guest>,
}

impl Contents {
    /// Returns the policy that applies to this child.
    ///
    /// # Errors
    /// If the role is unknown or a policy file is invalid.
    pub fn policy(&self) -> Result<Policy, PolicyError> {
        let policy = Policy::in_mode(&self.role, self.mode)?;
        Ok(match &self.guest {
            Some(guest) => policy.with_guest(guest),
            None => policy,
        })
    }
}

/// Request to start one child.
#[derive(Debug)]
pub struct Launch {
    /// Settings of the sandbox.
    pub contents: Contents,
    /// Child's end of its kernel channel.
    pub channel: OwnedFd,
    /// Destination of the child's stderr.
    pub log: OwnedFd,
    /// Standard input and output of a guest; `/dev/null` if `None`.
    pub stdio: Option<(OwnedFd, OwnedFd)>,
}

/// A started child.
#[derive(Debug)]
pub struct Jailed {
    /// Process id of the jail outside the sandbox.
    pub pid: i32,
    /// Pidfd of the jail; readable when the jail, and so everything in the sandbox, has ended.
    pub pidfd: OwnedFd,
    /// Socket on which the listener of the role's filter arrives, and after a crash the minidump.
    pub listener: OwnedFd,
    /// Pipe with the jail's report of how the role ended.
    pub report: OwnedFd,
}

/// Reason why a child could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The kernel refused new namespaces.
    #[error("cannot create namespaces: {0}; run `regen doctor`")]
    Namespaces(io::Error),
    /// The kernel refused an id map.
    #[error("cannot map the user of the sandbox: {0}; run `regen doctor`")]
    IdMap(io::Error),
    /// The role's policy cannot be loaded.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Another system call failed.
    #[error("cannot start a child: {step}: {error}")]
    Io { step: &'static str, error: io::Error },
}

/// Returns the user id of a role's processes outside the sandbox. It is never root's.
#[must_use]
pub fn outside_id(role: &str) -> u32 {
    let own = rustix::process::geteuid().as_raw();
    if own != 0 {
        return own;
    }
    let offset = ["tab-host", "net-daemon", "agent-daemon", "ui-shell", "agent-worker"].iter().position(|r| *r == role);
    OUTSIDE_BASE + offset.and_then(|o| u32::try_from(o).ok()).unwrap_or(99)
}

/// Starts a child in its sandbox.
///
/// # Errors
/// If the policy is invalid or the kernel refuses. Later failures, inside the sandbox, are reported by [`Jailed::end`].
pub fn spawn(launch: Launch) -> Result<Jailed, SpawnError> {
    let policy = launch.contents.policy()?;
    let step = |step: &'static str| move |error: rustix::io::Errno| SpawnError::Io { step, error: error.into() };
    let (go_read, go_write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(step("pipe"))?;
    let (report_read, report_write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(step("pipe"))?;
    let (listener_read, listener_write) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .map_err(step("socket pair"))?;
    match sys::clone(&policy.namespaces.new).map_err(SpawnError::Namespaces)? {
        Cloned::Child => {
            drop(go_write);
            drop(listener_read);
            enter(&launch, &policy, &go_read, &report_write, &listener_write)
        }
        Cloned::Parent { pid, pidfd } => {
            map_ids(pid, outside_id(&policy.role)).map_err(SpawnError::IdMap)?;
            rustix::io::write(&go_write, b"g").map_err(step("go-ahead"))?;
            Ok(Jailed { pid, pidfd, listener: listener_read, report: report_read })
        }
    }
}

impl Jailed {
    /// Reaps the jail and returns how the role ended. To be called when the pidfd is readable.
    #[must_use]
    pub fn end(mut self) -> End {
        let mut report = String::new();
        let file = &mut self.report;
        if let Ok(file) = file.as_fd().try_clone_to_owned() {
            let _ = fs::File::from(file).take(4096).read_to_string(&mut report);
        }
        let jail = match sys::reap(self.pid) {
            Ok(Some(status)) => sys::describe(status).0,
            Ok(None) => "still running".to_owned(),
            Err(error) => error.to_string(),
        };
        let status = report.strip_prefix("status ").and_then(|status| status.trim().parse().ok());
        let (cause, clean) = match status {
            Some(status) => sys::describe(status),
            None if report.is_empty() => (format!("the jail ended without a report: {jail}"), false),
            None => (report, false),
        };
        End { cause, clean, status }
    }
}

/// Outcome of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Cause, in one line for people.
    pub cause: String,
    /// True if the role exited by itself with code 0.
    pub clean: bool,
    /// Wait status of the role; `None` if it was not started.
    pub status: Option<i32>,
}

/// Runs in the child: places the descriptors, keeps capabilities across exec, and executes the jail.
fn enter(launch: &Launch, policy: &Policy, go: &OwnedFd, report: &OwnedFd, listener: &OwnedFd) -> ! {
    let prepare = || -> io::Result<(CString, Vec<CString>)> {
        let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        let (input, output) = match &launch.stdio {
            Some((input, output)) => (input.as_raw_fd(), output.as_raw_fd()),
            None => (null.as_raw_fd(), null.as_raw_fd()),
        };
        let wanted = [
            (input, 0),
            (output, 1),
            (launch.log.as_raw_fd(), 2),
            (launch.channel.as_raw_fd(), CHANNEL),
            (go.as_raw_fd(), GO),
            (report.as_raw_fd(), REPORT),
            (listener.as_raw_fd(), LISTENER),
        ];
        // Two passes, because a source may already have the number of another one's target.
        let mut copies = Vec::with_capacity(wanted.len());
        for (from, to) in wanted {
            copies.push((sys::copy_above(from, 32)?, to));
        }
        for (from, to) in copies {
            sys::place(from, to)?;
        }
        // From here on this process ends by exec or `_exit`, so the owners of closed descriptors are never dropped.
        std::mem::forget(null);
        sys::close_from(LISTENER.cast_unsigned() + 1)?;
        let sets = CapabilitySets { effective: SETUP, permitted: SETUP, inheritable: SETUP };
        rustix::thread::set_capabilities(None, sets)?;
        for capability in SETUP.iter() {
            rustix::thread::configure_capability_in_ambient_set(capability, true)?;
        }
        let jail = CString::new(launch.contents.programs.join("regen-jail").into_os_string().into_encoded_bytes())?;
        let contents = toml::to_string(&launch.contents).map_err(io::Error::other)?;
        let arguments = vec![CString::new("regen-jail")?, CString::new(contents)?];
        Ok((jail, arguments))
    };
    let error = match prepare() {
        Ok((jail, arguments)) => sys::exec(&jail, &arguments, &jail_environment(policy)),
        Err(error) => error,
    };
    // If the report's descriptor was not placed yet, the launcher sees an empty report and the exit code.
    let _ = sys::say(REPORT, &format!("setup failed: {error}"));
    sys::exit_now(70)
}

/// Returns the environment of the jail: the variables that locate the user's display, and those that the policy passes
/// on. The rest of the role's environment comes from its policy.
fn jail_environment(policy: &Policy) -> Vec<CString> {
    let passed = policy.env.iter().filter(|env| env.value.is_none()).map(|env| env.name.as_str());
    ["DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "HOME"]
        .into_iter()
        .chain(passed)
        .filter_map(|name| Some((name, std::env::var(name).ok()?)))
        .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
        .collect()
}

fn map_ids(pid: i32, outside: u32) -> io::Result<()> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let map = format!("{INSIDE_ID} {outside} 1");
    if !rustix::process::geteuid().is_root() {
        fs::write(proc.join("setgroups"), "deny")?;
    }
    let group = if rustix::process::geteuid().is_root() { outside } else { rustix::process::getegid().as_raw() };
    fs::write(proc.join("gid_map"), format!("{INSIDE_ID} {group} 1"))?;
    fs::write(proc.join("uid_map"), map)
}
