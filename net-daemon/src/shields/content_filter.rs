//! Rules for the web engine's content filter, which covers connections without a verdict: rules of the lists about
//! WebSockets, and user rules, which also apply to fetches of service workers. All rules would be too many for every
//! process to compile.

use adblock::content_blocking::{CbResourceType, CbRule, CbType};
use adblock::lists::{FilterSet, ParseOptions};
use regen_proto::OWN_RULES;
use serde_json::{Value, json};

use super::lists::List;
use super::versions::{domain, version_of};

/// Rules for the web engine's content filter, as JSON values.
#[derive(Debug)]
pub(super) struct ContentFilter {
    public: Vec<Value>,
    /// User rules.
    own: Vec<Value>,
    public_version: u32,
}

impl ContentFilter {
    pub(super) fn of(lists: &[List]) -> Self {
        let of = |is_own: bool| lists.iter().filter(move |list| (list.name == OWN_RULES) == is_own).flat_map(rules_of);
        let public: Vec<Value> = of(false).collect();
        let public_version = version_of(&Value::from(public.as_slice()).to_string());
        Self { public, own: of(true).collect(), public_version }
    }

    /// Returns the filter for the processes of a site, as JSON; empty if there are no rules.
    pub(super) fn text(&self, site: &str) -> String {
        let rules: Vec<Value> = self.public.iter().cloned().chain(self.own_for(site)).collect();
        if rules.is_empty() { String::new() } else { Value::from(rules).to_string() }
    }

    /// Returns a version that changes with the text; 0 if the text is empty.
    pub(super) fn version(&self, site: &str) -> u32 {
        let own: Vec<Value> = self.own_for(site).collect();
        if own.is_empty() && self.public.is_empty() {
            return 0;
        }
        version_of(&(self.public_version, Value::from(own).to_string()))
    }

    /// Returns the user rules that a site may know: none about other sites, and no name of another site in the rest.
    fn own_for(&self, site: &str) -> impl Iterator<Item = Value> {
        let site = domain(site).to_owned();
        self.own.iter().filter_map(move |rule| {
            let mut rule = rule.clone();
            let trigger = rule.get_mut("trigger")?.as_object_mut()?;
            for (key, is_needed) in [("if-domain", true), ("unless-domain", false)] {
                let Some(domains) = trigger.get_mut(key).and_then(Value::as_array_mut) else { continue };
                domains.retain(|domain| domain.as_str().is_some_and(|domain| is_of(domain, &site)));
                if !domains.is_empty() {
                    continue;
                }
                if is_needed {
                    return None;
                }
                trigger.remove(key);
            }
            Some(rule)
        })
    }
}

/// Returns whether a rule's domain, in the syntax of the content filter, is the site's or a subdomain of it.
fn is_of(domain: &str, site: &str) -> bool {
    let domain = domain.trim_start_matches('*');
    domain.strip_suffix(site).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn rules_of(list: &List) -> Vec<Value> {
    let is_own = list.name == OWN_RULES;
    let kinds = if is_own { json!(["websocket", "fetch"]) } else { json!(["websocket"]) };
    let lines = list.text.lines().filter_map(|line| about_sockets(line).or_else(|| is_own.then(|| line.to_owned())));
    let text = lines.collect::<Vec<_>>().join("\n");
    // The crate's conversion panics on unexpected rules.
    let converted = std::panic::catch_unwind(|| {
        let mut set = FilterSet::new(true);
        set.add_filter_list(text, ParseOptions::default());
        set.into_content_blocking()
    });
    let Ok(Ok((rules, _))) = converted else { return Vec::new() };
    let with_kinds = |rule: CbRule| {
        let mut rule = serde_json::to_value(rule).ok()?;
        rule.get_mut("trigger")?.as_object_mut()?.insert("resource-type".to_owned(), kinds.clone());
        Some(rule)
    };
    rules.into_iter().filter(is_about_connections).filter_map(with_kinds).collect()
}

/// Converts a WebSocket rule into one about `xmlhttprequest`, as the crate's conversion drops WebSocket rules.
fn about_sockets(line: &str) -> Option<String> {
    let (pattern, options) = line.rsplit_once('$')?;
    let mut options: Vec<&str> = options.split(',').collect();
    let is_about = options.contains(&"websocket");
    for option in options.iter_mut().filter(|option| **option == "websocket") {
        *option = "xmlhttprequest";
    }
    is_about.then(|| format!("{pattern}${}", options.join(",")))
}

fn is_about_connections(rule: &CbRule) -> bool {
    let kinds = rule.trigger.resource_type.as_ref();
    matches!(rule.action.typ, CbType::Block | CbType::IgnorePreviousRules)
        && kinds.is_none_or(|kinds| kinds.contains(&CbResourceType::Raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "https://site.test";

    #[test]
    fn sockets_of_lists_and_all_of_the_users_own_are_in_it() {
        let list = |name: &str, text: &str| List { name: name.to_owned(), text: text.to_owned(), is_trusted: false };
        let lists = [
            list(
                "theirs",
                "||a.test/ws/$websocket\n||b.test^\n@@||c.test^$websocket,domain=d.test\nexample.org##.banner",
            ),
            list(OWN_RULES, "/own-path\n||e.test^$script\nexample.org##.own"),
        ];
        let rules: Vec<Value> = serde_json::from_str(&ContentFilter::of(&lists).text(SITE)).unwrap();
        let found: Vec<(&str, &str, usize)> = rules
            .iter()
            .map(|rule| {
                let kinds = rule["trigger"]["resource-type"].as_array().unwrap().len();
                (rule["action"]["type"].as_str().unwrap(), rule["trigger"]["url-filter"].as_str().unwrap(), kinds)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("block", "^[^:]+:(//)?([^/]+\\.)?a\\.test/ws/", 1),
                ("ignore-previous-rules", "^[^:]+:(//)?([^/]+\\.)?c\\.test", 1),
                ("block", "/own-path", 2)
            ]
        );
        let none = ContentFilter::of(&[list("theirs", "||b.test^")]);
        assert_eq!((none.text(SITE).as_str(), none.version(SITE)), ("", 0));
    }

    #[test]
    fn own_rules_are_told_to_the_sites_that_they_are_about() {
        let text = "/everywhere\n/at-bank$domain=bank.test|www.page.test\n/not-at-bank$domain=~bank.test";
        let filter =
            ContentFilter::of(&[List { name: OWN_RULES.to_owned(), text: text.to_owned(), is_trusted: false }]);
        let bank = filter.text("https://bank.test");
        assert!(bank.contains("/at-bank") && bank.contains("/everywhere"), "{bank}");
        assert!(bank.contains("unless-domain") && !bank.contains("page.test"), "{bank}");
        let page = filter.text("https://page.test");
        assert!(page.contains("www.page.test") && page.contains("/not-at-bank"), "{page}");
        let other = filter.text("https://other.test");
        assert!(other.contains("/everywhere") && other.contains("/not-at-bank"), "{other}");
        assert!(!other.contains("/at-bank") && !other.contains("bank.test"), "{other}");
        assert_ne!(filter.version("https://bank.test"), filter.version("https://other.test"));
        assert!(!filter.text("https://notbank.test").contains("bank.test"), "a name that only ends alike");
    }
}
