//! Shields: what of a page's requests is not sent. One engine for all sites, made from the filter lists of this machine.
//!
//! Whoever asks says what is asked; whose settings hold, the broker has said.

mod lists;
mod log;
mod service;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adblock::Engine;
use adblock::lists::FilterSet;
use adblock::request::Request;
use regen_proto::kernel::v1::{Shields as Settings, ShieldsLevel};
use regen_proto::net::v1::{CheckRequest, FilterList, Verdict};
use regen_proto::site::Site;
use tokio::sync::{Semaphore, watch};
use url::Url;

use lists::List;
use log::Log;

pub(crate) use service::{Admin, ForPages, LARGEST};

/// Questions of one tab-host that are looked at at a time.
const AT_ONCE: usize = 8;
/// Hosts that are remembered of one tab-host.
const HOSTS: usize = 4096;

/// Everything that is known of shields. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Shields {
    rules: Arc<watch::Sender<Option<Arc<Rules>>>>,
    levels: Arc<Mutex<Levels>>,
    log: Arc<Mutex<Log>>,
}

/// The engine, and what it was made from.
struct Rules {
    engine: Engine,
    lists: Vec<FilterList>,
    /// Why there are none, or not all.
    error: String,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("lists", &self.lists).finish_non_exhaustive()
    }
}

/// One tab-host's questions.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    site: String,
    /// So many of its questions are looked at at a time; the others wait.
    room: Arc<Semaphore>,
    /// Hosts of which something may be sent: what a rule has against the rest of one has been looked at.
    hosts: Arc<Mutex<HashSet<String>>>,
}

impl Asking {
    pub(crate) fn of(site: String) -> Self {
        Self { site, room: Arc::new(Semaphore::new(AT_ONCE)), hosts: Arc::default() }
    }

    fn hosts(&self) -> MutexGuard<'_, HashSet<String>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which level holds where.
#[derive(Debug, Default)]
struct Levels {
    everywhere: ShieldsLevel,
    sites: HashMap<String, ShieldsLevel>,
}

impl Levels {
    fn of(&self, site: &str) -> ShieldsLevel {
        let level = self.sites.get(site).copied().unwrap_or(self.everywhere);
        // A broker that has said nothing is not one that wants none.
        if level == ShieldsLevel::Unspecified { ShieldsLevel::Balanced } else { level }
    }
}

impl Shields {
    /// Reads the lists on a thread of its own; whoever asks before they are read waits.
    pub(crate) fn start(settings: &Settings) -> std::io::Result<Self> {
        let shields = Self { rules: Arc::new(watch::Sender::new(None)), levels: Arc::default(), log: Arc::default() };
        shields.set(settings);
        let rules = Arc::clone(&shields.rules);
        std::thread::Builder::new().name("lists".into()).spawn(move || {
            let read = std::panic::catch_unwind(|| {
                let (lists, error) = lists::read();
                Rules::of(lists, error)
            });
            match read {
                Ok(rules_read) => drop(rules.send_replace(Some(Arc::new(rules_read)))),
                // Nobody would ever be answered.
                Err(_) => std::process::abort(),
            }
        })?;
        Ok(shields)
    }

    /// What the user wants from now on.
    pub(crate) fn set(&self, settings: &Settings) {
        let sites = settings.sites.iter().map(|one| (one.site.clone(), one.level())).collect();
        *self.levels.lock().unwrap_or_else(PoisonError::into_inner) = Levels { everywhere: settings.level(), sites };
    }

    /// Whether a page may send this. What it may not is counted and logged.
    pub(crate) async fn check(&self, asking: &Asking, request: CheckRequest) -> Verdict {
        let verdict = self.look(asking, &request).await;
        if let (false, Some(host)) = (verdict.blocked, host_of(&request.url)) {
            let mut hosts = asking.hosts();
            if hosts.len() >= HOSTS {
                hosts.clear();
            }
            hosts.insert(host);
        }
        verdict
    }

    async fn look(&self, asking: &Asking, request: &CheckRequest) -> Verdict {
        // It is never closed.
        let _room = asking.room.acquire().await;
        let verdict = self.test(&asking.site, request).await;
        self.log().enter(&asking.site, request, &verdict);
        verdict
    }

