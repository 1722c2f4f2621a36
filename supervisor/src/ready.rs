//! The process works. It answers heartbeats.

use std::time::Instant;

use super::crashed;
use super::degraded::Degraded;
use super::machine::{Context, Event, Next, State};
use super::stopping::Stopping;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    /// Time of the heartbeat whose answer is outstanding.
    pub(super) asked: Option<Instant>,
}

impl Ready {
    pub(super) fn on(self, event: Event, context: &mut Context<'_>) -> Next {
        match (event, self.asked) {
            (Event::Asked, None) => (State::Ready(Self { asked: Some(context.now) }), Vec::new()),
            (Event::Answered, _) => (State::Ready(Self { asked: None }), Vec::new()),
            (Event::Tick { starved }, Some(asked)) => {
                let silence = context.now.saturating_duration_since(asked).saturating_sub(starved);
                let late = silence > context.rules.late;
                (if late { State::Degraded(Degraded { asked }) } else { State::Ready(self) }, Vec::new())
            }
            (Event::Unwanted, _) => Stopping::begin(context),
            (Event::Died, _) => crashed::next(context),
            (Event::Wanted | Event::IsReady | Event::Asked | Event::Tick { .. }, _) => (State::Ready(self), Vec::new()),
        }
    }
}
