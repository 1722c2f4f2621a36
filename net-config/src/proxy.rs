//! Upstream proxies as hops of a route. The proxy opens the connections and resolves their host names.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Address and protocol of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// Protocol spoken to the proxy.
    pub protocol: Protocol,
    /// Host name or IP address. A host name is resolved as for direct connections.
    pub host: String,
    /// Port number.
    pub port: u16,
}

/// Protocol spoken to a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// SOCKS 5 (RFC 1928), unencrypted.
    Socks5,
    /// HTTP CONNECT (RFC 9110) over TLS.
    Https {
        /// SHA-256 of the only accepted public key (`SubjectPublicKeyInfo`). `None`: the authorities decide.
        pin: Option<[u8; 32]>,
    },
}

const SOCKS5: &str = "socks5";
const HTTPS: &str = "https";
/// Prefix of a key's hash, as curl and HPKP write it.
const PIN: &str = "sha256/";

/// Returns whether a word of a route is meant as a proxy URL.
#[must_use]
pub fn is_proxy(word: &str) -> bool {
    word.contains("://")
}

impl FromStr for Proxy {
    /// Error message for the user.
    type Err = String;

    /// Parses `socks5://HOST:PORT` or `https://HOST:PORT#sha256/BASE64`.
    fn from_str(word: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "“{word}” is not a valid proxy: {why}; use socks5://HOST:PORT or https://HOST:PORT, or https://HOST:PORT#sha256/BASE64 to accept one public key only"
            )
        };
        let url = Url::parse(word).map_err(|error| wrong(&error.to_string()))?;
        // `Url` validates the hosts of web schemes only.
        let host = match Host::parse(url.host_str().unwrap_or_default()) {
            Ok(Host::Domain(name)) => name,
            Ok(Host::Ipv4(address)) => address.to_string(),
            Ok(Host::Ipv6(address)) => address.to_string(),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("user names and passwords are not supported"));
        }
        if !["", "/"].contains(&url.path()) || url.query().is_some() {
            return Err(wrong("a path or query is not allowed"));
        }
        let (protocol, usual) = match (url.scheme(), url.fragment()) {
            (SOCKS5, None) => (Protocol::Socks5, 1080),
            (SOCKS5, Some(_)) => return Err(wrong("a key cannot be pinned for SOCKS")),
            (HTTPS, pin) => {
                let key = |pin: &str| STANDARD.decode(pin.strip_prefix(PIN)?).ok()?.try_into().ok();
                let no_hash = || wrong("the part after # must be sha256/ and 32 bytes in base64");
                (Protocol::Https { pin: pin.map(|pin| key(pin).ok_or_else(no_hash)).transpose()? }, 443)
            }
            _ => return Err(wrong("its scheme is not supported")),
        };
        let port = url.port().unwrap_or(usual);
        if port == 0 { Err(wrong("port 0 is not allowed")) } else { Ok(Self { protocol, host, port }) }
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
            assert_eq!(read(shown).as_deref(), Ok(shown), "the displayed text parses back");
        }
        for (text, why) in [
            ("http://a.test", "scheme"),
            ("socks5://u:p@a.test", "passwords"),
            ("socks5://a.test#sha256/x", "pinned"),
            ("https://a.test#sha256/AAEC", "32 bytes"),
            ("https://a.test/x", "path"),
            ("https://", "host"),
            ("socks5://a.test:0", "port 0"),
        ] {
            assert!(read(text).unwrap_err().contains(why), "{text}: {:?}", read(text));
        }
    }
}
