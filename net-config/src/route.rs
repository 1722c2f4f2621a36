//! A route: the ways out of this machine that connections may take, in the order in which they are tried. What is not written
//! there is never taken.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::proxy::{Proxy, is_proxy};
use crate::wireguard::is_name;

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hop {
    /// Plain TCP from this machine, names resolved by the system.
    Direct,
    /// The Tor network: names are resolved by its exits.
    Tor,
    /// The `WireGuard` tunnel of this profile: names are resolved by its name servers.
    Vpn(String),
    /// This proxy: it looks up the names.
    Proxy(Proxy),
}

/// What the name of a profile follows.
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

/// Ways in their order. Where none works, and where there is none, nothing leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route(Vec<Hop>);

/// What is wrong with a route, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not a way.
    #[error(
        "there is no way “{0}”: a route is made of direct, tor, vpn:PROFILE, socks5://HOST:PORT and https://HOST:PORT, in the order in which they are tried, such as “vpn:home → tor → block”"
    )]
    NoSuchWay(String),
    /// Not a proxy.
    #[error("{0}")]
    Proxy(String),
    /// Nothing comes after it.
    #[error("what follows “block” would never be tried")]
    AfterBlock,
    /// Twice the same.
    #[error("“{0}” is there twice: a way that failed is not tried again")]
    Twice(Hop),
}

/// What ends a route that is written down; it ends there in any case.
const BLOCK: &str = "block";
const ARROW: &str = " → ";

impl Route {
    /// Lets nothing out.
    #[must_use]
    pub fn block() -> Self {
        Self(Vec::new())
    }

    /// The ways, in their order.
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

    /// From words with arrows or commas between them.
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
            assert_eq!(read(route).as_deref(), Ok(route), "what is shown can be written");
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
