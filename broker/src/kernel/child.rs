//! One child as the kernel sees it: its channel, its limits, its pulse.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::MonotonicClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use regen_proto::convert::{self, ForChild, FromChild, Kind, Refusal};
use regen_proto::kernel::v1::Role;
use regen_proto::kernel_channel::{ChannelError, Datagram, KernelChannel};
use regen_runtime::Sealed;
use tokio::sync::mpsc;

use super::Input;
use super::figures::Figures;
use super::routes::Tunnel;
use crate::crashes::{Resources, Tail};
use crate::refused_calls::RefusedCall;
use crate::session::HostKey;

/// A child's name; never reused.
pub(crate) type ChildId = u64;
/// Messages that may wait for a child that does not read.
const OUTBOX: usize = 4096;

/// One descriptor to go with a message.
#[derive(Debug)]
pub(crate) enum Attachment {
    /// Handed on.
    Fd(OwnedFd),
    /// A payload too large for a datagram.
    Payload(Sealed),
}

impl AsFd for Attachment {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Fd(fd) => fd.as_fd(),
            Self::Payload(sealed) => sealed.as_fd(),
        }
    }
}

/// A helper process that a tab-host started inside its sandbox.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) name: String,
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// One child.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) role: Role,
    pub(crate) host: Option<HostKey>,
    /// The role's own process; 0 until its Hello.
    pub(crate) pid: i32,
    pub(crate) pidfd: Option<OwnedFd>,
    /// What is looked at of it, from its Hello on.
    pub(crate) figures: Option<Figures>,
    /// The jail, with everything in it.
    pub(crate) jail: Option<OwnedFd>,
    pub(crate) helpers: Vec<Helper>,
    pub(crate) outbox: mpsc::Sender<(ForChild, Vec<Attachment>)>,
    /// When it was asked for a sign of life that has not come.
    pub(crate) asked: Option<Instant>,
    /// How long it, and whoever reads the answer, had waited for a processor when the answer was first missed.
    pub(crate) waited: Option<Duration>,
    /// It has half of the memory that it may have.
    pub(crate) is_heavy: bool,
    /// It was said that it leaks.
    pub(crate) is_leaking: bool,
    /// Why it is being ended, when the kernel or the child itself knows.
    pub(crate) doom: Option<String>,
    /// When it was started.
    pub(crate) born: Instant,
    /// Its name in the log.
    pub(crate) who: Who,
    /// Its last words.
    pub(crate) tail: Tail,
    /// Where its minidump arrives.
    pub(crate) dumper: Option<OwnedFd>,
    /// As it was last looked at.
    pub(crate) resources: Resources,
    /// Its way to the network.
    pub(crate) tunnel: Option<Tunnel>,
    /// The last system call that it was refused.
    pub(crate) refused: Option<(Instant, RefusedCall)>,
}

/// The name of a role in policies, logs and the control API.
#[must_use]
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::TabHost => "tab-host",
        Role::NetDaemon => "net-daemon",
        Role::AgentDaemon => "agent-daemon",
        Role::UiShell => "ui-shell",
        Role::Unspecified => "broker",
    }
}

type Limiter = RateLimiter<
    NotKeyed,
    InMemoryState,
    MonotonicClock,
    NoOpMiddleware<<MonotonicClock as governor::clock::Clock>::Instant>,
>;

/// Token buckets per kind of message: sustained rate per second, and burst.
struct Limits(Vec<(Kind, Limiter)>);

impl Limits {
    fn new() -> Self {
        let rates = [
            (Kind::Lifecycle, 5, 20),
            (Kind::Heartbeat, 10, 20),
            (Kind::PageEvent, 400, 4000),
            (Kind::Snapshot, 50, 500),
            (Kind::Descriptor, 120, 600),
            (Kind::Reply, 200, 400),
            (Kind::UserCommand, 300, 1000),
            (Kind::Telemetry, 100, 500),
            (Kind::Finding, 400, 4000),
        ];
        let bucket = |(kind, rate, burst)| {
            let number = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_second(number(rate)).allow_burst(number(burst));
            (kind, RateLimiter::direct_with_clock(quota, MonotonicClock))
        };
        Self(rates.into_iter().map(bucket).collect())
    }

    fn allow(&self, kind: Kind) -> bool {
        self.0.iter().find(|(other, _)| *other == kind).is_none_or(|(_, bucket)| bucket.check().is_ok())
    }
}

