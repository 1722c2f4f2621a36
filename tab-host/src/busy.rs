//! Long synchronous work of the main thread. Heartbeats are answered for it meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set while the main thread does long synchronous work, which must not be taken for a hang.
static BUSY: AtomicBool = AtomicBool::new(false);

/// Runs long work on the main thread, during which [`is_busy`] returns true.
pub(crate) fn while_busy<T>(work: impl FnOnce() -> T) -> T {
    BUSY.store(true, Ordering::Relaxed);
    let done = work();
    BUSY.store(false, Ordering::Relaxed);
    done
}

/// Returns whether the main thread is doing long synchronous work.
pub(crate) fn is_busy() -> bool {
    BUSY.load(Ordering::Relaxed)
}
