//! A page of the history: one address, and all visits to it.

use std::sync::Arc;

use crate::visit::VisitId;

/// Number of a page's last visits that say how likely it is wanted.
const SAMPLE: usize = 10;
const DAY: u64 = 24 * 3600;

/// A page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) url: Arc<str>,
    pub(crate) title: String,
    /// Title and address in lower case, on two lines, for searching.
    lower: String,
    /// Visits, oldest first.
    pub(crate) visits: Vec<VisitId>,
}

impl Page {
    pub(crate) fn new(url: Arc<str>) -> Self {
        let lower = lower_of("", &url);
        Self { url, title: String::new(), lower, visits: Vec::new() }
    }

    pub(crate) fn set_title(&mut self, title: String) {
        self.lower = lower_of(&title, &self.url);
        self.title = title;
    }

    pub(crate) fn lower(&self) -> &str {
        &self.lower
    }

    /// Returns the address without its scheme and without `www.`, in lower case.
    pub(crate) fn lower_address(&self) -> &str {
        let url = self.lower.rsplit_once('\n').map_or("", |(_, url)| url);
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.strip_prefix("www.").unwrap_or(rest)
    }
}

fn lower_of(title: &str, url: &str) -> String {
    format!("{}\n{}", title.to_lowercase(), url.to_lowercase())
}

/// Returns how likely a page is wanted, from its visits' times, newest first. Recent visits count more, and one that the
/// user entered twice as much as a followed link. The weights by age are Firefox's “frecency” buckets.
pub(crate) fn frecency(visits: impl Iterator<Item = (u64, bool)>, count: usize, now: u64) -> u64 {
    let (mut sum, mut sampled) = (0, 0);
    for (at, typed) in visits.take(SAMPLE) {
        let weight = match now.saturating_sub(at) / DAY {
            0..=3 => 100,
            4..=13 => 70,
            14..=30 => 50,
            31..=89 => 30,
            _ => 10,
        };
        sum += if typed { 2 * weight } else { weight };
        sampled += 1;
    }
    (sum * count as u64).checked_div(sampled).unwrap_or(0)
}
