//! The launcher: Regen's only process that creates processes. It has one thread, is forked before the broker does
//! anything else, and only starts roles in the sandbox of their policy file.
//!
//! The broker's half is [`Launcher`]; the process is [`run`].

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use prost::Message;
use regen_proto::kernel_channel::{self, ChannelError, Datagram, KernelChannel};
pub use regen_proto::launcher::v1::Spawn;
use regen_proto::launcher::v1::{Exited, FromLauncher, SpawnFailed, Spawned, ToLauncher, from_launcher, to_launcher};
use regen_sandbox::lock_down::{self, LockDownError};
use regen_sandbox::policy::{Guest, Mode};
use regen_sandbox::spawn::{self, Contents, End, Jailed, Launch, SpawnError};
use regen_sandbox::sys;
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;

/// Message of the launcher.
pub type FromLauncherBody = from_launcher::Body;

/// The broker's end of the channel to the launcher.
#[derive(Debug)]
pub struct Launcher {
    channel: KernelChannel,
}

/// A running launcher, before the broker has a runtime.
#[derive(Debug)]
pub struct LauncherProcess(OwnedFd);

/// Way of starting children. There is one; benches use another to measure its cost.
#[derive(Debug, Clone, Copy)]
pub struct LaunchMethod {
    /// Gives up the launcher's unneeded rights, before the first child.
    pub prepare: fn() -> Result<(), LockDownError>,
    /// Starts one child.
    pub spawn: fn(Launch) -> Result<Jailed, SpawnError>,
}

/// Starts each child in the sandbox of its role's policy.
pub const SANDBOXED: LaunchMethod = LaunchMethod { prepare: || lock_down::enter("launcher"), spawn: spawn::spawn };

/// Forks the launcher. Must be called while this process has one thread.
///
/// # Errors
/// Returns an error if a process or a socket cannot be created.
pub fn fork(programs: &Path, how: LaunchMethod) -> io::Result<LauncherProcess> {
    let (ours, theirs) = kernel_channel::pair()?;
    if sys::fork()?.is_none() {
        drop(ours);
        let code = match run(&theirs, programs, how) {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!("launcher: {error}");
                1
            }
        };
        sys::exit_now(code);
    }
    Ok(LauncherProcess(ours))
}

impl LauncherProcess {
    /// Adopts the broker's end. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the descriptor cannot be polled.
    pub fn adopt(self) -> io::Result<Launcher> {
        Ok(Launcher { channel: KernelChannel::adopt(self.0)? })
    }
}

impl Launcher {
    /// Returns the broker's end of a channel that a test holds the other end of.
    #[cfg(test)]
    pub(crate) fn of(channel: KernelChannel) -> Self {
        Self { channel }
    }

    /// Requests a child. The descriptors are those that the schema names.
    ///
    /// # Errors
    /// Returns an error if the launcher is gone, which ends the browser.
    pub fn spawn(&self, spawn: Spawn, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let message = ToLauncher { body: Some(to_launcher::Body::Spawn(spawn)) };
        self.channel.try_send(&message.encode_to_vec(), descriptors)
    }

    /// Returns the next message, with its descriptors.
    ///
    /// # Errors
    /// Returns an error if the launcher is gone.
    pub async fn next(&self) -> Result<(FromLauncherBody, Vec<OwnedFd>), ChannelError> {
        loop {
            let Datagram { bytes, descriptors, .. } = self.channel.receive().await?;
            if let Ok(FromLauncher { body: Some(body) }) = FromLauncher::decode(bytes.as_slice()) {
                return Ok((body, descriptors));
            }
        }
    }
}

