//! Rules about what no page is asked about, for the engine's own content filter: what lists say of WebSockets, and the user's own
//! rules, which hold for what service workers fetch, too. All rules would be too many for every process to compile.

use adblock::content_blocking::{CbResourceType, CbRule, CbType};
use adblock::lists::{FilterSet, ParseOptions};
use regen_proto::OWN_RULES;
use serde_json::{Value, json};

use super::lists::List;

/// As JSON; nothing, where there are none.
pub(super) fn content_filter(lists: &[List]) -> String {
    let rules: Vec<Value> = lists.iter().flat_map(rules_of).collect();
    if rules.is_empty() { String::new() } else { Value::from(rules).to_string() }
}

fn rules_of(list: &List) -> Vec<Value> {
    let is_own = list.name == OWN_RULES;
    let kinds = if is_own { json!(["websocket", "fetch"]) } else { json!(["websocket"]) };
    let lines = list.text.lines().filter_map(|line| about_sockets(line).or_else(|| is_own.then(|| line.to_owned())));
    let text = lines.collect::<Vec<_>>().join("\n");
    // The crate's conversion panics at what it does not expect.
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

/// A rule about WebSockets, as one about what is most like them: the crate converts none of theirs.
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
        let rules: Vec<Value> = serde_json::from_str(&content_filter(&lists)).unwrap();
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
        assert_eq!(content_filter(&[list("theirs", "||b.test^")]), "");
    }
}
