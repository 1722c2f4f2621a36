//! Surface channels to the tab-hosts: input goes up; buffers, frames and other messages of pages come down.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use regen_proto::kernel_channel::ChannelError;
use regen_proto::page::v1::{FromPage, ToPage, to_page};
use regen_runtime::{SurfaceChannel, SurfaceError};
use tokio::sync::{Semaphore, mpsc};

use crate::events::{HostId, MainEvent};

/// Maximum number of input messages queued for a host. More are dropped, as they would be stale.
const WAITING: usize = 512;
/// Maximum number of messages from a host that wait for the window. Further ones wait in the host.
const UNREAD: usize = 32;

/// The surface channels of all connected hosts.
#[derive(Debug, Clone)]
pub(crate) struct Surfaces {
    hosts: Arc<Mutex<HashMap<HostId, mpsc::Sender<ToPage>>>>,
    to_main: mpsc::UnboundedSender<MainEvent>,
}

impl Surfaces {
    pub(crate) fn new(to_main: mpsc::UnboundedSender<MainEvent>) -> Self {
        Self { hosts: Arc::default(), to_main }
    }

    /// Starts a granted channel to a host. Must be called inside the runtime.
    pub(crate) fn attach(&self, host: HostId, socket: OwnedFd) -> anyhow::Result<()> {
        let channel = SurfaceChannel::adopt(socket)?;
        let (up, waiting) = mpsc::channel(WAITING);
        self.hosts().insert(host, up);
        // The main thread ends only together with this process.
        let _ = self.to_main.send(MainEvent::Attached(host));
        let surfaces = self.clone();
        tokio::spawn(async move {
            match relay(&channel, host, waiting, &surfaces.to_main).await {
                Ok(()) | Err(SurfaceError::Channel(ChannelError::Closed)) => {}
                Err(error) => tracing::warn!("the surface channel of a tab-host failed: {error}"),
            }
            surfaces.hosts().remove(&host);
            let _ = surfaces.to_main.send(MainEvent::Detached(host));
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
            let _ = up.try_send(ToPage { tab, body: Some(body), ..ToPage::default() });
        }
    }
}

async fn relay(
    channel: &SurfaceChannel<ToPage, FromPage>,
    host: HostId,
    mut waiting: mpsc::Receiver<ToPage>,
    to_main: &mpsc::UnboundedSender<MainEvent>,
) -> Result<(), SurfaceError> {
    let sending = async {
        while let Some(message) = waiting.recv().await {
            channel.send(&message, None).await?;
        }
        Ok(())
    };
    let receiving = async {
        let room = Arc::new(Semaphore::new(UNREAD));
        loop {
            let (message, memory) = channel.receive().await?;
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
            if to_main.send(MainEvent::Page(host, message, memory, permit)).is_err() {
                return Ok(());
            }
        }
    };
    tokio::select! {
        ended = sending => ended,
        ended = receiving => ended,
    }
}
