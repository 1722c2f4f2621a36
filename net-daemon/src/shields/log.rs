//! Log of recently blocked requests, in memory only. Full URLs are kept nowhere else.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use regen_net_config::host::is_throw_away;
use regen_proto::net::v1::{Blocked, CheckRequest, Verdict, VerdictWait};

/// Maximum number of entries.
const KEPT: usize = 1000;
/// Maximum length of a URL or rule, in bytes. Longer ones are cut.
const MAX_TEXT: usize = 2000;

/// Maximum wait, in microseconds. Longer ones count as this long, since web processes are not trusted.
const MAX_WAIT: u64 = 60_000_000;

#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Blocked>,
    pub(super) checked: u64,
    pub(super) blocked: u64,
    /// Waits for verdicts, in microseconds.
    waits: Histogram<u64>,
}

impl Default for Log {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants")]
        let waits = Histogram::new_with_bounds(1, MAX_WAIT, 2).expect("bounds and two digits");
        Self { entries: VecDeque::new(), checked: 0, blocked: 0, waits }
    }
}

impl Log {
    /// Returns statistics of the time that web processes waited for verdicts.
    pub(super) fn wait(&self) -> Option<VerdictWait> {
        let waits = &self.waits;
        let [p50_us, p99_us] = [0.5, 0.99].map(|part| waits.value_at_quantile(part));
        (!waits.is_empty()).then(|| VerdictWait { count: waits.len(), p50_us, p99_us, max_us: waits.max() })
    }

    /// Counts a verdict, and enters a blocked request. None of a throw-away workspace is entered: the log outlives it.
    pub(super) fn enter(&mut self, site: &str, workspace: &str, request: &CheckRequest, verdict: &Verdict) {
        self.checked += 1;
        if request.waited_us > 0 {
            self.waits.saturating_record(u64::from(request.waited_us).min(MAX_WAIT));
        }
        if !verdict.blocked {
            return;
        }
        self.blocked += 1;
        if is_throw_away(workspace) {
            return;
        }
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let cut = |text: &str| text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default().to_owned();
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.entries.push_back(Blocked {
            number: self.blocked,
            time_ms: u64::try_from(time).unwrap_or(u64::MAX),
            site: site.to_owned(),
            workspace: workspace.to_owned(),
            page: cut(&request.page),
            url: cut(&request.url),
            kind: request.kind.clone(),
            rule: cut(&verdict.rule),
            list: verdict.list.clone(),
        });
    }

    /// Returns the entries with a higher number.
    pub(super) fn after(&self, number: u64) -> Vec<Blocked> {
        self.entries.iter().filter(|entry| entry.number > number).cloned().collect()
    }
}
