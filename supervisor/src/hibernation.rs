//! Hibernation: hosts whose tabs nobody has looked at for a while are put to sleep. Their process ends and comes back, with the
//! page as it was, when somebody looks. Under memory pressure the host that was looked at longest ago sleeps first, one at a time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use regen_session::{HostKey, Session, TabId};

/// A tab that was looked at this recently keeps its host awake, however tight memory is.
const MIN_UNSEEN: Duration = Duration::from_secs(30);
/// Percentage of the last ten seconds in which some process waited for memory, above which memory is tight.
const MAX_PRESSURE: f64 = 10.0;

/// A host that is to sleep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sleeper {
    /// The host.
    pub host: HostKey,
    /// Time since a tab of it was last looked at.
    pub unseen: Duration,
}

/// Times at which tabs were last looked at.
#[derive(Debug)]
pub struct Hibernation {
    /// Time after which a host sleeps; `None`: never.
    after: Option<Duration>,
    last_seen: HashMap<TabId, Instant>,
}

impl Hibernation {
    /// Returns a component that has seen no tab yet.
    #[must_use]
    pub fn new(after: Option<Duration>) -> Self {
        Self { after, last_seen: HashMap::new() }
    }

    /// Sets the time after which a host sleeps; `None`: never.
    pub fn set_after(&mut self, after: Option<Duration>) {
        self.after = after;
    }

    /// Notes which tab is looked at, and returns the hosts that are to sleep. `pressure`: see [`memory_pressure`].
    pub fn due(&mut self, session: &Session, now: Instant, pressure: Option<f64>) -> Vec<Sleeper> {
        self.last_seen.retain(|tab, _| session.tabs.contains_key(tab));
        for tab in session.tabs.keys() {
            self.last_seen.entry(*tab).or_insert(now);
        }
        if let Some(active) = session.active {
            self.last_seen.insert(active, now);
        }
        let Some(after) = self.after else { return Vec::new() };
        let mut candidates: Vec<Sleeper> = session
            .hosts
            .keys()
            .filter(|host| session.can_sleep(host))
            .filter_map(|host| Some(Sleeper { unseen: self.unseen_for(session, host, now)?, host: host.clone() }))
            .collect();
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.unseen));
        if candidates.first().is_some_and(|candidate| candidate.unseen >= after) {
            candidates.retain(|candidate| candidate.unseen >= after);
        } else if pressure.is_some_and(|pressure| pressure > MAX_PRESSURE) {
            candidates.retain(|candidate| candidate.unseen >= MIN_UNSEEN);
            candidates.truncate(1);
        } else {
            candidates.clear();
        }
        candidates
    }

    fn unseen_for(&self, session: &Session, host: &HostKey, now: Instant) -> Option<Duration> {
        let tabs = session.tabs.values().filter(|tab| tab.host().as_ref() == Some(host));
        let unseen = |id: TabId| self.last_seen.get(&id).map(|seen| now.saturating_duration_since(*seen));
        tabs.filter_map(|tab| unseen(tab.id)).min()
    }
}

/// Returns the kernel's figure for memory pressure (`CONFIG_PSI`), in percent; `None` where the kernel has none.
#[must_use]
pub fn memory_pressure() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/pressure/memory").ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use regen_net_config::site::Site;

    use super::*;
    use regen_session::{Event, PageLoad, reduce};

    /// Opens a tab whose page has loaded.
    fn loaded(session: &mut Session, url: &str) -> HostKey {
        let load = Some(PageLoad::by_user(url));
        reduce(session, Event::Open { load, workspace: String::new(), background: false, opener: None });
        let host = HostKey { site: Site::of(url).unwrap(), workspace: String::new() };
        reduce(session, Event::HostUp(host.clone()));
        let tab = *session.order.last().unwrap();
        let tab = session.tabs.get_mut(&tab).unwrap();
        (tab.phase, tab.pending) = (regen_session::Phase::Ready, None);
        host
    }

    #[test]
    fn a_host_sleeps_when_nobody_looked_at_it_or_when_memory_is_tight() {
        let (mut session, start) = (Session::default(), Instant::now());
        let old = loaded(&mut session, "http://old.test/");
        let front = loaded(&mut session, "http://front.test/");
        let mut hibernation = Hibernation::new(Some(Duration::from_secs(600)));
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(hibernation.due(&session, at(0), None), []);
        assert_eq!(hibernation.due(&session, at(20), Some(99.0)), [], "looked at too recently");
        let tight = hibernation.due(&session, at(40), Some(99.0));
        assert_eq!(tight, [Sleeper { host: old.clone(), unseen: Duration::from_secs(40) }]);
        assert_eq!(hibernation.due(&session, at(599), Some(1.0)), []);
        let due = hibernation.due(&session, at(600), None);
        assert!(due.iter().all(|sleeper| sleeper.host != front), "the tab in front is looked at all the time");
        assert_eq!(due.len(), 1);
        assert_eq!(Hibernation::new(None).due(&session, at(9000), Some(99.0)), [], "it is switched off");
    }
}
