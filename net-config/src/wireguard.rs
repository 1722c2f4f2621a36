//! Parser of `WireGuard` profiles in the format of `wg-quick`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

/// Maximum length of a profile's name, as in `wg-quick`.
const MAX_NAME: usize = 15;
/// Default MTU: the usual 1500 bytes less the headers of a tunnel over IPv6.
const DEFAULT_MTU: u16 = 1420;
/// Minimum MTU, which every IPv4 network carries. IPv6 needs more.
const MIN_MTU: u16 = 576;
const MIN_MTU_V6: u16 = 1280;
/// Maximum MTU.
const MAX_MTU: u16 = 9000;
/// Maximum length of a setting's name in an error. A longer one may be a key that was not split from its name.
const MAX_WORD: usize = 20;

/// A key. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// Returns the bytes of the key.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// A tunnel's local end and its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Private key of this end.
    pub private_key: Key,
    /// Addresses of this end inside the tunnel.
    pub addresses: Vec<IpNet>,
    /// Name servers, queried through the tunnel only.
    pub dns: Vec<IpAddr>,
    /// Local UDP port; `None` means any port.
    pub listen_port: Option<u16>,
    /// Maximum size of a packet inside the tunnel, in bytes.
    pub mtu: u16,
    /// Peers, at least one.
    pub peers: Vec<Peer>,
    /// Warnings for the user about ignored and missing settings, each with its line number.
    pub ignored: Vec<(usize, String)>,
}

/// A remote end of the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Public key that identifies the peer.
    pub public_key: Key,
    /// Preshared key, for post-quantum resistance.
    pub preshared_key: Option<Key>,
    /// Networks that are routed to the peer and accepted from it.
    pub allowed_ips: Vec<IpNet>,
    /// Host and port of the peer.
    pub endpoint: (String, u16),
    /// Keepalive interval, in seconds.
    pub keepalive: Option<u16>,
}

/// Minimum length of a base64 text that may be a key, or most of one.
const SHORTEST_KEY: usize = 32;

/// Error in a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ProfileError {
    /// Line number, from 1. For a missing setting, the line of its section or the last line.
    pub line: usize,
    /// Description for the user.
    pub what: String,
}

/// Returns whether a name is valid for a profile: `wg-quick` must accept it as the name of an interface.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || "_=+.-".contains(char);
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(fits)
}

#[derive(Default)]
struct Draft {
    /// Line of the `[Interface]` header.
    line: usize,
    private_key: Option<Key>,
    addresses: Vec<IpNet>,
    dns: Vec<IpAddr>,
    listen_port: Option<u16>,
    mtu: Option<u16>,
    peers: Vec<DraftPeer>,
    ignored: Vec<(usize, String)>,
}

#[derive(Default)]
struct DraftPeer {
    line: usize,
    public_key: Option<Key>,
    preshared_key: Option<Key>,
    allowed_ips: Vec<IpNet>,
    endpoint: Option<(String, u16)>,
    keepalive: Option<u16>,
}

#[derive(Clone, Copy)]
enum Section {
    None,
    Interface,
    Peer,
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let mut draft = Draft::default();
        let mut section = Section::None;
        let mut has_interface = false;
        let text = text.trim_start_matches('\u{feff}');
        for (number, line) in (1..).zip(text.lines()) {
            let failed = |what: String| ProfileError { line: number, what: without_keys(&what) };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                section = match name.trim_end_matches(']').trim().to_ascii_lowercase().as_str() {
                    "interface" if has_interface => return Err(failed("[Interface] appears twice".to_owned())),
                    "interface" => Section::Interface,
                    "peer" => {
                        draft.peers.push(DraftPeer { line: number, ..DraftPeer::default() });
                        Section::Peer
                    }
                    _ => return Err(failed(format!("unknown section {line}: use [Interface] or [Peer]"))),
                };
                if matches!(section, Section::Interface) {
                    has_interface = true;
                    draft.line = number;
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                return Err(failed("this line is not `Key = value`".to_owned()));
            };
            let (key, value) = (key.trim(), value.trim());
            match (section, draft.peers.last_mut()) {
                (Section::Interface, _) => draft.interface(number, key, value).map_err(failed)?,
                (Section::Peer, Some(peer)) => peer.set(key, value).map_err(failed)?,
                (Section::None | Section::Peer, _) => {
                    return Err(failed(format!("setting {} comes before [Interface] and [Peer]", shown(key))));
                }
            }
        }
        draft.finish(text.lines().count().max(1))
    }
}

