//! DNS resolvers. Each hop has its own name servers, and its connections use no others. Each partition has its own
//! cache, so that no partition finds out what another has looked up.

mod direct;

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

use crate::error::ConnectError;
use crate::tls;

pub(crate) use direct::Dns;

/// Timeout for one query to one server.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum number of partitions with a cache, and of answers in each: a page can look up any number of long names.
const MAX_PARTITIONS: usize = 1_000;
const MAX_ANSWERS: u64 = 128;
/// Maximum number of addresses that are tried per name.
const MAX_ADDRESSES: usize = 16;
/// Maximum number of aliases that are checked per name. Servers follow fewer.
const MAX_ALIASES: usize = 16;
/// Maximum number of concurrent lookups, per partition and in total: a page can look up any number of names whose
/// server never answers.
const MAX_PARTITION_LOOKUPS: usize = 64;
const MAX_LOOKUPS: usize = 512;
/// Hosts file of this machine.
pub(crate) const HOSTS: &str = "/etc/hosts";

/// Addresses and aliases of a name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolution {
    pub(crate) addresses: Vec<IpAddr>,
    /// CNAME targets, which may be trackers that hide behind the name.
    pub(crate) aliases: Vec<String>,
}

impl From<Vec<IpAddr>> for Resolution {
    fn from(addresses: Vec<IpAddr>) -> Self {
        Self { addresses, ..Self::default() }
    }
}

/// Name servers, and the settings for their queries.
pub(crate) struct QueryOutcome<P> {
    /// Description of the servers for error messages.
    pub(crate) who: String,
    pub(crate) servers: Vec<NameServerConfig>,
    pub(crate) provider: P,
    /// TLS configuration; `None` if no server uses TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Names that are resolved without a query.
    pub(crate) own: HashMap<String, Vec<IpAddr>>,
    /// DNSSEC trust anchors; `None` if DNSSEC is off.
    pub(crate) anchors: Option<Arc<TrustAnchors>>,
    /// Search domains for names of one label, in order.
    pub(crate) search: Vec<Name>,
}

/// Resolver that queries a set of name servers.
pub(crate) struct Names<P: RuntimeProvider> {
    asked: QueryOutcome<P>,
    caches: Mutex<HashMap<String, Arc<Partition<P>>>>,
    /// Permits for concurrent lookups of all partitions.
    lookups: Semaphore,
}

/// Resolver of one partition, with its cache.
struct Partition<P: RuntimeProvider> {
    resolver: Resolver<P>,
    /// Permits for concurrent lookups.
    lookups: Semaphore,
}

impl<P: RuntimeProvider> std::fmt::Debug for Names<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("servers", &self.asked.servers).finish_non_exhaustive()
    }
}

impl<P: RuntimeProvider> Names<P> {
    pub(crate) fn new(asked: QueryOutcome<P>) -> Self {
        Self { asked, caches: Mutex::default(), lookups: Semaphore::new(MAX_LOOKUPS) }
    }

    /// Returns the addresses and aliases of a host.
    pub(crate) async fn meaning(&self, partition: &str, host: &str) -> Result<Resolution, ConnectError> {
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
        Ok(Resolution { addresses: found.iter().take(MAX_ADDRESSES).collect(), aliases })
    }

    /// Returns all records of a name that have this type.
    pub(crate) async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, ConnectError> {
        let found = self.of("")?.resolver.lookup(whole(name), kind).await.map_err(|error| self.failed(name, &error))?;
        self.believe(name, &found)?;
        Ok(found.answers().to_vec())
    }

    /// Checks that an answer has a valid signature, or is of an unsigned zone, if DNSSEC is on.
    fn believe(&self, host: &str, found: &Lookup) -> Result<(), ConnectError> {
        let is_asked_for = self.asked.anchors.is_some();
        let counts = |record: &Record| matches!(record.proof, Proof::Secure | Proof::Insecure);
        if is_asked_for && !found.answers().iter().all(counts) { Err(self.unsigned(host)) } else { Ok(()) }
    }

    fn unsigned(&self, host: &str) -> ConnectError {
        let message = format!("the answer of {} for “{host}” failed DNSSEC validation", self.asked.who);
        ConnectError { kind: FailureKind::Name, message }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all other errors of the library are shown as they are")]
    fn failed(&self, host: &str, error: &NetError) -> ConnectError {
        let who = &self.asked.who;
        match error {
            NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. }) if self.asked.anchors.is_some() => {
                self.unsigned(host)
            }
            error if error.is_no_records_found() => {
                let message = format!("the name “{host}” could not be resolved: {who} has no address for it");
                ConnectError { kind: FailureKind::Name, message }
            }
            error => {
                let message = format!("{who} did not answer for “{host}” ({error})");
                ConnectError { kind: FailureKind::Timeout, message }
            }
        }
    }

    /// Returns the name to query: fully qualified, unless it has one label and there are search domains.
    fn searched(&self, host: &str) -> String {
        if self.asked.search.is_empty() || host.contains('.') { whole(host) } else { host.to_owned() }
    }

    fn of(&self, partition: &str) -> Result<Arc<Partition<P>>, ConnectError> {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = caches.get(partition) {
            return Ok(Arc::clone(known));
        }
        if caches.len() >= MAX_PARTITIONS {
            // Dropped answers can be queried again.
            caches.clear();
        }
        let QueryOutcome { servers, provider, tls, anchors, search, .. } = &self.asked;
        let config = ResolverConfig::from_parts(None, search.clone(), servers.clone());
        let mut options = ResolverOpts::default();
        (options.timeout, options.ip_strategy) = (ANSWER_TIMEOUT, LookupIpStrategy::Ipv4AndIpv6);
        (options.use_hosts_file, options.cache_size) = (ResolveHosts::Never, MAX_ANSWERS);
        options.validate = anchors.is_some();
        let wrong = |message: String| ConnectError { kind: FailureKind::Other, message };
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

/// Returns this machine's own names, for which no server is queried.
fn own_names() -> HashMap<String, Vec<IpAddr>> {
    let mut own =
        HashMap::from([("localhost".to_owned(), vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])]);
    for (name, addresses) in names_in(&std::fs::read_to_string(HOSTS).unwrap_or_default()) {
        own.entry(name).or_insert(addresses);
    }
    own
}

/// Returns the names of a hosts file except `localhost`, which always means this machine.
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

/// Parses a text as a hosts file and as trust anchors, for fuzzing.
pub(crate) fn try_texts(text: &str) {
    for name in names_in(text).into_keys() {
        whole(&name);
    }
    let _ = Dns::new(regen_net_config::dns::DnsSettings::default(), text);
}

/// Returns a fully qualified name, so that no search domain is tried.
fn whole(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}
