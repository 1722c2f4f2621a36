//! One state machine for each child that there should be: a site's host, or a daemon. Pure: time is an argument, and what is to
//! be done is a result. A file for each state; `rules` has what differs between roles.

mod backing_off;
mod crashed;
mod degraded;
mod given_up;
mod ready;
mod rules;
mod starting;
mod stopped;
mod stopping;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use backing_off::BackingOff;
use crashed::History;
use degraded::Degraded;
use given_up::GivenUp;
use ready::Ready;
use starting::Starting;
use stopped::Stopped;
use stopping::Stopping;

pub use rules::{ASK, Escalation, Rules, SPARE, of, who_needs};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It should be there.
    Wanted,
    /// It said that it is ready: a handshake, not a process.
    IsReady,
    /// It was asked for a sign of life.
    Asked,
    /// It gave one.
    Answered,
    /// Time went by. `starved`: how much of the time since it was asked it waited for a processor.
    Tick { starved: Duration },
    /// It should end.
    Unwanted,
    /// It is over.
    Died,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a process.
    Spawn,
    /// Ask it to end.
    AskToEnd,
    /// End it, for this reason.
    Kill(String),
    /// It comes back, after this long.
    ComesBack(Duration),
    /// It does not come back by itself.
    GivesUp,
    /// It goes on failing: whoever needs it should know.
    Struggles,
}

/// Where a child is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Stopped(Stopped),
    Starting(Starting),
    Ready(Ready),
    Degraded(Degraded),
    Stopping(Stopping),
    BackingOff(BackingOff),
    GivenUp(GivenUp),
}

/// What a state needs to know to go on.
struct Context<'a> {
    now: Instant,
    rules: &'a Rules,
    history: &'a mut History,
    /// From 0 to 1: so that children that died together do not come back together.
    jitter: f64,
}

type Next = (State, Vec<Action>);

/// The supervision of one child, over all its processes.
#[derive(Debug)]
pub struct Machine {
    rules: &'static Rules,
    state: State,
    history: History,
    /// It is being killed: nothing more is asked of it until it is over.
    doomed: bool,
}

impl Machine {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(rules: &'static Rules) -> Self {
        Self { rules, state: State::Stopped(Stopped), history: History::default(), doomed: false }
    }

    /// Goes on. `jitter` is from 0 to 1.
    pub fn on(&mut self, event: Event, now: Instant, jitter: f64) -> Vec<Action> {
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
        let is_killed = actions.iter().any(|action| matches!(action, Action::Kill(_)));
        self.doomed = event != Event::Died && (self.doomed || is_killed);
        actions
    }

    /// For people and for `status`.
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

    /// It takes commands. One that is late with a sign of life still does.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_) | State::Degraded(_))
    }

    /// It was asked to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping(_))
    }

    /// A process was started, and has not said yet that it is ready.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting(_))
    }

    /// There is a process.
    #[must_use]
    pub fn has_process(&self) -> bool {
        matches!(self.state, State::Starting(_) | State::Ready(_) | State::Degraded(_) | State::Stopping(_))
    }

    /// Time that goes by means something to it.
    #[must_use]
    pub fn waits(&self) -> bool {
        !matches!(self.state, State::Stopped(_) | State::GivenUp(_) | State::Ready(Ready { asked: None }))
    }

    /// It dies again and again.
    #[must_use]
    pub fn struggles(&self) -> bool {
        self.history.recent.len() >= self.rules.intensity
    }

    /// How often it died without having been asked to.
    #[must_use]
    pub fn crashes(&self) -> u32 {
        self.history.total
    }
}
