//! Shields: verdicts on requests of pages, and rules for documents. One engine, compiled from filter lists, serves all
//! sites.
//!
//! The process that asks describes the request. The broker names the site whose settings apply.

mod cache;
mod content_filter;
mod kept_parameters;
mod lists;
mod log;
mod rules;
mod scriptlets;
mod service;
mod subscriptions;
mod user_rules;
mod verdict_channels;
mod versions;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use regen_net_config::host::is_throw_away;
use regen_net_config::site::Site;
use regen_proto::kernel::v1::{Shields as Settings, ShieldsLevel};
use regen_proto::net::v1::{CheckRequest, CommonRules, DocumentRequest, DocumentRules, HideRequest, Verdict};
use regen_proto::{DOCUMENT, OWN_RULES};
use tokio::sync::{Semaphore, watch};

use cache::Cache;
use lists::List;
use log::Log;
use rules::{Rules, host_of, unanswered};
use user_rules::{Own, OwnRulesError};

pub(crate) use service::{Admin, ForPages, MAX_CHANGE, MAX_REQUEST};
pub(crate) use verdict_channels::VerdictChannels;

/// Folder for the files of shields, in the daemon's folder.
const FOLDER: &str = "/bucket/shields";
/// Maximum number of concurrent checks per tab-host.
const AT_ONCE: usize = 8;
/// Maximum number of verdict channels per tab-host: as many as the web processes that the broker allows.
const MAX_VERDICT_CHANNELS: usize = 512;
/// Maximum number of hosts that are remembered per tab-host.
const HOSTS: usize = 4096;

/// State of shields. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Shields {
    rules: Arc<watch::Sender<Option<Arc<Rules>>>>,
    levels: Arc<Mutex<Levels>>,
    log: Arc<Mutex<Log>>,
    /// User rules and lists, locked while they change.
    own: Arc<tokio::sync::Mutex<Own>>,
    /// Errors of the last updates of the user's lists, by name.
    stale: Arc<Mutex<HashMap<String, String>>>,
    /// Contexts of the tab-hosts, by their ID.
    asking: Arc<Mutex<HashMap<u64, Weak<ShieldsContext>>>>,
}

/// Context of one tab-host's checks.
#[derive(Debug)]
pub(crate) struct ShieldsContext {
    site: String,
    workspace: String,
    /// Permits for checks of connections that belong to no checked request, such as of WebSockets.
    room: Semaphore,
    /// Permits for document rules, for which no request waits.
    looks: Semaphore,
    /// Permits for verdict channels of its web processes.
    verdict_channels: Arc<Semaphore>,
    /// Hosts with an allowed request. Connections to them are allowed without another check.
    hosts: Mutex<HashSet<String>>,
    /// Hosts with an allowed document, which the user wants to see, whatever they are aliases of.
    opened: Mutex<HashSet<String>>,
}

impl ShieldsContext {
    fn of(site: String, workspace: String) -> Self {
        Self {
            site,
            workspace,
            room: Semaphore::new(AT_ONCE),
            looks: Semaphore::new(AT_ONCE),
            verdict_channels: Arc::new(Semaphore::new(MAX_VERDICT_CHANNELS)),
            hosts: Mutex::default(),
            opened: Mutex::default(),
        }
    }

    /// Returns whether nothing of the tab-host's pages may be written down.
    pub(crate) fn is_throw_away(&self) -> bool {
        is_throw_away(&self.workspace)
    }

    /// Returns the site as logs may name it.
    fn recorded_site(&self) -> &str {
        if self.is_throw_away() { "(throw-away)" } else { &self.site }
    }

    fn hosts(&self) -> MutexGuard<'_, HashSet<String>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> MutexGuard<'_, HashSet<String>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a document of this host was allowed.
    pub(crate) fn is_opened(&self, host: &str) -> bool {
        self.opened().contains(&host.trim_end_matches('.').to_ascii_lowercase())
    }
}

/// Shields levels, by site and by workspace.
#[derive(Debug, Default)]
struct Levels {
    everywhere: ShieldsLevel,
    sites: HashMap<String, ShieldsLevel>,
    workspaces: HashMap<String, ShieldsLevel>,
}

