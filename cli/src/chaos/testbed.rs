//! Testbed of a campaign: starts a browser, opens test pages, observes it, and starts it again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use regen_broker::startup::options::BrowserOptions;
use regen_proto::control::v1::{
    AllowDownloadsRequest, DnsRequest, GotoTabRequest, InputRequest, OpenTabRequest, QuitRequest, SessionAction,
    SessionRequest, StatusReply, StatusRequest, TabRequest,
};
use regen_proto::page::v1::{PointerAxis, PointerButton, PointerMotion, ToPage, TypeText, to_page};
use regen_sandbox::verify;

use super::plan::SITES;
use super::test_page::{FIELD, Server, TestPage};
use crate::arguments::ChaosOptions;
use crate::client::{Client, Failure};
use crate::launch;

/// Name of the download folder in the campaign's temporary folder.
const DOWNLOADS: &str = "downloads";
/// Maximum time for anything to recover.
pub(super) const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval at which the browser is polled.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Age after which a change must never be lost.
pub(super) const KEPT_AFTER: Duration = Duration::from_secs(1);
/// Minimum number of ticks of a visible page within [`SEEN`].
const SEEN_TICKS: u64 = 3;
/// Time in which the ticks of a page are counted.
const SEEN: Duration = Duration::from_millis(300);
/// Number of faults between edits, in which a simulated user types and scrolls.
const EDITS: usize = 5;
/// Time after which text that a page has not received is typed again, in a campaign with a window: a window that starts
/// takes the keyboard focus when its bar is ready, and keys that are typed at that moment go nowhere.
const TYPED_AGAIN: Duration = Duration::from_secs(4);
/// Tab of one site, as the simulated user left it.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) tab: u64,
    pub(super) url: String,
    pub(super) field: String,
    pub(super) scroll: i64,
    /// Time of the last start or reload. Earlier deaths do not count.
    pub(super) forgiven: SystemTime,
}

/// State of the browser before a fault.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) status: StatusReply,
    pub(super) test_pages: Vec<TestPage>,
    pub(super) seen_at: Instant,
    pub(super) time: SystemTime,
}

/// Fault that was injected, and its expected effects.
#[derive(Debug, Clone)]
pub(super) struct Injected {
    pub(super) at: Instant,
    /// Sites whose process the fault ends.
    pub(super) sites: BTreeSet<usize>,
    /// Role and process ID of the daemon that the fault ends.
    pub(super) daemon: Option<(String, i32)>,
    /// Set if the fault ends the whole browser.
    pub(super) browser: bool,
    /// Number of deaths expected of each affected site's process.
    pub(super) deaths: usize,
    /// Tabs that were opened for the fault, and are closed after recovery.
    pub(super) guests: Vec<u64>,
}

/// Resources that must not grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Footprint {
    pub(super) descriptors: usize,
    pub(super) resident_kb: u64,
    pub(super) mounts: usize,
}

pub(super) struct Testbed {
    pub(super) client: Client,
    pub(super) server: Server,
    pub(super) expected: Vec<Expected>,
    pub(super) browser: BrowserOptions,
    /// Set if the campaign started the browser. Its profile is then deleted at the end.
    own: bool,
    folder: PathBuf,
    pub(super) baseline: Footprint,
    edits: usize,
}

