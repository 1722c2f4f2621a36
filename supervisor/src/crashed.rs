//! An unexpected death: decides whether and when the process is started again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::backing_off::BackingOff;
use super::given_up::GivenUp;
use super::machine::{Context, MachineAction, Next, State};
use super::rules::Escalation;

/// Deaths of one child.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) recent: VecDeque<Instant>,
    /// Number of all deaths, for the status.
    pub(super) total: u32,
}

impl History {
    pub(super) fn forget(&mut self) {
        self.recent.clear();
    }
}

pub(super) fn next(context: &mut Context<'_>) -> Next {
    let Context { now, rules, history, jitter } = context;
    history.total = history.total.saturating_add(1);
    history.recent.push_back(*now);
    while history.recent.front().is_some_and(|first| now.saturating_duration_since(*first) >= rules.period) {
        history.recent.pop_front();
    }
    let crashes = history.recent.len();
    let too_many = crashes >= rules.intensity;
    match rules.escalation {
        Escalation::GiveUp if too_many => {
            history.forget();
            (State::GivenUp(GivenUp), vec![MachineAction::GivesUp])
        }
        Escalation::KeepTrying if too_many => {
            let delay = spread(rules.longest_delay, *jitter);
            let state = State::BackingOff(BackingOff { until: *now + delay });
            (state, vec![MachineAction::Struggles, MachineAction::ComesBack(delay)])
        }
        Escalation::GiveUp | Escalation::KeepTrying => {
            let delay = if crashes <= 1 {
                // The first restart is immediate, so that nobody notices.
                Duration::ZERO
            } else {
                let doublings = u32::try_from(crashes - 2).unwrap_or(u32::MAX).min(16);
                spread(rules.first_delay.saturating_mul(1 << doublings).min(rules.longest_delay), *jitter)
            };
            (State::BackingOff(BackingOff { until: *now + delay }), vec![MachineAction::ComesBack(delay)])
        }
    }
}

/// Scales a delay by 0.75 to 1.25.
fn spread(delay: Duration, jitter: f64) -> Duration {
    delay.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
}
