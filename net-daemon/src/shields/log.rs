//! What was blocked lately. In memory only: nowhere else are full addresses kept.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use regen_proto::net::v1::{Blocked, CheckRequest, Verdict};

/// So many are kept.
const KEPT: usize = 1000;
/// Longer addresses and rules are cut, in bytes.
const LONGEST: usize = 2000;

#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Blocked>,
    pub(super) checked: u64,
    pub(super) blocked: u64,
}

impl Log {
    pub(super) fn enter(&mut self, site: &str, request: &CheckRequest, verdict: &Verdict) {
        self.checked += 1;
        if !verdict.blocked {
            return;
        }
        self.blocked += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let cut = |text: &str| text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned();
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.entries.push_back(Blocked {
            number: self.blocked,
            time_ms: u64::try_from(time).unwrap_or(u64::MAX),
            site: site.to_owned(),
            page: cut(&request.page),
            url: cut(&request.url),
            kind: request.kind.clone(),
            rule: cut(&verdict.rule),
            list: verdict.list.clone(),
        });
    }

    /// Those with a higher number.
    pub(super) fn after(&self, number: u64) -> Vec<Blocked> {
        self.entries.iter().filter(|entry| entry.number > number).cloned().collect()
    }
}
