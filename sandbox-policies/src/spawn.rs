//! Starting a child: new namespaces, id maps, and `regen-jail` with exactly the descriptors it needs.
//!
//! Runs in the launcher, which has one thread. What happens inside the namespaces is `jail/`.

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

/// Where the jail finds its descriptors. The role inherits only the first, and its connection to the dumper.
pub const CHANNEL: RawFd = 3;
/// The launcher's go-ahead: readable once the id maps are written.
pub const GO: RawFd = 4;
/// In the role: where it tells its dumper that it crashes. Its number was the go-ahead's.
pub const DUMPER: RawFd = 4;
/// The same, for the engine's helpers, which inherit nothing.
pub const DUMPER_PATH: &str = "/regen/dumper";
/// How the role ended, written by the jail.
pub const REPORT: RawFd = 5;
/// Where the role's filter sends its listener, for the broker; and the dumper its minidump.
pub const LISTENER: RawFd = 6;

/// The user id inside every sandbox.
pub const INSIDE_ID: u32 = 1000;
/// The first of the outside ids that children get when the broker runs as root (systemd's dynamic range).
const OUTSIDE_BASE: u32 = 61_600;
/// What the jail needs while it builds the sandbox; it keeps none of it.
const SETUP: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_ADMIN);

/// What differs from one child of a role to the next. The jail gets it as its only argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contents {
    /// Which role.
    pub role: String,
    /// Whether machine code may be made.
    pub mode: Mode,
    /// Where Regen's programs are.
    pub programs: PathBuf,
    /// On the outside, the folder that is mounted as the bucket: a tab-host's slot, a guest's own.
    pub bucket: Option<PathBuf>,
    /// Where the broker puts files that the user chose.
    pub chosen: Option<PathBuf>,
    /// The profile's certificate authorities, where it adds some.
    pub ca_bundle: Option<PathBuf>,
    /// The broker is told of every call, and says yes to all of them: to learn what a role needs, never to browse.
    pub watched: bool,
    /// What runs in the place of the role's own program.
    pub guest: Option<Guest>,
}

impl Contents {
    /// The policy that holds for this child.
    ///
    /// # Errors
    /// For an unknown role, or a policy file with a mistake.
    pub fn policy(&self) -> Result<Policy, PolicyError> {
        let policy = Policy::in_mode(&self.role, self.mode)?;
        Ok(match &self.guest {
            Some(guest) => policy.with_guest(guest),
            None => policy,
        })
    }
}

/// One child to start.
#[derive(Debug)]
pub struct Launch {
    /// What is in its sandbox.
    pub contents: Contents,
    /// The child's end of its kernel channel.
    pub channel: OwnedFd,
    /// Where its stderr goes.
    pub log: OwnedFd,
    /// A guest's own standard input and output; `/dev/null` otherwise.
    pub stdio: Option<(OwnedFd, OwnedFd)>,
}

/// A started child.
#[derive(Debug)]
pub struct Jailed {
    /// The jail's process id on the outside.
    pub pid: i32,
    /// Readable when the jail, and so everything in it, has ended.
    pub pidfd: OwnedFd,
    /// The listener of the role's filter arrives here, once.
    pub listener: OwnedFd,
    /// How the role ended, as the jail writes it.
    pub report: OwnedFd,
}

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Namespaces were refused.
    #[error("the kernel refused new namespaces ({0}): run `regen doctor`")]
    Namespaces(io::Error),
    /// The id map was refused.
    #[error("cannot map the user of the sandbox ({0}): run `regen doctor`")]
    IdMap(io::Error),
    /// Its policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Anything else of the system.
    #[error("{step}: {error}")]
    Io { step: &'static str, error: io::Error },
}

/// The user that a role's processes have on the outside: never root.
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
/// When the kernel refuses. What fails later, inside, is in the report of [`Jailed::cause_of_death`].
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
    /// After the pidfd became readable: reaps the jail, and says how the role ended.
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
            None if report.is_empty() => (format!("the jail ended by {jail}"), false),
            None => (report, false),
        };
        End { cause, clean, status }
    }
}

/// How a role ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// For people.
    pub cause: String,
    /// It ended by itself, with exit code 0.
    pub clean: bool,
    /// As `wait` has it, where the role was started at all.
    pub status: Option<i32>,
}

/// In the child: fixed descriptors, rights that survive exec, and the jail program.
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
        // Two passes: a source may sit on another one's place.
        let mut copies = Vec::with_capacity(wanted.len());
        for (from, to) in wanted {
            copies.push((sys::copy_above(from, 32)?, to));
        }
        for (from, to) in copies {
            sys::place(from, to)?;
        }
        // From here on this process ends by exec or by exit: no owner of a closed descriptor is ever dropped.
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
    // Where the report's place was not taken yet, the launcher sees an empty report and the exit code.
    let _ = sys::say(REPORT, &format!("setup failed: {error}"));
    sys::exit_now(70)
}

/// Only what the jail needs to find the user's display, and what the policy passes on; the rest of the role's environment
/// comes from its policy.
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
