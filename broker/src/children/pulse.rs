//! Answers to heartbeats, on their way around the event loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Answers to heartbeats, as the reader of the channel saw them: they do not wait behind the messages of other children.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse(Arc<AtomicBool>);

impl Pulse {
    pub(super) fn beat(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether an answer arrived since the last call.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
