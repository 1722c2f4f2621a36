//! One of those that wait, or that are open, in a status, for as long as this is kept.

use tokio::sync::watch;

/// Counts one more until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    status: watch::Sender<S>,
    which: fn(&mut S) -> &mut u32,
}

impl<S> Counted<S> {
    pub(crate) fn new(status: &watch::Sender<S>, which: fn(&mut S) -> &mut u32) -> Self {
        status.send_modify(|status| *which(status) += 1);
        Self { status: status.clone(), which }
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.status.send_modify(|status| *(self.which)(status) -= 1);
    }
}
