//! The surface channel to the window: buffers and frames down, input up.

use std::os::fd::AsFd;

use regen_proto::kernel::v1::{HostCommand, host_command};
use regen_proto::kernel_channel::ChannelError;
use regen_proto::page::v1::{FromPage, ToPage, to_page};
use regen_runtime::{SurfaceChannel, SurfaceError};
use tokio::sync::mpsc;

use crate::display::{DisplayCommand, DisplayHandleTo, WindowMessage};
use crate::events::MainEvent;

/// Maximum messages that wait for the window.
const WAITING: usize = 64;

/// Serves one window until its channel ends.
pub(crate) async fn serve(
    channel: SurfaceChannel<FromPage, ToPage>,
    display: DisplayHandleTo,
    to_main: mpsc::UnboundedSender<MainEvent>,
) {
    let (down, mut waiting) = mpsc::channel::<WindowMessage>(WAITING);
    display.send(DisplayCommand::Attach(down));
    let sending = async {
        while let Some((message, memory)) = waiting.recv().await {
            channel.send(&message, memory.as_ref().map(AsFd::as_fd)).await?;
        }
        Ok::<_, SurfaceError>(())
    };
    let receiving = async {
        loop {
            route(channel.receive().await?.0, &display, &to_main);
        }
    };
    let ended: Result<(), SurfaceError> = tokio::select! {
        ended = sending => ended,
        ended = receiving => ended,
    };
    match ended {
        // The window is gone, or another one took its place.
        Ok(()) | Err(SurfaceError::Channel(ChannelError::Closed)) => {}
        Err(error) => tracing::warn!("the surface channel to the window failed: {error}"),
    }
}

/// Routes input to the display, and editing commands, which only the engine can execute, to the main thread.
pub(crate) fn route(message: ToPage, display: &DisplayHandleTo, to_main: &mpsc::UnboundedSender<MainEvent>) {
    if let Some(to_page::Body::EditCommand(_)) = &message.body {
        let command = HostCommand { tab: message.tab, body: Some(host_command::Body::Input(message)) };
        // Fails only when the process is ending.
        let _ = to_main.send(MainEvent::Command(Box::new(command), Vec::new()));
    } else {
        display.send(DisplayCommand::Page(message));
    }
}
