//! One child as the kernel sees it: its channel, its limits, its pulse.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::MonotonicClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use regen_proto::kernel::v1::Role;
use regen_proto::kernel_channel::{ChannelError, Datagram, KernelChannel};
use regen_proto::validate::{self, BrokerToChild, ChildToBroker, Kind, Refusal};
use regen_runtime::Sealed;
use tokio::sync::mpsc;

use super::Input;
use super::process_stats::ProcessStats;
use super::routes::Tunnel;
use super::supervision::Weighed;
use crate::crashes::{LogTail, Resources};
use crate::foreign_text::escape;
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
    pub(crate) stats: Option<ProcessStats>,
    /// The jail, with everything in it.
    pub(crate) jail: Option<OwnedFd>,
    pub(crate) helpers: Vec<Helper>,
    pub(crate) outbox: mpsc::Sender<(BrokerToChild, Vec<Attachment>)>,
    /// Its signs of life.
    pub(crate) pulse: Pulse,
    /// When it was asked for a sign of life that has not come.
    pub(crate) asked: Option<Instant>,
    /// How long it, and whoever reads the answer, had waited for a processor when the answer was first missed.
    pub(crate) waited: Option<Duration>,
    /// It has half of the memory that it may have.
    pub(crate) is_heavy: bool,
    /// Its memory is being added up.
    pub(crate) is_being_weighed: bool,
    /// Its memory when it was added up last.
    pub(crate) weighed: Option<Weighed>,
    /// It was said that it leaks.
    pub(crate) is_leaking: bool,
    /// Why it is being ended, when the kernel or the child itself knows.
    pub(crate) doom: Option<String>,
    /// When it was started.
    pub(crate) born: Instant,
    /// Its name in the log.
    pub(crate) who: ProcessLabel,
    /// Its last words.
    pub(crate) tail: LogTail,
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
            (Kind::Grant, 100, 2000),
            (Kind::Heartbeat, 10, 20),
            (Kind::PageEvent, 400, 4000),
            (Kind::Snapshot, 400, 4000),
            (Kind::Descriptor, 400, 4000),
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
    /// It makes no sense, or not where it was sent.
    #[error("sent {0}")]
    Malformed(String),
    #[error("sent {0}")]
    Oversized(String),
    #[error("does not read its channel: {OUTBOX} messages wait")]
    DoesNotRead,
}

/// Signs of life of a child, as its channel's reader saw them: they do not wait behind the messages of others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<AtomicBool>);

