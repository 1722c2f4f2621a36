//! What names mean. Each way has servers of its own, and whoever takes one way asks no other's; what one partition has asked
//! for, no other finds out.

mod direct;
mod service;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::RuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use regen_proto::net::v1::FailureKind;
use rustls::ClientConfig;
use tokio::sync::Semaphore;

use crate::route::RouteError;
use crate::tls;

pub(crate) use direct::Dns;
pub(crate) use service::Admin;

/// For one question to one server.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// Partitions whose names are kept, and answers of each: a page can ask for any number, and make them long.
const MAX_PARTITIONS: usize = 1_000;
const MAX_ANSWERS: u64 = 128;
/// The most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;
/// And of its other names. Servers follow fewer.
const MAX_ALIASES: usize = 16;
/// Look-ups under way at once, of one partition and of all: a page can ask for any number of names whose server never answers.
const MAX_PARTITION_LOOKUPS: usize = 64;
const MAX_LOOKUPS: usize = 512;
/// Names that this machine defines itself.
pub(crate) const HOSTS: &str = "/etc/hosts";

/// What a name means.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meaning {
    pub(crate) addresses: Vec<IpAddr>,
    /// The names that it is another name of: whoever is behind those hides behind it.
    pub(crate) aliases: Vec<String>,
}

impl From<Vec<IpAddr>> for Meaning {
    fn from(addresses: Vec<IpAddr>) -> Self {
        Self { addresses, ..Self::default() }
    }
}

/// Some servers, and how they are asked.
pub(crate) struct Asked<P> {
    /// Who they are, in words.
    pub(crate) who: String,
    pub(crate) servers: Vec<NameServerConfig>,
    pub(crate) provider: P,
    /// Whom to believe; nobody, where no server has TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Names that no server is asked for.
    pub(crate) own: HashMap<String, Vec<IpAddr>>,
    /// Whose signatures count, where signatures are asked for.
    pub(crate) anchors: Option<Arc<TrustAnchors>>,
    /// Domains that names of one label are looked up in, first to last.
    pub(crate) search: Vec<Name>,
}

/// Names, as some servers know them.
pub(crate) struct Names<P: RuntimeProvider> {
    asked: Asked<P>,
    caches: Mutex<HashMap<String, Arc<Partition<P>>>>,
    /// Look-ups under way, of all partitions.
    lookups: Semaphore,
}

/// One partition's cache.
struct Partition<P: RuntimeProvider> {
    resolver: Resolver<P>,
    /// Look-ups under way.
    lookups: Semaphore,
}

impl<P: RuntimeProvider> std::fmt::Debug for Names<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("servers", &self.asked.servers).finish_non_exhaustive()
    }
}

impl<P: RuntimeProvider> Names<P> {
    pub(crate) fn new(asked: Asked<P>) -> Self {
        Self { asked, caches: Mutex::default(), lookups: Semaphore::new(MAX_LOOKUPS) }
    }

    /// Where a host is, and who else that is.
    pub(crate) async fn meaning(&self, partition: &str, host: &str) -> Result<Meaning, RouteError> {
        if let Some(own) = self.asked.own.get(&host.trim_end_matches('.').to_ascii_lowercase()) {
            return Ok(own.clone().into());
        }
        let partition = self.of(partition)?;
        let _turns = (partition.lookups.acquire().await, self.lookups.acquire().await);
        let name = self.searched(host);
        let found = partition.resolver.lookup_ip(name).await.map_err(|error| self.failed(host, &error))?;
        self.believe(host, found.as_lookup())?;
        let alias = |record: &Record| if let RData::CNAME(name) = &record.data { Some(name.to_string()) } else { None };
        let aliases = found.as_lookup().answers().iter().filter_map(alias).take(MAX_ALIASES).collect();
        Ok(Meaning { addresses: found.iter().take(MAX_ADDRESSES).collect(), aliases })
    }

    /// All records of a name that are of this type.
    pub(crate) async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, RouteError> {
        let found = self.of("")?.resolver.lookup(whole(name), kind).await.map_err(|error| self.failed(name, &error))?;
        self.believe(name, &found)?;
        Ok(found.answers().to_vec())
    }

