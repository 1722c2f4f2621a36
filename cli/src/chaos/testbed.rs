//! The browser under test: started, filled with pages, looked at, and started again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use regen_broker::startup::options::{BrowserOptions, Spare};
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

/// Where downloads go, in the campaign's own folder.
const DOWNLOADS: &str = "downloads";
/// Nothing takes longer than this to come back.
pub(super) const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the browser is looked at while something is awaited.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// A change that is older than this is never lost.
pub(super) const KEPT_AFTER: Duration = Duration::from_secs(1);
/// A page that is seen ticks at least so often …
const SEEN_TICKS: u64 = 3;
/// … in this time.
const SEEN: Duration = Duration::from_millis(300);
/// Every so many faults somebody types and scrolls.
const EDITS: usize = 5;
/// One site's tab, as its user left it.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) tab: u64,
    pub(super) url: String,
    pub(super) field: String,
    pub(super) scroll: i64,
    /// Deaths before this are forgiven: the browser was started, or its user has asked for the page, since.
    pub(super) forgiven: SystemTime,
}

/// What was seen before a fault.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) status: StatusReply,
    pub(super) test_pages: Vec<TestPage>,
    pub(super) seen_at: Instant,
    pub(super) time: SystemTime,
}

/// A fault that happened.
#[derive(Debug, Clone)]
pub(super) struct Injected {
    pub(super) at: Instant,
    /// Sites whose process it ends.
    pub(super) sites: BTreeSet<usize>,
    /// The daemon that it ends, and its process.
    pub(super) daemon: Option<(String, i32)>,
    /// The browser as a whole.
    pub(super) browser: bool,
    /// How often each of the sites' processes dies of it.
    pub(super) deaths: usize,
    /// Tabs that were opened for it, and are closed after it.
    pub(super) guests: Vec<u64>,
}

/// What must not grow.
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
    /// The browser is this command's own: its profile is gone afterwards.
    own: bool,
    folder: PathBuf,
    pub(super) baseline: Footprint,
    edits: usize,
}

