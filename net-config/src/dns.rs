//! DNS settings for connections that leave this machine directly. Tor exits, a VPN's own name servers or a proxy
//! resolve the names of other connections.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// DNS settings chosen by the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSettings {
    /// Name servers to query.
    pub servers: Servers,
    /// Rejects answers that fail DNSSEC validation. Answers from unsigned zones are accepted.
    pub dnssec: bool,
}

/// Name servers to query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Servers {
    /// Name servers that this machine is configured with.
    #[default]
    System,
    /// Only these name servers. An empty list blocks name resolution.
    These(Vec<Server>),
}

/// A name server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Protocol of the queries.
    pub transport: Transport,
    /// Host name or IP address. This machine's own name servers resolve a host name.
    pub host: String,
    /// Port number.
    pub port: u16,
    /// Name in the server's certificate, if it is not the host's.
    pub name: Option<String>,
    /// URL path for DNS over HTTPS; empty for the other transports.
    pub path: String,
}

/// Protocol of the queries to a name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Unencrypted DNS over UDP and TCP.
    Plain,
    /// DNS over TLS, RFC 7858.
    Tls,
    /// DNS over HTTPS, RFC 8484.
    Https,
}

/// Error for a text that is not a valid DNS setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "“{0}” is not a valid DNS setting: use system, block, or up to {MAX_SERVERS} name servers separated by commas, such as tls://9.9.9.9#dns.quad9.net, https://dns.quad9.net/dns-query or udp://192.168.1.1"
)]
pub struct NotAServer(String);

/// Maximum number of name servers.
const MAX_SERVERS: usize = 8;
const SYSTEM: &str = "system";
const BLOCK: &str = "block";

impl Servers {
    /// Returns settings that block name resolution.
    #[must_use]
    pub fn block() -> Self {
        Self::These(Vec::new())
    }
}

impl Transport {
    const ALL: [(Self, &str, u16); 3] =
        [(Self::Plain, "udp", 53), (Self::Tls, "tls", 853), (Self::Https, "https", 443)];

    fn about(self) -> (&'static str, u16) {
        let known = Self::ALL.into_iter().find(|(transport, ..)| *transport == self);
        known.map_or(("udp", 53), |(_, scheme, port)| (scheme, port))
    }
}

impl Server {
    /// Returns the name that the server's certificate must be valid for.
    #[must_use]
    pub fn certified_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host)
    }
}

impl FromStr for Servers {
    type Err = NotAServer;

    fn from_str(text: &str) -> Result<Self, NotAServer> {
        match text.trim() {
            SYSTEM => return Ok(Self::System),
            BLOCK => return Ok(Self::block()),
            _ => {}
        }
        let servers = text.split(',').map(|word| word.trim().parse()).collect::<Result<Vec<_>, _>>()?;
        if servers.len() > MAX_SERVERS { Err(NotAServer(text.to_owned())) } else { Ok(Self::These(servers)) }
    }
}

impl FromStr for Server {
    type Err = NotAServer;

    /// Parses `udp://HOST:PORT`, `tls://HOST:PORT#NAME` or `https://HOST:PORT/PATH#NAME`. A bare IP address means UDP.
    fn from_str(word: &str) -> Result<Self, NotAServer> {
        let wrong = || NotAServer(word.to_owned());
        let plain =
            |host: String| Self { transport: Transport::Plain, host, port: 53, name: None, path: String::new() };
        if let Ok(address) = word.parse::<IpAddr>() {
            return Ok(plain(address.to_string()));
        }
        let (scheme, _) = word.split_once("://").ok_or_else(wrong)?;
        let known = Transport::ALL.into_iter().find(|(_, known, _)| *known == scheme);
        let (transport, _, port) = known.ok_or_else(wrong)?;
        let url = Url::parse(word).map_err(|_| wrong())?;
        // `Url` validates the hosts of web schemes only.
        let host = match Host::parse(url.host_str().unwrap_or_default()).map_err(|_| wrong())? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let has_path = !["", "/"].contains(&url.path());
        let is_plain = transport == Transport::Plain;
        let is_too_much = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || (has_path && transport != Transport::Https)
            || (url.fragment().is_some() && is_plain)
            || (is_plain && host.parse::<IpAddr>().is_err())
            || url.fragment().is_some_and(|name| Host::parse(name).is_err());
        if is_too_much {
            return Err(wrong());
        }
        let path = match (transport, has_path) {
            (Transport::Https, true) => url.path().to_owned(),
            (Transport::Https, false) => "/dns-query".to_owned(),
            (Transport::Plain | Transport::Tls, _) => String::new(),
        };
        let port = url.port().unwrap_or(port);
        Ok(Self { transport, host, port, name: url.fragment().map(str::to_owned), path })
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str(SYSTEM),
            Self::These(servers) if servers.is_empty() => f.write_str(BLOCK),
            Self::These(servers) => {
                let words: Vec<String> = servers.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(", "))
            }
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = self.transport.about();
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}")?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, "#{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_what_was_written() {
        let read = |text: &str| text.parse::<Servers>().map(|servers| servers.to_string());
        for (text, shown) in [
            ("system", "system"),
            ("block", "block"),
            ("9.9.9.9", "udp://9.9.9.9"),
            ("udp://127.0.0.1:5353", "udp://127.0.0.1:5353"),
            ("2620:fe::fe", "udp://[2620:fe::fe]"),
            ("tls://dns.quad9.net", "tls://dns.quad9.net"),
            ("tls://9.9.9.9:443#dns.quad9.net", "tls://9.9.9.9:443#dns.quad9.net"),
            ("https://dns.quad9.net", "https://dns.quad9.net/dns-query"),
            ("https://9.9.9.9:8443/x#dns.quad9.net", "https://9.9.9.9:8443/x#dns.quad9.net"),
            ("tls://a.test ,tls://b.test", "tls://a.test, tls://b.test"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(shown));
            assert_eq!(read(shown).as_deref(), Ok(shown), "the displayed text parses back");
        }
        for text in [
            "",
            "System",
            "dns.quad9.net",
            "udp://dns.quad9.net",
            "http://9.9.9.9",
            "tls://a.test/x",
            "https://u:p@a.test/",
            "https://a.test/?x",
            "tls://",
            "tls://a.test#a b",
            "udp://9.9.9.9#a.test",
            "9.9.9.9,",
            "tls://a.test:0x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&["9.9.9.9"; MAX_SERVERS + 1].join(",")).is_err());
        assert_eq!(DnsSettings::default().servers.to_string(), "system");
    }
}