impl Pulse {
    fn beat(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether there was one since the last call.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Rests after messages so that a child sends no more than [`MAX_RATE`] bytes per second in the long run.
struct Pace {
    /// Bytes that may be sent at once.
    credit: u64,
    last: Instant,
}

/// Bytes per second, and at once, that a child may send on its channel.
const MAX_RATE: u64 = 8 << 20;
const MAX_BURST: u64 = 32 << 20;

impl Pace {
    fn new(now: Instant) -> Self {
        Self { credit: MAX_BURST, last: now }
    }

    fn rest_after(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        let since = u64::try_from(now.saturating_duration_since(self.last).as_millis()).unwrap_or(u64::MAX);
        self.last = now;
        self.credit = self.credit.saturating_add(since.saturating_mul(MAX_RATE / 1000)).min(MAX_BURST);
        let bytes = bytes as u64;
        let missing = bytes.saturating_sub(self.credit);
        self.credit = self.credit.saturating_sub(bytes);
        (missing > 0).then(|| Duration::from_millis(missing * 1000 / MAX_RATE + 1))
    }
}

/// Starts the tasks that read and write a child's channel. They end with the channel.
pub(crate) fn attach(
    id: ChildId,
    role: Role,
    channel: KernelChannel,
    inbox: mpsc::Sender<Input>,
) -> (mpsc::Sender<(BrokerToChild, Vec<Attachment>)>, Pulse) {
    let channel = Arc::new(channel);
    let (outbox, waiting) = mpsc::channel(OUTBOX);
    let pulse = Pulse::default();
    tokio::spawn(read(id, role, Arc::clone(&channel), inbox, pulse.clone()));
    tokio::spawn(write(channel, waiting));
    (outbox, pulse)
}

async fn read(id: ChildId, role: Role, channel: Arc<KernelChannel>, inbox: mpsc::Sender<Input>, pulse: Pulse) {
    let limits = Limits::new();
    let mut pace = Pace::new(Instant::now());
    loop {
        let received = channel.receive().await;
        let bytes = received.as_ref().map_or(0, |datagram| datagram.bytes.len());
        if let Some(rest) = pace.rest_after(bytes, Instant::now()) {
            tokio::time::sleep(rest).await;
        }
        let news = match received {
            Ok(datagram) => match admit(role, &limits, &datagram) {
                Ok(ChildToBroker::Heartbeat(_)) => {
                    pulse.beat();
                    continue;
                }
                Ok(message) => {
                    Input::Message { child: id, message, descriptors: datagram.descriptors, sender: datagram.sender }
                }
                Err(violation) => Input::Violation { child: id, violation },
            },
            // Its death is reported by the launcher.
            Err(ChannelError::Closed) => return,
            Err(error @ ChannelError::Oversized) => {
                Input::Violation { child: id, violation: Violation::Oversized(error.to_string()) }
            }
            Err(error) => Input::Violation { child: id, violation: Violation::Malformed(error.to_string()) },
        };
        let is_over = matches!(news, Input::Violation { .. });
        if inbox.send(news).await.is_err() || is_over {
            return;
        }
    }
}

fn admit(role: Role, limits: &Limits, datagram: &Datagram) -> Result<ChildToBroker, Violation> {
    let message = validate::from_child(role, &datagram.bytes, datagram.descriptors.len())?;
    let kind = validate::kind(&message);
    if limits.allow(kind) { Ok(message) } else { Err(Violation::TooFrequent(kind)) }
}

async fn write(channel: Arc<KernelChannel>, mut waiting: mpsc::Receiver<(BrokerToChild, Vec<Attachment>)>) {
    while let Some((message, attachments)) = waiting.recv().await {
        let descriptors: Vec<_> = attachments.iter().map(AsFd::as_fd).collect();
        match channel.send(&validate::to_child(message), &descriptors).await {
            Ok(()) => {}
            Err(ChannelError::Oversized) => tracing::error!("a message for a child was over the limit and is lost"),
            Err(_) => return,
        }
    }
}

/// What a child is called in the log: a spare gets another name when it gets a site.
#[derive(Debug, Clone)]
pub(crate) struct ProcessLabel(Arc<Mutex<String>>);

impl ProcessLabel {
    pub(crate) fn named(name: String) -> Self {
        Self(Arc::new(Mutex::new(name)))
    }

    pub(crate) fn rename(&self, name: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

impl std::fmt::Display for ProcessLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Forwards a child's stderr to the log, bounded in line length and rate.
pub(crate) fn forward_log(who: ProcessLabel, pipe: OwnedFd) -> io::Result<LogTail> {
    use tokio::io::AsyncReadExt;
    let mut pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe)?;
    let tail = LogTail::default();
    let kept = tail.clone();
    tokio::spawn(async move {
        let mut lines = Lines::new(Instant::now());
        let mut chunk = vec![0; LOG_CHUNK];
        // A child that ends, or a pipe that fails, has said all.
        while let Ok(count) = pipe.read(&mut chunk).await
            && count > 0
        {
            let all_told = lines.split(chunk.get(..count).unwrap_or_default(), Instant::now(), |line, left_out| {
                kept.push(line);
                match left_out {
                    None => {}
                    Some(0) => tracing::info!("{who}: {line}"),
                    Some(left_out) => tracing::warn!("{who}: {line} ({left_out} lines before this one were left out)"),
                }
            });
            if !all_told {
                // It says more than anybody reads: it waits, and costs next to nothing.
                tokio::time::sleep(LOG_REST).await;
            }
        }
    });
    Ok(tail)
}

/// Bytes of a child's stderr that are read at once.
const LOG_CHUNK: usize = 16 * 1024;
/// The pause after a chunk of which lines were left out.
const LOG_REST: Duration = Duration::from_millis(10);
/// Longest line that is logged, bytes.
const MAX_LOG_LINE: usize = 2048;
/// Bytes per hour, and at once, that a child may have logged.
const LOG_BYTES_PER_HOUR: u64 = 1 << 20;
const LOG_BURST: u64 = 256 * 1024;

/// Lines of a child's stderr, and how much of them may be logged.
struct Lines {
    unfinished: Vec<u8>,
    credit: u64,
    last: Instant,
    left_out: u64,
}

impl Lines {
    fn new(now: Instant) -> Self {
        Self { unfinished: Vec::new(), credit: LOG_BURST, last: now, left_out: 0 }
    }

    /// Calls `tell` for each whole line: with the number of lines left out before it, or nothing where it is left out itself.
    /// Returns whether none was.
    fn split(&mut self, chunk: &[u8], now: Instant, mut tell: impl FnMut(&str, Option<u64>)) -> bool {
        let since = u64::try_from(now.saturating_duration_since(self.last).as_millis()).unwrap_or(u64::MAX);
        let earned = since.saturating_mul(LOG_BYTES_PER_HOUR) / 3_600_000;
        if earned > 0 {
            self.last = now;
            self.credit = self.credit.saturating_add(earned).min(LOG_BURST);
        }
        let before = self.left_out;
        self.unfinished.extend_from_slice(chunk);
        let bytes = std::mem::take(&mut self.unfinished);
        let mut rest = bytes.as_slice();
        while let Some(end) =
            rest.iter().position(|b| *b == b'\n').or((rest.len() > MAX_LOG_LINE).then_some(MAX_LOG_LINE))
        {
            let (line, after) = rest.split_at(end);
            rest = after.strip_prefix(b"\n").unwrap_or(after);
            let line = line.get(..line.len().min(MAX_LOG_LINE)).unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let line = escape(line.trim_end());
            let line = line.as_ref();
            if line.is_empty() {
                continue;
            }
            match self.credit.checked_sub(line.len() as u64) {
                Some(credit) => {
                    self.credit = credit;
                    tell(line, Some(std::mem::take(&mut self.left_out)));
                }
                None => {
                    self.left_out += 1;
                    tell(line, None);
                }
            }
        }
        self.unfinished = rest.to_vec();
        self.left_out <= before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &mut Lines, text: &str, now: Instant) -> Vec<(String, Option<u64>)> {
        let mut all = Vec::new();
        lines.split(text.as_bytes(), now, |line, left_out| all.push((line.to_owned(), left_out)));
        all
    }

    #[test]
    fn lines_come_whole_and_long_ones_are_cut() {
        let now = Instant::now();
        let mut lines = Lines::new(now);
        assert_eq!(told(&mut lines, "one\ntw", now), [("one".to_owned(), Some(0))]);
        assert_eq!(told(&mut lines, "o\n\n", now), [("two".to_owned(), Some(0))]);
        let long = told(&mut lines, &"x".repeat(5000), now);
        assert!(long.iter().all(|(line, _)| line.len() == MAX_LOG_LINE), "{long:?}");
    }

    #[test]
    fn a_child_that_says_too_much_is_cut_short_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut lines = Lines::new(start);
        let line = format!("{}\n", "x".repeat(1000));
        let all = told(&mut lines, &line.repeat(400), start);
        let logged = all.iter().filter(|(_, left_out)| left_out.is_some()).count();
        assert_eq!(logged, usize::try_from(LOG_BURST).unwrap() / 1000);
        assert_eq!(all.len(), 400, "its last words are kept all the same");
        let later = start + Duration::from_secs(60);
        assert_eq!(told(&mut lines, "again\n", later), [("again".to_owned(), Some(400 - logged as u64))]);
        // Messages of every day.
        let day =
            (0..24 * 60).map(|minute| told(&mut lines, &line.repeat(40), later + Duration::from_secs(60 * minute)));
        let logged: usize = day.flatten().filter(|(_, left_out)| left_out.is_some()).map(|(line, _)| line.len()).sum();
        assert!(logged < 30 << 20, "{logged}");
    }

    #[test]
    fn a_child_that_sends_too_fast_rests_as_long_as_its_bytes_take() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let burst = usize::try_from(MAX_BURST).unwrap();
        assert_eq!(pace.rest_after(burst, start), None);
        let rest = pace.rest_after(usize::try_from(MAX_RATE).unwrap(), start).unwrap();
        assert!(rest >= Duration::from_secs(1) && rest < Duration::from_millis(1100), "{rest:?}");
        assert_eq!(pace.rest_after(1000, start + Duration::from_secs(2)), None, "later it may go on");
    }

    #[test]
    fn the_messages_of_thirty_tabs_that_come_back_at_once_are_no_flood() {
        let limits = Limits::new();
        for kind in [Kind::Grant, Kind::Snapshot, Kind::Descriptor] {
            assert!((0..400).all(|_| limits.allow(kind)), "{kind:?}");
        }
        assert!((0..10_000).any(|_| !limits.allow(Kind::Grant)), "the control");
    }
}
