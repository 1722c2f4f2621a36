//! The event loop: receives events, hands each to its owner, and notes how long that took. It owns its inbox and the components,
//! and nothing else. It waits for no child and no disk, except for a bounded time at the end of
//! the browser.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use regen_proto::kernel_channel::ChannelError;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::broker::Broker;
use crate::broker_setup::{BrokerSetup, Channels};
use crate::children::Event as ChildEvent;
use crate::control::{BrokerHandle, Command};
use crate::control_commands::ControlCommands;
use crate::launcher::FromLauncherBody;
use crate::{network, persistence, window};
use regen_supervisor::TICK;

/// Events of one kind that may wait.
const INBOX_SIZE: usize = 1024;
/// Time in which children that were asked to end may save what they have.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Everything that the event loop receives, a channel for each source: a source that talks much does not keep others waiting.
#[derive(Debug)]
struct Inbox {
    children: mpsc::Receiver<ChildEvent>,
    network: mpsc::Receiver<network::Event>,
    persistence: mpsc::Receiver<persistence::Event>,
    window: mpsc::Receiver<window::Event>,
    commands: mpsc::Receiver<Command>,
}

/// One thing that happened.
enum Input {
    Child(ChildEvent),
    Launcher(Result<(FromLauncherBody, Vec<OwnedFd>), ChannelError>),
    Network(network::Event),
    Persistence(persistence::Event),
    Window(window::Event),
    Command(Command),
    Tick,
}

impl Input {
    /// Returns the kind, for the measurement of steps.
    fn kind(&self) -> &'static str {
        match self {
            Self::Child(event) => event.kind(),
            Self::Launcher(_) => "launcher",
            Self::Network(_) => "network",
            Self::Persistence(_) => "save",
            Self::Window(_) => "window",
            Self::Command(_) => "command",
            Self::Tick => "tick",
        }
    }
}

/// The event loop.
#[derive(Debug)]
pub struct EventLoop {
    inbox: Inbox,
    broker: Broker,
}

impl EventLoop {
    /// Makes the components, and the handle to them. Starts nothing.
    #[must_use]
    pub fn new(setup: BrokerSetup) -> (Self, BrokerHandle) {
        let (to_children, children) = mpsc::channel(INBOX_SIZE);
        let (to_network, network) = mpsc::channel(INBOX_SIZE);
        let (to_persistence, persistence) = mpsc::channel(INBOX_SIZE);
        let (to_window, window) = mpsc::channel(INBOX_SIZE);
        let (to_commands, commands) = mpsc::channel(INBOX_SIZE);
        let (changed, watching) = watch::channel(0);
        let channels = Channels {
            children: to_children,
            network: to_network,
            persistence: to_persistence,
            window: to_window,
            changed,
        };
        let inbox = Inbox { children, network, persistence, window, commands };
        let event_loop = Self { inbox, broker: Broker::new(setup, channels) };
        (event_loop, BrokerHandle::new(to_commands, watching))
    }

    /// Starts the daemons and opens the first tabs, then runs until the browser ends.
    pub async fn run(mut self, urls: Vec<String>) {
        self.broker.start(urls);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.broker.is_ending() {
            let Inbox { children, network, persistence, window, commands } = &mut self.inbox;
            let input = tokio::select! {
                Some(event) = children.recv() => Input::Child(event),
                message = self.broker.children().launcher_message() => Input::Launcher(message),
                Some(event) = network.recv() => Input::Network(event),
                Some(event) = persistence.recv() => Input::Persistence(event),
                Some(event) = window.recv() => Input::Window(event),
                Some(command) = commands.recv() => Input::Command(command),
                _ = tick.tick() => Input::Tick,
            };
            self.step(input);
        }
        self.shut_down().await;
    }

    /// Takes one step.
    fn step(&mut self, input: Input) {
        let (kind, start) = (input.kind(), Instant::now());
        match input {
            Input::Child(event) => self.broker.child_event(event),
            Input::Launcher(Ok((message, descriptors))) => self.broker.launcher_message(message, descriptors),
            Input::Launcher(Err(ChannelError::Closed)) => self.broker.launcher_gone(),
            Input::Launcher(Err(error)) => tracing::error!("a message of the launcher is lost: {error}"),
            Input::Network(event) => self.broker.network_event(event),
            Input::Persistence(persistence::Event::Save) => self.broker.save(false),
            Input::Window(event) => self.broker.window_event(event),
            Input::Command(command) => ControlCommands::new(&mut self.broker).carry_out(command),
            Input::Tick => self.broker.tick(),
        }
        self.broker.step_took(kind, start.elapsed());
    }

    /// Ends the browser: children are asked to save what they have, the store is flushed, and no process is left.
    async fn shut_down(&mut self) {
        self.broker.end_children();
        let deadline = tokio::time::Instant::now() + SHUTDOWN_TIMEOUT;
        while !self.broker.children().is_empty() {
            // Last snapshots count; new wishes do not.
            let input = tokio::select! {
                Some(event) = self.inbox.children.recv() => Input::Child(event),
                message = self.broker.children().launcher_message() => match message {
                    Ok(message) => Input::Launcher(Ok(message)),
                    Err(_) => break,
                },
                () = tokio::time::sleep_until(deadline) => break,
            };
            self.step(input);
        }
        self.broker.end();
    }
}