    /// An answer counts that is signed as it should be, or whose zone is signed by nobody.
    fn believe(&self, host: &str, found: &Lookup) -> Result<(), RouteError> {
        let is_asked_for = self.asked.anchors.is_some();
        let counts = |record: &Record| matches!(record.proof, Proof::Secure | Proof::Insecure);
        if is_asked_for && !found.answers().iter().all(counts) { Err(self.unsigned(host)) } else { Ok(()) }
    }

    fn unsigned(&self, host: &str) -> RouteError {
        let message = format!("the answer of {} for “{host}” is not signed as it should be (DNSSEC)", self.asked.who);
        RouteError { kind: FailureKind::Name, message }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors are many, and speak for themselves")]
    fn failed(&self, host: &str, error: &NetError) -> RouteError {
        let who = &self.asked.who;
        match error {
            NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. }) if self.asked.anchors.is_some() => {
                self.unsigned(host)
            }
            error if error.is_no_records_found() => {
                let message = format!("the name “{host}” could not be resolved: {who} knows no such address");
                RouteError { kind: FailureKind::Name, message }
            }
            error => {
                let message = format!("{who} gives no answer for “{host}” ({error})");
                RouteError { kind: FailureKind::Timeout, message }
            }
        }
    }

    /// A name as it is asked for: complete, unless it has one label and the machine has domains to search.
    fn searched(&self, host: &str) -> String {
        if self.asked.search.is_empty() || host.contains('.') { whole(host) } else { host.to_owned() }
    }

    fn of(&self, partition: &str) -> Result<Arc<Partition<P>>, RouteError> {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = caches.get(partition) {
            return Ok(Arc::clone(known));
        }
        if caches.len() >= MAX_PARTITIONS {
            // They can be asked for again.
            caches.clear();
        }
        let Asked { servers, provider, tls, anchors, search, .. } = &self.asked;
        let config = ResolverConfig::from_parts(None, search.clone(), servers.clone());
        let mut options = ResolverOpts::default();
        (options.timeout, options.ip_strategy) = (ANSWER_TIMEOUT, LookupIpStrategy::Ipv4AndIpv6);
        (options.use_hosts_file, options.cache_size) = (ResolveHosts::Never, MAX_ANSWERS);
        options.validate = anchors.is_some();
        let wrong = |message: String| RouteError { kind: FailureKind::Other, message };
        let tls = tls.clone().map_or_else(tls::with_nobody, Ok).map_err(wrong)?;
        let mut builder = Resolver::builder_with_config(config, provider.clone())
            .with_options(options)
            .with_tls_config(ClientConfig::clone(&tls));
        if let Some(anchors) = anchors {
            builder = builder.with_trust_anchor(Arc::clone(anchors));
        }
        let resolver = builder.build().map_err(|error| wrong(error.to_string()))?;
        let found = Arc::new(Partition { resolver, lookups: Semaphore::new(MAX_PARTITION_LOOKUPS) });
        caches.insert(partition.to_owned(), Arc::clone(&found));
        Ok(found)
    }
}

/// This machine's own names: no server is to hear of them.
fn own_names() -> HashMap<String, Vec<IpAddr>> {
    let mut own =
        HashMap::from([("localhost".to_owned(), vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])]);
    for (name, addresses) in names_in(&std::fs::read_to_string(HOSTS).unwrap_or_default()) {
        own.entry(name).or_insert(addresses);
    }
    own
}

/// The names of a hosts file, but the one that is always this machine's.
fn names_in(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut own = HashMap::<String, Vec<IpAddr>>::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
        for name in words.map(str::to_ascii_lowercase).filter(|name| name != "localhost") {
            own.entry(name).or_default().push(address);
        }
    }
    own
}

/// What becomes of texts that others have written.
pub(crate) fn try_texts(text: &str) {
    for name in names_in(text).into_keys() {
        whole(&name);
    }
    let _ = Dns::new(regen_net_config::dns::DnsSettings::default(), text);
}

/// Names are complete here: no search domain is tried.
fn whole(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}
