//! Payloads that children announce in descriptors, read off the event loop: a child may announce megabytes as often as
//! it likes, and delays only itself.
//!
//! Each child has a queue. For each subject only the latest payload waits, and after each payload the queue rests for
//! as long as its bytes take at [`MAX_RATE`]. The caller has already checked that the payload may be read.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regen_runtime::read_sealed;
use tokio::sync::mpsc;

/// Maximum rate at which a child's payloads are read, in bytes per second.
const MAX_RATE: u64 = 32 << 20;

/// Subject of a payload. A newer payload replaces a waiting one of the same subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// State of a tab's page.
    Snapshot { tab: u64 },
    /// Cookies of the child's site.
    Cookies,
    /// Body of a form that a tab takes to another site.
    Form { tab: u64 },
}

/// Turns the read bytes into an event. It runs on a thread that may block.
type Finish<N> = Box<dyn FnOnce(io::Result<Vec<u8>>) -> N + Send>;

/// A payload to read.
pub struct Payload<N> {
    /// Subject of the payload.
    pub subject: Subject,
    /// Sealed memfd.
    pub memory: OwnedFd,
    /// Announced size in bytes.
    pub size: u64,
    /// Maximum size in bytes.
    pub limit: u64,
    /// Function that turns the read bytes into an event.
    pub finish: Finish<N>,
}

impl<N> std::fmt::Debug for Payload<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("subject", &self.subject).field("size", &self.size).finish_non_exhaustive()
    }
}

enum Job<N> {
    Read(Payload<N>),
    Tell(N),
}

struct Queue<N> {
    waiting: VecDeque<Job<N>>,
    is_running: bool,
}

/// Queues of all children; `N` is the event that the event loop receives.
pub struct Payloads<N> {
    queues: HashMap<u64, Arc<Mutex<Queue<N>>>>,
    news: mpsc::Sender<N>,
}

impl<N> std::fmt::Debug for Payloads<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payloads").field("children", &self.queues.len()).finish_non_exhaustive()
    }
}

impl<N: Send + 'static> Payloads<N> {
    /// Creates empty queues whose events go to this channel.
    pub fn new(news: mpsc::Sender<N>) -> Self {
        Self { queues: HashMap::new(), news }
    }

    /// Reads a payload of a child, after those announced before.
    pub fn read(&mut self, child: u64, payload: Payload<N>) {
        self.push(child, Job::Read(payload));
    }

    /// Orders an event after a child's waiting payloads. Returns it if none is being read; otherwise it is sent
    /// afterwards.
    pub fn after(&mut self, child: u64, news: N) -> Option<N> {
        let is_busy = self.queues.get(&child).is_some_and(|queue| lock(queue).is_running);
        if !is_busy {
            return Some(news);
        }
        self.push(child, Job::Tell(news));
        None
    }

    /// Forgets a child that is gone.
    pub fn forget(&mut self, child: u64) {
        self.queues.remove(&child);
    }

    fn push(&mut self, child: u64, job: Job<N>) {
        let new = || Arc::new(Mutex::new(Queue { waiting: VecDeque::new(), is_running: false }));
        let queue = Arc::clone(self.queues.entry(child).or_insert_with(new));
        let mut locked = lock(&queue);
        match job {
            Job::Read(payload) => {
                let same = |job: &&mut Job<N>| matches!(job, Job::Read(other) if other.subject == payload.subject);
                match locked.waiting.iter_mut().find(same) {
                    Some(waiting) => *waiting = Job::Read(payload),
                    None => locked.waiting.push_back(Job::Read(payload)),
                }
            }
            Job::Tell(_) => locked.waiting.push_back(job),
        }
        if !std::mem::replace(&mut locked.is_running, true) {
            tokio::spawn(work(Arc::clone(&queue), self.news.clone()));
        }
    }
}

fn lock<N>(queue: &Mutex<Queue<N>>) -> std::sync::MutexGuard<'_, Queue<N>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work<N: Send + 'static>(queue: Arc<Mutex<Queue<N>>>, news: mpsc::Sender<N>) {
    loop {
        let next = {
            let mut queue = lock(&queue);
            let next = queue.waiting.pop_front();
            queue.is_running = next.is_some();
            next
        };
        let (told, rest) = match next {
            None => return,
            Some(Job::Tell(told)) => (Some(told), Duration::ZERO),
            Some(Job::Read(Payload { memory, size, limit, finish, .. })) => {
                let rest = Duration::from_millis(size.min(limit) * 1000 / MAX_RATE);
                let read = tokio::task::spawn_blocking(move || finish(read_sealed(&memory, size, limit)));
                (read.await.ok(), rest)
            }
        };
        if let Some(told) = told
            && news.send(told).await.is_err()
        {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}

#[cfg(test)]
mod tests {
    use regen_runtime::Sealed;
    use std::os::fd::AsFd;

    use super::*;

    fn payload(tab: u64, text: &str) -> Payload<String> {
        let memory = Sealed::new(text.as_bytes()).unwrap().as_fd().try_clone_to_owned().unwrap();
        let finish: Finish<String> = Box::new(move |read| match read {
            Ok(bytes) => format!("{tab}: {}", String::from_utf8(bytes).unwrap()),
            Err(_) => format!("{tab}: refused"),
        });
        Payload { subject: Subject::Snapshot { tab }, memory, size: text.len() as u64, limit: 10, finish }
    }

    #[tokio::test]
    async fn only_the_latest_payload_of_a_subject_waits_and_deaths_come_after_it() {
        let (news, mut told) = mpsc::channel(16);
        let mut payloads = Payloads::new(news);
        // Nothing runs before the first await.
        for text in ["one", "two", "three"] {
            payloads.read(7, payload(1, text));
        }
        payloads.read(7, payload(2, "other"));
        assert_eq!(payloads.after(8, "dead".to_owned()).as_deref(), Some("dead"), "nothing of it is read");
        assert_eq!(payloads.after(7, "dead".to_owned()), None);
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(told.recv().await.unwrap());
        }
        assert_eq!(all, ["1: three", "2: other", "dead"]);
    }

    #[tokio::test]
    async fn a_payload_over_its_limit_is_not_read() {
        let (news, mut told) = mpsc::channel(16);
        Payloads::new(news).read(7, payload(1, "longer than ten"));
        assert_eq!(told.recv().await.unwrap(), "1: refused");
    }
}
