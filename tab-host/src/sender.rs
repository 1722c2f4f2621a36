//! Sends this host's messages to the broker, from any of its threads.
//!
//! Pages can change a title or an address thousands of times a second. Of such events, only the latest per tab and kind
//! is sent. All page events together are rate-limited below the broker's limits. Everything else keeps its order.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use regen_proto::kernel::v1::{PageEvent, page_event};
use regen_proto::validate::{ChildToBroker, MAX_URL};
use regen_runtime::Kernel;
use tokio::sync::mpsc;

/// Minimum interval between two events of one kind about one tab.
const SAME_NEWS: Duration = Duration::from_millis(50);
/// Page events per second, sustained; below the broker's limit.
const NEWS_PER_SECOND: u32 = 300;
/// Page events in one burst; below the broker's limit.
const NEWS_AT_ONCE: u32 = 2000;
/// Maximum length of a `data:` URL in a message, in bytes; a longer one is truncated.
const MAX_DATA_URL: usize = 2048;

#[derive(Debug)]
enum Outgoing {
    Message(Box<ChildToBroker>, Vec<OwnedFd>),
    Exit(String),
}

/// Sending end of the queue to the broker. Clones share one order.
#[derive(Debug, Clone)]
pub(crate) struct BrokerSender(mpsc::UnboundedSender<Outgoing>);

/// Receiving end of the queue to the broker.
#[derive(Debug)]
pub(crate) struct Outgoings(mpsc::UnboundedReceiver<Outgoing>);

pub(crate) fn sender() -> (BrokerSender, Outgoings) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (BrokerSender(sender), Outgoings(receiver))
}

impl BrokerSender {
    pub(crate) fn send(&self, message: ChildToBroker) {
        self.send_with(message, Vec::new());
    }

    pub(crate) fn send_with(&self, message: ChildToBroker, descriptors: Vec<OwnedFd>) {
        // Fails only when the process is ending.
        let _ = self.0.send(Outgoing::Message(Box::new(message), descriptors));
    }

    /// Sends an event about a tab.
    pub(crate) fn page(&self, tab: u64, mut body: page_event::Body) {
        shorten(&mut body);
        self.send(ChildToBroker::PageEvent(PageEvent { tab, body: Some(body) }));
    }

    /// Ends this host with an exit reason. The broker restores its tabs in a new one.
    pub(crate) fn exit(&self, reason: String) {
        let _ = self.0.send(Outgoing::Exit(reason));
    }
}

/// Truncates the URL of an event to the protocol's limit. The page and its snapshot keep the full URL.
fn shorten(body: &mut page_event::Body) {
    let url = match body {
        page_event::Body::Committed(event) => &mut event.url,
        page_event::Body::LoadFailed(event) => &mut event.url,
        page_event::Body::PopupOpened(event) => &mut event.url,
        page_event::Body::Download(event) => &mut event.url,
        page_event::Body::Outside(url) => url,
        page_event::Body::LoadStarted(_)
        | page_event::Body::LoadFinished(_)
        | page_event::Body::LoadAbandoned(_)
        | page_event::Body::Title(_)
        | page_event::Body::Favicon(_)
        | page_event::Body::Progress(_)
        | page_event::Body::Handover(_)
        | page_event::Body::NewTab(_)
        | page_event::Body::CloseRequested(_)
        | page_event::Body::Dialog(_)
        | page_event::Body::FullScreen(_)
        | page_event::Body::FileChooser(_)
        | page_event::Body::FindResult(_)
        | page_event::Body::Audible(_)
        | page_event::Body::Unresponsive(_)
        | page_event::Body::Permission(_)
        | page_event::Body::Notification(_)
        | page_event::Body::Blocked(_) => return,
    };
    let limit = if url.starts_with("data:") { MAX_DATA_URL } else { MAX_URL };
    url.truncate(url.floor_char_boundary(limit));
}

/// Tab and kind of an event of which only the latest is sent.
type Key = (u64, u8);

