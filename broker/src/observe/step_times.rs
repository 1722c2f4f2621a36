//! Durations of the event loop's steps. During a step, the loop answers nothing else.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Duration from which a step is logged.
const LONG: Duration = Duration::from_millis(50);
/// Maximum duration that the histogram distinguishes, in µs.
const MAX_US: u64 = 60_000_000;

/// Durations of all steps since the start.
#[derive(Debug)]
pub(super) struct StepTimes {
    micros: Histogram<u64>,
    longest: Duration,
    longest_kind: &'static str,
}

/// Summary of the durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Number of steps since the start.
    pub steps: u64,
    /// 99th percentile.
    pub p99: Duration,
    /// Duration of the longest step.
    pub longest: Duration,
    /// Kind of the longest step.
    pub longest_kind: &'static str,
}

impl Default for StepTimes {
    #[expect(clippy::expect_used, reason = "the bounds are constants")]
    fn default() -> Self {
        let micros = Histogram::new_with_bounds(1, MAX_US, 2).expect("bounds that the histogram takes");
        Self { micros, longest: Duration::ZERO, longest_kind: "" }
    }
}

impl StepTimes {
    /// Records the duration of a step.
    pub(super) fn record(&mut self, kind: &'static str, took: Duration) {
        self.micros.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if took > self.longest {
            (self.longest, self.longest_kind) = (took, kind);
        }
        if took > LONG {
            tracing::warn!(kind, ms = took.as_millis(), "a step of the event loop took long");
        }
    }

    /// Returns a summary of all steps.
    #[must_use]
    pub(super) fn summary(&self) -> Summary {
        Summary {
            steps: self.micros.len(),
            p99: Duration::from_micros(self.micros.value_at_quantile(0.99)),
            longest: self.longest,
            longest_kind: self.longest_kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_step_and_most_of_them_are_told_apart() {
        let mut times = StepTimes::default();
        (0..99).for_each(|_| times.record("tick", Duration::from_micros(200)));
        times.record("command", Duration::from_millis(30));
        let Summary { steps, p99, longest, longest_kind } = times.summary();
        assert_eq!((steps, longest, longest_kind), (100, Duration::from_millis(30), "command"));
        assert!((200..=205).contains(&p99.as_micros()), "{p99:?}");
        times.record("tick", Duration::MAX);
        assert_eq!(times.summary().longest_kind, "tick");
    }
}