impl Draft {
    fn interface(&mut self, line: usize, key: &str, value: &str) -> Result<(), String> {
        match key.to_ascii_lowercase().as_str() {
            "privatekey" => self.private_key = Some(secret(value)?),
            "address" => {
                for network in networks(value)? {
                    let address = network.addr();
                    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
                    if address.is_multicast() || address.is_unspecified() || is_broadcast {
                        return Err(format!("{address} cannot be this end's own address"));
                    }
                    self.addresses.push(network);
                }
            }
            "dns" => {
                for word in words(value) {
                    match word.parse() {
                        Ok(server) => self.dns.push(server),
                        Err(_) => {
                            self.ignored.push((line, format!("search domain {word} is ignored: it is not supported")))
                        }
                    }
                }
            }
            "listenport" => self.listen_port = Some(number(key, value)?),
            "mtu" => {
                let mtu: u16 = number(key, value)?;
                if !(MIN_MTU..=MAX_MTU).contains(&mtu) {
                    return Err(format!("MTU {mtu} is too small or too large: use {MIN_MTU} to {MAX_MTU}"));
                }
                self.mtu = Some(mtu);
            }
            "table" | "fwmark" => {
                self.ignored.push((line, format!("{key} is ignored: `regen route` chooses what takes the tunnel")))
            }
            "preup" | "postup" | "predown" | "postdown" => {
                self.ignored.push((line, format!("{key} is ignored: Regen does not run commands from a profile")));
            }
            "includedapplications" | "excludedapplications" => {
                self.ignored.push((line, format!("{key} is ignored: `regen route` chooses what takes the tunnel")));
            }
            "jc" | "jmin" | "jmax" | "s1" | "s2" | "s3" | "s4" | "h1" | "h2" | "h3" | "h4" | "i1" => {
                return Err(format!(
                    "{key} is a setting of AmneziaWG, which WireGuard does not support: ask for a WireGuard profile"
                ));
            }
            "reserved" | "clientid" => {
                return Err(format!("{key} is not supported: WireGuard has no reserved bytes; use a standard profile"));
            }
            "saveconfig" => self.ignored.push((line, format!("{key} is ignored: Regen does not change the file"))),
            _ => return Err(format!("unknown setting {} in [Interface]", shown(key))),
        }
        Ok(())
    }

    fn finish(mut self, last: usize) -> Result<Profile, ProfileError> {
        let missing = |line: usize, what: &str| ProfileError { line, what: what.to_owned() };
        let private_key = self.private_key.ok_or_else(|| missing(last, "[Interface] has no PrivateKey"))?;
        if self.addresses.is_empty() {
            return Err(missing(last, "[Interface] has no Address"));
        }
        if self.peers.is_empty() {
            return Err(missing(last, "the profile has no [Peer]"));
        }
        let mtu = self.mtu.unwrap_or(DEFAULT_MTU);
        if mtu < MIN_MTU_V6 && self.addresses.iter().any(|own| own.addr().is_ipv6()) {
            return Err(missing(last, &format!("MTU {mtu} is too small: IPv6 needs at least {MIN_MTU_V6}")));
        }
        // A peer without an endpoint cannot be reached from here. One reachable peer is enough.
        let (peers, silent): (Vec<_>, Vec<_>) = self.peers.into_iter().partition(|peer| peer.endpoint.is_some());
        let mut peers = peers;
        if peers.is_empty() {
            peers.extend(silent);
        } else {
            if let Some(nobody) = silent.iter().find(|peer| peer.public_key.is_none()) {
                return Err(missing(nobody.line, "this [Peer] has no PublicKey"));
            }
            let why = "this [Peer] is ignored: it has no Endpoint to connect to";
            self.ignored.extend(silent.iter().map(|peer| (peer.line, why.to_owned())));
        }
        let is_allowed =
            |server: &IpAddr| peers.iter().flat_map(|peer| &peer.allowed_ips).any(|net| net.contains(server));
        if self.dns.is_empty() {
            let why = "no DNS is set: host names cannot be resolved through this tunnel";
            self.ignored.push((self.line, why.to_owned()));
        }
        for server in self.dns.iter().filter(|server| !is_allowed(server)) {
            self.ignored.push((self.line, format!("name server {server} cannot be reached: it is not in AllowedIPs")));
        }
        let whole = |peer: DraftPeer| {
            let public_key = peer.public_key.ok_or_else(|| missing(peer.line, "this [Peer] has no PublicKey"))?;
            let endpoint =
                peer.endpoint.ok_or_else(|| missing(peer.line, "this [Peer] has no Endpoint to connect to"))?;
            if peer.allowed_ips.is_empty() {
                return Err(missing(peer.line, "this [Peer] has no AllowedIPs, so no traffic would be sent to it"));
            }
            let (preshared_key, allowed_ips, keepalive) = (peer.preshared_key, peer.allowed_ips, peer.keepalive);
            Ok(Peer { public_key, preshared_key, allowed_ips, endpoint, keepalive })
        };
        Ok(Profile {
            private_key,
            addresses: self.addresses,
            dns: self.dns,
            listen_port: self.listen_port,
            mtu,
            peers: peers.into_iter().map(whole).collect::<Result<_, _>>()?,
            ignored: self.ignored,
        })
    }
}