fn key(message: &ChildToBroker) -> Option<Key> {
    let ChildToBroker::PageEvent(PageEvent { tab, body: Some(body) }) = message else { return None };
    let kind = match body {
        page_event::Body::Title(_) => 0,
        page_event::Body::Progress(_) => 1,
        page_event::Body::Audible(_) => 2,
        page_event::Body::Unresponsive(_) => 3,
        page_event::Body::Blocked(_) => 4,
        page_event::Body::Committed(committed) if committed.same_document => 5,
        page_event::Body::Favicon(_) => 6,
        page_event::Body::FindResult(_) => 7,
        page_event::Body::Outside(_) => 8,
        page_event::Body::Notification(_) => 9,
        page_event::Body::Committed(_)
        | page_event::Body::LoadAbandoned(_)
        | page_event::Body::LoadStarted(_)
        | page_event::Body::LoadFinished(_)
        | page_event::Body::LoadFailed(_)
        | page_event::Body::Handover(_)
        | page_event::Body::NewTab(_)
        | page_event::Body::PopupOpened(_)
        | page_event::Body::CloseRequested(_)
        | page_event::Body::Dialog(_)
        | page_event::Body::FullScreen(_)
        | page_event::Body::FileChooser(_)
        | page_event::Body::Permission(_)
        | page_event::Body::Download(_) => return None,
    };
    Some((*tab, kind))
}

/// Queue of messages with the rate limits of page events.
#[derive(Debug)]
struct Pacer<M> {
    waiting: VecDeque<(Option<Key>, bool, M)>,
    /// Time at which an event of each key was last sent.
    told: Vec<(Key, Instant)>,
    credit: f64,
    earned: Instant,
}

impl<M> Pacer<M> {
    fn new(now: Instant) -> Self {
        Self { waiting: VecDeque::new(), told: Vec::new(), credit: f64::from(NEWS_AT_ONCE), earned: now }
    }

    /// Queues a message. `is_news` counts it against the rate limit. A key replaces a queued message with the same key.
    fn push(&mut self, key: Option<Key>, is_news: bool, message: M) {
        if key.is_some() {
            self.waiting.retain(|(waiting, ..)| *waiting != key);
        }
        self.waiting.push_back((key, is_news, message));
    }

    /// Returns the next message, or the time to wait for it; `None` if the queue is empty.
    fn next(&mut self, now: Instant) -> Option<Result<M, Duration>> {
        self.credit += now.saturating_duration_since(self.earned).as_secs_f64() * f64::from(NEWS_PER_SECOND);
        self.credit = self.credit.min(f64::from(NEWS_AT_ONCE));
        self.earned = now;
        self.told.retain(|(_, at)| now.saturating_duration_since(*at) < SAME_NEWS);
        let mut soonest: Option<Duration> = None;
        for index in 0..self.waiting.len() {
            let (key, is_news, _) = self.waiting.get(index)?;
            if *is_news && self.credit < 1.0 {
                let rest = Duration::from_secs_f64((1.0 - self.credit) / f64::from(NEWS_PER_SECOND));
                return Some(Err(soonest.map_or(rest, |soonest| soonest.min(rest))));
            }
            let told = key.and_then(|key| self.told.iter().find(|(other, _)| *other == key));
            if let Some((_, at)) = told {
                // The message waits; later ones of another key do not.
                let rest = SAME_NEWS.saturating_sub(now.saturating_duration_since(*at));
                soonest = Some(soonest.map_or(rest, |soonest| soonest.min(rest)));
                continue;
            }
            let (key, is_news, message) = self.waiting.remove(index)?;
            self.told.extend(key.map(|key| (key, now)));
            if is_news {
                self.credit -= 1.0;
            }
            return Some(Ok(message));
        }
        soonest.map(Err)
    }

    /// Lifts the interval between a tab's events, so that they are sent before a message that depends on them.
    fn hurry(&mut self, tab: u64) {
        self.told.retain(|((other, _), _)| *other != tab);
    }
}

impl Outgoings {
    /// Sends messages until all senders are dropped.
    pub(crate) async fn deliver(mut self, kernel: Kernel) {
        let mut pacer = Pacer::new(Instant::now());
        loop {
            while let Ok(outgoing) = self.0.try_recv() {
                take(&mut pacer, outgoing, &kernel).await;
            }
            match pacer.next(Instant::now()) {
                Some(Ok((message, descriptors))) => send(&kernel, *message, descriptors).await,
                Some(Err(rest)) => {
                    // A message that arrives meanwhile may go first.
                    if let Ok(received) = tokio::time::timeout(rest, self.0.recv()).await {
                        let Some(outgoing) = received else { return };
                        take(&mut pacer, outgoing, &kernel).await;
                    }
                }
                None => {
                    let Some(outgoing) = self.0.recv().await else { return };
                    take(&mut pacer, outgoing, &kernel).await;
                }
            }
        }
    }
}