impl Levels {
    fn of(&self, site: &str, workspace: &str) -> ShieldsLevel {
        let own = self.sites.get(site).or_else(|| self.workspaces.get(workspace)).copied();
        let level = own.unwrap_or(self.everywhere);
        // A missing level must not turn shields off.
        if level == ShieldsLevel::Unspecified { ShieldsLevel::Balanced } else { level }
    }
}

/// Returns whether a level applies all rules to a request. Otherwise, user rules alone apply, or none.
fn is_for_rules(level: ShieldsLevel, request: &CheckRequest) -> bool {
    match level {
        ShieldsLevel::Off => false,
        ShieldsLevel::Balanced | ShieldsLevel::Unspecified => request.kind == DOCUMENT || !is_first_party(request),
        ShieldsLevel::Strict => true,
    }
}

impl Shields {
    fn with(rules: Option<Rules>, own: Own) -> Self {
        let rules = Arc::new(watch::Sender::new(rules.map(Arc::new)));
        let own = Arc::new(tokio::sync::Mutex::new(own));
        Self { rules, levels: Arc::default(), log: Arc::default(), own, stale: Arc::default(), asking: Arc::default() }
    }

    /// Creates shields without rules, which allow everything and store nothing.
    pub(crate) fn without_lists() -> Self {
        let rules = Rules::of(rules::engine(&[]), &[], Vec::new(), String::new());
        Self::with(Some(rules), Own::in_folder(Path::new("/nowhere")))
    }

    /// Creates shields, and reads the lists on a separate thread. Checks wait until the lists are read.
    pub(crate) fn start(settings: &Settings) -> std::io::Result<Self> {
        let shields = Self::with(None, Own::in_folder(Path::new(FOLDER)));
        shields.set(settings);
        let rules = Arc::clone(&shields.rules);
        std::thread::Builder::new().name("lists".into()).spawn(move || {
            match std::panic::catch_unwind(|| read(&Own::in_folder(Path::new(FOLDER)))) {
                Ok(rules_read) => drop(rules.send_replace(Some(Arc::new(rules_read)))),
                // Otherwise all checks would wait for ever.
                Err(_) => std::process::abort(),
            }
        })?;
        Ok(shields)
    }

    /// Applies the user's levels.
    pub(crate) fn set(&self, settings: &Settings) {
        let sites = settings.sites.iter().map(|one| (one.site.clone(), one.level())).collect();
        let level = |(name, level): (&String, &i32)| Some((name.clone(), ShieldsLevel::try_from(*level).ok()?));
        let workspaces = settings.workspaces.iter().filter_map(level).collect();
        *self.levels.lock().unwrap_or_else(PoisonError::into_inner) =
            Levels { everywhere: settings.level(), sites, workspaces };
    }

    /// Adds and removes user rules. Returns all user rules.
    async fn change_own(&self, add: Vec<String>, remove: Vec<String>) -> Result<Vec<String>, OwnRulesError> {
        if add.is_empty() && remove.is_empty() {
            return Ok(self.own.lock().await.rules.read()?);
        }
        self.change(move |own| own.rules.change(&add, &remove)).await
    }

