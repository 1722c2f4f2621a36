//! Streams to the tab-hosts: input goes up; frames and other page messages come down.

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

/// Maximum number of input messages queued for a host. More are dropped, as they would be stale.
const WAITING: usize = 512;
/// Maximum size of a message from a host, bytes; large enough for a copied picture.
const MAX_MESSAGE: usize = 65 << 20;

/// Maximum number of messages from a host that wait for the window. Further ones wait in the host.
const UNREAD: usize = 32;

/// The streams to all connected hosts.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    hosts: Arc<Mutex<HashMap<HostId, mpsc::Sender<ToPage>>>>,
    to_main: mpsc::UnboundedSender<MainEvent>,
}

impl Pages {
    pub(crate) fn new(to_main: mpsc::UnboundedSender<MainEvent>) -> Self {
        Self { hosts: Arc::default(), to_main }
    }

    /// Starts the stream on a granted connection to a host. Must be called inside the runtime.
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
                    // The main thread ends only together with this process.
                    let _ = to_main.send(MainEvent::Attached(host));
                    let room = Arc::new(Semaphore::new(UNREAD));
                    while let Ok(Some(message)) = down.message().await {
                        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                        if to_main.send(MainEvent::Page(host, message, permit)).is_err() {
                            return;
                        }
                    }
                }
                Err(error) => tracing::warn!("cannot attach to a tab-host: {error}"),
            }
            hosts.lock().unwrap_or_else(PoisonError::into_inner).remove(&host);
        });
        Ok(())
    }

    fn hosts(&self) -> std::sync::MutexGuard<'_, HashMap<HostId, mpsc::Sender<ToPage>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends input to a tab; drops it if the host is not connected or its queue is full.
    pub(crate) fn send(&self, host: HostId, tab: u64, body: to_page::Body) {
        if let Some(up) = self.hosts().get(&host) {
            // A host that does not read loses input; this process's memory stays bounded.
            let _ = up.try_send(ToPage { tab, body: Some(body) });
        }
    }
}
