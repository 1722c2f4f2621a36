//! Sites, the unit of isolation: scheme and registrable domain, or scheme and host if there is no registrable domain.
//!
//! The broker uses this to decide which process may show a URL. No other code may define sites differently.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A site, such as `https://example.org` or `http://127.0.0.1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Site(String);

/// Reason why a URL has no site, worded for the error page.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SiteError {
    /// A text that is not a URL.
    #[error("“{0}” is not an address")]
    Malformed(String),
    /// A scheme for which no process is started.
    #[error("Regen does not open “{0}:” addresses: {1}")]
    Scheme(String, &'static str),
    /// An `http` or `https` URL without a host.
    #[error("“{0}” has no host")]
    NoHost(String),
}

impl Site {
    /// Returns the site of a top-level URL, ignoring the port. Registrable domains follow the Public Suffix List.
    ///
    /// # Errors
    /// Fails for anything but `http` and `https` URLs with a host.
    pub fn of(url: &str) -> Result<Self, SiteError> {
        let url = Url::parse(url).map_err(|_| SiteError::Malformed(shorten(url)))?;
        let why = match url.scheme() {
            "http" | "https" => None,
            "file" => Some("a page must not read the files of this computer"),
            "data" => Some("a document inside an address could pretend to be any site"),
            "javascript" => Some("code in an address would run in whatever page is open"),
            "about" | "blob" => Some("it belongs to the page that made it"),
            _ => Some("it is not a web address"),
        };
        if let Some(why) = why {
            return Err(SiteError::Scheme(url.scheme().to_owned(), why));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                if name.is_empty() {
                    return Err(SiteError::NoHost(shorten(url.as_str())));
                }
                psl::domain_str(name).unwrap_or(name).to_owned()
            }
            Some(ip @ (Host::Ipv4(_) | Host::Ipv6(_))) => ip.to_string(),
            None => return Err(SiteError::NoHost(shorten(url.as_str()))),
        };
        Ok(Self(format!("{}://{host}", url.scheme())))
    }

    /// Returns whether a main frame of this site may show `url`: a page of the site, or a document with its origin.
    #[must_use]
    pub fn may_show(&self, url: &str) -> bool {
        if url == "about:blank" || url == "about:srcdoc" || url.starts_with("about:blank#") {
            return true;
        }
        let inner = url.strip_prefix("blob:").unwrap_or(url);
        Self::of(inner).is_ok_and(|site| site == *self)
    }

    /// Parses the output of [`Site::as_str`].
    ///
    /// # Errors
    /// Fails if the text is not a site in its canonical form.
    pub fn parse(text: &str) -> Result<Self, SiteError> {
        let site = Self::of(text)?;
        if site.0 == text { Ok(site) } else { Err(SiteError::Malformed(shorten(text))) }
    }

    /// Returns the canonical form, `scheme://host`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the host, without the scheme.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.split_once("://").map_or(&self.0, |(_, host)| host)
    }

    /// Returns a folder name that no other site shares.
    #[must_use]
    pub fn folder(&self) -> String {
        // A host may contain a plus sign, but no percent sign.
        self.0.replace('+', "%2B").replace("://", "_").replace([':', '[', ']'], "+")
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(url: &str) -> String {
        Site::of(url).map(|s| s.to_string()).unwrap_or_else(|e| format!("error: {e}"))
    }

    #[test]
    fn a_site_is_scheme_and_registrable_domain() {
        assert_eq!(site("https://www.example.co.uk:8443/a?b#c"), "https://example.co.uk");
        assert_eq!(site("http://www.example.co.uk/"), "http://example.co.uk");
        assert_eq!(site("https://alice.github.io/"), "https://alice.github.io");
        assert_eq!(site("https://EXAMPLE.org."), "https://example.org");
        assert_eq!(site("https://user:pw@a.example.org@b.example.net/"), "https://example.net");
    }

    #[test]
    fn hosts_without_a_registrable_domain_stand_for_themselves() {
        assert_eq!(site("http://127.0.0.1:8000/"), "http://127.0.0.1");
        assert_eq!(site("http://0x7f.1/"), "http://127.0.0.1");
        assert_eq!(site("http://[::1]:80/"), "http://[::1]");
        assert_eq!(site("http://localhost:3000/"), "http://localhost");
        assert_eq!(site("https://co.uk/"), "https://co.uk");
    }

    #[test]
    fn no_two_sites_share_a_folder() {
        let folder = |url: &str| Site::of(url).unwrap().folder();
        assert_ne!(folder("http://[::1]/"), folder("http://+++1+/"));
        assert_eq!(folder("https://www.example.org/"), "https_example.org");
        assert_eq!(folder("http://[::1]/"), "http_+++1+");
    }

    #[test]
    fn other_schemes_have_no_site() {
        for url in
            ["file:///etc/passwd", "data:text/html,x", "javascript:alert(1)", "ftp://a.org/", "about:blank", "x:y"]
        {
            assert!(Site::of(url).is_err(), "{url}");
        }
        assert!(Site::of("no address").is_err());
        assert!(Site::of("http://./").is_err());
    }

    #[test]
    fn a_host_may_show_only_its_own_site() {
        let site = Site::of("https://example.org/").unwrap();
        assert!(site.may_show("https://login.example.org/x"));
        assert!(site.may_show("about:blank"));
        assert!(site.may_show("blob:https://example.org/0b5e"));
        assert!(!site.may_show("blob:https://example.net/0b5e"));
        assert!(!site.may_show("http://example.org/"));
        assert!(!site.may_show("https://example.org.evil.net/"));
        assert!(!site.may_show("data:text/html,hi"));
    }

    proptest::proptest! {
        #[test]
        fn canonical_sites_survive_a_round_trip(host in "[a-z][a-z0-9]{0,8}(\\.[a-z]{2,6}){0,3}") {
            let site = Site::of(&format!("https://{host}/")).unwrap();
            proptest::prop_assert_eq!(Site::parse(site.as_str()), Ok(site.clone()));
            proptest::prop_assert!(!site.folder().contains('/'));
        }
    }
}
