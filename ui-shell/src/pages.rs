//! The streams to the tab-hosts: input up, frames and questions down.

use std::collections::HashMap;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use regen_proto::grpc;
use regen_proto::page::v1::page_client::PageClient;
use regen_proto::page::v1::{ToPage, to_page};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::broker_channel::{HostId, MainEvent};

/// Input that may wait for a host that does not read. More is dropped: it would be stale.
const WAITING: usize = 512;
/// Largest message of a page, bytes: a picture that its user copies, and room.
const MAX_MESSAGE: usize = 65 << 20;

/// Messages of a host that may wait for the window. More wait in the host.
const UNREAD: usize = 32;

/// All streams.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    hosts: Arc<Mutex<HashMap<HostId, mpsc::Sender<ToPage>>>>,
    to_main: mpsc::UnboundedSender<MainEvent>,
}

impl Pages {
    pub(crate) fn new(to_main: mpsc::UnboundedSender<MainEvent>) -> Self {
        Self { hosts: Arc::default(), to_main }
    }

    /// A granted connection to a host. Must be called inside the runtime.
    pub(crate) fn attach(&self, host: HostId, socket: StdUnixStream) -> anyhow::Result<()> {
        socket.set_nonblocking(true)?;
        let mut client =
            PageClient::new(grpc::client(UnixStream::from_std(socket)?)).max_decoding_message_size(MAX_MESSAGE);
        let (up, waiting) = mpsc::channel(WAITING);
        self.hosts().insert(host, up);
        let (hosts, to_main) = (Arc::clone(&self.hosts), self.to_main.clone());
        tokio::spawn(async move {
            match client.attach(ReceiverStream::new(waiting)).await {
                Ok(stream) => {
                    let mut down = stream.into_inner();
                    // The main thread only goes away with this process.
                    let _ = to_main.send(MainEvent::Attached(host));
                    let room = Arc::new(Semaphore::new(UNREAD));
                    while let Ok(Some(message)) = down.message().await {
                        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                        if to_main.send(MainEvent::Page(host, message, permit)).is_err() {
                            return;
                        }
                    }
                }
                Err(error) => tracing::warn!("a tab-host's stream: {error}"),
            }
            hosts.lock().unwrap_or_else(PoisonError::into_inner).remove(&host);
        });
        Ok(())
    }

    fn hosts(&self) -> std::sync::MutexGuard<'_, HashMap<HostId, mpsc::Sender<ToPage>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends input to a tab. Without a host there is nothing to send it to.
    pub(crate) fn send(&self, host: HostId, tab: u64, body: to_page::Body) {
        if let Some(up) = self.hosts().get(&host) {
            // A host that does not read loses input, not this process its memory.
            let _ = up.try_send(ToPage { tab, body: Some(body) });
        }
    }
}
