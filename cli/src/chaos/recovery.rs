//! Recovery after a fault: waits as a user would, and compares the result with the state before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use regen_crash_reports::{self as crash_reports, Crash};
use regen_proto::control::v1::{HistoryRequest, Process, SessionAction, SessionRequest, StatusReply, TabRequest};
use regen_proto::role::Role;

use super::testbed::{Before, Footprint, Injected, POLL_INTERVAL, RECOVERY_TIMEOUT, Testbed};
use crate::client::{Client, Failure};
use crate::launch;

/// Maximum delay between a death and its crash report.
const REPORTED: Duration = Duration::from_secs(2);

/// Result of a recovery.
#[derive(Debug, Clone)]
pub(super) struct Recovered {
    /// Time from the fault to full recovery. `None` if nothing was to recover, or the user had to act.
    pub(super) time: Option<Duration>,
    pub(super) how: String,
}

impl Testbed {
    /// Waits until everything that the fault ended has recovered.
    pub(super) async fn recovered(&mut self, injected: &Injected, before: &Before) -> Result<Recovered, Failure> {
        if injected.browser {
            return self.restarted(injected).await;
        }
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        if let Some((role, pid)) = &injected.daemon {
            self.until(deadline, &format!("new {role}"), |status| {
                let is_it = |now: &Process| match role.as_str() {
                    "spare" => now.state == "spare",
                    role => now.role == role && now.state == "ready",
                };
                status.processes.iter().any(|now| now.pid != *pid && is_it(now))
            })
            .await?;
        }
        let mut asked = false;
        for site in &injected.sites {
            asked |= self.page_back(*site, before, deadline).await?;
        }
        if injected.daemon.as_ref().is_some_and(|(role, _)| role == "net-daemon") {
            self.network_back(deadline).await?;
        }
        let time = injected.at.elapsed();
        if !injected.guests.is_empty() {
            // After a sad tab, the other tabs of the site also wait for the user.
            if !asked {
                self.crowd_is_well(&injected.guests).await?;
            }
            for tab in &injected.guests {
                self.client.api.close_tab(TabRequest { tab: *tab }).await?;
            }
        }
        let nothing = injected.sites.is_empty() && injected.daemon.is_none();
        let how = match (nothing, asked) {
            (true, _) => "nothing died".to_owned(),
            (false, true) => "sad tab, reloaded by the user".to_owned(),
            (false, false) => "recovered".to_owned(),
        };
        Ok(Recovered { time: (!nothing && !asked).then_some(time), how })
    }