async fn take(pacer: &mut Pacer<(Box<ChildToBroker>, Vec<OwnedFd>)>, outgoing: Outgoing, kernel: &Kernel) {
    match outgoing {
        // Heartbeats bypass the queue.
        Outgoing::Message(message, descriptors) if matches!(*message, ChildToBroker::Heartbeat(_)) => {
            send(kernel, *message, descriptors).await;
        }
        Outgoing::Message(message, descriptors) => {
            let key = key(&message);
            let mut tab = None;
            if let ChildToBroker::PageEvent(event) = &*message {
                tab = key.is_none().then_some(event.tab);
            } else if let ChildToBroker::PutSnapshot(put) = &*message {
                tab = Some(put.tab);
            }
            tab.into_iter().for_each(|tab| pacer.hurry(tab));
            let is_news = matches!(*message, ChildToBroker::PageEvent(_));
            pacer.push(key, is_news, (message, descriptors));
        }
        Outgoing::Exit(reason) => kernel.exit(&reason).await,
    }
}

async fn send(kernel: &Kernel, message: ChildToBroker, descriptors: Vec<OwnedFd>) {
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    if let Err(error) = kernel.send_with(message, &borrowed).await {
        tracing::error!("cannot send a message to the broker: {error}");
    }
}

#[cfg(test)]
mod tests {
    use regen_proto::kernel::v1::NavigationCommitted;

    use super::*;

    fn drain(pacer: &mut Pacer<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| pacer.next(now)?.ok()).collect()
    }

    #[test]
    fn of_news_about_one_thing_the_latest_is_told_and_the_rest_keeps_its_order() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        pacer.push(Some((1, 0)), true, "title a");
        pacer.push(None, true, "started");
        pacer.push(Some((1, 0)), true, "title b");
        pacer.push(Some((2, 0)), true, "other title");
        assert_eq!(drain(&mut pacer, start), ["started", "title b", "other title"]);
        for title in ["c", "d", "e"] {
            pacer.push(Some((1, 0)), true, title);
        }
        pacer.push(None, false, "snapshot of another tab");
        assert_eq!(drain(&mut pacer, start), ["snapshot of another tab"], "a title was sent just now");
        assert_eq!(drain(&mut pacer, start + SAME_NEWS), ["e"]);
        pacer.push(Some((1, 0)), true, "f");
        pacer.hurry(1);
        pacer.push(None, true, "finished");
        assert_eq!(drain(&mut pacer, start + SAME_NEWS), ["f", "finished"], "a dependent message does not overtake");
    }

    #[test]
    fn a_page_that_changes_all_the_time_keeps_to_the_pace() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        let mut told = 0;
        // Ten seconds of sixty tabs that reload and rename themselves all the time.
        for millisecond in 0..10_000 {
            let now = start + Duration::from_millis(millisecond);
            for tab in 0..60 {
                pacer.push(Some((tab, 0)), true, "title");
            }
            if pacer.waiting.len() < 10_000 {
                pacer.push(None, true, "started");
            }
            told += drain(&mut pacer, now).len();
        }
        let most = usize::try_from(NEWS_AT_ONCE + NEWS_PER_SECOND * 10).unwrap();
        assert!(told <= most && told > most / 2, "{told}");
    }

    #[test]
    fn addresses_are_cut_to_what_travels() {
        let mut long = page_event::Body::Committed(NavigationCommitted {
            url: format!("https://a.test/{}", "ä".repeat(40_000)),
            ..NavigationCommitted::default()
        });
        shorten(&mut long);
        let page_event::Body::Committed(committed) = &long else { panic!("still a commit") };
        assert!(committed.url.len() <= MAX_URL && committed.url.len() > MAX_URL - 4);
        let message = ChildToBroker::PageEvent(PageEvent { tab: 1, body: Some(long) });
        let bytes = regen_proto::validate::to_broker(message);
        assert!(regen_proto::validate::from_child(regen_proto::role::Role::TabHost, &bytes, 0).is_ok());
    }
}
