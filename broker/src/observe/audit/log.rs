//! The audit log as the broker's components see it: a handle to the thread that writes it, so that a slow disk keeps nobody
//! waiting. Lines are written in the order in which they were recorded.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::{Audit, Head};

/// Time that the end of the browser waits for the last line.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

enum Job {
    Record { event: &'static str, details: Value },
    RecordOf { child: u64, event: &'static str, details: Value },
    RecordEnd { child: u64, event: &'static str, details: Value },
    CheckFile,
    Flush(oneshot::Sender<Head>),
    FlushBlocking(Sender<()>),
}

/// The log's state as its thread left it.
#[derive(Debug, Default)]
struct State {
    head: Head,
    breaks: u64,
    /// Breaks that were found since the last call of [`AuditLog::take_new_breaks`].
    new_breaks: u64,
}

/// Handle to the audit log. Clones share it.
#[derive(Debug, Clone)]
pub struct AuditLog {
    jobs: Sender<Job>,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl AuditLog {
    /// Starts the thread that writes the log.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(mut audit: Audit) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let state = State { head: audit.head().clone(), breaks: audit.breaks(), new_breaks: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::Builder::new().name("audit".into()).spawn(move || {
            for job in queue {
                let done = work(&mut audit, job);
                {
                    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    state.new_breaks += audit.breaks() - state.breaks;
                    state.breaks = audit.breaks();
                    state.head.clone_from(audit.head());
                }
                match done {
                    // Nobody waits any more.
                    Done::Flushed(done) => drop(done.send(audit.head().clone())),
                    Done::FlushedBlocking(done) => drop(done.send(())),
                    Done::Nothing => {}
                }
            }
        })?;
        Ok(Self { jobs, state })
    }

    /// Records an event with its details, an object.
    pub fn record(&self, event: &'static str, details: Value) {
        self.send(Job::Record { event, details });
    }

    /// Records an event that a child can bring about as often as it likes. Beyond a child's budget, events are counted, and the
    /// count is part of the next line about that child.
    pub fn record_of(&self, child: u64, event: &'static str, details: Value) {
        self.send(Job::RecordOf { child, event, details });
    }

    /// Records the last event about a child, with the number of events that the child's budget did not allow.
    pub fn record_end(&self, child: u64, event: &'static str, details: Value) {
        self.send(Job::RecordEnd { child, event, details });
    }

    /// Has the file checked: whether it is still the one that is written.
    pub fn check_file(&self) {
        self.send(Job::CheckFile);
    }

    /// Returns the end of the log, as far as it is written.
    #[must_use]
    pub fn head(&self) -> Head {
        self.state().head.clone()
    }

    /// Returns whether the log knows of a break: somebody else changed it.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state().breaks > 0
    }

    /// Returns whether breaks were found since the last call.
    pub fn take_new_breaks(&self) -> bool {
        std::mem::take(&mut self.state().new_breaks) > 0
    }

    /// Returns the end of the log once everything recorded so far is written; the sender is dropped where that fails.
    #[must_use]
    pub fn flushed(&self) -> oneshot::Receiver<Head> {
        let (done, wait) = oneshot::channel();
        self.send(Job::Flush(done));
        wait
    }

    /// Waits until everything recorded so far is written, for a bounded time. Blocks.
    pub fn flush(&self) {
        let (done, wait) = mpsc::channel();
        self.send(Job::FlushBlocking(done));
        if wait.recv_timeout(FLUSH_TIMEOUT).is_err() {
            tracing::error!("the last lines of the audit log may be lost: the disk is slow");
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            tracing::error!("the audit log is not written any more: its thread is gone");
        }
    }
}

enum Done {
    Nothing,
    Flushed(oneshot::Sender<Head>),
    FlushedBlocking(Sender<()>),
}

fn work(audit: &mut Audit, job: Job) -> Done {
    match job {
        Job::Record { event, details } => audit.record(event, details),
        Job::RecordOf { child, event, details } => audit.record_of(child, event, details),
        Job::RecordEnd { child, event, mut details } => {
            let left_out = audit.forget(child);
            if let (Some(fields), true) = (details.as_object_mut(), left_out > 0) {
                fields.insert("left_out".to_owned(), left_out.into());
            }
            audit.record(event, details);
        }
        Job::CheckFile => {
            if let Err(error) = audit.check_file() {
                tracing::error!("the audit log cannot be put right: {error}");
            }
        }
        Job::Flush(done) => return Done::Flushed(done),
        Job::FlushBlocking(done) => return Done::FlushedBlocking(done),
    }
    Done::Nothing
}
