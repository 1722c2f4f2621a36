//! `regen dns`: shows and chooses name servers, and looks up names.

use regen_proto::control::v1::{DnsQueryRequest, DnsReply, DnsRequest};
use regen_proto::net::v1::{DnsAnswer, DnsRecord};
use serde_json::json;

use crate::arguments::{DnsCommand, Output};
use crate::client::{Client, Failure};
use crate::render;

pub(crate) async fn run(mut client: Client, command: DnsCommand, output: Output) -> Result<(), Failure> {
    let request = match command {
        DnsCommand::Show => DnsRequest::default(),
        DnsCommand::Set { servers, dnssec } => DnsRequest { servers: servers.unwrap_or_default(), dnssec },
        DnsCommand::Query { name, kind, site, workspace } => {
            let query = DnsQueryRequest { name, kind, site, workspace };
            print(&client.api.dns_query(query).await?.into_inner(), output);
            return Ok(());
        }
    };
    let DnsReply { servers, dnssec } = client.api.dns(request).await?.into_inner();
    match output {
        Output::Json => render::print_json(&json!({ "servers": servers, "dnssec": dnssec })),
        Output::Text if dnssec => println!("{servers}; DNSSEC validation is on"),
        Output::Text => println!("{servers}"),
    }
    Ok(())
}

fn print(answer: &DnsAnswer, output: Output) {
    let DnsAnswer { by, records } = answer;
    if output == Output::Json {
        let record = |DnsRecord { name, kind, data, ttl_s, signed }: &DnsRecord| json!({ "name": name, "type": kind, "data": data, "ttl_s": ttl_s, "signed": signed });
        return render::print_json(&json!({ "by": by, "records": records.iter().map(record).collect::<Vec<_>>() }));
    }
    for DnsRecord { name, kind, data, ttl_s, signed } in records {
        println!("{name}\t{ttl_s}\t{kind}\t{data}{}", if *signed { "\tsigned" } else { "" });
    }
    eprintln!("regen: answered by {by}");
}