    /// The same, without a trace.
    async fn test(&self, site: &str, request: &CheckRequest) -> Verdict {
        let level = self.levels.lock().unwrap_or_else(PoisonError::into_inner).of(site);
        if level == ShieldsLevel::Off || (level == ShieldsLevel::Balanced && is_first_party(request)) {
            return Verdict::default();
        }
        let (rules, request) = (self.rules().await, request.clone());
        // A rule may take its time: this process's own thread moves the bytes of every site.
        tokio::task::spawn_blocking(move || rules.verdict(&request)).await.unwrap_or_else(|_| unanswered())
    }

    /// A connection that no page was asked about, as those of WebSockets and service workers are not: a host that is blocked
    /// outright is not reached. The site's own hosts are the site.
    pub(crate) async fn check_host(&self, asking: &Asking, host: &str) -> Verdict {
        let url = if host.contains(':') { format!("https://[{host}]/") } else { format!("https://{host}/") };
        let (page, kind, method) = (asking.site.clone(), "websocket".to_owned(), "GET".to_owned());
        let request = CheckRequest { url, page, kind, method };
        let is_known = host_of(&request.url).is_some_and(|host| asking.hosts().contains(&host));
        if is_known || is_first_party(&request) {
            return Verdict::default();
        }
        self.look(asking, &request).await
    }

    async fn rules(&self) -> Arc<Rules> {
        let mut rules = self.rules.subscribe();
        loop {
            if let Some(rules) = rules.borrow_and_update().as_ref() {
                return Arc::clone(rules);
            }
            // The sender is in `self`: there will be a change.
            let _ = rules.changed().await;
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    fn of(lists: Vec<List>, error: String) -> Self {
        // With the text of each rule: whoever sees that something is missing wants to know why.
        let mut set = FilterSet::new(true);
        let mut told = Vec::new();
        for List { name, text } in lists {
            let bytes = text.len() as u64;
            let title = set.add_filter_list(text, Default::default()).metadata.title.unwrap_or_default();
            told.push(FilterList { name, title, bytes, ..FilterList::default() });
        }
        let engine = Engine::new_with_filter_set(set);
        for (list, source) in told.iter_mut().zip(engine.get_debug_info().source_info) {
            list.rules = source.network_filter_count + source.cosmetic_filter_count;
            list.unreadable = source.parse_error;
        }
        Self { engine, lists: told, error }
    }

    fn verdict(&self, request: &CheckRequest) -> Verdict {
        // The engine compares letter by letter: spellings of one address are made one.
        let Some(url) = canonical(&request.url) else { return unanswered() };
        let page = canonical(&request.page).unwrap_or_default();
        let Ok(asked) = Request::new(&url, &page, &request.kind, &request.method) else { return unanswered() };
        let found = self.engine.check_network_request(&asked);
        let blocked = found.should_block();
        let decided = if blocked { found.filter } else { found.exception };
        let (mut rule, mut list) = (String::new(), String::new());
        if let Some(decided) = decided {
            rule = decided.raw_line.unwrap_or_default();
            let source = decided.source_location.and_then(|place| self.lists.get(place.source_index as usize));
            list = source.map(|list| list.name.clone()).unwrap_or_default();
        }
        let rewritten_url = found.rewritten_url.filter(|_| !blocked).unwrap_or_default();
        Verdict { blocked, rule, list, rewritten_url }
    }
}

/// What nobody can say may not be sent.
fn unanswered() -> Verdict {
    Verdict { blocked: true, rule: "an address that cannot be read".to_owned(), ..Verdict::default() }
}

fn canonical(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_owned();
    url.set_host(Some(&host)).ok()?;
    Some(url.into())
}

fn host_of(url: &str) -> Option<String> {
    Some(Url::parse(&canonical(url)?).ok()?.host_str()?.to_owned())
}

/// Both ends belong to one registrable domain.
fn is_first_party(request: &CheckRequest) -> bool {
    let domain = |url: &str| Some(Site::of(url).ok()?.as_str().split_once("://")?.1.to_owned());
    let (asked, asking) = (domain(&request.url), domain(&request.page));
    asked.is_some() && asked == asking
}

#[cfg(test)]
mod tests;
