//! The state machine of one child, over all its processes. Pure: time is an argument, and what is to be done is a result. A file
//! for each state; `rules` has what differs between roles.

use std::time::{Duration, Instant};

use super::backing_off::BackingOff;
use super::crashed::History;
use super::degraded::Degraded;
use super::given_up::GivenUp;
use super::ready::Ready;
use super::rules::Rules;
use super::starting::Starting;
use super::stopped::Stopped;
use super::stopping::Stopping;

/// Event in the life of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The child should run.
    Wanted,
    /// The child said that it is ready: a handshake, not a process.
    IsReady,
    /// A heartbeat was sent.
    Asked,
    /// The heartbeat was answered.
    Answered,
    /// Time went by. `starved` is the part of the time since the heartbeat in which the child waited for a processor.
    Tick { starved: Duration },
    /// The child should end.
    Unwanted,
    /// The process is gone.
    Died,
}

/// MachineAction that follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineAction {
    /// Start a process.
    Spawn,
    /// Ask the process to end.
    AskToEnd,
    /// Kill the process, for this reason.
    Kill(String),
    /// The process is started again after this delay.
    ComesBack(Duration),
    /// The process is not started again until the user asks for it.
    GivesUp,
    /// The process keeps failing; the status should say so.
    Struggles,
}

/// State of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Stopped(Stopped),
    Starting(Starting),
    Ready(Ready),
    Degraded(Degraded),
    Stopping(Stopping),
    BackingOff(BackingOff),
    GivenUp(GivenUp),
}

/// Input of a state's transition, beside the event.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) rules: &'a Rules,
    pub(super) history: &'a mut History,
    /// Random number from 0 to 1, so that children that died together do not come back together.
    pub(super) jitter: f64,
}

pub(super) type Next = (State, Vec<MachineAction>);

/// Supervision of one child, over all its processes.
#[derive(Debug)]
pub struct Machine {
    rules: &'static Rules,
    state: State,
    history: History,
    /// The process is being killed: nothing more is asked of it until it is gone.
    doomed: bool,
}

impl Machine {
    /// Returns a machine without a process.
    #[must_use]
    pub fn new(rules: &'static Rules) -> Self {
        Self { rules, state: State::Stopped(Stopped), history: History::default(), doomed: false }
    }

    /// Takes an event. `jitter` is from 0 to 1.
    pub fn on(&mut self, event: Event, now: Instant, jitter: f64) -> Vec<MachineAction> {
        if self.doomed && matches!(event, Event::Tick { .. } | Event::Asked) {
            return Vec::new();
        }
        let mut context = Context { now, rules: self.rules, history: &mut self.history, jitter };
        let (state, actions) = match self.state {
            State::Stopped(state) => state.on(event, &mut context),
            State::Starting(state) => state.on(event, &mut context),
            State::Ready(state) => state.on(event, &mut context),
            State::Degraded(state) => state.on(event, &mut context),
            State::Stopping(state) => state.on(event, &mut context),
            State::BackingOff(state) => state.on(event, &mut context),
            State::GivenUp(state) => state.on(event, &mut context),
        };
        self.state = state;
        let is_killed = actions.iter().any(|action| matches!(action, MachineAction::Kill(_)));
        self.doomed = event != Event::Died && (self.doomed || is_killed);
        actions
    }

    /// Returns the state's name, for people and for `status`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.state {
            State::Stopped(_) => "stopped",
            State::Starting(_) => "starting",
            State::Ready(_) => "ready",
            State::Degraded(_) => "degraded",
            State::Stopping(_) => "stopping",
            State::BackingOff(_) => "backing off",
            State::GivenUp(_) => "given up",
        }
    }

    /// Returns whether the process takes commands. One that is late with a heartbeat still does.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_) | State::Degraded(_))
    }

    /// Returns whether the process was asked to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping(_))
    }

    /// Returns whether a process was started and has not said yet that it is ready.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting(_))
    }

    /// Returns whether there is a process.
    #[must_use]
    pub fn has_process(&self) -> bool {
        matches!(self.state, State::Starting(_) | State::Ready(_) | State::Degraded(_) | State::Stopping(_))
    }

    /// Returns whether a tick can change the state.
    #[must_use]
    pub fn waits(&self) -> bool {
        !matches!(self.state, State::Stopped(_) | State::GivenUp(_) | State::Ready(Ready { asked: None }))
    }

    /// Returns whether the child dies again and again.
    #[must_use]
    pub fn struggles(&self) -> bool {
        self.history.recent.len() >= self.rules.intensity
    }

    /// Returns how often the child died without having been asked to end.
    #[must_use]
    pub fn crashes(&self) -> u32 {
        self.history.total
    }
}