/// What a child did that ends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("sent {0:?} messages faster than allowed")]
    TooFrequent(Kind),
    #[error("sent {0}")]
    Channel(String),
    #[error("does not read its channel: {OUTBOX} messages wait")]
    DoesNotRead,
}

/// Starts the tasks that read and write a child's channel. They end with the channel.
pub(crate) fn attach(
    id: ChildId,
    role: Role,
    channel: KernelChannel,
    inbox: mpsc::Sender<Input>,
) -> mpsc::Sender<(ForChild, Vec<Attachment>)> {
    let channel = Arc::new(channel);
    let (outbox, waiting) = mpsc::channel(OUTBOX);
    tokio::spawn(read(id, role, Arc::clone(&channel), inbox));
    tokio::spawn(write(channel, waiting));
    outbox
}

async fn read(id: ChildId, role: Role, channel: Arc<KernelChannel>, inbox: mpsc::Sender<Input>) {
    let limits = Limits::new();
    loop {
        let news = match channel.receive().await {
            Ok(datagram) => match admit(role, &limits, &datagram) {
                Ok(message) => {
                    Input::Message { child: id, message, descriptors: datagram.descriptors, sender: datagram.sender }
                }
                Err(violation) => Input::Violation { child: id, violation },
            },
            // Its death is reported by the launcher.
            Err(ChannelError::Closed) => return,
            Err(error) => Input::Violation { child: id, violation: Violation::Channel(error.to_string()) },
        };
        let is_over = matches!(news, Input::Violation { .. });
        if inbox.send(news).await.is_err() || is_over {
            return;
        }
    }
}

fn admit(role: Role, limits: &Limits, datagram: &Datagram) -> Result<FromChild, Violation> {
    let message = convert::from_child(role, &datagram.bytes, datagram.descriptors.len())?;
    let kind = convert::kind(&message);
    if limits.allow(kind) { Ok(message) } else { Err(Violation::TooFrequent(kind)) }
}

async fn write(channel: Arc<KernelChannel>, mut waiting: mpsc::Receiver<(ForChild, Vec<Attachment>)>) {
    while let Some((message, attachments)) = waiting.recv().await {
        let descriptors: Vec<_> = attachments.iter().map(AsFd::as_fd).collect();
        match channel.send(&convert::to_child(message), &descriptors).await {
            Ok(()) => {}
            Err(ChannelError::Oversized) => tracing::error!("a message for a child was over the limit and is lost"),
            Err(_) => return,
        }
    }
}

/// What a child is called in the log: a spare gets another name when it gets a site.
#[derive(Debug, Clone)]
pub(crate) struct Who(Arc<Mutex<String>>);

impl Who {
    pub(crate) fn named(name: String) -> Self {
        Self(Arc::new(Mutex::new(name)))
    }

    pub(crate) fn rename(&self, name: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Forwards a child's stderr to the log, bounded in line length and rate.
pub(crate) fn forward_log(who: Who, pipe: OwnedFd) -> io::Result<Tail> {
    use tokio::io::AsyncBufReadExt;
    let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe)?;
    let tail = Tail::default();
    let kept = tail.clone();
    tokio::spawn(async move {
        let number = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(number(20)).allow_burst(number(200));
        let bucket = RateLimiter::direct_with_clock(quota, MonotonicClock);
        let mut lines = tokio::io::BufReader::with_capacity(8 * 1024, pipe);
        let mut dropped = 0_u64;
        let mut pending: VecDeque<u8> = VecDeque::new();
        loop {
            let Ok(chunk) = lines.fill_buf().await else { return };
            if chunk.is_empty() {
                return;
            }
            let used = chunk.len();
            pending.extend(chunk);
            lines.consume(used);
            while let Some(end) = pending.iter().position(|b| *b == b'\n').or((pending.len() > 4096).then_some(4096)) {
                let line: Vec<u8> = pending.drain(..=end.min(pending.len() - 1)).collect();
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end();
                if line.is_empty() {
                    continue;
                }
                kept.push(line);
                if bucket.check().is_err() {
                    dropped += 1;
                } else if dropped > 0 {
                    tracing::warn!("{who}: {line} ({dropped} lines before this one were dropped)");
                    dropped = 0;
                } else {
                    tracing::info!("{who}: {line}");
                }
            }
        }
    });
    Ok(tail)
}
