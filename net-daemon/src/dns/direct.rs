//! DNS for direct connections: this machine's name servers, or those that the user has chosen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::{Algorithm, TrustAnchors};
use hickory_resolver::proto::rr::{Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use regen_net_config::dns::{DnsSettings, Server, Servers, Transport};
use regen_net_config::special_purpose::is_private;
use regen_proto::net::v1::FailureKind;
use tokio::sync::OnceCell;

use super::{HOSTS, Names, QueryOutcome, Resolution};
use crate::error::ConnectError;
use crate::race::Dead;
use crate::tls;

/// Files that configure this machine's name resolution.
const SYSTEM_FILES: [&str; 2] = ["/etc/resolv.conf", HOSTS];

/// Resolver of names outside tunnels. Clones share it.
#[derive(Clone)]
pub(crate) struct Dns {
    chosen: Arc<Mutex<Arc<Chosen>>>,
    /// DNSSEC trust anchors: the root's, or the user's in their place. The error is about the user's.
    anchors: Result<Arc<TrustAnchors>, String>,
    dead: Dead,
}

#[derive(Debug, Default)]
struct Chosen {
    settings: DnsSettings,
    /// Modification times of the system files when the resolvers were created.
    files: FileTimes,
    names: OnceCell<Names<TokioRuntimeProvider>>,
    /// Resolver with this machine's own servers, for names of the local network.
    own: OnceCell<Names<TokioRuntimeProvider>>,
}

type FileTimes = [Option<SystemTime>; SYSTEM_FILES.len()];

fn file_times() -> FileTimes {
    SYSTEM_FILES.map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok())
}

impl Chosen {
    fn new(settings: DnsSettings) -> Arc<Self> {
        Arc::new(Self { settings, files: file_times(), names: OnceCell::new(), own: OnceCell::new() })
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

impl Dns {
    /// Creates a resolver. `anchors` holds DNSKEY records in zone file format; the root's own apply if it is empty.
    pub(crate) fn new(settings: DnsSettings, anchors: &str) -> Self {
        let anchors = if anchors.is_empty() { Ok(TrustAnchors::default()) } else { read(anchors) };
        let dns = Self { chosen: Arc::default(), anchors: anchors.map(Arc::new), dead: Dead::default() };
        dns.set(settings);
        dns
    }

    /// Returns the addresses that failed recently, of all names.
    pub(crate) fn dead(&self) -> &Dead {
        &self.dead
    }

    /// Applies the user's settings. A change drops all cached answers.
    pub(crate) fn set(&self, settings: DnsSettings) {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if chosen.settings != settings {
            *chosen = Chosen::new(settings);
        }
    }

    fn chosen(&self) -> Arc<Chosen> {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if chosen.files != file_times() {
            *chosen = Chosen::new(chosen.settings.clone());
        }
        Arc::clone(&chosen)
    }

    /// Returns the addresses of a host.
    pub(crate) async fn addresses(&self, partition: &str, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        Ok(self.meaning(partition, host).await?.addresses)
    }

    /// Returns the addresses and aliases of a host.
    pub(crate) async fn meaning(&self, partition: &str, host: &str) -> Result<Resolution, ConnectError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address].into());
        }
        // RFC 6761: such a name is this machine, and no server is queried.
        if is_localhost(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into());
        }
        let chosen = self.chosen();
        let names = if is_of_own_network(host) && asks_the_public(&chosen.settings.servers) {
            chosen.own.get_or_try_init(|| async { system_names() }).await?
        } else {
            self.names(&chosen).await?
        };
        let found = names.meaning(partition, host).await;
        if found.as_ref().is_err_and(|error| error.kind == FailureKind::Timeout) {
            self.renew(&chosen);
        }
        found
    }

    /// Replaces resolvers that timed out: the machine may be in another network, and a server may have another address.
    fn renew(&self, failed: &Arc<Chosen>) {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&chosen, failed) {
            *chosen = Chosen::new(failed.settings.clone());
        }
    }

    /// Returns the name servers and their records of a name, for the user.
    pub(crate) async fn records(&self, name: &str, kind: RecordType) -> Result<(String, Vec<Record>), ConnectError> {
        let chosen = self.chosen();
        let names = self.names(&chosen).await?;
        Ok((chosen.settings.servers.to_string(), names.records(name, kind).await?))
    }

    async fn names<'a>(&self, chosen: &'a Chosen) -> Result<&'a Names<TokioRuntimeProvider>, ConnectError> {
        chosen.names.get_or_try_init(|| self.ask(&chosen.settings)).await
    }

    async fn ask(&self, settings: &DnsSettings) -> Result<Names<TokioRuntimeProvider>, ConnectError> {
        let failed = |message: String| ConnectError { kind: FailureKind::Name, message };
        let (mut servers, mut who) = (Vec::new(), "this machine's name server".to_owned());
        let mut search = Vec::new();
        match &settings.servers {
            Servers::System => {
                let config = system_config().map_err(failed)?;
                servers.extend_from_slice(config.name_servers());
                search.extend_from_slice(config.search());
            }
            Servers::These(chosen) if chosen.is_empty() => {
                let words = "name servers are blocked: `regen dns set` changes that";
                return Err(ConnectError { kind: FailureKind::Policy, message: words.to_owned() });
            }
            Servers::These(chosen) => {
                let mut unknown = None;
                for server in chosen {
                    match configs(server).await {
                        Ok(found) => servers.extend(found),
                        Err(error) => unknown = Some(error),
                    }
                }
                if let Some(error) = unknown.filter(|_| servers.is_empty()) {
                    return Err(error);
                }
                who = format!("the name server {}", settings.servers);
            }
        }
        let is_secret = |server: &Server| server.transport != Transport::Plain;
        let wants_tls = matches!(&settings.servers, Servers::These(chosen) if chosen.iter().any(is_secret));
        let tls = wants_tls.then(|| tls::client(None)).transpose().map_err(failed)?;
        let anchors = settings.dnssec.then(|| self.anchors.clone()).transpose().map_err(failed)?;
        let provider = TokioRuntimeProvider::default();
        Ok(Names::new(QueryOutcome { who, servers, provider, tls, own: super::own_names(), anchors, search }))
    }
}

