//! An upstream proxy that a route may take: it opens the connections, and looks up their names.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Where a proxy is, and how it is talked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// How.
    pub protocol: Protocol,
    /// Its host: a name is looked up as for the direct way.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How a proxy is talked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// SOCKS 5, RFC 1928: for everybody on the way to read.
    Socks5,
    /// HTTP CONNECT within TLS, RFC 9110.
    Https {
        /// SHA-256 of the one public key that it may have, as `SubjectPublicKeyInfo`. Without it, authorities vouch for it.
        pin: Option<[u8; 32]>,
    },
}

const SOCKS5: &str = "socks5";
const HTTPS: &str = "https";
/// What the hash of a key follows, as curl and HPKP write it.
const PIN: &str = "sha256/";

/// Whether a word is meant to be one.
#[must_use]
pub fn is_proxy(word: &str) -> bool {
    word.contains("://")
}

impl FromStr for Proxy {
    /// In words.
    type Err = String;

    /// From `socks5://HOST:PORT` or `https://HOST:PORT#sha256/BASE64`.
    fn from_str(word: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "“{word}” is no proxy: {why}; say socks5://HOST:PORT or https://HOST:PORT, or to accept one key only https://HOST:PORT#sha256/BASE64"
            )
        };
        let url = Url::parse(word).map_err(|error| wrong(&error.to_string()))?;
        // Of other schemes than the web's the host has not been looked at.
        let host = match Host::parse(url.host_str().unwrap_or_default()) {
            Ok(Host::Domain(name)) => name,
            Ok(Host::Ipv4(address)) => address.to_string(),
            Ok(Host::Ipv6(address)) => address.to_string(),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("names and passwords for proxies are not known here"));
        }
        if !["", "/"].contains(&url.path()) || url.query().is_some() {
            return Err(wrong("nothing follows its port"));
        }
        let (protocol, usual) = match (url.scheme(), url.fragment()) {
            (SOCKS5, None) => (Protocol::Socks5, 1080),
            (SOCKS5, Some(_)) => return Err(wrong("SOCKS has no key")),
            (HTTPS, pin) => {
                let key = |pin: &str| STANDARD.decode(pin.strip_prefix(PIN)?).ok()?.try_into().ok();
                let no_hash = || wrong("what follows # is not sha256/ and the 32 bytes of a SHA-256 in base64");
                (Protocol::Https { pin: pin.map(|pin| key(pin).ok_or_else(no_hash)).transpose()? }, 443)
            }
            _ => return Err(wrong("there is no such kind")),
        };
        let port = url.port().unwrap_or(usual);
        if port == 0 { Err(wrong("there is no such port")) } else { Ok(Self { protocol, host, port }) }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, host, port } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        match protocol {
            Protocol::Socks5 => write!(f, "{SOCKS5}://{host}:{port}"),
            Protocol::Https { pin: None } => write!(f, "{HTTPS}://{host}:{port}"),
            Protocol::Https { pin: Some(key) } => write!(f, "{HTTPS}://{host}:{port}#{PIN}{}", STANDARD.encode(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_what_was_written() {
        let pinned = "https://proxy.test:8443#sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let read = |text: &str| text.parse::<Proxy>().map(|proxy| proxy.to_string());
        for (text, shown) in [
            ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
            ("socks5://[::1]", "socks5://[::1]:1080"),
            ("https://Proxy.test/", "https://proxy.test:443"),
            (pinned, pinned),
        ] {
            assert_eq!(read(text).as_deref(), Ok(shown));
            assert_eq!(read(shown).as_deref(), Ok(shown), "what is shown can be written");
        }
        for (text, why) in [
            ("http://a.test", "kind"),
            ("socks5://u:p@a.test", "passwords"),
            ("socks5://a.test#sha256/x", "no key"),
            ("https://a.test#sha256/AAEC", "32 bytes"),
            ("https://a.test/x", "follows"),
            ("https://", "host"),
            ("socks5://a.test:0", "port"),
        ] {
            assert!(read(text).unwrap_err().contains(why), "{text}: {:?}", read(text));
        }
    }
}