/// Runs the launcher process. Returns when the broker is gone; its children then die with it.
fn run(channel: &OwnedFd, programs: &Path, how: LaunchMethod) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // A terminal's Ctrl+C is for the broker, which ends its children in order.
    rustix::process::setsid()?;
    (how.prepare)().map_err(io::Error::other)?;
    let mut children: HashMap<u64, Jailed> = HashMap::new();
    loop {
        let ended = wait(channel, &children)?;
        for id in ended {
            if let Some(jailed) = children.remove(&id) {
                let End { cause, clean, status } = jailed.end();
                tell(channel, from_launcher::Body::Exited(Exited { child: id, cause, clean, status }), &[])?;
            }
        }
        match kernel_channel::receive_now(channel.as_fd()) {
            Ok(datagram) => {
                if let Some((id, jailed)) = handle(channel, programs, how, datagram)? {
                    children.insert(id, jailed);
                }
            }
            Err(ChannelError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(ChannelError::Closed) => return Ok(()),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Blocks until the broker sends a message or a child ends. Returns the children that ended.
fn wait(channel: &OwnedFd, children: &HashMap<u64, Jailed>) -> io::Result<Vec<u64>> {
    let ids: Vec<u64> = children.keys().copied().collect();
    let mut polled: Vec<PollFd<'_>> = std::iter::once(channel)
        .chain(children.values().map(|jailed| &jailed.pidfd))
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    loop {
        match rustix::event::poll(&mut polled, None) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let ended = polled.iter().skip(1).zip(ids).filter(|(fd, _)| !fd.revents().is_empty()).map(|(_, id)| id);
    Ok(ended.collect())
}

fn handle(
    channel: &OwnedFd,
    programs: &Path,
    how: LaunchMethod,
    datagram: Datagram,
) -> io::Result<Option<(u64, Jailed)>> {
    let Ok(ToLauncher { body: Some(to_launcher::Body::Spawn(spawn)) }) = ToLauncher::decode(datagram.bytes.as_slice())
    else {
        return Ok(None);
    };
    let child = spawn.child;
    match start(spawn, programs, how, datagram.descriptors) {
        Ok(jailed) => {
            let spawned = Spawned { child, jail_pid: jailed.pid };
            tell(channel, from_launcher::Body::Spawned(spawned), &[&jailed.pidfd, &jailed.listener])?;
            Ok(Some((child, jailed)))
        }
        Err(reason) => {
            tell(channel, from_launcher::Body::Failed(SpawnFailed { child, reason }), &[])?;
            Ok(None)
        }
    }
}

fn start(spawn: Spawn, programs: &Path, how: LaunchMethod, descriptors: Vec<OwnedFd>) -> Result<Jailed, String> {
    let mut descriptors = descriptors.into_iter();
    let (Some(channel), Some(log)) = (descriptors.next(), descriptors.next()) else {
        return Err("a Spawn message without its descriptors".to_owned());
    };
    let some = |path: String| (!path.is_empty()).then(|| PathBuf::from(path));
    let contents = Contents {
        role: spawn.role,
        mode: if spawn.jitless { Mode::Jitless } else { Mode::Jit },
        programs: programs.to_path_buf(),
        bucket: some(spawn.bucket),
        chosen: some(spawn.chosen),
        ca_bundle: some(spawn.ca_bundle),
        watched: spawn.watched,
        guest: spawn.guest.map(|guest| Guest {
            program: guest.program.into(),
            arguments: guest.arguments,
            files: guest.files.into_iter().map(PathBuf::from).collect(),
            as_dumper: guest.as_dumper,
        }),
    };
    let launch = Launch { contents, channel, log, stdio: descriptors.next().zip(descriptors.next()) };
    (how.spawn)(launch).map_err(|error| error.to_string())
}

fn tell(channel: &OwnedFd, body: from_launcher::Body, descriptors: &[&OwnedFd]) -> io::Result<()> {
    let bytes = FromLauncher { body: Some(body) }.encode_to_vec();
    let descriptors: Vec<_> = descriptors.iter().map(|fd| fd.as_fd()).collect();
    loop {
        match kernel_channel::send_now(channel.as_fd(), &bytes, &descriptors) {
            Ok(()) => return Ok(()),
            Err(ChannelError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut polled = [PollFd::new(channel, PollFlags::OUT)];
                rustix::event::poll(&mut polled, None)?;
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}
