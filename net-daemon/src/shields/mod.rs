//! Shields: what of a page's requests is not sent. One engine for all sites, made from the filter lists of this machine.
//!
//! Whoever asks says what is asked; whose settings hold, the broker has said.

mod lists;
mod log;
mod service;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adblock::Engine;
use adblock::lists::FilterSet;
use adblock::request::Request;
use regen_proto::kernel::v1::{Shields as Settings, ShieldsLevel};
use regen_proto::net::v1::{CheckRequest, FilterList, Verdict};
use regen_proto::site::Site;
use tokio::sync::watch;

use lists::List;
use log::Log;

pub(crate) use service::{Admin, ForPages};

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
            let (lists, error) = lists::read();
            rules.send_replace(Some(Arc::new(Rules::of(lists, error))));
        })?;
        Ok(shields)
    }

    /// What the user wants from now on.
    pub(crate) fn set(&self, settings: &Settings) {
        let sites = settings.sites.iter().map(|one| (one.site.clone(), one.level())).collect();
        *self.levels.lock().unwrap_or_else(PoisonError::into_inner) = Levels { everywhere: settings.level(), sites };
    }

    /// Whether a page of this site may send this. What it may not is counted and logged.
    pub(crate) async fn check(&self, site: &str, request: &CheckRequest) -> Verdict {
        let verdict = self.test(site, request).await;
        self.log().enter(site, request, &verdict);
        verdict
    }

    /// The same, without a trace.
    async fn test(&self, site: &str, request: &CheckRequest) -> Verdict {
        let level = self.levels.lock().unwrap_or_else(PoisonError::into_inner).of(site);
        if level == ShieldsLevel::Off {
            return Verdict::default();
        }
        self.rules().await.verdict(level, request)
    }

    /// A connection that no page was asked about, as those of WebSockets and service workers are not: a host that is blocked
    /// outright is not reached. The site's own hosts are the site.
    pub(crate) async fn check_host(&self, site: &str, host: &str) -> Verdict {
        let url = if host.contains(':') { format!("https://[{host}]/") } else { format!("https://{host}/") };
        let request =
            CheckRequest { url, page: site.to_owned(), kind: "websocket".to_owned(), method: "GET".to_owned() };
        if is_first_party(&request) {
            return Verdict::default();
        }
        self.check(site, &request).await
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

    fn verdict(&self, level: ShieldsLevel, request: &CheckRequest) -> Verdict {
        let Ok(asked) = Request::new(&request.url, &request.page, &request.kind, &request.method) else {
            // What is no address on a network reaches nobody.
            return Verdict::default();
        };
        if level == ShieldsLevel::Balanced && is_first_party(request) {
            return Verdict::default();
        }
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

/// Both ends belong to one registrable domain.
fn is_first_party(request: &CheckRequest) -> bool {
    let domain = |url: &str| Some(Site::of(url).ok()?.as_str().split_once("://")?.1.to_owned());
    let (asked, asking) = (domain(&request.url), domain(&request.page));
    asked.is_some() && asked == asking
}
