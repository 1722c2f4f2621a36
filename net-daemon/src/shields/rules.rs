//! Engines compiled from filter lists, and their verdicts.

use std::collections::HashSet;
use std::path::Path;

use adblock::Engine;
use adblock::lists::{FilterSet, ParseOptions};
use adblock::request::Request;
use adblock::resources::Resource;
use adblock::resources::resource_assembler::assemble_web_accessible_resources;
use regen_net_config::site::Site;
use regen_proto::net::v1::{
    CheckRequest, CommonRules, DocumentRequest, DocumentRules, FilterList, HideRequest, Verdict,
};
use regen_proto::{DOCUMENT, OWN_RULES};
use url::Url;

use super::content_filter::ContentFilter;
use super::kept_parameters::KeptParameters;
use super::lists::List;
use super::scriptlets;
use super::versions::{domain, version_of};

/// URL that no site-specific rule applies to.
const NOWHERE: &str = "https://nowhere.invalid/";

/// Engines, and the lists they were compiled from.
pub(super) struct Rules {
    engine: Engine,
    /// Engine for pages that are not of the asking site, without user rules about single sites. `None` if there are no
    /// user rules.
    elsewhere: Option<Engine>,
    /// Engine with the user rules alone. `None` if there are none.
    own: Option<Engine>,
    kept: KeptParameters,
    /// Kept parameters for pages that are not of the asking site, without user rules about single sites.
    kept_elsewhere: KeptParameters,
    pub(super) lists: Vec<FilterList>,
    /// Errors about lists that could not be read; empty if there are none.
    pub(super) error: String,
    /// Time that it took to read and compile the lists, in milliseconds.
    pub(super) read_ms: u32,
    /// The engine was compiled in an earlier run.
    pub(super) from_cache: bool,
    /// Generic rules, which hide parts of any document.
    common: CommonRules,
    filter: ContentFilter,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("lists", &self.lists).finish_non_exhaustive()
    }
}

impl Rules {
    /// Creates the rules. `engine` must have been compiled from `list_texts`.
    pub(super) fn of(mut engine: Engine, list_texts: &[List], resources: Vec<Resource>, error: String) -> Self {
        engine.use_resources(resources);
        let sources = engine.get_debug_info().source_info;
        let told = list_texts.iter().zip(sources).map(|(list, source)| FilterList {
            name: list.name.clone(),
            title: source.title.unwrap_or_default(),
            bytes: list.text.len() as u64,
            rules: source.network_filter_count + source.cosmetic_filter_count,
            unreadable: source.parse_error,
            ..FilterList::default()
        });
        let lists = told.collect();
        let (common, filter) = (common(&engine), ContentFilter::of(list_texts));
        let lines = || list_texts.iter().flat_map(|list| list.text.lines().map(move |line| (list, line)));
        let is_private = |(list, line): &(&List, &str)| list.name == OWN_RULES && is_about_single_sites(line);
        let kept = KeptParameters::of(lines().map(|(_, line)| line));
        let kept_elsewhere = KeptParameters::of(lines().filter(|line| !is_private(line)).map(|(_, line)| line));
        Self {
            lists,
            engine,
            elsewhere: None,
            own: None,
            kept,
            kept_elsewhere,
            error,
            read_ms: 0,
            from_cache: false,
            common,
            filter,
        }
    }

    /// Adds the engine compiled from [`lists_elsewhere`], and the one with the user rules alone.
    pub(super) fn with_own(mut self, mut elsewhere: Engine, mut own: Engine, resources: Vec<Resource>) -> Self {
        elsewhere.use_resources(resources.clone());
        own.use_resources(resources);
        (self.elsewhere, self.own) = (Some(elsewhere), Some(own));
        self
    }

    /// Returns the engine for a page, for the tab-host of `site`. A compromised tab-host may ask about pages of other
    /// sites to learn for which of them the user has rules.
    fn engine(&self, page: &str, site: &str) -> &Engine {
        self.elsewhere.as_ref().filter(|_| !is_of(page, site)).unwrap_or(&self.engine)
    }

