//! `regen shields`: how much is blocked, by what, and why.

use std::process::ExitCode;
use std::time::Duration;

use regen_proto::control::v1::{ShieldsReply, ShieldsRequest, StatusRequest, Tab};
use regen_proto::net::v1::{
    Blocked, CheckRequest, FilterList, OwnRulesRequest, ShieldsLogRequest, ShieldsStatus, Verdict,
};
use serde_json::{Value, json};
use url::Url;

use crate::arguments::{Output, ShieldsCommand};
use crate::client::{Client, Failure};
use crate::render;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(250);

pub(crate) async fn run(mut client: Client, command: ShieldsCommand, output: Output) -> Result<ExitCode, Failure> {
    match command {
        ShieldsCommand::Status => {
            let reply = client.api.shields(ShieldsRequest::default()).await?.into_inner();
            show(&reply, output, |reply| {
                let engine = engine(reply);
                let rules: u32 = engine.lists.iter().map(|list| list.rules).sum();
                println!("{} of {} requests were blocked, by {rules} rules", engine.blocked, engine.checked);
                if !engine.error.is_empty() {
                    println!("{}", engine.error);
                }
            });
        }
        ShieldsCommand::Level { level, site } => {
            let request = ShieldsRequest { level: level.unwrap_or_default(), site: site.unwrap_or_default() };
            show(&client.api.shields(request).await?.into_inner(), output, |_| {});
        }
        ShieldsCommand::Lists => {
            let reply = client.api.shields(ShieldsRequest::default()).await?.into_inner();
            let engine = reply.engine.ok_or_else(no_engine)?;
            match output {
                Output::Json => render::print_json(&json!(engine.lists.iter().map(list).collect::<Vec<_>>())),
                Output::Text => {
                    println!("{:<20} {:>7} {:>11}  TITLE", "LIST", "RULES", "NOT READ");
                    for FilterList { name, title, rules, unreadable, .. } in &engine.lists {
                        println!("{name:<20} {rules:>7} {unreadable:>11}  {title}");
                    }
                    if !engine.error.is_empty() {
                        println!("{}", engine.error);
                    }
                }
            }
        }
        ShieldsCommand::Rules { add, remove } => {
            let rules = client.api.shields_rules(OwnRulesRequest { add, remove }).await?.into_inner().rules;
            match output {
                Output::Json => render::print_json(&json!(rules)),
                Output::Text => rules.iter().for_each(|rule| println!("{rule}")),
            }
        }
        ShieldsCommand::BlockElement { selector, tab } => {
            let tabs = client.api.status(StatusRequest::default()).await?.into_inner().tabs;
            let is_meant = |one: &&Tab| tab.map_or(one.active, |id| one.id == id);
            let found = tabs.iter().find(is_meant);
            let found = found
                .ok_or_else(|| Failure::NotFound("there is no such tab: `regen tab list` shows them".to_owned()))?;
            let host = Url::parse(&found.url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let host = host.ok_or_else(|| Failure::Usage("this tab shows no site".to_owned()))?;
            let rule = format!("{host}##{selector}");
            client.api.shields_rules(OwnRulesRequest { add: vec![rule.clone()], remove: Vec::new() }).await?;
            match output {
                Output::Json => render::print_json(&json!({ "rule": rule })),
                Output::Text => println!("{rule}\nPages that are open take it when they are loaded again."),
            }
        }
        ShieldsCommand::Log { follow } => log(client, follow, output).await?,
        ShieldsCommand::Test { url, page, kind } => {
            let request = CheckRequest { url, page, kind, method: "GET".to_owned() };
            let Verdict { blocked, rule, list, rewritten_url, .. } =
                client.api.shields_test(request).await?.into_inner();
            if output == Output::Json {
                let verdict = json!({ "blocked": blocked, "rule": rule, "list": list, "sent_as": rewritten_url });
                render::print_json(&verdict);
            } else {
                let word = if blocked { "blocked" } else { "sent" };
                let why = if rule.is_empty() { String::new() } else { format!(": {rule} ({list})") };
                let other = if rewritten_url.is_empty() { String::new() } else { format!(", as {rewritten_url}") };
                println!("{word}{other}{why}");
            }
            return Ok(ExitCode::from(u8::from(blocked)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn no_engine() -> Failure {
    Failure::Other("Regen's network process is not there at the moment: try again".to_owned())
}

fn engine(reply: &ShieldsReply) -> ShieldsStatus {
    reply.engine.clone().unwrap_or_default()
}

fn show(reply: &ShieldsReply, output: Output, more: impl FnOnce(&ShieldsReply)) {
    if output == Output::Json {
        let engine = engine(reply);
        return render::print_json(&json!({
            "level": reply.level, "sites": reply.sites, "ready": engine.ready, "checked": engine.checked,
            "blocked": engine.blocked, "error": engine.error,
            "lists": engine.lists.iter().map(list).collect::<Vec<_>>(),
        }));
    }
    println!("shields are {}", reply.level);
    let mut sites: Vec<_> = reply.sites.iter().collect();
    sites.sort();
    for (site, level) in sites {
        println!("{level} on {site}");
    }
    more(reply);
}

fn list(list: &FilterList) -> Value {
    let FilterList { name, title, rules, unreadable, bytes } = list;
    json!({ "name": name, "title": title, "rules": rules, "unreadable": unreadable, "bytes": bytes })
}

async fn log(mut client: Client, follow: bool, output: Output) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let entries = client.api.shields_log(ShieldsLogRequest { after }).await?.into_inner().entries;
        after = entries.last().map_or(after, |entry| entry.number);
        match output {
            Output::Json if !follow => render::print_json(&json!(entries.iter().map(entry).collect::<Vec<_>>())),
            Output::Json => entries.iter().for_each(|blocked| println!("{}", entry(blocked))),
            Output::Text => {
                for Blocked { page, url, kind, rule, list, .. } in &entries {
                    println!("{kind} {url}\n  on {page}\n  by {rule} ({list})");
                }
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn entry(blocked: &Blocked) -> Value {
    let Blocked { number, time_ms, site, page, url, kind, rule, list } = blocked;
    json!({
        "number": number, "time_ms": time_ms, "site": site, "page": page, "url": url, "type": kind, "rule": rule,
        "list": list,
    })
}