impl Testbed {
    /// Starts a browser, or takes the one that runs on a profile, and opens the pages.
    pub(super) async fn set(profile: Option<PathBuf>, options: &ChaosOptions) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("regen-chaos-{}", std::process::id()));
        let own = profile.is_none();
        let browser = BrowserOptions {
            profile: Some(profile.unwrap_or_else(|| folder.clone())),
            headless: !options.window,
            spare: Spare::On,
            downloads: Some(folder.join(DOWNLOADS)),
            site_memory: Some(options.site_memory),
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

    /// A file of the campaign's own.
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

    /// From time to time a user types and scrolls before the next fault.
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
        let event = |body| ToPage { tab, body: Some(body) };
        let press =
            |pressed| event(to_page::Body::PointerButton(PointerButton { button: 272, pressed, modifiers: None }));
        let (x, y) = FIELD;
        let click = vec![event(to_page::Body::PointerMotion(PointerMotion { x, y })), press(true), press(false)];
        // At the end of what is there already, wherever the click went.
        let end = crate::keys::parse("End").map_err(Failure::Other)?;
        let end = end.into_iter().map(|key| event(to_page::Body::Key(key))).collect();
        let typed = vec![event(to_page::Body::TypeText(TypeText { text: text.clone() }))];
        let down = if self.edits.is_multiple_of(2) { 240.0 } else { 360.0 };
        let away = event(to_page::Body::PointerMotion(PointerMotion { x: 500.0, y: 400.0 }));
        let scroll = vec![
            away,
            event(to_page::Body::PointerAxis(PointerAxis { dx: 0.0, dy: down, discrete: false, modifiers: None })),
        ];
        // A user looks at what they change: a page that is seen ticks fast.
        self.client.api.activate_tab(TabRequest { tab }).await?;
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        let mut ticks = u64::MAX;
        while let Some(now) = self.test_page(tab).await.map(|test_page| test_page.tick)
            && now < ticks.saturating_add(SEEN_TICKS)
        {
            if Instant::now() > deadline {
                return Err(Failure::Timeout("a page that was activated is not shown".to_owned()));
            }
            ticks = now;
            tokio::time::sleep(SEEN).await;
        }
        for events in [click, end, typed, scroll] {
            self.client.api.input(InputRequest { tab, events }).await?;
        }
        // What the page made of it is what must never be lost.
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        let mut last: Option<TestPage> = None;
        loop {
            tokio::time::sleep(POLL_INTERVAL * 10).await;
            let now = self.test_page(tab).await;
            if let (Some(now), Some(last)) = (&now, &last)
                && now.field == format!("{before}{text}")
                && now.scroll == last.scroll
                && now.tick > last.tick
            {
                break;
            }
            if Instant::now() > deadline {
                return Err(Failure::Timeout(format!("a page did not take what was typed: {now:?}")));
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

    /// Asks for everything to be saved, in the background.
    pub(super) fn save(&self) -> impl Future<Output = Result<(), Failure>> + use<> {
        let mut api = self.client.api.clone();
        async move {
            let save = SessionRequest { action: SessionAction::Save.into(), ..SessionRequest::default() };
            api.session(save).await?;
            Ok(())
        }
    }

    /// A page downloads a file, which has begun to come.
    pub(super) async fn download(&self, site: usize) -> Result<(), Failure> {
        let parts = || -> BTreeSet<PathBuf> {
            let files = std::fs::read_dir(self.downloads()).into_iter().flatten().flatten();
            files.map(|file| file.path()).collect()
        };
        let before = parts();
        // Its user lets it: nobody clicks for each of these files.
        let tab = self.expected.get(site).map_or(0, |expected| expected.tab);
        let allow = AllowDownloadsRequest { tab, refuse: false };
        self.client.api.clone().allow_downloads(allow).await?;
        self.server.order_download(site);
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        while parts().is_subset(&before) {
            if Instant::now() > deadline {
                return Err(Failure::Timeout("a page does not download what it was told to".to_owned()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// A page keeps a megabyte in its history, for long enough that it is never lost.
    pub(super) async fn keep_state(&self, site: usize) -> Result<(), Failure> {
        let tab = self.expected.get(site).map_or(0, |expected| expected.tab);
        self.server.order_state(site);
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        while self.test_page(tab).await.is_none_or(|test_page| test_page.state == 0) {
            if Instant::now() > deadline {
                return Err(Failure::Timeout("a page does not keep what it was told to".to_owned()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        tokio::time::sleep(KEPT_AFTER * 2).await;
        Ok(())
    }

    /// Opens so many more tabs of a site, behind the others.
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

    /// Until these tabs are open, or wait to be looked at.
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
                return Err(Failure::Timeout(format!("{} tabs of one site are not well: {counts:?}", guests.len())));
            }
            tokio::time::sleep(POLL_INTERVAL * 10).await;
        }
    }

    /// Has another name server asked. Gives who was asked before.
    pub(super) async fn ask_names_of(&self, servers: String) -> Result<String, Failure> {
        let mut api = self.client.api.clone();
        let former = api.dns(DnsRequest::default()).await?.into_inner().servers;
        api.dns(DnsRequest { servers, dnssec: None }).await?;
        Ok(former)
    }

    /// While the disk fails: whoever wants to save is told so.
    pub(super) async fn cannot_save(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + KEPT_AFTER * 3;
        while self.save().await.is_ok() {
            if Instant::now() > deadline {
                return Err(Failure::Other("the disk failed, and saving did not".to_owned()));
            }
        }
        Ok(())
    }

    /// After a disk failed: until everything can be saved once more.
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

    /// Until nothing of the browser is left.
    pub(super) async fn gone(&self) -> Result<(), Failure> {
        self.client.wait_until_gone().await
    }

    /// Starts a browser on the profile, and kills it.
    pub(super) async fn start_and_kill(&self, after: Duration) -> Result<(), Failure> {
        let status = launch::start_detached(&self.browser).await?;
        tokio::time::sleep(after).await;
        self.kill(&status).await
    }

    /// Kills a browser that answered so, and waits until nothing of it is left.
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
        // A page whose process is gone says nothing.
        let text = tokio::time::timeout(KEPT_AFTER, api.tab_text(TabRequest { tab })).await.ok()?.ok()?;
        TestPage::of(&text.into_inner().text)
    }

    /// Everything as it is now; all pages must be well.
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
                return Err(Failure::Timeout(format!("not every page is well: {}", states.join("; "))));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// What the broker and its launcher hold.
    pub(super) fn footprint(&self, status: &StatusReply) -> Result<Footprint, Failure> {
        let broker = status.broker.as_ref().map_or(0, |broker| broker.pid);
        let launcher = verify::launcher_of(broker)?.unwrap_or(broker);
        let count = |pid: i32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let text = std::fs::read_to_string(format!("/proc/{broker}/status")).unwrap_or_default();
        let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        // In the machine's own mount table other programs mount and unmount what they like.
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

    /// A fresh browser, after one in which something was lost.
    pub(super) async fn anew(&mut self) -> Result<(), Failure> {
        if !self.own {
            return Err(Failure::Other("something was lost, and the browser is not mine to start again".to_owned()));
        }
        self.strike().await?;
        launch::start_detached(&self.browser).await?;
        self.client = Client::connect(self.browser.profile.as_deref()).await?;
        self.expected.clear();
        self.edits = 0;
        self.open_all().await
    }

    /// The end of it.
    pub(super) async fn strike(&mut self) -> Result<(), Failure> {
        if !self.own {
            for expected in &self.expected {
                self.client.api.close_tab(TabRequest { tab: expected.tab }).await?;
            }
            return Ok(());
        }
        // One that is gone already is gone.
        let _ = self.client.api.quit(QuitRequest {}).await;
        self.client.wait_until_gone().await?;
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }
}
