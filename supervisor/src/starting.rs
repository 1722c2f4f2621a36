//! A process was started and has not said yet that it is ready.

use std::time::{Duration, Instant};

use super::crashed;
use super::machine::{Context, Event, MachineAction, Next, State};
use super::ready::Ready;
use super::stopping::Stopping;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Starting {
    pub(super) since: Instant,
}

impl Starting {
    pub(super) fn on(self, event: Event, context: &mut Context<'_>) -> Next {
        match event {
            Event::IsReady => (State::Ready(Ready { asked: None }), Vec::new()),
            Event::Tick { .. } if self.age(context.now) > context.rules.ready_within => {
                let reason = format!("was not ready within {} s", context.rules.ready_within.as_secs());
                (State::Starting(self), vec![MachineAction::Kill(reason)])
            }
            Event::Unwanted => Stopping::begin(context),
            Event::Died => crashed::next(context),
            Event::Wanted | Event::Asked | Event::Answered | Event::Tick { .. } => (State::Starting(self), Vec::new()),
        }
    }

    fn age(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}