impl Testbed {
    /// Starts a browser, or connects to the one running on `profile`, and opens the test pages.
    pub(super) async fn set(profile: Option<PathBuf>, options: &ChaosOptions) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("regen-chaos-{}", std::process::id()));
        let own = profile.is_none();
        let browser = BrowserOptions {
            profile: Some(profile.unwrap_or_else(|| folder.clone())),
            headless: !options.window,
            spare: Some("on".to_owned()),
            downloads: Some(folder.join(DOWNLOADS).display().to_string()),
            site_memory: Some(options.site_memory.clone()),
            ..BrowserOptions::default()
        };
        if own {
            launch::start_detached(&browser).await?;
        }
        let client = Client::connect(browser.profile.as_deref()).await?;
        let server = Server::start()?;
        let baseline = Footprint::default();
        let mut testbed = Self { client, server, expected: Vec::new(), browser, own, folder, baseline, edits: 0 };
        testbed.open_all().await?;
        Ok(testbed)
    }

    pub(super) fn profile(&self) -> &Path {
        self.browser.profile.as_deref().unwrap_or(&self.folder)
    }

    pub(super) fn downloads(&self) -> PathBuf {
        self.folder.join(DOWNLOADS)
    }

    /// Returns the path of a file in the campaign's temporary folder.
    pub(super) fn file(&self, name: &str) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(&self.folder)?;
        Ok(self.folder.join(name))
    }

    async fn open_all(&mut self) -> Result<(), Failure> {
        for site in 0..SITES {
            let timeout_ms = u32::try_from(RECOVERY_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
            let first =
                OpenTabRequest { url: self.server.url(site, "/one"), wait: true, timeout_ms, ..Default::default() };
            let tab = self.client.api.open_tab(first).await?.into_inner().tab.unwrap_or_default().id;
            let url = self.server.url(site, "/two");
            let second = GotoTabRequest { tab, url: url.clone(), wait: true, timeout_ms };
            self.client.api.goto_tab(second).await?;
            let forgiven = SystemTime::now();
            self.expected.push(Expected { tab, url, field: String::new(), scroll: 0, forgiven });
            self.edit(site).await?;
        }
        tokio::time::sleep(KEPT_AFTER * 2).await;
        self.baseline = self.footprint(&self.status().await?)?;
        Ok(())
    }

    /// Types and scrolls in a page before every [`EDITS`]th fault.
    pub(super) async fn rehearse(&mut self, number: usize) -> Result<(), Failure> {
        if number.is_multiple_of(EDITS) {
            self.edit(number / EDITS % SITES).await?;
        }
        Ok(())
    }

    async fn edit(&mut self, site: usize) -> Result<(), Failure> {
        self.edits += 1;
        let Some(expected) = self.expected.get(site) else { return Ok(()) };
        let (tab, text, before) = (expected.tab, format!("{} ", self.edits), expected.field.clone());
        let event = |body| ToPage { tab, body: Some(body), ..ToPage::default() };
        let press =
            |pressed| event(to_page::Body::PointerButton(PointerButton { button: 272, pressed, modifiers: None }));
        let (x, y) = FIELD;
        let click = vec![event(to_page::Body::PointerMotion(PointerMotion { x, y })), press(true), press(false)];
        // Move the caret to the end of the text, wherever the click put it.
        let end = crate::keys::parse("End").map_err(Failure::Other)?;
        let end: Vec<ToPage> = end.into_iter().map(|key| event(to_page::Body::Key(key))).collect();
        let typing = |text: &str| vec![event(to_page::Body::TypeText(TypeText { text: text.to_owned() }))];
        let down = if self.edits.is_multiple_of(2) { 240.0 } else { 360.0 };
        let away = event(to_page::Body::PointerMotion(PointerMotion { x: 500.0, y: 400.0 }));
        let scroll = vec![
            away,
            event(to_page::Body::PointerAxis(PointerAxis { dx: 0.0, dy: down, discrete: false, modifiers: None })),
        ];
        // Wait until the page is visible, which shows in its tick rate.
        self.client.api.activate_tab(TabRequest { tab }).await?;
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        let mut ticks = u64::MAX;
        while let Some(now) = self.test_page(tab).await.map(|test_page| test_page.tick)
            && now < ticks.saturating_add(SEEN_TICKS)
        {
            if Instant::now() > deadline {
                return Err(Failure::Timeout("a tab was activated, but its page does not become visible".to_owned()));
            }
            ticks = now;
            tokio::time::sleep(SEEN).await;
        }
        for events in [click.clone(), end.clone(), typing(&text), scroll] {
            self.client.api.input(InputRequest { tab, events }).await?;
        }
        let wanted = format!("{before}{text}");
        let mut typed_at = Instant::now();
        // Wait until the page has processed the input: that state must survive.
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        let mut last: Option<TestPage> = None;
        loop {
            tokio::time::sleep(POLL_INTERVAL * 10).await;
            let now = self.test_page(tab).await;
            if let (Some(now), Some(last)) = (&now, &last)
                && now.field == wanted
                && now.scroll == last.scroll
                && now.tick > last.tick
            {
                break;
            }
            if Instant::now() > deadline {
                return Err(Failure::Timeout(format!("a page did not receive the typed text: {now:?}")));
            }
            if !self.browser.headless
                && typed_at.elapsed() > TYPED_AGAIN
                && let Some(missing) = now.as_ref().and_then(|now| wanted.strip_prefix(&now.field))
                && !missing.is_empty()
            {
                for events in [click.clone(), end.clone(), typing(missing)] {
                    self.client.api.input(InputRequest { tab, events }).await?;
                }
                typed_at = Instant::now();
            }
            last = now;
        }
        let seen = self.test_page(tab).await;
        if let (Some(expected), Some(seen)) = (self.expected.get_mut(site), seen) {
            expected.field = seen.field;
            expected.scroll = seen.scroll;
        }
        tokio::time::sleep(KEPT_AFTER).await;
        Ok(())
    }

    /// Returns a future that asks the browser to save the session.
    pub(super) fn save(&self) -> impl Future<Output = Result<(), Failure>> + use<> {
        let mut api = self.client.api.clone();
        async move {
            let save = SessionRequest { action: SessionAction::Save.into(), ..SessionRequest::default() };
            api.session(save).await?;
            Ok(())
        }
    }

    /// Makes a page download a file, and waits until the download has started.
    pub(super) async fn download(&self, site: usize) -> Result<(), Failure> {
        let parts = || -> BTreeSet<PathBuf> {
            let files = std::fs::read_dir(self.downloads()).into_iter().flatten().flatten();
            files.map(|file| file.path()).collect()
        };
        let before = parts();
        // Downloads without a click need permission.
        let tab = self.expected.get(site).map_or(0, |expected| expected.tab);
        let allow = AllowDownloadsRequest { tab, refuse: false };
        self.client.api.clone().allow_downloads(allow).await?;
        self.server.order_download(site);
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        while parts().is_subset(&before) {
            if Instant::now() > deadline {
                return Err(Failure::Timeout("a page did not start the ordered download".to_owned()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Makes a page store a megabyte of history state, and waits until it must no longer be lost.
    pub(super) async fn keep_state(&self, site: usize) -> Result<(), Failure> {
        let tab = self.expected.get(site).map_or(0, |expected| expected.tab);
        self.server.order_state(site);
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        while self.test_page(tab).await.is_none_or(|test_page| test_page.state == 0) {
            if Instant::now() > deadline {
                return Err(Failure::Timeout("a page did not store the ordered history state".to_owned()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        tokio::time::sleep(KEPT_AFTER * 2).await;
        Ok(())
    }

    /// Opens this number of additional background tabs of a site.
    pub(super) async fn crowd(&self, site: usize, tabs: usize) -> Result<Vec<u64>, Failure> {
        let mut guests = Vec::new();
        for _ in 0..tabs {
            let url = self.server.url(site, "/guest");
            let open = OpenTabRequest { url, background: true, ..Default::default() };
            guests.push(self.client.api.clone().open_tab(open).await?.into_inner().tab.unwrap_or_default().id);
        }
        self.crowd_is_well(&guests).await?;
        Ok(guests)
    }

    /// Waits until these tabs are ready or lazy.
    pub(super) async fn crowd_is_well(&self, guests: &[u64]) -> Result<(), Failure> {
        let deadline = Instant::now() + RECOVERY_TIMEOUT * 2;
        loop {
            let status = self.status().await?;
            let states: Vec<&str> = guests
                .iter()
                .filter_map(|id| status.tabs.iter().find(|tab| tab.id == *id))
                .map(|tab| tab.state.as_str())
                .collect();
            if states.len() == guests.len() && states.iter().all(|state| ["ready", "lazy"].contains(state)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let mut counts = std::collections::BTreeMap::new();
                states.iter().for_each(|state| *counts.entry(*state).or_insert(0) += 1);
                return Err(Failure::Timeout(format!("{} tabs of one site are not ready: {counts:?}", guests.len())));
            }
            tokio::time::sleep(POLL_INTERVAL * 10).await;
        }
    }

    /// Chooses other name servers. Returns the former ones.
    pub(super) async fn ask_names_of(&self, servers: String) -> Result<String, Failure> {
        let mut api = self.client.api.clone();
        let former = api.dns(DnsRequest::default()).await?.into_inner().servers;
        api.dns(DnsRequest { servers, dnssec: None }).await?;
        Ok(former)
    }

    /// Waits until saving fails, while the disk fails.
    pub(super) async fn cannot_save(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + KEPT_AFTER * 3;
        while self.save().await.is_ok() {
            if Instant::now() > deadline {
                return Err(Failure::Other("the disk failed, but saving did not".to_owned()));
            }
        }
        Ok(())
    }

    /// Waits until saving succeeds again after the disk has failed.
    pub(super) async fn saves_again(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        while let Err(failure) = self.save().await {
            if Instant::now() > deadline {
                return Err(failure);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Waits until the browser has exited.
    pub(super) async fn gone(&self) -> Result<(), Failure> {
        self.client.wait_until_gone().await
    }

    /// Starts a browser on the profile, and kills it after a delay.
    pub(super) async fn start_and_kill(&self, after: Duration) -> Result<(), Failure> {
        let status = launch::start_detached(&self.browser).await?;
        tokio::time::sleep(after).await;
        self.kill(&status).await
    }

    /// Kills the browser that sent this status, and waits until it has exited.
    pub(super) async fn kill(&self, status: &StatusReply) -> Result<(), Failure> {
        let pid = status.broker.as_ref().and_then(|broker| rustix::process::Pid::from_raw(broker.pid));
        let pid = pid.ok_or_else(|| Failure::Other("no browser was started".to_owned()))?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).map_err(std::io::Error::from)?;
        self.gone().await
    }

    pub(super) async fn status(&self) -> Result<StatusReply, Failure> {
        let mut api = self.client.api.clone();
        Ok(api.status(StatusRequest { memory: false }).await?.into_inner())
    }

    pub(super) async fn test_page(&self, tab: u64) -> Option<TestPage> {
        let mut api = self.client.api.clone();
        // A page without a process does not answer.
        let text = tokio::time::timeout(KEPT_AFTER, api.tab_text(TabRequest { tab })).await.ok()?.ok()?;
        TestPage::of(&text.into_inner().text)
    }

    /// Records the state of the browser, once all processes and pages are ready.
    pub(super) async fn snapshot(&self) -> Result<Before, Failure> {
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        loop {
            let status = self.status().await?;
            let mut test_pages = Vec::new();
            for expected in &self.expected {
                test_pages.extend(self.test_page(expected.tab).await.filter(|test_page| test_page.orders > 0));
            }
            let mut states = status.processes.iter().map(|process| process.state.as_str());
            let ready = states.clone().all(|state| ["ready", "spare"].contains(&state));
            let has_spare = !self.own || states.any(|state| state == "spare");
            if ready && has_spare && test_pages.len() == self.expected.len() {
                return Ok(Before { status, test_pages, seen_at: Instant::now(), time: SystemTime::now() });
            }
            if Instant::now() > deadline {
                let states: Vec<String> =
                    status.tabs.iter().map(|tab| format!("{} {} {}", tab.url, tab.state, tab.reason)).collect();
                return Err(Failure::Timeout(format!("not every page became ready: {}", states.join("; "))));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Measures the resources of the broker and its launcher.
    pub(super) fn footprint(&self, status: &StatusReply) -> Result<Footprint, Failure> {
        let broker = status.broker.as_ref().map_or(0, |broker| broker.pid);
        let launcher = verify::launcher_of(broker)?.unwrap_or(broker);
        let count = |pid: i32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let text = std::fs::read_to_string(format!("/proc/{broker}/status")).unwrap_or_default();
        let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        // The host's mount table also changes for other programs: count only mounts of this profile there.
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let profile = self.profile().display().to_string();
        let mounts = |pid: i32| {
            let is_shared = namespace(&pid.to_string()) == namespace("self");
            let table = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
            table.lines().filter(|mount| !is_shared || mount.contains(&profile)).count()
        };
        Ok(Footprint {
            descriptors: count(broker) + count(launcher),
            resident_kb: resident.unwrap_or(0),
            mounts: mounts(broker) + mounts(launcher),
        })
    }

    /// Replaces the browser with a fresh one after a violation.
    pub(super) async fn anew(&mut self) -> Result<(), Failure> {
        if !self.own {
            return Err(Failure::Other("a check failed: restart the browser, then run chaos again".to_owned()));
        }
        self.strike().await?;
        launch::start_detached(&self.browser).await?;
        self.client = Client::connect(self.browser.profile.as_deref()).await?;
        self.expected.clear();
        self.edits = 0;
        self.open_all().await
    }

    /// Closes the test pages of an attacked browser, or quits and deletes the campaign's own browser.
    pub(super) async fn strike(&mut self) -> Result<(), Failure> {
        if !self.own {
            for expected in &self.expected {
                self.client.api.close_tab(TabRequest { tab: expected.tab }).await?;
            }
            return Ok(());
        }
        // The browser may have exited already.
        let _ = self.client.api.quit(QuitRequest {}).await;
        self.client.wait_until_gone().await?;
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }
}
