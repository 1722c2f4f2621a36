//! The broker's end of kernel channels: reading, writing, rate limits and heartbeat replies of one child.
//!
//! A child that sends too much is slowed down or ended here, before the event loop is affected.

use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::MonotonicClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use regen_proto::kernel_channel::{ChannelError, Datagram, KernelChannel};
use regen_proto::role::Role;
use regen_proto::validate::{self, BrokerToChild, ChildToBroker, Kind};
use tokio::sync::mpsc;

use super::events::Event;
use super::pulse::Pulse;
use super::violation::{SEND_QUEUE, Violation};
use crate::codec::child::child_message;
use crate::message::{Attachment, ChildId};

type Limiter = RateLimiter<
    NotKeyed,
    InMemoryState,
    MonotonicClock,
    NoOpMiddleware<<MonotonicClock as governor::clock::Clock>::Instant>,
>;

/// Rate limits by kind of message: a sustained rate per second, and a burst.
#[derive(Debug)]
pub(super) struct Limits(Vec<(Kind, Limiter)>);

impl Limits {
    pub(super) fn new() -> Self {
        let rates = [
            (Kind::Lifecycle, 5, 20),
            (Kind::Heartbeat, 10, 20),
            (Kind::PageEvent, 400, 4000),
            (Kind::Snapshot, 400, 4000),
            (Kind::Descriptor, 400, 4000),
            (Kind::Reply, 200, 400),
            (Kind::UserCommand, 300, 1000),
            (Kind::Finding, 400, 4000),
        ];
        let bucket = |(kind, rate, burst)| {
            let number = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_second(number(rate)).allow_burst(number(burst));
            (kind, RateLimiter::direct_with_clock(quota, MonotonicClock))
        };
        Self(rates.into_iter().map(bucket).collect())
    }

    pub(super) fn allow(&self, kind: Kind) -> bool {
        self.0.iter().find(|(other, _)| *other == kind).is_none_or(|(_, bucket)| bucket.check().is_ok())
    }
}

/// Pauses after messages that keep a child below [`MAX_RATE`] on average.
struct Pace {
    /// Bytes that may be sent without a pause.
    credit: u64,
    last: Instant,
}

/// Maximum rate at which a child may send on its channel, in bytes per second.
const MAX_RATE: u64 = 8 << 20;
/// Maximum number of bytes that a child may send at once.
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
pub(super) fn attach(
    id: ChildId,
    role: Role,
    channel: KernelChannel,
    events: mpsc::Sender<Event>,
) -> (mpsc::Sender<(BrokerToChild, Vec<Attachment>)>, Pulse) {
    let channel = Arc::new(channel);
    let (sender, waiting) = mpsc::channel(SEND_QUEUE);
    let pulse = Pulse::default();
    tokio::spawn(read(id, role, Arc::clone(&channel), events, pulse.clone()));
    tokio::spawn(write(channel, waiting));
    (sender, pulse)
}

async fn read(id: ChildId, role: Role, channel: Arc<KernelChannel>, events: mpsc::Sender<Event>, pulse: Pulse) {
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
                    let Some(message) = child_message(message) else { continue };
                    Event::Message { child: id, message, descriptors: datagram.descriptors, sender: datagram.sender }
                }
                Err(violation) => Event::Violation { child: id, violation },
            },
            // The launcher reports the child's end.
            Err(ChannelError::Closed) => return,
            Err(error @ ChannelError::Oversized) => {
                Event::Violation { child: id, violation: Violation::Oversized(error.to_string()) }
            }
            Err(error) => Event::Violation { child: id, violation: Violation::Malformed(error.to_string()) },
        };
        let is_over = matches!(news, Event::Violation { .. });
        if events.send(news).await.is_err() || is_over {
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
            Err(ChannelError::Oversized) => tracing::error!("a message for a child is over the limit and is lost"),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for kind in [Kind::Snapshot, Kind::Descriptor] {
            assert!((0..400).all(|_| limits.allow(kind)), "{kind:?}");
        }
        assert!((0..10_000).any(|_| !limits.allow(Kind::Descriptor)), "the control");
    }
}
