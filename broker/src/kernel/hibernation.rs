//! Sites that nobody has looked at for a while sleep: their process ends, and comes back with the page as it was when somebody
//! looks. Under memory pressure the ones that were looked at longest ago go first, one at a time.

use std::time::{Duration, Instant};

use super::Kernel;
use super::child::role_name;
use crate::session::{Event, HostKey, TabId};
use regen_proto::kernel::v1::Role;

/// A page that was looked at this recently stays, however tight memory is.
const RECENT: Duration = Duration::from_secs(30);
/// Share of the last ten seconds in which somebody waited for memory: above this it is tight.
const PRESSURE: f64 = 10.0;

impl Kernel {
    /// Once a second: remembers what is looked at, and lets sites sleep.
    pub(super) fn hibernate(&mut self) {
        let now = Instant::now();
        let session = &self.session;
        self.seen.retain(|tab, _| session.tabs.contains_key(tab));
        for tab in session.tabs.keys() {
            self.seen.entry(*tab).or_insert(now);
        }
        if let Some(active) = session.active {
            self.seen.insert(active, now);
        }
        let after = self.options.hibernate_after;
        let is_tight = after.is_some() && memory_pressure().is_some_and(|share| share > PRESSURE);
        let mut candidates: Vec<(Duration, HostKey)> = session
            .hosts
            .keys()
            .filter(|host| session.can_sleep(host))
            .filter_map(|host| Some((self.unseen_for(host, now)?, host.clone())))
            .collect();
        candidates.sort_by_key(|(unseen, _)| std::cmp::Reverse(*unseen));
        let asleep: Vec<(Duration, HostKey)> = match after {
            Some(after) if candidates.first().is_some_and(|(unseen, _)| *unseen >= after) => {
                candidates.into_iter().filter(|(unseen, _)| *unseen >= after).collect()
            }
            _ if is_tight => candidates.into_iter().filter(|(unseen, _)| *unseen >= RECENT).take(1).collect(),
            _ => Vec::new(),
        };
        for (unseen, host) in asleep {
            let site = host.site.as_str().to_owned();
            tracing::info!(
                role = role_name(Role::TabHost),
                site,
                "sleeps: nobody looked at it for {} s",
                unseen.as_secs()
            );
            self.audit.record("hibernated", serde_json::json!({ "site": site, "unseen_s": unseen.as_secs() }));
            self.apply(Event::Sleep(host));
        }
    }

    /// Since when nobody has looked at any tab of a site.
    fn unseen_for(&self, host: &HostKey, now: Instant) -> Option<Duration> {
        let tabs = self.session.tabs.values().filter(|tab| tab.host().as_ref() == Some(host));
        let seen = |id: TabId| self.seen.get(&id).map(|seen| now.saturating_duration_since(*seen));
        tabs.filter_map(|tab| seen(tab.id)).min()
    }
}

/// The kernel's own figure, where it has one (`CONFIG_PSI`).
fn memory_pressure() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/pressure/memory").ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}
