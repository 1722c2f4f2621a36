//! `regen site`: what is known about a site, and the removal of its data.

use regen_proto::control::v1::SiteRequest;
use regen_proto::net::v1::{Blocked, SiteReport};
use regen_session::address;
use serde_json::json;

use crate::arguments::{Output, SiteArguments, SiteCommand};
use crate::client::{Client, Failure};
use crate::render::print_json;

pub(crate) async fn run(mut client: Client, command: SiteCommand, output: Output) -> Result<(), Failure> {
    let (SiteArguments { url, workspace }, clear) = match command {
        SiteCommand::Show(arguments) => (arguments, false),
        SiteCommand::Clear(arguments) => (arguments, true),
    };
    let url = address::as_url(&url).unwrap_or(url);
    let report = client.api.site(SiteRequest { url, workspace, clear }).await?.into_inner();
    if output == Output::Json {
        print_json(&to_json(&report));
    } else if clear {
        println!("the data of {} is gone", report.site);
    } else {
        print(&report);
    }
    Ok(())
}

fn to_json(report: &SiteReport) -> serde_json::Value {
    let blocked = |one: &Blocked| json!({ "url": one.url, "kind": one.kind, "rule": one.rule, "list": one.list });
    json!({
        "site": report.site,
        "workspace": report.workspace,
        "pid": report.pid,
        "memory_kb": report.memory_kb,
        "storage_bytes": report.storage_bytes,
        "storage_files": report.storage_files,
        "route": report.route,
        "shields": report.level,
        "shields_of_its_own": report.own_level,
        "blocked": report.blocked.iter().map(blocked).collect::<Vec<_>>(),
    })
}

fn print(report: &SiteReport) {
    let process = match report.pid {
        0 => "none".to_owned(),
        pid => format!("{pid}, {} MB", report.memory_kb / 1024),
    };
    let kilobytes = report.storage_bytes.div_ceil(1024);
    println!("{}", report.site);
    println!("process   {process}");
    println!("storage   {kilobytes} KB in {} files", report.storage_files);
    println!("route     {}", report.route);
    println!("shields   {}{}", report.level, if report.own_level { " (for this site)" } else { "" });
    for blocked in &report.blocked {
        println!("blocked   {}  by {} of {}", blocked.url, blocked.rule, blocked.list);
    }
}
