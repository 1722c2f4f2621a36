//! Sandboxes without a browser: this command's own launcher starts guests, and their refused calls are answered here.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regen_broker::children::refused_calls::{self, NotifyPolicy, RefusedCall};
use regen_broker::launcher::{FromLauncherBody, Launcher, LauncherProcess};
use regen_proto::kernel_channel;
use regen_proto::launcher::v1::{Exited, Guest as GuestWish, Spawn};
use regen_sandbox::policy::{Guest, Mode, Policy};
use regen_sandbox::spawn::outside_id;
use rustix::pipe::PipeFlags;
use rustix::process::Signal;
use tokio::io::AsyncReadExt;

use crate::client::Failure;

/// Maximum number of bytes kept of a captured guest's output.
const MAX_OUTPUT: usize = 1 << 20;
/// Line that a guest prints once it has exhausted resources. It then waits until its channel closes.
const HOLDING: &str = "HOLDING\n";

/// Launcher that starts guests, one after the other.
#[derive(Debug)]
pub(super) struct Sandboxes {
    launcher: Launcher,
    next: u64,
    folder: PathBuf,
}

/// Guest to run.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) role: String,
    pub(super) mode: Mode,
    pub(super) guest: Guest,
    pub(super) notify_policy: NotifyPolicy,
    /// Folder of the guest's storage; `None` for a temporary one.
    pub(super) bucket: Option<PathBuf>,
}

/// Result of one guest.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) end: Exited,
    /// Calls that its policy did not allow, in order.
    pub(super) refused: Vec<RefusedCall>,
    /// Output, if it was captured.
    pub(super) said: String,
    /// Set if the process was killed because it did not end in time.
    pub(super) late: bool,
}

impl Sandboxes {
    /// Adopts a launcher.
    pub(super) fn new(forked: LauncherProcess, number: usize) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("regen-policy-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join("chosen"))?;
        make_bucket(&folder.join("bucket"))?;
        Ok(Self { launcher: forked.adopt()?, next: 0, folder })
    }

    /// Returns the default storage folder of guests.
    pub(super) fn bucket(&self) -> PathBuf {
        self.folder.join("bucket")
    }

    /// Runs a guest on this command's terminal, with `output` as its standard output. Prints refused calls as they
    /// happen.
    pub(super) async fn attached(&mut self, order: &Order, output: impl AsFd) -> Result<Outcome, Failure> {
        let (input, output) = (io::stdin().as_fd().try_clone_to_owned()?, output.as_fd().try_clone_to_owned()?);
        let log = io::stderr().as_fd().try_clone_to_owned()?;
        let _channel = self.start(order, &log, Some((&input, &output)))?;
        let (end, refused) = self.until_the_end(order, true, std::future::pending()).await?;
        Ok(Outcome { end, refused, said: String::new(), late: false })
    }

