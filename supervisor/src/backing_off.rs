//! The process died and is started again after a delay.

use std::time::Instant;

use super::machine::{Context, Event, MachineAction, Next, State};
use super::starting::Starting;
use super::stopped::Stopped;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BackingOff {
    pub(super) until: Instant,
}

impl BackingOff {
    pub(super) fn on(self, event: Event, context: &mut Context<'_>) -> Next {
        match event {
            Event::Wanted | Event::Tick { .. } if context.now >= self.until => {
                (State::Starting(Starting { since: context.now }), vec![MachineAction::Spawn])
            }
            Event::Unwanted => (State::Stopped(Stopped), Vec::new()),
            Event::Wanted | Event::IsReady | Event::Asked | Event::Answered | Event::Tick { .. } | Event::Died => {
                (State::BackingOff(self), Vec::new())
            }
        }
    }
}
