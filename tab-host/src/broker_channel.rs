//! The thread that talks to the outside: the broker's channel, the window's stream, the tunnels.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use regen_proto::kernel::v1::{Configure, Grant, Heartbeat, HostCommand, Service, ShowSite, host_command};
use regen_proto::net::v1::CommonRules;
use regen_proto::role::Role;
use regen_proto::validate::{BrokerToChild, ChildToBroker, MAX_COOKIES};
use regen_runtime::Kernel;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::display::{DisplayCommand, DisplayHandleTo};
use crate::host;
use crate::page_service;
use crate::sender::{BrokerSender, sender};
use crate::shields::{self, Lines, ShieldsClient};
use crate::tunnel::{self, TunnelPort};

/// What the main thread must do.
#[derive(Debug)]
pub(crate) enum MainEvent {
    Command(Box<HostCommand>, Vec<OwnedFd>),
    /// What this host is for, where it was started as a spare.
    Site(ShowSite),
    /// What an earlier process of this site had.
    Cookies(Vec<u8>),
    /// Answered from the main thread: a host whose main thread hangs is a host that hangs.
    Heartbeat(Heartbeat),
    /// Shields stopped so many more requests of this page, as the engine numbers them.
    Blocked(u64, u32),
    /// What most documents have in common; nothing, where nobody could be asked.
    Common(Option<Box<CommonRules>>),
    /// There is a net-daemon again.
    NetworkBack,
    Shutdown,
}

/// The started thread.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) configure: Configure,
    pub(crate) sender: BrokerSender,
    pub(crate) inbox: mpsc::UnboundedReceiver<MainEvent>,
    /// Where the engine finds its proxy.
    pub(crate) tunnel: TunnelPort,
    /// Who asks the net-daemon about shields, and the thread where that must happen.
    pub(crate) asker: (Handle, ShieldsClient),
    to_main: mpsc::UnboundedSender<MainEvent>,
    display: Arc<Mutex<Option<DisplayHandleTo>>>,
    display_known: watch::Sender<bool>,
}

struct Started {
    configure: Configure,
    tunnel: TunnelPort,
    asker: (Handle, ShieldsClient),
}

/// Starts the thread, and returns when the broker has said what this host is for.
pub(crate) fn start(role: Role) -> anyhow::Result<Link> {
    let (sender, outgoings) = sender();
    let lines = Lines::new(sender.clone());
    let (to_main, inbox) = mpsc::unbounded_channel();
    let (started, wait) = std::sync::mpsc::channel();
    let display: Arc<Mutex<Option<DisplayHandleTo>>> = Arc::default();
    let (display_known, display_watch) = watch::channel(false);
    let (its_main, its_display, its_outbox) = (to_main.clone(), Arc::clone(&display), sender.clone());
    std::thread::Builder::new().name("link".into()).spawn(move || {
        let work = async move {
            let (kernel, configure) = regen_runtime::adopt(role).await?;
            let (dialer, tunnel) = tunnel::start().await?;
            let asker = ShieldsClient::new(dialer.watch(), lines.clone(), its_main.clone());
            shields::start(asker.clone())?;
            tokio::spawn(outgoings.deliver(kernel.clone()));
            // The other end only goes away with this process.
            let _ = started.send(Started { configure, tunnel, asker: (Handle::current(), asker) });
            let (to_main, display) = (its_main, its_display);
            let session = Session { kernel, dialer, lines, sender: its_outbox, to_main, display, display_watch };
            session.serve().await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended: anyhow::Result<()> = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(work));
        // Without its broker a host has nothing to live for.
        let reason = ended.err().map_or_else(|| "done".to_owned(), |error| error.to_string());
        tracing::info!("{reason}");
        std::process::exit(0);
    })?;
    let Started { configure, tunnel, asker } = wait.recv().context("the broker did not answer")?;
    Ok(Link { configure, sender, inbox, tunnel, asker, to_main, display, display_known })
}

impl Link {
    /// Lets the window's stream reach the display.
    pub(crate) fn set_display(&self, display: DisplayHandleTo) -> anyhow::Result<()> {
        *self.display.lock().unwrap_or_else(PoisonError::into_inner) = Some(display);
        Ok(self.display_known.send(true)?)
    }

    /// A way to hand the main thread work from itself, later.
    pub(crate) fn to_main(&self) -> mpsc::UnboundedSender<MainEvent> {
        self.to_main.clone()
    }
}

struct Session {
    kernel: Kernel,
    dialer: tunnel::Dialer,
    lines: Lines,
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
                BrokerToChild::Heartbeat(beat) if host::is_busy() => self.sender.send(alive(beat)),
                BrokerToChild::Heartbeat(beat) => self.to_main.send(MainEvent::Heartbeat(beat))?,
                BrokerToChild::Command(command) => self.command(command, descriptors)?,
                BrokerToChild::Grant(grant) => self.granted(&grant, descriptors).await?,
                BrokerToChild::Revoke(revoke) => self.dialer.revoke(revoke.grant),
                BrokerToChild::Cookies(cookies) => {
                    let payload = descriptors.first().context("cookies without their payload")?;
                    let bytes = regen_runtime::read_sealed(payload, cookies.payload_size, MAX_COOKIES)?;
                    self.to_main.send(MainEvent::Cookies(bytes))?;
                }
                BrokerToChild::Site(show) => self.to_main.send(MainEvent::Site(show))?,
                BrokerToChild::Shutdown(_) => self.to_main.send(MainEvent::Shutdown)?,
                BrokerToChild::Hello(_) | BrokerToChild::Configure(_) | BrokerToChild::Update(_) => {
                    self.kernel.exit("the broker sent a message that is not for a tab-host").await;
                }
            }
        }
    }

    fn command(&self, command: HostCommand, descriptors: Vec<OwnedFd>) -> anyhow::Result<()> {
        if let Some(host_command::Body::ReleaseBuffers(_)) = &command.body {
            if let Some(display) = self.display.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                display.send(DisplayCommand::ReleaseBuffers);
            }
            return Ok(());
        }
        Ok(self.to_main.send(MainEvent::Command(Box::new(command), descriptors))?)
    }

    async fn granted(&mut self, grant: &Grant, descriptors: Vec<OwnedFd>) -> anyhow::Result<()> {
        let socket = descriptors.into_iter().next().context("a grant without its socket")?;
        if (grant.service(), grant.serve) == (Service::Verdicts, false) {
            self.lines.granted(socket);
            return Ok(());
        }
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true)?;
        let stream = UnixStream::from_std(socket)?;
        match (grant.service(), grant.serve) {
            (Service::Tunnel, false) => {
                self.dialer.grant(grant.grant, stream);
                self.lines.ask_again();
                self.to_main.send(MainEvent::NetworkBack)?;
            }
            (Service::Page, true) => {
                // Not before there is a display to show.
                self.display_watch.wait_for(|known| *known).await?;
                let display = self.display.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let display = display.context("no display")?;
                tokio::spawn(page_service::serve(stream, display, self.to_main.clone()));
            }
            _ => anyhow::bail!("a grant that is not for a tab-host"),
        }
        Ok(())
    }
}

/// The answer to a heartbeat.
pub(crate) fn alive(beat: Heartbeat) -> ChildToBroker {
    ChildToBroker::Heartbeat(beat)
}
