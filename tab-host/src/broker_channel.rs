//! The thread that talks to other processes: the broker channel, the window's stream and the tunnels.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use regen_proto::kernel::v1::{Grant, Service, TabHostConfiguration};
use regen_proto::validate::{BrokerToChild, MAX_COOKIES};
use regen_runtime::{Kernel, SurfaceChannel};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::busy::is_busy;
use crate::display::DisplayHandleTo;
use crate::events::{MainEvent, alive};
use crate::sender::{BrokerSender, sender};
use crate::shields::{self, ShieldsClient, VerdictConnection};
use crate::surface;
use crate::tunnel::{self, TunnelPort};

/// Handles of the started thread.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) configuration: TabHostConfiguration,
    pub(crate) sender: BrokerSender,
    pub(crate) inbox: mpsc::UnboundedReceiver<MainEvent>,
    /// Proxy for the engine.
    pub(crate) tunnel: TunnelPort,
    /// Client for shields, and the runtime that its calls must run on.
    pub(crate) asker: (Handle, ShieldsClient),
    to_main: mpsc::UnboundedSender<MainEvent>,
    display: Arc<Mutex<Option<DisplayHandleTo>>>,
    display_known: watch::Sender<bool>,
}

struct Started {
    configuration: TabHostConfiguration,
    tunnel: TunnelPort,
    asker: (Handle, ShieldsClient),
}

/// Starts the thread. Returns when the broker has sent this host's configuration.
pub(crate) fn start() -> anyhow::Result<Link> {
    let (sender, outgoings) = sender();
    let verdicts = VerdictConnection::new();
    let (to_main, inbox) = mpsc::unbounded_channel();
    let (started, wait) = std::sync::mpsc::channel();
    let display: Arc<Mutex<Option<DisplayHandleTo>>> = Arc::default();
    let (display_known, display_watch) = watch::channel(false);
    let (its_main, its_display, its_outbox) = (to_main.clone(), Arc::clone(&display), sender.clone());
    std::thread::Builder::new().name("link".into()).spawn(move || {
        let work = async move {
            let (kernel, configuration) = regen_runtime::adopt().await?;
            let (dialer, tunnel) = tunnel::start().await?;
            let asker = ShieldsClient::new(dialer.watch(), verdicts.clone(), its_main.clone());
            shields::start(asker.clone())?;
            tokio::spawn(outgoings.deliver(kernel.clone()));
            // Fails only when the process is ending.
            let _ = started.send(Started { configuration, tunnel, asker: (Handle::current(), asker) });
            let (to_main, display) = (its_main, its_display);
            let session = Session { kernel, dialer, verdicts, sender: its_outbox, to_main, display, display_watch };
            session.serve().await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended: anyhow::Result<()> = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(work));
        // A host does not outlive its broker channel.
        let reason = ended.err().map_or_else(|| "done".to_owned(), |error| error.to_string());
        tracing::info!("broker channel ended: {reason}");
        std::process::exit(0);
    })?;
    let Started { configuration, tunnel, asker } = wait.recv().context("the broker did not answer")?;
    Ok(Link { configuration, sender, inbox, tunnel, asker, to_main, display, display_known })
}

impl Link {
    /// Lets the window's stream reach the display.
    pub(crate) fn set_display(&self, display: DisplayHandleTo) -> anyhow::Result<()> {
        *self.display.lock().unwrap_or_else(PoisonError::into_inner) = Some(display);
        Ok(self.display_known.send(true)?)
    }

    /// Returns a sender of work for the main thread.
    pub(crate) fn to_main(&self) -> mpsc::UnboundedSender<MainEvent> {
        self.to_main.clone()
    }
}

struct Session {
    kernel: Kernel,
    dialer: tunnel::Dialer,
    verdicts: VerdictConnection,
    sender: BrokerSender,
    to_main: mpsc::UnboundedSender<MainEvent>,
    display: Arc<Mutex<Option<DisplayHandleTo>>>,
    display_watch: watch::Receiver<bool>,
}

impl Session {
    async fn serve(mut self) -> anyhow::Result<()> {
        loop {
            let (message, descriptors) = self.kernel.receive().await?;
            match message {
                BrokerToChild::Heartbeat(beat) if is_busy() => self.sender.send(alive(beat)),
                BrokerToChild::Heartbeat(beat) => self.to_main.send(MainEvent::Heartbeat(beat))?,
                BrokerToChild::Command(command) => {
                    self.to_main.send(MainEvent::Command(Box::new(command), descriptors))?;
                }
                BrokerToChild::Grant(grant) => self.granted(&grant, descriptors).await?,
                BrokerToChild::Revoke(revoke) => self.dialer.revoke(revoke.grant),
                BrokerToChild::Cookies(cookies) => {
                    let payload = descriptors.first().context("the broker sent cookies without their descriptor")?;
                    let bytes = regen_runtime::read_sealed(payload, cookies.payload_size, MAX_COOKIES)?;
                    self.to_main.send(MainEvent::Cookies(bytes))?;
                }
                BrokerToChild::Permissions(permissions) => self.to_main.send(MainEvent::Permissions(permissions))?,
                BrokerToChild::Site(show) => self.to_main.send(MainEvent::Site(show))?,
                BrokerToChild::Shutdown(_) => self.to_main.send(MainEvent::Shutdown)?,
                BrokerToChild::Hello(_) | BrokerToChild::Configure(_) | BrokerToChild::Update(_) => {
                    self.kernel.exit("the broker sent a message that is not for a tab-host").await;
                }
            }
        }
    }

    async fn granted(&mut self, grant: &Grant, descriptors: Vec<OwnedFd>) -> anyhow::Result<()> {
        let socket = descriptors.into_iter().next().context("the broker sent a grant without its socket")?;
        match (grant.service(), grant.serve) {
            (Service::VerdictChannels, false) => self.verdicts.granted(socket)?,
            (Service::Tunnel, false) => {
                let socket = std::os::unix::net::UnixStream::from(socket);
                socket.set_nonblocking(true)?;
                self.dialer.grant(grant.grant, UnixStream::from_std(socket)?);
                self.to_main.send(MainEvent::NetworkBack)?;
            }
            (Service::Surface, true) => {
                // Wait until there is a display to show.
                self.display_watch.wait_for(|known| *known).await?;
                let display = self.display.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let display = display.context("no display")?;
                tokio::spawn(surface::serve(SurfaceChannel::adopt(socket)?, display, self.to_main.clone()));
            }
            _ => anyhow::bail!("the broker sent a grant that is not for a tab-host"),
        }
        Ok(())
    }
}