    /// Returns the verdict on a page's request, for the tab-host of `site`.
    pub(super) fn verdict(&self, site: &str, request: &CheckRequest) -> Verdict {
        let page = canonical(&request.page).unwrap_or_default();
        self.verdict_of(self.engine(&page, site), site, request)
    }

    pub(super) fn has_own(&self) -> bool {
        self.own.is_some()
    }

    /// Returns the verdict of the user rules alone, which also block first-party requests.
    pub(super) fn own_verdict(&self, site: &str, request: &CheckRequest) -> Verdict {
        let page = canonical(&request.page).unwrap_or_default();
        // A compromised tab-host must not learn for which sites the user has rules.
        let own = self.own.as_ref().filter(|_| is_of(&page, site));
        own.map(|own| Verdict { list: OWN_RULES.to_owned(), ..self.verdict_of(own, site, request) })
            .filter(|verdict| verdict.blocked || !verdict.rewritten_url.is_empty())
            .unwrap_or_default()
    }

    fn verdict_of(&self, engine: &Engine, site: &str, request: &CheckRequest) -> Verdict {
        // The engine compares URLs as text, so their spelling is normalised.
        let Some(url) = canonical(&request.url) else { return unanswered() };
        let page = canonical(&request.page).unwrap_or_default();
        let Ok(asked) = Request::new(&url, &page, &request.kind, &request.method) else { return unanswered() };
        let found = engine.check_network_request(&asked);
        let blocked = found.should_block();
        let decided = if blocked { found.filter } else { found.exception };
        let (mut rule, mut list) = (String::new(), String::new());
        if let Some(decided) = decided {
            rule = decided.raw_line.unwrap_or_default();
            let source = decided.source_location.and_then(|place| self.lists.get(place.source_index as usize));
            list = source.map(|list| list.name.clone()).unwrap_or_default();
        }
        let kept = if is_of(&page, site) { &self.kept } else { &self.kept_elsewhere };
        let rewritten = found.rewritten_url.filter(|_| !blocked);
        let rewritten_url = rewritten.and_then(|rewritten| kept.put_back(&asked, &url, rewritten)).unwrap_or_default();
        let stand_in = found.redirect.filter(|_| blocked).unwrap_or_default();
        Verdict { blocked, rule, list, rewritten_url, stand_in, ..Verdict::default() }
    }

    /// Returns the rules for a document, for the tab-host of `site`.
    pub(super) fn document(&self, site: &str, request: &DocumentRequest) -> DocumentRules {
        let Some(url) = canonical(&request.url) else { return DocumentRules::default() };
        let kind = if request.is_main_frame { DOCUMENT } else { "subdocument" };
        let page = canonical(&request.page).unwrap_or_else(|| url.clone());
        // A frame of another site counts as a page of that site.
        let foreign = [&url, &page].into_iter().find(|of| !is_of(of, site)).unwrap_or(&url);
        let engine = self.engine(foreign, site);
        let policy = Request::new(&url, &page, kind, "GET").ok().and_then(|asked| engine.get_csp_directives(&asked));
        let mut found = engine.url_cosmetic_resources(&url);
        let all = &self.common.selectors;
        let has_common = !all.is_empty() && all.iter().all(|selector| found.hide_selectors.contains(selector));
        if has_common {
            found.hide_selectors.retain(|selector| all.binary_search(selector).is_err());
        }
        DocumentRules {
            script: alone(&found.injected_script),
            hide: found.hide_selectors.into_iter().collect(),
            procedural: found.procedural_actions.into_iter().collect(),
            generic: !found.generichide,
            exceptions: found.exceptions.into_iter().collect(),
            policy: policy.unwrap_or_default(),
            common: if has_common { self.common.version } else { 0 },
            filter: self.filter.version(site),
            ..DocumentRules::default()
        }
    }

    /// Returns the generic rules for the documents of a site.
    pub(super) fn common(&self, site: &str) -> CommonRules {
        let (filter_version, filter) = (self.filter.version(site), self.filter.text(site));
        CommonRules { filter_version, filter, ..self.common.clone() }
    }

