//! The process was asked to end and has time to save its state.

use std::time::Instant;

use super::machine::{Context, Event, MachineAction, Next, State};
use super::starting::Starting;
use super::stopped::Stopped;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopping {
    since: Instant,
    /// The child is wanted again. It starts after the old process has ended, because two processes must not share a bucket.
    again: bool,
}

impl Stopping {
    pub(super) fn begin(context: &mut Context<'_>) -> Next {
        (State::Stopping(Self { since: context.now, again: false }), vec![MachineAction::AskToEnd])
    }

    pub(super) fn on(self, event: Event, context: &mut Context<'_>) -> Next {
        match event {
            Event::Wanted => (State::Stopping(Self { again: true, ..self }), Vec::new()),
            Event::Unwanted => (State::Stopping(Self { again: false, ..self }), Vec::new()),
            Event::Tick { .. } if context.now.saturating_duration_since(self.since) > context.rules.grace => {
                (State::Stopping(self), vec![MachineAction::Kill("did not end when it was asked to".to_owned())])
            }
            Event::Died if self.again => (State::Starting(Starting { since: context.now }), vec![MachineAction::Spawn]),
            Event::Died => (State::Stopped(Stopped), Vec::new()),
            Event::IsReady | Event::Asked | Event::Answered | Event::Tick { .. } => (State::Stopping(self), Vec::new()),
        }
    }
}
