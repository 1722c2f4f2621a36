//! The browser under test: started, filled with pages, looked at, and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use regen_broker::crashes::{self, Crash};
use regen_broker::options::BrowserOptions;
use regen_proto::control::v1::{
    GotoTabRequest, HistoryRequest, InputRequest, OpenTabRequest, QuitRequest, SessionAction, SessionRequest,
    StatusReply, StatusRequest, TabRequest,
};
use regen_proto::page::v1::{PointerAxis, PointerButton, PointerMotion, ToPage, TypeText, to_page};
use regen_sandbox::verify;

use super::plan::SITES;
use super::witness::{FIELD, Server, Witness};
use crate::arguments::ChaosOptions;
use crate::client::{Client, Failure};
use crate::launch;

/// Where downloads go, in the campaign's own folder.
const DOWNLOADS: &str = "downloads";
/// Nothing takes longer than this to come back.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the browser is looked at while something is awaited.
const LOOK: Duration = Duration::from_millis(10);
/// A change that is older than this is never lost.
const KEPT_AFTER: Duration = Duration::from_secs(1);
/// A page that is seen ticks at least so often …
const SEEN_TICKS: u64 = 3;
/// … in this time.
const SEEN: Duration = Duration::from_millis(300);
/// Every so many faults somebody types and scrolls.
const EDITS: usize = 5;
/// So many deaths of one site within this time, and it waits for its user.
const INTENSITY: usize = 3;
const PERIOD: Duration = Duration::from_secs(60);
/// A death is reported a little after it is counted.
const REPORTED: Duration = Duration::from_secs(2);

/// One site's tab, as its user left it.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) tab: u64,
    pub(super) url: String,
    pub(super) field: String,
    pub(super) scroll: i64,
    /// Deaths before this are forgiven: the browser was started, or its user has asked for the page, since.
    forgiven: SystemTime,
}

/// What was seen before a fault.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) status: StatusReply,
    pub(super) witnesses: Vec<Witness>,
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
}

/// How it came back.
#[derive(Debug, Clone)]
pub(super) struct Recovered {
    /// From the fault to everything being as it was; none where nothing was to happen, or the user had to act.
    pub(super) time: Option<Duration>,
    pub(super) how: String,
}

/// What must not grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Footprint {
    pub(super) descriptors: usize,
    pub(super) resident_kb: u64,
    pub(super) mounts: usize,
}

pub(super) struct Stage {
    client: Client,
    pub(super) server: Server,
    pub(super) expected: Vec<Expected>,
    browser: BrowserOptions,
    /// The browser is this command's own: its profile is gone afterwards.
    own: bool,
    folder: PathBuf,
    pub(super) baseline: Footprint,
    edits: usize,
}

