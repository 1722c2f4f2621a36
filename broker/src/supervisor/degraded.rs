//! It works, or does not: an answer is late.

use std::time::Instant;

use super::ready::Ready;
use super::stopping::Stopping;
use super::{Action, Context, Event, Next, State, crashed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Degraded {
    /// Since when the answer is outstanding.
    pub(super) asked: Instant,
}

impl Degraded {
    pub(super) fn on(self, event: Event, context: &mut Context<'_>) -> Next {
        match event {
            Event::Answered => (State::Ready(Ready { asked: None }), Vec::new()),
            Event::Tick { starved } => {
                let silence = context.now.saturating_duration_since(self.asked).saturating_sub(starved);
                let hung = silence > context.rules.hung;
                let reason = || format!("hung: no sign of life for {:.1} s", silence.as_secs_f64());
                (State::Degraded(self), if hung { vec![Action::Kill(reason())] } else { Vec::new() })
            }
            Event::Unwanted => Stopping::begin(context),
            Event::Died => crashed::next(context),
            Event::Wanted | Event::IsReady | Event::Asked => (State::Degraded(self), Vec::new()),
        }
    }
}