    /// Runs a guest and captures its output. Awaits `meanwhile` once, while the guest holds the resources it has
    /// exhausted.
    pub(super) async fn captured<F: Future<Output = ()>>(
        &mut self,
        order: &Order,
        patience: Duration,
        meanwhile: F,
    ) -> Result<Outcome, Failure> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let channel = self.start(order, &write, None)?;
        drop(write);
        rustix::io::ioctl_fionbio(&read, true).map_err(io::Error::from)?;
        let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(read)?;
        let listening = listen(pipe, channel, meanwhile);
        let late = tokio::time::sleep(patience);
        tokio::pin!(late);
        let mut ran_out = false;
        let until = async {
            late.await;
            ran_out = true;
        };
        let (ended, said) = tokio::join!(self.until_the_end(order, false, until), listening);
        let (end, refused) = ended?;
        Ok(Outcome { end, refused, said: said?, late: ran_out })
    }

    fn start(&mut self, order: &Order, log: &OwnedFd, stdio: Option<(&OwnedFd, &OwnedFd)>) -> Result<OwnedFd, Failure> {
        self.next += 1;
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let bucket = match &order.bucket {
            Some(bucket) => {
                make_bucket(bucket)?;
                fs::canonicalize(bucket)?
            }
            None => self.bucket(),
        };
        let spawn = Spawn {
            child: self.next,
            role: order.role.clone(),
            bucket: path(&bucket),
            chosen: path(&self.folder.join("chosen")),
            ca_bundle: String::new(),
            jitless: order.mode == Mode::Jitless,
            watched: matches!(order.notify_policy, NotifyPolicy::Watched(_)),
            guest: Some(GuestWish {
                program: path(&order.guest.program),
                arguments: order.guest.arguments.clone(),
                files: order.guest.files.iter().map(|file| path(file)).collect(),
                as_dumper: order.guest.as_dumper,
            }),
        };
        let (ours, theirs) = kernel_channel::pair()?;
        let mut descriptors = vec![theirs.as_fd(), log.as_fd()];
        if let Some((input, output)) = stdio {
            descriptors.extend([input.as_fd(), output.as_fd()]);
        }
        let gone = |error: kernel_channel::ChannelError| Failure::Other(format!("the launcher has exited: {error}"));
        self.launcher.spawn(spawn, &descriptors).map_err(gone)?;
        Ok(ours)
    }

    /// Answers refused calls until the guest has ended. Kills the guest when `late` completes first.
    async fn until_the_end(
        &mut self,
        order: &Order,
        aloud: bool,
        late: impl Future<Output = ()>,
    ) -> Result<(Exited, Vec<RefusedCall>), Failure> {
        let policy = Arc::new(Policy::in_mode(&order.role, order.mode)?.with_guest(&order.guest));
        let refused = Arc::new(Mutex::new(Vec::new()));
        let mut jail = None;
        tokio::pin!(late);
        let mut is_late = false;
        loop {
            let news = tokio::select! {
                news = self.launcher.next() => news,
                () = &mut late, if !is_late => {
                    is_late = true;
                    if let Some(jail) = &jail {
                        rustix::process::pidfd_send_signal(jail, Signal::KILL).map_err(io::Error::from)?;
                    }
                    continue;
                }
            };
            match news {
                Ok((FromLauncherBody::Spawned(_), descriptors)) => {
                    let mut descriptors = descriptors.into_iter();
                    jail = descriptors.next();
                    if let Some(listener) = descriptors.next() {
                        let (book, notify_policy) = (Arc::clone(&refused), order.notify_policy.clone());
                        refused_calls::answer_for(Arc::clone(&policy), listener, notify_policy, move |call| {
                            if aloud && refused_calls::is_worth_telling(call.times) {
                                eprintln!("regen: refused {call}");
                            }
                            book.lock().unwrap_or_else(PoisonError::into_inner).push(call);
                        });
                    }
                }
                Ok((FromLauncherBody::Failed(failed), _)) => return Err(Failure::Other(failed.reason)),
                Ok((FromLauncherBody::Exited(end), _)) => {
                    let refused = std::mem::take(&mut *refused.lock().unwrap_or_else(PoisonError::into_inner));
                    return Ok((end, refused));
                }
                Err(error) => return Err(Failure::Other(format!("the launcher has exited: {error}"))),
            }
        }
    }
}

impl Drop for Sandboxes {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("regen: cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// Creates storage that a guest can write to under its user ID outside the namespace.
fn make_bucket(bucket: &Path) -> io::Result<()> {
    fs::create_dir_all(bucket)?;
    if rustix::process::geteuid().is_root() {
        let owner = outside_id("tab-host");
        std::os::unix::fs::chown(bucket, Some(owner), Some(owner))?;
    }
    Ok(())
}

/// Reads until every process in the sandbox has closed the pipe. Keeps the channel open until the guest has exhausted
/// resources and `meanwhile` is done.
async fn listen(
    mut pipe: tokio::net::unix::pipe::Receiver,
    channel: OwnedFd,
    meanwhile: impl Future<Output = ()>,
) -> Result<String, Failure> {
    let mut said = Vec::new();
    let mut held = Some((channel, meanwhile));
    let mut piece = [0; 4096];
    loop {
        let size = pipe.read(&mut piece).await?;
        if size == 0 {
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
        if said.len() < MAX_OUTPUT {
            said.extend(piece.iter().take(size));
        }
        if held.is_some()
            && String::from_utf8_lossy(&said).contains(HOLDING)
            && let Some((channel, meanwhile)) = held.take()
        {
            meanwhile.await;
            drop(channel);
        }
    }
}
