//! `regen.page.v1.Page`, served to the window: frames down, input up.

use std::pin::Pin;

use regen_proto::grpc::{self, GrantedStream};
use regen_proto::kernel::v1::{HostCommand, host_command};
use regen_proto::page::v1::page_server::{Page, PageServer};
use regen_proto::page::v1::{FromPage, ToPage, to_page};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::broker_channel::MainEvent;
use crate::display::{DisplayCommand, DisplayHandleTo};

/// Maximum messages that wait for the window.
const WAITING: usize = 64;

struct Pages {
    display: DisplayHandleTo,
    to_main: mpsc::UnboundedSender<MainEvent>,
}

/// Serves one window until its stream ends.
pub(crate) async fn serve(stream: UnixStream, display: DisplayHandleTo, to_main: mpsc::UnboundedSender<MainEvent>) {
    let only = tokio_stream::once(Ok::<_, std::io::Error>(GrantedStream::new(stream, ())));
    let service = PageServer::new(Pages { display, to_main });
    if let Err(error) =
        grpc::server().add_service(service).serve_with_incoming(only.chain(tokio_stream::pending())).await
    {
        tracing::warn!("the window's stream failed: {error}");
    }
}

#[tonic::async_trait]
impl Page for Pages {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<FromPage, Status>> + Send>>;

    async fn attach(&self, request: Request<Streaming<ToPage>>) -> Result<Response<Self::AttachStream>, Status> {
        let (down, stream) = mpsc::channel(WAITING);
        self.display.send(DisplayCommand::Attach(down));
        let mut up = request.into_inner();
        let (display, to_main) = (self.display.clone(), self.to_main.clone());
        tokio::spawn(async move {
            while let Ok(Some(message)) = up.message().await {
                route(message, &display, &to_main);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream).map(Ok))))
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