    async fn until(&self, deadline: Instant, what: &str, holds: impl Fn(&StatusReply) -> bool) -> Result<(), Failure> {
        while !holds(&self.status().await?) {
            if Instant::now() > deadline {
                return Err(Failure::Timeout(format!("no {what} became ready")));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Waits until a page has been reloaded with the user's state. Returns whether the user had to reload a sad tab,
    /// which the supervisor's rules allow after too many deaths.
    async fn page_back(&mut self, site: usize, before: &Before, deadline: Instant) -> Result<bool, Failure> {
        let (Some(expected), Some(old)) = (self.expected.get(site).cloned(), before.test_pages.get(site)) else {
            return Ok(false);
        };
        let mut asked = false;
        // Show the page: a hidden page restores its scroll position only when shown.
        self.client.api.clone().activate_tab(TabRequest { tab: expected.tab }).await?;
        loop {
            let status = self.status().await?;
            let tab = status.tabs.iter().find(|tab| tab.id == expected.tab);
            let tab = tab.ok_or_else(|| Failure::Other(format!("the tab of {} is gone", expected.url)))?;
            if tab.state == "sad" && !asked {
                let rules = regen_supervisor::of(Role::TabHost);
                let recent = SystemTime::now() - rules.period - REPORTED;
                let is_due = |deaths: &[Crash]| deaths.len() >= rules.intensity;
                let deaths = self.reported(&tab.site, recent.max(expected.forgiven), is_due).await?;
                if !is_due(&deaths) {
                    let words = format!("{} became a sad tab too early: {}", tab.url, tab.reason);
                    return Err(Failure::Other(format!("{words}; earlier deaths: {}", reasons(&deaths))));
                }
                asked = true;
                if let Some(expected) = self.expected.get_mut(site) {
                    expected.forgiven = SystemTime::now();
                }
                let reload = HistoryRequest { tab: expected.tab, delta: 0, reload: true };
                self.client.api.clone().history(reload).await?;
            }
            let now = self.test_page(expected.tab).await;
            if let Some(now) = &now
                && now.token != old.token
                && now.field == expected.field
                && now.scroll == expected.scroll
            {
                return Ok(asked);
            }
            if Instant::now() > deadline {
                let state = format!("{} {}", tab.state, tab.reason);
                let wanted = format!("“{}” at {}", expected.field, expected.scroll);
                let words = format!("{} did not come back as {wanted}: {now:?}, {state}", tab.url);
                return Err(Failure::Timeout(words));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the reported deaths of a site once they are as expected, or after [`REPORTED`]: a report is written a
    /// little after the death.
    async fn reported(
        &self,
        site: &str,
        since: SystemTime,
        expected: impl Fn(&[Crash]) -> bool,
    ) -> Result<Vec<Crash>, Failure> {
        let deadline = Instant::now() + REPORTED;
        loop {
            let deaths = self.deaths(site, since)?;
            if expected(&deaths) || Instant::now() > deadline {
                return Ok(deaths);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the deaths of a site's process that the browser has reported since a time.
    pub(super) fn deaths(&self, site: &str, since: SystemTime) -> Result<Vec<Crash>, Failure> {
        let (mut all, _) = crash_reports::list(self.profile())?;
        all.retain(|crash| {
            let time = humantime::parse_rfc3339(&crash.time);
            crash.site.as_deref() == Some(site) && time.is_ok_and(|time| time >= since)
        });
        Ok(all)
    }

    /// Waits until every page has received another answer from its server.
    async fn network_back(&self, deadline: Instant) -> Result<(), Failure> {
        let mut orders = BTreeMap::new();
        loop {
            let mut without = Vec::new();
            for expected in &self.expected {
                let now = self.test_page(expected.tab).await.map_or(0, |test_page| test_page.orders);
                if now <= *orders.entry(expected.tab).or_insert(now) {
                    without.push(expected.url.as_str());
                }
            }
            if without.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failure::Timeout(format!("no network for {}", without.join(", "))));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the browser has exited, starts the next one, and checks that it restores the session.
    async fn restarted(&mut self, injected: &Injected) -> Result<Recovered, Failure> {
        self.client.wait_until_gone().await?;
        launch::start_detached(&self.browser).await?;
        self.client = Client::connect(self.browser.profile.as_deref()).await?;
        let restore = SessionRequest { action: SessionAction::Restore.into(), ..SessionRequest::default() };
        self.client.api.session(restore).await?;
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        let status = self.status().await?;
        for expected in &mut self.expected {
            let tab = status.tabs.iter().find(|tab| tab.url == expected.url);
            let tab = tab.ok_or_else(|| Failure::Other(format!("the tab of {} did not come back", expected.url)))?;
            expected.tab = tab.id;
            expected.forgiven = SystemTime::now();
        }
        for expected in &self.expected {
            self.client.api.activate_tab(TabRequest { tab: expected.tab }).await?;
            loop {
                let now = self.test_page(expected.tab).await;
                if now.as_ref().is_some_and(|now| now.field == expected.field && now.scroll == expected.scroll) {
                    break;
                }
                if Instant::now() > deadline {
                    let wanted = format!("“{}” at {}", expected.field, expected.scroll);
                    let words = format!("{} did not come back as {wanted}: {now:?}", expected.url);
                    return Err(Failure::Timeout(words));
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        let time = Some(injected.at.elapsed());
        self.baseline = Footprint::default();
        Ok(Recovered { time, how: "restarted, and the session restored".to_owned() })
    }
}

/// Describes the time and reason of each death.
pub(super) fn reasons(deaths: &[Crash]) -> String {
    deaths.iter().map(|crash| format!("{} {}", crash.time, crash.reason)).collect::<Vec<_>>().join("; ")
}