    /// Returns the selectors to hide for a document's classes and IDs.
    pub(super) fn hidden(&self, request: &HideRequest) -> Vec<String> {
        let exceptions: HashSet<String> = request.exceptions.iter().cloned().collect();
        self.engine.hidden_class_id_selectors(&request.classes, &request.ids, &exceptions)
    }
}

/// Returns the generic rules without the content filter.
fn common(engine: &Engine) -> CommonRules {
    let mut selectors: Vec<String> = engine.url_cosmetic_resources(NOWHERE).hide_selectors.into_iter().collect();
    selectors.sort_unstable();
    CommonRules { version: version_of(&selectors), selectors, ..CommonRules::default() }
}

/// Returns the lists without user rules about single sites.
pub(super) fn lists_elsewhere(lists: Vec<List>) -> Vec<List> {
    let cut = |list: List| {
        if list.name != OWN_RULES {
            return list;
        }
        let kept: Vec<&str> = list.text.lines().filter(|line| !is_about_single_sites(line)).collect();
        List { text: kept.join("\n"), ..list }
    };
    lists.into_iter().map(cut).collect()
}

/// Returns whether a rule names the pages that it applies to, or changes the documents of a URL. All other rules can be
/// detected by any page that requests what they block.
fn is_about_single_sites(rule: &str) -> bool {
    const OPTIONS: [&str; 10] = [
        "domain=",
        "from=",
        "csp=",
        "generichide",
        "ghide",
        "elemhide",
        "ehide",
        "specifichide",
        "shide",
        "permissions=",
    ];
    let is_cosmetic = ["##", "#@#", "#?#", "#@?#"].iter().filter_map(|mark| rule.find(mark)).min();
    if let Some(place) = is_cosmetic {
        return place > 0;
    }
    let options = rule.rsplit_once('$').map_or("", |(_, options)| options);
    options.split(',').any(|option| OPTIONS.iter().any(|known| option.starts_with(known)))
}

/// Returns whether a URL belongs to a site. A URL without a site, such as an empty page's, counts as belonging to it.
fn is_of(url: &str, site: &str) -> bool {
    Site::of(url).map_or(true, |of| domain(of.as_str()) == domain(site))
}

/// Compiles lists into an engine.
pub(super) fn engine(lists: &[List]) -> Engine {
    // The engine keeps the text of each rule, so that the log can name it.
    let mut set = FilterSet::new(true);
    for List { text, is_trusted, .. } in lists {
        let permissions = if *is_trusted { scriptlets::TRUSTED } else { Default::default() };
        set.add_filter_list(text.clone(), ParseOptions { permissions, ..ParseOptions::default() });
    }
    Engine::new_with_filter_set(set)
}

/// Wraps scriptlets in a scope of their own, with the variable that they expect.
fn alone(script: &str) -> String {
    if script.is_empty() { String::new() } else { format!("(() => {{ const scriptletGlobals = {{}};\n{script}\n}})()") }
}

/// Returns the redirect resources and scriptlets, and an error message if some are missing.
pub(super) fn resources(ublock: &Path) -> (Vec<Resource>, String) {
    let (folder, index) = (ublock.join("web_accessible_resources"), ublock.join("js/redirect-resources.js"));
    // The crate's reader panics on unexpected input.
    let stand_ins = std::panic::catch_unwind(|| assemble_web_accessible_resources(&folder, &index));
    let mut missing = String::new();
    let mut all = stand_ins.unwrap_or_else(|_| {
        missing = format!("redirect resources cannot be read from {}", index.display());
        Vec::new()
    });
    match scriptlets::read(ublock) {
        Ok(scriptlets) => all.extend(scriptlets),
        Err(error) => missing = format!("scriptlets cannot be read: {error}"),
    }
    (all, missing)
}

/// Returns the verdict on a request that cannot be checked: it is blocked.
pub(super) fn unanswered() -> Verdict {
    Verdict { blocked: true, rule: "the request could not be checked".to_owned(), ..Verdict::default() }
}

pub(super) fn canonical(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_owned();
    url.set_host(Some(&host)).ok()?;
    Some(url.into())
}

pub(super) fn host_of(url: &str) -> Option<String> {
    Some(Url::parse(&canonical(url)?).ok()?.host_str()?.to_owned())
}