impl DraftPeer {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key.to_ascii_lowercase().as_str() {
            "publickey" => self.public_key = Some(secret(value)?),
            "presharedkey" => self.preshared_key = Some(secret(value)?),
            "allowedips" => self.allowed_ips.extend(networks(value)?),
            "endpoint" => self.endpoint = Some(endpoint(value)?),
            "persistentkeepalive" if value.eq_ignore_ascii_case("off") => self.keepalive = None,
            "persistentkeepalive" => self.keepalive = Some(number(key, value)?).filter(|seconds| *seconds != 0),
            _ => return Err(format!("unknown setting {} in [Peer]", shown(key))),
        }
        Ok(())
    }
}

/// Returns the name of an unknown setting for an error, or a placeholder if it may be a secret.
fn shown(key: &str) -> &str {
    let is_word = key.len() <= MAX_WORD && key.chars().all(|char| char.is_ascii_alphanumeric());
    if is_word { key } else { "(name hidden)" }
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(|char: char| char == ',' || char.is_whitespace()).filter(|word| !word.is_empty())
}

/// Replaces texts that may be keys, since anybody may see an error message.
fn without_keys(words: &str) -> String {
    let is_of_key = |char: char| char.is_ascii_alphanumeric() || "+/=".contains(char);
    let mut shown = String::new();
    let mut rest = words;
    while let Some(start) = rest.find(is_of_key) {
        let (before, from) = rest.split_at(start);
        let (run, after) = from.split_at(from.find(|char| !is_of_key(char)).unwrap_or(from.len()));
        shown.push_str(before);
        shown.push_str(if run.len() < SHORTEST_KEY { run } else { "…" });
        rest = after;
    }
    shown + rest
}

/// Parses a key. The error does not contain the value, which may be a misspelt secret.
fn secret(value: &str) -> Result<Key, String> {
    let bytes = STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Key).ok_or_else(|| "invalid key: use 44 characters of base64, as `wg genkey` prints them".to_owned())
}

fn networks(value: &str) -> Result<Vec<IpNet>, String> {
    let network = |word: &str| {
        let whole = word.parse::<IpNet>().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from));
        whole.ok_or_else(|| format!("“{word}” is not an IP address or network, such as 10.0.0.2/32 or fd00::2/128"))
    };
    words(value).map(network).collect()
}

fn number(key: &str, value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| format!("invalid {key} “{value}”: use a number from 0 to 65535"))
}

