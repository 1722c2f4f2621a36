//! Exceptions to rules that remove URL parameters (`@@…$removeparam`), which the engine's parser does not support.

use adblock::Engine;
use adblock::lists::{FilterSet, ParseOptions};
use adblock::request::Request;
use url::Url;

/// Parameters that stay in a URL, whatever other rules say.
pub(super) struct KeptParameters {
    /// Engine of the inverted exceptions: a URL that it blocks keeps all parameters, and a URL that it rewrites keeps
    /// those that it removes. `None` if there are no exceptions.
    engine: Option<Engine>,
}

impl KeptParameters {
    pub(super) fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let rules: Vec<String> = lines.filter_map(|line| turned_round(line.trim())).collect();
        if rules.is_empty() {
            return Self { engine: None };
        }
        let mut set = FilterSet::new(false);
        set.add_filter_list(rules.join("\n"), ParseOptions::default());
        Self { engine: Some(Engine::new_with_filter_set(set)) }
    }

    /// Puts kept parameters back into a rewritten URL. Returns `None` if nothing remains removed.
    pub(super) fn put_back(&self, asked: &Request, original: &str, rewritten: String) -> Option<String> {
        let Some(engine) = &self.engine else { return Some(rewritten) };
        let found = engine.check_network_request(asked);
        if found.should_block() {
            return None;
        }
        let Some(without_kept) = found.rewritten_url else { return Some(rewritten) };
        let mut url = Url::parse(original).ok()?;
        let query = url.query().unwrap_or_default().to_owned();
        let (rewritten, without_kept) = (parameters(&rewritten), parameters(&without_kept));
        let has = |of: &[String], parameter: &str| of.iter().any(|one| one == parameter);
        let stays = |parameter: &&str| has(&rewritten, parameter) || !has(&without_kept, parameter);
        let left: Vec<&str> = query.split('&').filter(stays).collect();
        if left.len() == query.split('&').count() {
            return None;
        }
        url.set_query(Some(left.join("&").as_str()).filter(|query| !query.is_empty()));
        Some(url.into())
    }
}

fn parameters(url: &str) -> Vec<String> {
    let query = Url::parse(url).ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default();
    query.split('&').map(str::to_owned).collect()
}

/// Converts an exception into a rule that removes, or blocks, what the exception keeps. Returns `None` if the line is
/// no such exception.
pub(super) fn turned_round(line: &str) -> Option<String> {
    let (pattern, options) = line.strip_prefix("@@")?.rsplit_once('$')?;
    let options: Vec<&str> = options.split(',').map(str::trim).collect();
    if options.iter().any(|option| option.starts_with("removeparam=") || option.starts_with("queryprune=")) {
        return Some(format!("{pattern}${}", options.join(",")));
    }
    let place = options.iter().position(|option| matches!(*option, "removeparam" | "queryprune"))?;
    let mut options = options;
    options.remove(place);
    // Default request types of such a rule.
    let kinds = ["document", "doc", "subdocument", "frame", "xmlhttprequest", "xhr", "script", "image", "all"];
    if !options.iter().any(|option| kinds.contains(option)) {
        options.extend(["document", "subdocument", "xmlhttprequest"]);
    }
    Some(format!("{pattern}${}", options.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_back(rules: &str, original: &str, rewritten: &str) -> Option<String> {
        let asked = Request::new(original, original, "document", "GET").unwrap();
        KeptParameters::of(rules.lines()).put_back(&asked, original, rewritten.to_owned())
    }

    #[test]
    fn an_exception_keeps_its_parameter_or_all_of_them() {
        let (original, rewritten) = ("https://a.test/?utm=1&id=2&fb=3#x", "https://a.test/?id=2#x");
        assert_eq!(put_back("", original, rewritten).unwrap(), rewritten);
        assert_eq!(put_back("||a.test^$removeparam=utm", original, rewritten).unwrap(), rewritten);
        assert_eq!(put_back("@@||b.test^$removeparam=utm", original, rewritten).unwrap(), rewritten);
        let one = put_back("@@||a.test^$removeparam=utm", original, rewritten).unwrap();
        assert_eq!(one, "https://a.test/?utm=1&id=2#x");
        let both = "@@||a.test^$removeparam=utm\n@@||a.test^$removeparam=fb";
        assert_eq!(put_back(both, original, rewritten), None);
        assert_eq!(put_back("@@||a.test^$removeparam", original, rewritten), None);
        assert_eq!(put_back("@@||a.test^$removeparam,script", original, rewritten).unwrap(), rewritten);
        assert_eq!(
            put_back("@@*$removeparam=fb,domain=a.test", original, rewritten).unwrap(),
            "https://a.test/?id=2&fb=3#x"
        );
    }
}