    /// Returns the context of a tab-host, which all of its connections share.
    pub(crate) fn asking(&self, host: u64, site: &str, workspace: &str) -> Arc<ShieldsContext> {
        let mut all = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, asking| asking.strong_count() > 0);
        // IDs are not reused. A context of another site would be a serious fault, so the site is compared all the same.
        let known = all.get(&host).and_then(Weak::upgrade).filter(|asking| asking.site == site);
        known.unwrap_or_else(|| {
            let asking = Arc::new(ShieldsContext::of(site.to_owned(), workspace.to_owned()));
            all.insert(host, Arc::downgrade(&asking));
            asking
        })
    }

    /// Returns the verdict on a page's request, and logs it. Occupies the thread for as long as the rules take.
    async fn check(&self, asking: &ShieldsContext, request: &CheckRequest) -> Verdict {
        let mut verdict = if is_for_rules(self.level(asking), request) {
            self.rules().await.verdict(&asking.site, request)
        } else if self.level(asking) == ShieldsLevel::Off {
            Verdict::default()
        } else {
            self.rules().await.own_verdict(&asking.site, request)
        };
        self.log().enter(&asking.site, &asking.workspace, request, &verdict);
        verdict.is_private = self.level(asking) != ShieldsLevel::Off;
        if let (false, Some(host)) = (verdict.blocked, host_of(&request.url)) {
            // An allowed document does not allow other requests to its host.
            let mut hosts = if request.kind == DOCUMENT { asking.opened() } else { asking.hosts() };
            if hosts.len() >= HOSTS {
                hosts.clear();
            }
            hosts.insert(host);
        }
        verdict
    }

    /// Returns the verdict without logging it. The rules run on a blocking thread, since they may be slow and this
    /// process's main thread carries the data of every site.
    async fn test(&self, site: &str, workspace: &str, request: CheckRequest) -> Verdict {
        let level = self.level_of(site, workspace);
        if !is_for_rules(level, &request) {
            return self.test_own(site, level, request).await;
        }
        let (rules, site) = (self.rules().await, site.to_owned());
        tokio::task::spawn_blocking(move || rules.verdict(&site, &request)).await.unwrap_or_else(|_| unanswered())
    }

    /// Returns the verdict of the user rules alone, which also apply to first-party requests unless shields are off.
    async fn test_own(&self, site: &str, level: ShieldsLevel, request: CheckRequest) -> Verdict {
        if level == ShieldsLevel::Off {
            return Verdict::default();
        }
        let (rules, site) = (self.rules().await, site.to_owned());
        if !rules.has_own() {
            return Verdict::default();
        }
        tokio::task::spawn_blocking(move || rules.own_verdict(&site, &request)).await.unwrap_or_else(|_| unanswered())
    }

    /// Checks a connection that belongs to no checked request, such as of a WebSocket or service worker: hosts that are
    /// blocked as a whole are refused. For the site's own hosts, only user rules apply.
    pub(crate) async fn check_host(&self, asking: &ShieldsContext, host: &str) -> Verdict {
        let url = if host.contains(':') { format!("https://[{host}]/") } else { format!("https://{host}/") };
        let (page, kind, method) = (asking.site.clone(), "websocket".to_owned(), "GET".to_owned());
        let request = CheckRequest { url, page, kind, method, ..CheckRequest::default() };
        let is_known = host_of(&request.url).is_some_and(|host| asking.hosts().contains(&host));
        let is_opened = host_of(&request.url).is_some_and(|host| asking.opened().contains(&host));
        if is_known || (is_opened && is_first_party(&request)) {
            return Verdict::default();
        }
        // The semaphore is never closed.
        let _room = asking.room.acquire().await;
        let verdict = if is_first_party(&request) {
            self.test_own(&asking.site, self.level(asking), request.clone()).await
        } else {
            self.test(&asking.site, &asking.workspace, request.clone()).await
        };
        self.log().enter(&asking.site, &asking.workspace, &request, &verdict);
        verdict
    }

    /// Returns the rules for a document of this tab-host.
    pub(crate) async fn begin(&self, asking: &ShieldsContext, request: DocumentRequest) -> DocumentRules {
        let site = asking.site.clone();
        let rules = self.unless_off(asking, move |rules| rules.document(&site, &request)).await;
        DocumentRules { is_private: self.level(asking) != ShieldsLevel::Off, ..rules }
    }

    /// Returns the generic rules, which apply to most documents of this tab-host.
    pub(crate) async fn common(&self, asking: &ShieldsContext) -> CommonRules {
        let site = asking.site.clone();
        self.unless_off(asking, move |rules| rules.common(&site)).await
    }

    /// Returns the selectors to hide for new classes and IDs of a document.
    pub(crate) async fn hidden(&self, asking: &ShieldsContext, request: HideRequest) -> Vec<String> {
        self.unless_off(asking, move |rules| rules.hidden(&request)).await
    }

    async fn unless_off<T, F>(&self, asking: &ShieldsContext, look: F) -> T
    where
        T: Default + Send + 'static,
        F: FnOnce(&Rules) -> T + Send + 'static,
    {
        if self.level(asking) == ShieldsLevel::Off {
            return T::default();
        }
        // The semaphore is never closed.
        let _room = asking.looks.acquire().await;
        let rules = self.rules().await;
        tokio::task::spawn_blocking(move || look(&rules)).await.unwrap_or_default()
    }

    fn level(&self, asking: &ShieldsContext) -> ShieldsLevel {
        self.level_of(&asking.site, &asking.workspace)
    }

    fn level_of(&self, site: &str, workspace: &str) -> ShieldsLevel {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).of(site, workspace)
    }

    async fn rules(&self) -> Arc<Rules> {
        let mut rules = self.rules.subscribe();
        loop {
            if let Some(rules) = rules.borrow_and_update().as_ref() {
                return Arc::clone(rules);
            }
            // Cannot fail, as the sender is in `self`.
            let _ = rules.changed().await;
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compiles a text as a filter list and applies it, for fuzzing.
pub(crate) fn try_list(text: &str) {
    if user_rules::check(text).is_err() {
        return;
    }
    let lists = [List { name: "theirs".to_owned(), text: lists::as_rules(text), is_trusted: false }];
    let rules = Rules::of(rules::engine(&lists), &lists, Vec::new(), String::new());
    for url in ["https://tracker.test/ads/banner.js?utm=1", "https://site.test/"] {
        let (page, kind, method) = ("https://site.test/".to_owned(), "script".to_owned(), "GET".to_owned());
        rules.verdict(
            "https://site.test",
            &CheckRequest { url: url.to_owned(), page: page.clone(), kind, method, waited_us: 0 },
        );
        rules.document("https://site.test", &DocumentRequest { url: url.to_owned(), is_main_frame: true, page });
    }
}

/// Reads this machine's lists, the user's lists and the user rules, and compiles them.
fn read(own: &Own) -> Rules {
    let started = Instant::now();
    let (mut lists, mut errors) = lists::read();
    let (own_lists, own_errors) = own.read();
    lists.extend(own_lists);
    errors.extend(own_errors);
    let (resources, missing) = rules::resources(Path::new(lists::UBLOCK));
    errors.extend((!missing.is_empty()).then_some(missing));
    let folder = Path::new(FOLDER);
    let (engine, from_cache) = engine_of(&lists, &Cache::in_folder(folder));
    let mut rules = Rules::of(engine, &lists, resources.clone(), errors.join("; "));
    if lists.iter().any(|list| list.name == OWN_RULES) {
        // User rules are few, so they are compiled at each start.
        let own = lists.iter().find(|list| list.name == OWN_RULES).map(std::slice::from_ref).map(rules::engine);
        let elsewhere = rules::lists_elsewhere(lists);
        let (engine, _) = engine_of(&elsewhere, &Cache::in_folder(&folder.join("elsewhere")));
        rules = rules.with_own(engine, own.unwrap_or_default(), resources);
    }
    rules.from_cache = from_cache;
    rules.read_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
    rules
}

/// Returns the engine for these lists, and whether it was in the cache.
fn engine_of(lists: &[List], cache: &Cache) -> (adblock::Engine, bool) {
    if let Some(kept) = cache.read(lists) {
        return (kept, true);
    }
    let engine = rules::engine(lists);
    if let Err(error) = cache.keep(lists, &engine) {
        tracing::warn!("shields: compiled lists were not cached, the next start compiles them again: {error}");
    }
    (engine, false)
}

/// Returns whether a request and its page belong to one registrable domain.
fn is_first_party(request: &CheckRequest) -> bool {
    let domain = |url: &str| Some(Site::of(url).ok()?.as_str().split_once("://")?.1.to_owned());
    let (asked, asking) = (domain(&request.url), domain(&request.page));
    asked.is_some() && asked == asking
}

#[cfg(test)]
mod tests;
