//! Nothing runs, and nothing should.

use super::starting::Starting;
use super::{Action, Context, Event, Next, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

impl Stopped {
    pub(super) fn on(self, event: Event, context: &mut Context<'_>) -> Next {
        match event {
            Event::Wanted => (State::Starting(Starting { since: context.now }), vec![Action::Spawn]),
            Event::IsReady | Event::Asked | Event::Answered | Event::Tick { .. } | Event::Unwanted | Event::Died => {
                (State::Stopped(self), Vec::new())
            }
        }
    }
}
