//! The control API's server: tonic over the profile's local socket, for the same user only.

mod commands;
mod downloads;
mod net;
mod peer;
mod permissions;
mod places;
pub mod questions;
mod replies;
mod service;
mod sessions;
mod settings;
mod shields;
mod site;
mod status;
mod workspaces;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName, tokio::Listener};
use regen_proto::control::v1::browser_server::BrowserServer;
use regen_proto::grpc;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

pub use commands::{BrokerHandle, Command, SignalTarget};
pub use questions::{PageAnswer, PageQuestions, count_objections, shows_dialog};
pub use regen_proto::control::v1::{StatusReply, Tab as TabInfo};
pub use status::{Facts, StatusView, tab_info};

use crate::observe::logs::Logs;

/// Maximum size of a request, bytes: a filter list of the user's.
const MAX_REQUEST: usize = 40 << 20;
/// Maximum size of an answer, bytes: a screenshot.
const MAX_ANSWER: usize = 256 << 20;
/// Delay before the next connection is accepted after a failure.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Time that answers have on their way when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// Threads for work that blocks: reading `/proc`, and waiting for the store.
const MAX_BLOCKING_THREADS: usize = 4;

/// The server of the control API, on a thread and runtime of its own: requests are read and answered while the event loop is
/// busy.
#[derive(Debug)]
pub struct ControlServer {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl ControlServer {
    /// Binds the socket, and serves. The caller holds the profile's lock, so a file that is there already is a dead broker's.
    ///
    /// # Errors
    /// When the folder is not this user's, the path is too long, or the system refuses a thread.
    pub fn start(path: &Path, broker: BrokerHandle, logs: Logs) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (bound, wait) = std::sync::mpsc::channel();
        let path = path.to_path_buf();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .build()?;
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            runtime.block_on(async move {
                let listener = match bind(&path) {
                    Ok(listener) => listener,
                    // The caller waits for it.
                    Err(error) => return drop(bound.send(Err(error))),
                };
                drop(bound.send(Ok(())));
                serve(listener, broker, logs, stopped).await;
            });
        })?;
        wait.recv().unwrap_or_else(|_| Err(io::Error::other("the control thread ended")))?;
        Ok(Self { stop, thread })
    }

    /// Stops, after the answers that are on their way. Blocks, for a bounded time.
    pub fn stop(self) {
        // A server that has ended already needs no word.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the control API's thread panicked");
        }
    }
}

fn bind(path: &Path) -> io::Result<Listener> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let listener = ListenerOptions::new().name(path.to_fs_name::<GenericFilePath>()?).create_tokio()?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve(listener: Listener, broker: BrokerHandle, logs: Logs, stopped: oneshot::Receiver<()>) {
    let (accepted, streams) = mpsc::channel(8);
    tokio::spawn(accept(listener, accepted));
    let service = BrowserServer::new(service::Control::new(broker, logs)).max_encoding_message_size(MAX_ANSWER);
    let service = service.max_decoding_message_size(MAX_REQUEST);
    let (stop, begins) = oneshot::channel();
    let stopping = async {
        // Without a word, its sender is gone: that is the end, too.
        let _ = stopped.await;
        let _ = stop.send(());
    };
    let server =
        grpc::server().add_service(service).serve_with_incoming_shutdown(ReceiverStream::new(streams), stopping);
    let deadline = async {
        let _ = begins.await;
        tokio::time::sleep(STOP_TIMEOUT).await;
    };
    tokio::select! {
        ended = server => {
            if let Err(error) = ended {
                tracing::error!("control: {error}");
            }
        }
        // Streams that are followed do not end by themselves.
        () = deadline => {}
    }
}

async fn accept(listener: Listener, accepted: mpsc::Sender<io::Result<peer::Trusted>>) {
    loop {
        match listener.accept().await {
            Ok(stream) => match peer::check(&stream) {
                Ok(peer) => {
                    if accepted.send(Ok(peer::Trusted::new(stream, peer))).await.is_err() {
                        return;
                    }
                }
                Err(refused) => tracing::warn!("control: {refused}"),
            },
            Err(error) => {
                tracing::warn!("control: cannot accept: {error}");
                // Out of descriptors, most likely: trying again at once would only burn the processor.
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}
