//! The answer to a heartbeat is late: the process may hang.

use std::time::Instant;

use super::crashed;
use super::machine::{Context, Event, MachineAction, Next, State};
use super::ready::Ready;
use super::stopping::Stopping;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Degraded {
    /// Time of the heartbeat whose answer is outstanding.
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
                (State::Degraded(self), if hung { vec![MachineAction::Kill(reason())] } else { Vec::new() })
            }
            Event::Unwanted => Stopping::begin(context),
            Event::Died => crashed::next(context),
            Event::Wanted | Event::IsReady | Event::Asked => (State::Degraded(self), Vec::new()),
        }
    }
}
