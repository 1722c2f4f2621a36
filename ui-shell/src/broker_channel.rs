//! The thread that runs the kernel channel to the broker and the streams to the tab-hosts.

use std::os::fd::OwnedFd;

use anyhow::Context;
use regen_proto::kernel::v1::{Grant, Heartbeat, Ready, Service, UiShellConfiguration, UserCommand, user_command};
use regen_proto::validate::{BrokerToChild, ChildToBroker};
use regen_runtime::Kernel;
use tokio::sync::mpsc;

use crate::events::MainEvent;
use crate::surfaces::Surfaces;

/// Sends messages to the broker.
#[derive(Debug, Clone)]
pub(crate) struct Sender(mpsc::UnboundedSender<ChildToBroker>);

impl Sender {
    pub(crate) fn command(&self, body: user_command::Body) {
        self.send(ChildToBroker::UserCommand(UserCommand { body: Some(body) }));
    }

    pub(crate) fn alive(&self, beat: Heartbeat) {
        self.send(ChildToBroker::Heartbeat(beat));
    }

    pub(crate) fn ready(&self) {
        self.send(ChildToBroker::Ready(Ready {}));
    }

    fn send(&self, message: ChildToBroker) {
        // The receiver ends only together with this process.
        let _ = self.0.send(message);
    }
}

/// Handles to the started thread.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) sender: Sender,
    pub(crate) surfaces: Surfaces,
    pub(crate) inbox: mpsc::UnboundedReceiver<MainEvent>,
    /// Configuration that the broker sent at the start.
    pub(crate) configuration: UiShellConfiguration,
}

/// Starts the thread, and returns once the broker has sent the configuration.
pub(crate) fn start() -> anyhow::Result<Link> {
    let (to_main, inbox) = mpsc::unbounded_channel();
    let (sender, outgoing) = mpsc::unbounded_channel();
    let (started, wait) = std::sync::mpsc::channel();
    let surfaces = Surfaces::new(to_main.clone());
    let its_surfaces = surfaces.clone();
    std::thread::Builder::new().name("link".into()).spawn(move || {
        let work = async move {
            let (kernel, configuration) = regen_runtime::adopt().await?;
            // The receiver waits until this arrives.
            let _ = started.send(configuration);
            tokio::spawn(deliver(outgoing, kernel.clone()));
            serve(&kernel, &its_surfaces, &to_main).await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended: anyhow::Result<()> = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(work));
        tracing::info!("{}", ended.err().map_or_else(|| "done".to_owned(), |error| error.to_string()));
        std::process::exit(0);
    })?;
    let configuration = wait.recv().context("the broker did not answer")?;
    Ok(Link { sender: Sender(sender), surfaces, inbox, configuration })
}

async fn deliver(mut outgoing: mpsc::UnboundedReceiver<ChildToBroker>, kernel: Kernel) {
    while let Some(message) = outgoing.recv().await {
        if let Err(error) = kernel.send(message).await {
            tracing::error!("{error}");
        }
    }
}

async fn serve(kernel: &Kernel, surfaces: &Surfaces, to_main: &mpsc::UnboundedSender<MainEvent>) -> anyhow::Result<()> {
    loop {
        let (message, descriptors) = kernel.receive().await?;
        match message {
            BrokerToChild::Heartbeat(beat) => to_main.send(MainEvent::Heartbeat(beat))?,
            BrokerToChild::Update(update) => to_main.send(MainEvent::Update(Box::new(update)))?,
            BrokerToChild::Grant(grant) => granted(&grant, descriptors, surfaces)?,
            BrokerToChild::Revoke(_) => {}
            BrokerToChild::Shutdown(_) => to_main.send(MainEvent::Shutdown)?,
            BrokerToChild::Hello(_)
            | BrokerToChild::Configure(_)
            | BrokerToChild::Command(_)
            | BrokerToChild::Cookies(_)
            | BrokerToChild::Permissions(_)
            | BrokerToChild::Site(_) => {
                kernel.exit("the broker sent a message that is not for a ui-shell").await;
            }
        }
    }
}

fn granted(grant: &Grant, descriptors: Vec<OwnedFd>, surfaces: &Surfaces) -> anyhow::Result<()> {
    anyhow::ensure!(grant.service() == Service::Surface && !grant.serve, "grant refused: it is not for a ui-shell");
    let socket = descriptors.into_iter().next().context("grant refused: it has no socket")?;
    surfaces.attach(grant.host, socket)
}
