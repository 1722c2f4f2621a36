//! What this host says to the broker, from whichever thread has something to say, in order.

use std::os::fd::{AsFd, OwnedFd};

use regen_proto::convert::FromChild;
use regen_proto::kernel::v1::{PageEvent, page_event};
use regen_runtime::Kernel;
use tokio::sync::mpsc;

#[derive(Debug)]
enum Outgoing {
    Message(Box<FromChild>, Vec<OwnedFd>),
    Exit(String),
}

/// The sending end. Clones share the order.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(mpsc::UnboundedSender<Outgoing>);

/// The other end.
#[derive(Debug)]
pub(crate) struct Outgoings(mpsc::UnboundedReceiver<Outgoing>);

pub(crate) fn outbox() -> (Outbox, Outgoings) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Outbox(sender), Outgoings(receiver))
}

impl Outbox {
    pub(crate) fn send(&self, message: FromChild) {
        self.send_with(message, Vec::new());
    }

    pub(crate) fn send_with(&self, message: FromChild, descriptors: Vec<OwnedFd>) {
        // When the other end is gone, so is this process.
        let _ = self.0.send(Outgoing::Message(Box::new(message), descriptors));
    }

    /// News about a tab.
    pub(crate) fn page(&self, tab: u64, body: page_event::Body) {
        self.send(FromChild::PageEvent(PageEvent { tab, body: Some(body) }));
    }

    /// This host cannot go on; everything it is comes back in a new one.
    pub(crate) fn exit(&self, reason: String) {
        let _ = self.0.send(Outgoing::Exit(reason));
    }
}

impl Outgoings {
    /// Sends everything, until the broker is gone.
    pub(crate) async fn deliver(mut self, kernel: Kernel) {
        while let Some(outgoing) = self.0.recv().await {
            match outgoing {
                Outgoing::Message(message, descriptors) => {
                    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
                    if let Err(error) = kernel.send_with(*message, &borrowed).await {
                        tracing::error!("{error}");
                    }
                }
                Outgoing::Exit(reason) => kernel.exit(&reason).await,
            }
        }
    }
}
