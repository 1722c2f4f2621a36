//! Routes: ordered lists of hops by which connections may leave this machine. A hop that is not listed is never used.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::proxy::{Proxy, is_proxy};
use crate::wireguard::is_name;

/// A way for connections to leave this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hop {
    /// TCP directly from this machine. The name servers of the DNS settings resolve names.
    Direct,
    /// The Tor network. Exits resolve names.
    Tor,
    /// The `WireGuard` tunnel of this profile. The profile's name servers resolve names.
    Vpn(String),
    /// An upstream proxy, which resolves names.
    Proxy(Proxy),
}

/// Prefix of a VPN profile's name.
const VPN: &str = "vpn:";

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Tor => f.write_str("tor"),
            Self::Vpn(profile) => write!(f, "{VPN}{profile}"),
            Self::Proxy(proxy) => write!(f, "{proxy}"),
        }
    }
}

impl FromStr for Hop {
    type Err = RouteError;

    fn from_str(word: &str) -> Result<Self, RouteError> {
        match word {
            "direct" => Ok(Self::Direct),
            "tor" => Ok(Self::Tor),
            _ if is_proxy(word) => word.parse().map(Self::Proxy).map_err(RouteError::Proxy),
            _ => {
                let profile = word.strip_prefix(VPN).filter(|profile| is_name(profile));
                profile
                    .map(|profile| Self::Vpn(profile.to_owned()))
                    .ok_or_else(|| RouteError::NoSuchWay(word.to_owned()))
            }
        }
    }
}

/// An ordered list of hops. Traffic is blocked if no hop works or the list is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route(Vec<Hop>);

/// Error in the text of a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// An unknown hop.
    #[error(
        "unknown hop “{0}”: list direct, tor, vpn:PROFILE, socks5://HOST:PORT or https://HOST:PORT in the order to try them, such as “vpn:home → tor → block”"
    )]
    NoSuchWay(String),
    /// An invalid proxy URL.
    #[error("{0}")]
    Proxy(String),
    /// A hop after `block`.
    #[error("hops after “block” would never be tried: remove them")]
    AfterBlock,
    /// A hop that is listed twice.
    #[error("hop “{0}” is listed twice: a failed hop is not tried again, so remove one")]
    Twice(Hop),
}

/// Keyword that ends a written route. It is optional: every route ends by blocking.
const BLOCK: &str = "block";
const ARROW: &str = " → ";

impl Route {
    /// Returns a route that blocks all traffic.
    #[must_use]
    pub fn block() -> Self {
        Self(Vec::new())
    }

    /// Returns the hops in order.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.0.iter()
    }
}

impl Default for Route {
    fn default() -> Self {
        Self(vec![Hop::Direct])
    }
}

impl FromStr for Route {
    type Err = RouteError;

    /// Parses hops separated by arrows or commas.
    fn from_str(text: &str) -> Result<Self, RouteError> {
        let text = text.replace("->", ",").replace('→', ",");
        let mut words = text.split(',').map(str::trim);
        let mut ways = Vec::new();
        for word in words.by_ref().take_while(|word| *word != BLOCK) {
            let way = word.parse()?;
            if ways.contains(&way) {
                return Err(RouteError::Twice(way));
            }
            ways.push(way);
        }
        if words.next().is_some() { Err(RouteError::AfterBlock) } else { Ok(Self(ways)) }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|way| write!(f, "{way}{ARROW}"))?;
        f.write_str(BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_what_was_written_and_ends_in_block() {
        let read = |text: &str| text.parse::<Route>().map(|route| route.to_string());
        for (text, route) in [
            ("tor", "tor → block"),
            ("tor -> block", "tor → block"),
            ("tor→direct", "tor → direct → block"),
            ("direct, tor", "direct → tor → block"),
            ("vpn:home→tor", "vpn:home → tor → block"),
            ("vpn:a, vpn:b", "vpn:a → vpn:b → block"),
            ("https://a.test->socks5://b.test:9050", "https://a.test:443 → socks5://b.test:9050 → block"),
            ("block", "block"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(route));
            assert_eq!(read(route).as_deref(), Ok(route), "the displayed text parses back");
        }
        assert_eq!(read("block → tor"), Err(RouteError::AfterBlock));
        assert_eq!(read("tor → tor"), Err(RouteError::Twice(Hop::Tor)));
        for text in ["", "tor →", "vpm", "Tor", "vpn", "vpn:", "vpn:a b"] {
            assert!(matches!(read(text), Err(RouteError::NoSuchWay(_))), "{text}");
        }
        assert!(matches!(read("http://a.test"), Err(RouteError::Proxy(_))));
        assert_eq!(Route::default().to_string(), "direct → block");
    }
}
