//! The process died too often. Only the user starts it again.

use super::machine::{Context, Event, MachineAction, Next, State};
use super::starting::Starting;
use super::stopped::Stopped;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GivenUp;

impl GivenUp {
    pub(super) fn on(self, event: Event, context: &mut Context<'_>) -> Next {
        match event {
            Event::Wanted => {
                context.history.forget();
                (State::Starting(Starting { since: context.now }), vec![MachineAction::Spawn])
            }
            Event::Unwanted => (State::Stopped(Stopped), Vec::new()),
            Event::IsReady | Event::Asked | Event::Answered | Event::Tick { .. } | Event::Died => {
                (State::GivenUp(self), Vec::new())
            }
        }
    }
}
