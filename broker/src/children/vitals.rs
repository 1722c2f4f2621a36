//! Signs of life of children, as the supervisor asks for them.

use std::time::Duration;

use regen_supervisor::{Key, Vitals};

use super::Children;

impl Vitals for Children {
    fn take_answer(&mut self, key: &Key) -> bool {
        let Some(child) = self.of_key(key).and_then(|id| self.table.get_mut(&id)) else { return false };
        let answered = child.pulse.take();
        if answered {
            child.heartbeat_sent = None;
        }
        answered
    }

    fn starved(&mut self, key: &Key, overslept: Duration) -> Duration {
        let Some(child) = self.of_key(key).and_then(|id| self.table.get_mut(&id)) else { return Duration::ZERO };
        // Most answer before the next tick, and are not looked at.
        if child.heartbeat_sent.is_none() {
            return Duration::ZERO;
        }
        let stats = child.process.as_ref().and_then(|process| process.stats.as_ref());
        let now = stats.map_or(Duration::ZERO, |stats| stats.waited()) + overslept;
        now.saturating_sub(*child.starved_before.get_or_insert(now))
    }
}
