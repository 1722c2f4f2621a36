//! Handle to the thread that writes the audit log, so that a slow disk delays no component. Lines are written in the
//! order in which they were recorded.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::{Audit, Head};

/// Maximum time that the browser waits for the last line when it ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

enum Job {
    Record { event: &'static str, details: Value },
    RecordOf { child: u64, event: &'static str, details: Value },
    RecordEnd { child: u64, event: &'static str, details: Value },
    CheckFile,
    Flush(oneshot::Sender<Head>),
    FlushBlocking(Sender<()>),
}

/// State of the log after the last job.
#[derive(Debug, Default)]
struct State {
    head: Head,
    breaks: u64,
    /// Number of breaks found since the last call of [`AuditLog::take_new_breaks`].
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
    /// Returns an error if the thread cannot be started.
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
                    // A failed send means that the caller no longer waits.
                    Done::Flushed(done) => drop(done.send(audit.head().clone())),
                    Done::FlushedBlocking(done) => drop(done.send(())),
                    Done::Nothing => {}
                }
            }
        })?;
        Ok(Self { jobs, state })
    }

    /// Records an event with its details, a JSON object.
    pub fn record(&self, event: &'static str, details: Value) {
        self.send(Job::Record { event, details });
    }

    /// Records an event that a child can cause as often as it likes. Over the child's budget, events are only counted,
    /// and the count is part of the next line about that child.
    pub fn record_of(&self, child: u64, event: &'static str, details: Value) {
        self.send(Job::RecordOf { child, event, details });
    }

    /// Records the last event about a child, with the number of events that were omitted over its budget.
    pub fn record_end(&self, child: u64, event: &'static str, details: Value) {
        self.send(Job::RecordEnd { child, event, details });
    }

    /// Checks that the log's file is still the one being written.
    pub fn check_file(&self) {
        self.send(Job::CheckFile);
    }

    /// Returns the head of the log, as far as it is written.
    #[must_use]
    pub fn head(&self) -> Head {
        self.state().head.clone()
    }

    /// Returns whether the log records a break: something else changed it.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state().breaks > 0
    }

    /// Returns whether breaks were found since the last call.
    pub fn take_new_breaks(&self) -> bool {
        std::mem::take(&mut self.state().new_breaks) > 0
    }

    /// Returns a receiver of the head once everything recorded so far is written. If that fails, the sender is dropped.
    #[must_use]
    pub fn flushed(&self) -> oneshot::Receiver<Head> {
        let (done, wait) = oneshot::channel();
        self.send(Job::Flush(done));
        wait
    }

    /// Blocks until everything recorded so far is written, or five seconds have passed.
    pub fn flush(&self) {
        let (done, wait) = mpsc::channel();
        self.send(Job::FlushBlocking(done));
        if wait.recv_timeout(FLUSH_TIMEOUT).is_err() {
            tracing::error!("the last lines of the audit log may be lost: the disk did not write them in time");
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            tracing::error!("the audit log is no longer written: its thread ended");
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
                tracing::error!("the audit log cannot be restored: {error}");
            }
        }
        Job::Flush(done) => return Done::Flushed(done),
        Job::FlushBlocking(done) => return Done::FlushedBlocking(done),
    }
    Done::Nothing
}
