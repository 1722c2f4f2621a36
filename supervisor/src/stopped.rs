//! The child is not running and is not wanted.

use super::machine::{Context, Event, MachineAction, Next, State};
use super::starting::Starting;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

impl Stopped {
    pub(super) fn on(self, event: Event, context: &mut Context<'_>) -> Next {
        match event {
            Event::Wanted => (State::Starting(Starting { since: context.now }), vec![MachineAction::Spawn]),
            Event::IsReady | Event::Asked | Event::Answered | Event::Tick { .. } | Event::Unwanted | Event::Died => {
                (State::Stopped(self), Vec::new())
            }
        }
    }
}