fn endpoint(value: &str) -> Result<(String, u16), String> {
    let wrong = || format!("endpoint “{value}” is not HOST:PORT, as in vpn.example.org:51820 or [2001:db8::1]:51820");
    let (host, port) = value.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) if address.parse::<IpAddr>().is_ok() => address,
        None if !host.is_empty() && !host.contains([':', '/', ' ']) => host,
        Some(_) | None => return Err(wrong()),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

    fn profile() -> String {
        format!(
            "# mine\n[Interface]\nPrivateKey = {KEY}\nAddress = 10.0.0.2/32, fd00::2/128\nDNS = 10.0.0.1, lan\nMTU = 1380\n\
             ListenPort=51821\nPostUp = rm -rf /\nTable = off\n\n[Peer]\npublickey = {KEY}\nPresharedKey = {KEY}\n\
             AllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = vpn.example.org:51820 # there\nPersistentKeepalive = 25\n"
        )
    }

    #[test]
    fn what_wg_quick_writes_is_read() {
        let profile: Profile = profile().parse().unwrap();
        assert_eq!(profile.addresses.len(), 2);
        assert_eq!((profile.mtu, profile.listen_port), (1380, Some(51821)));
        assert_eq!(profile.dns, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        let [peer] = profile.peers.as_slice() else { panic!("one peer") };
        assert_eq!((peer.endpoint.clone(), peer.keepalive), (("vpn.example.org".to_owned(), 51820), Some(25)));
        let lines: Vec<usize> = profile.ignored.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 8, 9]);
        assert!(!format!("{profile:?}").contains("yAnz"), "keys are not shown");
    }

    #[test]
    fn what_other_clients_write_is_read_or_refused_with_the_reason() {
        let read = |from: &str, to: &str| {
            let whole = profile();
            assert!(whole.contains(from), "{from}");
            whole.replacen(from, to, 1).parse::<Profile>()
        };
        let notes =
            |profile: &Profile| profile.ignored.iter().map(|(_, why)| why.clone()).collect::<Vec<_>>().join("\n");
        let spaces = read("10.0.0.2/32, fd00::2/128", "10.0.0.2/32 fd00::2/128").unwrap();
        assert_eq!(spaces.addresses.len(), 2);
        let servers = read("10.0.0.1, lan", "1.1.1.1 8.8.8.8").unwrap();
        assert_eq!(servers.dns.len(), 2);
        let more = read("[Peer]", &format!("[Peer]\nPublicKey = {KEY}\nAllowedIPs = 10.9.0.0/16\n[Peer]")).unwrap();
        assert!(more.peers.len() == 1 && notes(&more).contains("no Endpoint"), "{more:?}");
        assert!(read("Endpoint = vpn.example.org:51820", "").unwrap_err().what.contains("no Endpoint"));
        assert!(notes(&read("DNS = 10.0.0.1, lan", "").unwrap()).contains("no DNS is set"));
        let outside = read("0.0.0.0/0, ::/0", "10.9.0.0/16").unwrap();
        assert!(notes(&outside).contains("10.0.0.1 cannot be reached"), "{outside:?}");
        assert!(notes(&read("Table = off", "IncludedApplications = org.example").unwrap()).contains("regen route"));
        assert!(read("Table = off", "Jc = 4").unwrap_err().what.contains("AmneziaWG"));
    }

    #[test]
    fn a_key_that_lost_its_place_is_not_shown() {
        let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
        for text in [format!("[Interface {key}"), format!("[Interface]\nAddress = x = {key}\n"), format!("{key} = 1")] {
            let words = text.parse::<Profile>().unwrap_err().to_string();
            assert!(!words.contains(key) && words.starts_with("line "), "{words}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_shows_no_key() {
        let whole = profile();
        for (from, to, line, word) in [
            ("MTU = 1380", "MTU = 12", 6, "too small"),
            ("MTU = 1380", "MTU = 900", 16, "IPv6 needs"),
            ("10.0.0.2/32", "224.0.0.1/32", 4, "own address"),
            ("MTU = 1380", "Mut = 1380", 6, "unknown setting Mut"),
            ("10.0.0.2/32", "10.0.0.2/40", 4, "10.0.0.2/40"),
            ("[Interface]", "[Interfaces]", 2, "[Interfaces]"),
            ("# mine", "MTU = 1400", 1, "before"),
            (":51820 #", " #", 15, "endpoint"),
            ("[Peer]", "[Peer]\n[Peer]", 11, "PublicKey"),
            ("Table = off", "Table", 9, "Key = value"),
            ("0.0.0.0/0, ::/0", "", 11, "AllowedIPs"),
            ("\n\n[Peer]", "\n[Interface]\n[Peer]", 10, "twice"),
            ("Address = 10.0.0.2/32, fd00::2/128", "", 16, "no Address"),
        ] {
            assert!(whole.contains(from), "{from}");
            let error = whole.replacen(from, to, 1).parse::<Profile>().unwrap_err();
            assert!(error.line == line && error.what.contains(word), "{from}: {error}");
        }
        let error = whole.replace("yAnz", "yAn").parse::<Profile>().unwrap_err();
        assert!(error.line == 3 && !error.what.contains("5TF"), "{error}");
        let error = whole.replace("PrivateKey = ", "PrivateKey ").parse::<Profile>().unwrap_err();
        assert!(error.line == 3 && !error.what.contains("yAnz"), "{error}");
    }

    #[test]
    fn names_are_those_of_interfaces() {
        assert!(["home", "wg0", "a.b-c_d"].into_iter().all(is_name));
        assert!(!["", "a b", "../x", "much-too-long-a-name", "ä"].into_iter().any(is_name));
    }
}