impl Stage {
    /// Starts a browser, or takes the one that runs on a profile, and opens the pages.
    pub(super) async fn set(profile: Option<PathBuf>, options: &ChaosOptions) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("regen-chaos-{}", std::process::id()));
        let own = profile.is_none();
        let browser = BrowserOptions {
            profile: Some(profile.unwrap_or_else(|| folder.clone())),
            headless: !options.window,
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
        let mut stage = Self { client, server, expected: Vec::new(), browser, own, folder, baseline, edits: 0 };
        stage.open_all().await?;
        Ok(stage)
    }

    pub(super) fn profile(&self) -> &Path {
        self.browser.profile.as_deref().unwrap_or(&self.folder)
    }

    pub(super) fn downloads(&self) -> PathBuf {
        self.folder.join(DOWNLOADS)
    }

    async fn open_all(&mut self) -> Result<(), Failure> {
        for site in 0..SITES {
            let timeout_ms = u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX);
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
        let press = |pressed| event(to_page::Body::PointerButton(PointerButton { button: 272, pressed }));
        let (x, y) = FIELD;
        let click = vec![event(to_page::Body::PointerMotion(PointerMotion { x, y })), press(true), press(false)];
        // At the end of what is there already, wherever the click went.
        let end = crate::keys::parse("End").map_err(Failure::Other)?;
        let end = end.into_iter().map(|key| event(to_page::Body::Key(key))).collect();
        let typed = vec![event(to_page::Body::TypeText(TypeText { text: text.clone() }))];
        let down = if self.edits.is_multiple_of(2) { 240.0 } else { 360.0 };
        let away = event(to_page::Body::PointerMotion(PointerMotion { x: 500.0, y: 400.0 }));
        let scroll = vec![away, event(to_page::Body::PointerAxis(PointerAxis { dx: 0.0, dy: down, discrete: false }))];
        // A user looks at what they change: a page that is seen ticks fast.
        self.client.api.activate_tab(TabRequest { tab }).await?;
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = u64::MAX;
        while let Some(now) = self.witness(tab).await.map(|witness| witness.tick)
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
        let deadline = Instant::now() + PATIENCE;
        let mut last: Option<Witness> = None;
        loop {
            tokio::time::sleep(LOOK * 10).await;
            let now = self.witness(tab).await;
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
        let seen = self.witness(tab).await;
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
        self.server.order_download(site);
        let deadline = Instant::now() + PATIENCE;
        while parts().is_subset(&before) {
            if Instant::now() > deadline {
                return Err(Failure::Timeout("a page does not download what it was told to".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
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
        let deadline = Instant::now() + PATIENCE;
        while let Err(failure) = self.save().await {
            if Instant::now() > deadline {
                return Err(failure);
            }
            tokio::time::sleep(LOOK).await;
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
        let pid = status.broker.and_then(|broker| rustix::process::Pid::from_raw(broker.pid));
        let pid = pid.ok_or_else(|| Failure::Other("no browser was started".to_owned()))?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).map_err(std::io::Error::from)?;
        self.gone().await
    }

    pub(super) async fn status(&self) -> Result<StatusReply, Failure> {
        let mut api = self.client.api.clone();
        Ok(api.status(StatusRequest { memory: false }).await?.into_inner())
    }

    pub(super) async fn witness(&self, tab: u64) -> Option<Witness> {
        let mut api = self.client.api.clone();
        // A page whose process is gone says nothing.
        let text = tokio::time::timeout(KEPT_AFTER, api.tab_text(TabRequest { tab })).await.ok()?.ok()?;
        Witness::of(&text.into_inner().text)
    }

    /// Everything as it is now; all pages must be well.
    pub(super) async fn snapshot(&self) -> Result<Before, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status().await?;
            let mut witnesses = Vec::new();
            for expected in &self.expected {
                witnesses.extend(self.witness(expected.tab).await.filter(|witness| witness.orders > 0));
            }
            let ready = status.processes.iter().all(|process| process.state == "ready");
            if ready && witnesses.len() == self.expected.len() {
                return Ok(Before { status, witnesses, seen_at: Instant::now(), time: SystemTime::now() });
            }
            if Instant::now() > deadline {
                let states: Vec<String> =
                    status.tabs.iter().map(|tab| format!("{} {} {}", tab.url, tab.state, tab.reason)).collect();
                return Err(Failure::Timeout(format!("not every page is well: {}", states.join("; "))));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until what the fault ended is back as it was.
    pub(super) async fn recovered(&mut self, injected: &Injected, before: &Before) -> Result<Recovered, Failure> {
        if injected.browser {
            return self.restarted(injected).await;
        }
        let deadline = Instant::now() + PATIENCE;
        if let Some((role, pid)) = &injected.daemon {
            self.until(deadline, &format!("another {role}"), |status| {
                status.processes.iter().any(|now| now.role == *role && now.pid != *pid && now.state == "ready")
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
        let nothing = injected.sites.is_empty() && injected.daemon.is_none();
        let how = match (nothing, asked) {
            (true, _) => "nothing died".to_owned(),
            (false, true) => "sad tab, reloaded by the user".to_owned(),
            (false, false) => "recovered".to_owned(),
        };
        Ok(Recovered { time: (!nothing && !asked).then(|| injected.at.elapsed()), how })
    }

    async fn until(&self, deadline: Instant, what: &str, holds: impl Fn(&StatusReply) -> bool) -> Result<(), Failure> {
        while !holds(&self.status().await?) {
            if Instant::now() > deadline {
                return Err(Failure::Timeout(format!("{what} did not come")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Until a page has been loaded anew and is as its user left it. Whether its user had to ask for it, as the rules allow.
    async fn page_back(&mut self, site: usize, before: &Before, deadline: Instant) -> Result<bool, Failure> {
        let (Some(expected), Some(old)) = (self.expected.get(site).cloned(), before.witnesses.get(site)) else {
            return Ok(false);
        };
        let mut asked = false;
        // Its user looks at it: a page that nobody sees takes its place in the text when it is seen.
        self.client.api.clone().activate_tab(TabRequest { tab: expected.tab }).await?;
        loop {
            let status = self.status().await?;
            let tab = status.tabs.iter().find(|tab| tab.id == expected.tab);
            let tab = tab.ok_or_else(|| Failure::Other(format!("the tab of {} is gone", expected.url)))?;
            if tab.state == "sad" && !asked {
                let recent = SystemTime::now() - PERIOD - REPORTED;
                let is_due = |deaths: &[Crash]| deaths.len() >= INTENSITY;
                let deaths = self.reported(&tab.site, recent.max(expected.forgiven), is_due).await?;
                if !is_due(&deaths) {
                    let words = format!("{} is a sad tab before its time: {}", tab.url, tab.reason);
                    return Err(Failure::Other(format!("{words}; before that: {}", reasons(&deaths))));
                }
                asked = true;
                if let Some(expected) = self.expected.get_mut(site) {
                    expected.forgiven = SystemTime::now();
                }
                let reload = HistoryRequest { tab: expected.tab, delta: 0, reload: true };
                self.client.api.clone().history(reload).await?;
            }
            let now = self.witness(expected.tab).await;
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
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The same, as soon as they are as expected: a report is written a little after the death.
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
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The deaths of a site's process that the browser has reported since then.
    pub(super) fn deaths(&self, site: &str, since: SystemTime) -> Result<Vec<Crash>, Failure> {
        let (mut all, _) = crashes::list(self.profile())?;
        all.retain(|crash| {
            let time = humantime::parse_rfc3339(&crash.time);
            crash.site.as_deref() == Some(site) && time.is_ok_and(|time| time >= since)
        });
        Ok(all)
    }

    /// Until every page has had an answer of its server.
    async fn network_back(&self, deadline: Instant) -> Result<(), Failure> {
        let mut orders = BTreeMap::new();
        loop {
            let mut without = Vec::new();
            for expected in &self.expected {
                let now = self.witness(expected.tab).await.map_or(0, |witness| witness.orders);
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
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The browser is gone: everything of it must be, and the next one brings the session back.
    async fn restarted(&mut self, injected: &Injected) -> Result<Recovered, Failure> {
        self.client.wait_until_gone().await?;
        launch::start_detached(&self.browser).await?;
        self.client = Client::connect(self.browser.profile.as_deref()).await?;
        let restore = SessionRequest { action: SessionAction::Restore.into(), ..SessionRequest::default() };
        self.client.api.session(restore).await?;
        let deadline = Instant::now() + PATIENCE;
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
                let now = self.witness(expected.tab).await;
                if now.as_ref().is_some_and(|now| now.field == expected.field && now.scroll == expected.scroll) {
                    break;
                }
                if Instant::now() > deadline {
                    let words = format!("{} did not come back as it was: {now:?}", expected.url);
                    return Err(Failure::Timeout(words));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        let time = Some(injected.at.elapsed());
        self.baseline = Footprint::default();
        Ok(Recovered { time, how: "restarted, and the session restored".to_owned() })
    }

    /// What the broker and its launcher hold.
    pub(super) fn footprint(&self, status: &StatusReply) -> Result<Footprint, Failure> {
        let broker = status.broker.as_ref().map_or(0, |broker| broker.pid);
        let launcher = verify::launcher_of(broker)?.unwrap_or(broker);
        let count = |pid: i32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let text = std::fs::read_to_string(format!("/proc/{broker}/status")).unwrap_or_default();
        let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        let mounts =
            |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).map_or(0, |text| text.lines().count());
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

/// Why each of them died.
pub(super) fn reasons(deaths: &[Crash]) -> String {
    deaths.iter().map(|crash| format!("{} {}", crash.time, crash.reason)).collect::<Vec<_>>().join("; ")
}
