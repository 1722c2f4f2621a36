//! DNS queries of the user, sent by the broker.

use std::str::FromStr;

use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::rr::{Record, RecordType};
use regen_net_config::route::{Hop, Route};
use regen_proto::net::v1::dns_admin_server::DnsAdmin;
use regen_proto::net::v1::{DnsAnswer, DnsQuery, DnsRecord, FailureKind};
use tonic::{Request, Response, Status};

use crate::dns::Dns;
use crate::error::ConnectError;
use crate::tor::Tor;
use crate::wireguard::WireGuard;

/// Service for the broker's connection.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) dns: Dns,
    pub(crate) tor: Tor,
    pub(crate) wireguard: WireGuard,
}

#[tonic::async_trait]
impl DnsAdmin for Admin {
    async fn query(&self, request: Request<DnsQuery>) -> Result<Response<DnsAnswer>, Status> {
        let DnsQuery { name, kind, route } = request.into_inner();
        let wrong = |error: String| Status::invalid_argument(error);
        let route = route.parse::<Route>().map_err(|error| wrong(error.to_string()))?;
        let kind = RecordType::from_str(&kind.to_ascii_uppercase())
            .map_err(|_| wrong(format!("unknown record type “{kind}”: use A, AAAA, TXT, MX or another DNS type")))?;
        Ok(Response::new(
            self.ask(&name, kind, &route).await.map_err(|error| Status::failed_precondition(error.message))?,
        ))
    }
}

impl Admin {
    /// Answers a query over the first hop of a route, as pages on that route would resolve the name.
    async fn ask(&self, name: &str, kind: RecordType, route: &Route) -> Result<DnsAnswer, ConnectError> {
        let refused = |message: &str| ConnectError { kind: FailureKind::Policy, message: message.to_owned() };
        match route.hops().next() {
            Some(Hop::Direct) => {
                let (by, records) = self.dns.records(name, kind).await?;
                Ok(answer(by, &records))
            }
            Some(Hop::Vpn(profile)) => {
                let records = self.wireguard.records(profile, name, kind).await?;
                Ok(answer(format!("the name servers of the VPN “{profile}”"), &records))
            }
            Some(Hop::Tor) if matches!(kind, RecordType::A | RecordType::AAAA) => {
                let addresses = self.tor.addresses(name).await?;
                let is_asked_for = |address: &std::net::IpAddr| address.is_ipv4() == (kind == RecordType::A);
                let record = |address: std::net::IpAddr| DnsRecord {
                    name: name.to_owned(),
                    kind: kind.to_string(),
                    data: address.to_string(),
                    ..DnsRecord::default()
                };
                let records = addresses.into_iter().filter(is_asked_for).map(record).collect();
                Ok(DnsAnswer { by: "a Tor exit".to_owned(), records })
            }
            Some(Hop::Tor) => Err(refused("Tor exits resolve addresses only: use type A or AAAA")),
            Some(Hop::Proxy(_)) => Err(refused("the proxy cannot be queried: it resolves names when it connects")),
            None => Err(refused("the route blocks all traffic, so no name server is queried")),
        }
    }
}

fn answer(by: String, records: &[Record]) -> DnsAnswer {
    let record = |record: &Record| DnsRecord {
        name: record.name.to_string(),
        kind: record.record_type().to_string(),
        data: record.data.to_string(),
        ttl_s: record.ttl,
        signed: record.proof == Proof::Secure,
    };
    DnsAnswer { by, records: records.iter().map(record).collect() }
}
