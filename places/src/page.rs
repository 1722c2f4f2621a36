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
    /// Place in `lower` where the address begins, without its scheme and `www.`.
    address: usize,
    /// Visits, oldest first.
    pub(crate) visits: Vec<VisitId>,
}

impl Page {
    pub(crate) fn new(url: Arc<str>) -> Self {
        let mut page = Self { url, title: String::new(), lower: String::new(), address: 0, visits: Vec::new() };
        page.set_title(String::new());
        page
    }

    pub(crate) fn set_title(&mut self, title: String) {
        self.lower = format!("{}\n{}", title.to_lowercase(), self.url.to_lowercase());
        let url = self.lower.rsplit_once('\n').map_or("", |(_, url)| url);
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        self.address = self.lower.len() - rest.strip_prefix("www.").unwrap_or(rest).len();
        self.title = title;
    }

    pub(crate) fn lower(&self) -> &str {
        &self.lower
    }

    /// Returns the address without its scheme and without `www.`, in lower case.
    pub(crate) fn lower_address(&self) -> &str {
        self.lower.get(self.address..).unwrap_or_default()
    }
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
