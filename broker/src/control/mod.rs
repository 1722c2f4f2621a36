//! The control API's server: tonic over the profile's local socket, for the same user only.

mod net;
mod peer;
mod service;
mod shields;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName, tokio::Listener};
use regen_proto::control::v1::browser_server::BrowserServer;
use regen_proto::grpc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::kernel::KernelHandle;
use crate::logs::Logs;

/// The largest request, bytes.
const MAX_REQUEST: usize = 40 << 20;

/// Binds the control socket. The caller holds the profile's lock, so a file that is there already is a dead broker's.
///
/// # Errors
/// When the folder is not ours or the path is too long.
pub fn bind(path: &Path) -> io::Result<Listener> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let listener = ListenerOptions::new().name(path.to_fs_name::<GenericFilePath>()?).create_tokio()?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until the process ends.
pub async fn serve(listener: Listener, kernel: KernelHandle, logs: Logs) {
    let (accepted, streams) = mpsc::channel(8);
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok(stream) => match peer::check(&stream) {
                    Ok(peer) => {
                        if accepted.send(Ok::<_, io::Error>(peer::Trusted::new(stream, peer))).await.is_err() {
                            return;
                        }
                    }
                    Err(refused) => tracing::warn!("control: {refused}"),
                },
                Err(error) => {
                    tracing::warn!("control: cannot accept: {error}");
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    });
    let service = BrowserServer::new(service::Control::new(kernel, logs)).max_encoding_message_size(256 << 20);
    // A filter list of the user's is the largest that is said.
    let service = service.max_decoding_message_size(MAX_REQUEST);
    let server = grpc::server().add_service(service).serve_with_incoming(ReceiverStream::new(streams));
    if let Err(error) = server.await {
        tracing::error!("control: {error}");
    }
}
