//! Turns input of the address bar into a URL or a search.

use std::net::{IpAddr, Ipv6Addr};

use url::{Url, form_urlencoded};

/// Schemes for other programs, written without `//`.
const OUTSIDE: [&str; 12] =
    ["mailto", "tel", "sms", "callto", "sip", "sips", "xmpp", "magnet", "geo", "news", "webcal", "bitcoin"];
/// Marks a search in the address bar, whatever follows.
const SEARCH_MARK: &str = "? ";

/// Search engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searches {
    /// Address of a search, with `%s` for the words.
    pub default: String,
    /// Keywords, and addresses of a search with `%s` for the words. `!KEYWORD words` searches there.
    pub engines: Vec<(String, String)>,
}

impl Searches {
    /// Returns the address of a search for these words. A bang at their beginning or end names an engine.
    #[must_use]
    pub fn url(&self, words: &str) -> String {
        let words = words.trim();
        let (engine, words) = self.banged(words).unwrap_or((&self.default, words));
        // A space is “+” in a query and “%20” elsewhere.
        let in_query = engine.find('?').is_some_and(|query| query < engine.find("%s").unwrap_or(0));
        let mut encoded: String = form_urlencoded::byte_serialize(words.as_bytes()).collect();
        if !in_query {
            encoded = encoded.replace('+', "%20");
        }
        engine.replace("%s", &encoded)
    }

    /// Splits words with a bang into the engine's address and the other words.
    fn banged<'a>(&'a self, words: &'a str) -> Option<(&'a String, &'a str)> {
        let first = words.split_whitespace().next()?;
        let last = words.split_whitespace().next_back()?;
        let named = |word: &str| {
            let keyword = word.strip_prefix('!')?;
            self.engines.iter().find(|(known, _)| known.eq_ignore_ascii_case(keyword)).map(|(_, url)| url)
        };
        let at_first = named(first).map(|url| (url, words.get(first.len()..).unwrap_or_default().trim()));
        at_first.or_else(|| Some((named(last)?, words.get(..words.len() - last.len()).unwrap_or_default().trim())))
    }
}

/// Returns the URL for an input. It never fails: input that is no address is searched for.
#[must_use]
pub fn to_url(input: &str, searches: &Searches) -> String {
    let input = input.trim();
    if let Some(words) = input.strip_prefix(SEARCH_MARK) {
        return searches.url(words);
    }
    as_url(input).unwrap_or_else(|| searches.url(input))
}

/// Returns the URL for an input; `None` if it is no address.
#[must_use]
pub fn as_url(input: &str) -> Option<String> {
    let input = input.trim();
    explicit(input).or_else(|| host_like(input))
}

/// Returns the input that searches for these words, even if they look like an address.
#[must_use]
pub fn search(words: &str) -> String {
    format!("{SEARCH_MARK}{words}")
}

/// Returns whether the input is one word that is no address. It would be searched for, but may be meant as a host.
#[must_use]
pub fn is_bare_word(input: &str) -> bool {
    let input = input.trim();
    !input.is_empty() && !input.contains(char::is_whitespace) && as_url(input).is_none()
}

/// Returns a URL without its user name and password, which are secrets and could pass for a host name.
#[must_use]
pub fn without_credentials(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            // Neither call fails for a URL with credentials.
            let _ = (parsed.set_username(""), parsed.set_password(None));
            parsed.into()
        }
        // `blob:` and `view-source:` carry an address of their own.
        _ => match url.split_once(':') {
            Some((scheme @ ("blob" | "view-source"), inner)) => format!("{scheme}:{}", without_credentials(inner)),
            _ => url.to_owned(),
        },
    }
}

/// Returns the URL of an input with a scheme that can only be meant as an address.
fn explicit(input: &str) -> Option<String> {
    let url = Url::parse(input).ok()?;
    let known = matches!(
        url.scheme(),
        "http" | "https" | "file" | "about" | "data" | "javascript" | "blob" | "ftp" | "view-source"
    );
    // With a space, as in `news: today`, it is a search.
    let is_outside = OUTSIDE.contains(&url.scheme()) && !input.contains(char::is_whitespace);
    (known || is_outside || input.contains("://")).then(|| String::from(url))
}

