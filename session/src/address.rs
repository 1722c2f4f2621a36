//! Turns input of the address bar into a URL or a search.

use std::net::{IpAddr, Ipv6Addr};

use url::Url;

/// Schemes for other programs, written without `//`.
const OUTSIDE: [&str; 12] =
    ["mailto", "tel", "sms", "callto", "sip", "sips", "xmpp", "magnet", "geo", "news", "webcal", "bitcoin"];
const SEARCH: &str = "https://duckduckgo.com/";

/// Returns the URL for an input. It never fails: input that is no address is searched for.
#[must_use]
pub fn to_url(input: &str) -> String {
    let input = input.trim();
    if let Some(url) = explicit(input) {
        return url;
    }
    if let Some(url) = host_like(input) {
        return url;
    }
    search(input)
}

/// Returns the address of a search for these words.
#[must_use]
pub fn search(words: &str) -> String {
    Url::parse_with_params(SEARCH, [("q", words)]).map_or_else(|_| SEARCH.to_owned(), String::from)
}

/// Returns whether the input is one word that is no address. It would be searched for, but may be meant as a host.
#[must_use]
pub fn is_bare_word(input: &str) -> bool {
    let input = input.trim();
    !input.is_empty() && !input.contains(char::is_whitespace) && explicit(input).is_none() && host_like(input).is_none()
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
            assert_eq!(to_url(typed), url, "{typed}");
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
            proptest::prop_assert!(Url::parse(&to_url(&input)).is_ok());
        }
    }
}
