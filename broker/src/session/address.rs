//! What a person types in the address bar → a URL, or a search.

use std::net::IpAddr;

use url::Url;

const SEARCH: &str = "https://duckduckgo.com/";

/// The URL that this input means. Never fails: what is not an address is searched for.
#[must_use]
pub fn to_url(input: &str) -> String {
    let input = input.trim();
    if let Some(url) = explicit(input) {
        return url;
    }
    if let Some(url) = host_like(input) {
        return url;
    }
    Url::parse_with_params(SEARCH, [("q", input)]).map_or_else(|_| SEARCH.to_owned(), String::from)
}

/// Returns a URL without its user name and password: they are secrets, and could pass for a host name.
#[must_use]
pub fn without_credentials(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            // Neither fails for a URL that has them.
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

/// `scheme:` with something that can only be meant as an address.
fn explicit(input: &str) -> Option<String> {
    let url = Url::parse(input).ok()?;
    let known = matches!(
        url.scheme(),
        "http" | "https" | "file" | "about" | "data" | "javascript" | "blob" | "ftp" | "view-source"
    );
    (known || input.contains("://")).then(|| String::from(url))
}

/// `example.org/path`, `localhost:8000`, `10.0.0.1`, `[::1]`.
fn host_like(input: &str) -> Option<String> {
    if input.is_empty() || input.contains(char::is_whitespace) {
        return None;
    }
    let authority = input.split(['/', '?', '#']).next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.ends_with(':') => host,
        _ => authority,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_ip = bare.parse::<IpAddr>().is_ok();
    let is_local = host == "localhost" || host.ends_with(".localhost");
    let is_name = host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains("..");
    let scheme = match (is_ip || is_local, is_name) {
        (true, _) => "http",
        (false, true) => "https",
        (false, false) => return None,
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