/// Returns the URL of an input that looks like a host: `example.org/path`, `localhost:8000`, `10.0.0.1`, `[::1]`,
/// `::1`, `nas:5000` or `router/`. A plain number is a search.
fn host_like(input: &str) -> Option<String> {
    if input.is_empty() || input.contains(char::is_whitespace) {
        return None;
    }
    let authority = input.split(['/', '?', '#']).next()?;
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Url::parse(&format!("http://[{authority}]{}", input.get(authority.len()..)?)).ok().map(String::from);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.ends_with(':') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    if port.is_none() && authority.len() == input.len() && input.parse::<f64>().is_ok() {
        return None;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_ip = bare.parse::<IpAddr>().is_ok();
    let is_local = host == "localhost" || host.ends_with(".localhost");
    let is_name = host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains("..");
    // A single label is a host of the local network if a port or a slash follows.
    let is_label = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_intranet = is_label && (port.is_some() || input.len() == authority.len() + 1);
    let scheme = match (is_ip || is_local || is_intranet, is_name, port) {
        (false, false, _) => return None,
        (false, true, None | Some(443)) => "https",
        // A server on another port most likely speaks no TLS.
        _ => "http",
    };
    Url::parse(&format!("{scheme}://{input}")).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searches() -> Searches {
        let engine = |keyword: &str, url: &str| (keyword.to_owned(), url.to_owned());
        let engines = vec![engine("w", "https://wiki.test/?s=%s"), engine("wayback", "https://old.test/web/%s")];
        Searches { default: "https://duckduckgo.com/?q=%s".to_owned(), engines }
    }

    #[test]
    fn bangs_name_an_engine_and_unknown_ones_are_words() {
        for (typed, url) in [
            ("!w rust lang", "https://wiki.test/?s=rust+lang"),
            ("rust lang !W", "https://wiki.test/?s=rust+lang"),
            ("!w", "https://wiki.test/?s="),
            ("!wayback a b/c?d", "https://old.test/web/a%20b%2Fc%3Fd"),
            ("!nobody rust", "https://duckduckgo.com/?q=%21nobody+rust"),
            ("a !w b", "https://duckduckgo.com/?q=a+%21w+b"),
            ("? example.org", "https://duckduckgo.com/?q=example.org"),
            ("? !w example.org", "https://wiki.test/?s=example.org"),
            ("100 % & more # x", "https://duckduckgo.com/?q=100+%25+%26+more+%23+x"),
        ] {
            assert_eq!(to_url(typed, &searches()), url, "{typed}");
        }
        assert_eq!(to_url(&search("localhost"), &searches()), "https://duckduckgo.com/?q=localhost");
    }

    #[test]
    fn addresses_are_addresses_and_the_rest_is_a_search() {
        for (typed, url) in [
            ("https://example.org/a b", "https://example.org/a%20b"),
            ("example.org", "https://example.org/"),
            (" www.example.org/x?y#z ", "https://www.example.org/x?y#z"),
            ("localhost:8000/x", "http://localhost:8000/x"),
            ("127.0.0.1", "http://127.0.0.1/"),
            ("[::1]:8080", "http://[::1]:8080/"),
            ("file:///etc/passwd", "file:///etc/passwd"),
            ("about:blank", "about:blank"),
            ("rust lang", "https://duckduckgo.com/?q=rust+lang"),
            ("what is 3.14", "https://duckduckgo.com/?q=what+is+3.14"),
            ("word", "https://duckduckgo.com/?q=word"),
            ("note: this", "https://duckduckgo.com/?q=note%3A+this"),
            ("gopher://old.example/", "gopher://old.example/"),
            ("nas:5000", "http://nas:5000/"),
            ("printer:8080/x", "http://printer:8080/x"),
            ("router/", "http://router/"),
            ("either/or", "https://duckduckgo.com/?q=either%2For"),
            ("::1", "http://[::1]/"),
            ("::1/x", "http://[::1]/x"),
            ("nas", "https://duckduckgo.com/?q=nas"),
            ("mailto:a@b.test", "mailto:a@b.test"),
            ("tel:1", "tel:1"),
            ("news: today", "https://duckduckgo.com/?q=news%3A+today"),
            ("3.14", "https://duckduckgo.com/?q=3.14"),
            ("127.1", "https://duckduckgo.com/?q=127.1"),
            ("1e5", "https://duckduckgo.com/?q=1e5"),
            ("10.0.0.1:8080", "http://10.0.0.1:8080/"),
            ("example.test:80", "http://example.test/"),
            ("example.test:443", "https://example.test/"),
            ("example.test:8443/y", "http://example.test:8443/y"),
        ] {
            assert_eq!(to_url(typed, &searches()), url, "{typed}");
        }
    }

    #[test]
    fn credentials_are_taken_off() {
        for (url, shown) in [
            ("https://login.bank.com:443@evil.example/in", "https://evil.example/in"),
            ("https://u:p@a.test:8443/x?y#z", "https://a.test:8443/x?y#z"),
            ("https://u@a.test/", "https://a.test/"),
            ("https://:p@a.test/", "https://a.test/"),
            ("blob:https://u:p@a.test/0b5e", "blob:https://a.test/0b5e"),
            ("https://a.test/@b:c@d", "https://a.test/@b:c@d"),
            ("mailto:a@b.test", "mailto:a@b.test"),
            ("no address", "no address"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_input_becomes_a_url(input in "\\PC{0,80}") {
            proptest::prop_assert!(Url::parse(&to_url(&input, &searches())).is_ok());
        }
    }
}