/// Returns whether a name always means this machine.
fn is_localhost(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Returns whether a name is local to this machine's network: one label, or RFC 6762, RFC 8375 or ICANN's `internal`.
fn is_of_own_network(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let is_below = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || ["local", "internal", "home.arpa"].into_iter().any(is_below)
}

/// Returns whether all chosen servers are on the internet, where local names are unknown and must not become known.
fn asks_the_public(servers: &Servers) -> bool {
    let Servers::These(chosen) = servers else { return false };
    let is_here = |server: &Server| match server.host.parse() {
        Ok(address) => is_private(address),
        Err(_) => is_localhost(&server.host) || is_of_own_network(&server.host),
    };
    !chosen.is_empty() && !chosen.iter().any(is_here)
}

fn system_config() -> Result<ResolverConfig, String> {
    let (config, _) =
        read_system_conf().map_err(|error| format!("cannot read this machine's name servers: {error}"))?;
    Ok(config)
}

/// Parses DNSKEY records of the root, in zone file format.
fn read(anchors: &str) -> Result<TrustAnchors, String> {
    let failed = |why: String| format!("DNSSEC validation fails: --dns-anchors has no key of the root ({why})");
    if let Some(unknown) = unknown_algorithm(anchors) {
        return Err(failed(format!("signature algorithm {unknown} is not supported")));
    }
    let anchors = TrustAnchors::from_str(anchors).map_err(|error| failed(error.to_string()))?;
    if anchors.is_empty() { Err(failed("it has no DNSKEY record".to_owned())) } else { Ok(anchors) }
}

/// Returns the first signature algorithm that is not supported. The library takes support for granted.
fn unknown_algorithm(anchors: &str) -> Option<String> {
    let without_remarks = anchors.lines().map(|line| line.split(';').next().unwrap_or_default());
    let text = without_remarks.collect::<Vec<_>>().join(" ").replace(['(', ')', '"'], " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let kinds = words.iter().enumerate().filter(|(_, word)| word.eq_ignore_ascii_case("DNSKEY"));
    // The algorithm follows flags and protocol.
    let mut algorithms = kinds.filter_map(|(at, _)| words.get(at + 3));
    let is_known = |number: &&&str| number.parse().is_ok_and(|number| Algorithm::from_u8(number).is_supported());
    algorithms.find(|number| !is_known(number)).map(|number| (*number).to_owned())
}

/// Returns a configuration for each address of a server. This machine's own servers resolve its host name.
async fn configs(server: &Server) -> Result<Vec<NameServerConfig>, ConnectError> {
    let addresses = match server.host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if is_localhost(&server.host) => vec![Ipv4Addr::LOCALHOST.into()],
        Err(_) => system_names()?.meaning("", &server.host).await?.addresses,
    };
    let name: Arc<str> = server.certified_name().into();
    let protocols = match server.transport {
        Transport::Plain => vec![ProtocolConfig::Udp, ProtocolConfig::Tcp],
        Transport::Tls => vec![ProtocolConfig::Tls { server_name: name }],
        Transport::Https => vec![ProtocolConfig::Https { server_name: name, path: server.path.as_str().into() }],
    };
    let connections = protocols.into_iter().map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = server.port;
        connection
    });
    let connections: Vec<_> = connections.collect();
    Ok(addresses.into_iter().map(|address| NameServerConfig::new(address, true, connections.clone())).collect())
}

