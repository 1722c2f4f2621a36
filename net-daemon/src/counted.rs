//! Guards that count waiting and open connections in a status.

use tokio::sync::watch;

/// A guard that adds one to a number in a status until it is dropped.
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