/// Returns a resolver with this machine's own servers, whatever the user has chosen for pages.
fn system_names() -> Result<Names<TokioRuntimeProvider>, ConnectError> {
    let failed = |message: String| ConnectError { kind: FailureKind::Name, message };
    let config = system_config().map_err(failed)?;
    Ok(Names::new(QueryOutcome {
        who: "this machine's name server".to_owned(),
        servers: config.name_servers().to_vec(),
        provider: TokioRuntimeProvider::default(),
        tls: None,
        own: super::own_names(),
        anchors: None,
        search: config.search().to_vec(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_and_all_below_it_are_this_machine() {
        for name in ["localhost", "LOCALHOST.", "dev.localhost", "a.b.LocalHost."] {
            assert!(is_localhost(name), "{name}");
        }
        for name in ["localhost.test", "notlocalhost", "localhost.localdomain"] {
            assert!(!is_localhost(name), "{name}");
        }
    }

    #[test]
    fn names_of_the_own_network_are_not_for_public_servers() {
        for name in ["nas", "router.", "printer.local", "a.b.Internal", "x.home.arpa", "home.arpa"] {
            assert!(is_of_own_network(name), "{name}");
        }
        for name in ["nas.example", "local.example", "notlocal.test", "xhome.arpa", "arpa.example"] {
            assert!(!is_of_own_network(name), "{name}");
        }
        let asks = |servers: &str| asks_the_public(&servers.parse().unwrap());
        assert!(asks("9.9.9.9") && asks("tls://dns.example") && !asks("192.168.1.1") && !asks("9.9.9.9,127.0.0.1"));
        assert!(!asks_the_public(&Servers::System) && !asks_the_public(&Servers::These(Vec::new())));
    }

    #[test]
    fn keys_that_cannot_be_checked_are_none() {
        let key = |kind: &str| {
            let key = "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";
            read(&format!(". 172800 IN DNSKEY 257 3 {kind} {key}\n"))
        };
        assert!(key("13").is_ok());
        for unknown in ["26", "0", "300", "x", "( 26"] {
            assert!(key(unknown).is_err_and(|error| error.contains("--dns-anchors")), "{unknown}");
        }
        assert!(read("").is_err() && read("nonsense").is_err());
    }
}
