//! `regen shields` and `regen https-only`: shows and changes what is blocked, by which rules.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use regen_proto::control::v1::{HttpsOnlyReply, HttpsOnlyRequest, ShieldsReply, ShieldsRequest, StatusRequest, Tab};
use regen_proto::net::v1::lists_request::Change;
use regen_proto::net::v1::{
    AddList, Blocked, CheckRequest, FilterList, ListsRequest, OwnRulesRequest, ShieldsLogRequest, ShieldsStatus,
    UpdateLists, Verdict, VerdictWait,
};
use serde_json::{Value, json};
use url::Url;

use crate::arguments::{ListsArguments, Output, ShieldsCommand, TestArguments};
use crate::client::{Client, Failure};
use crate::render;

/// Interval at which a followed log is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) async fn run(mut client: Client, command: ShieldsCommand, output: Output) -> Result<ExitCode, Failure> {
    match command {
        ShieldsCommand::Status => {
            let reply = client.api.shields(ShieldsRequest::default()).await?.into_inner();
            show(&reply, output, |reply| {
                let engine = engine(reply);
                let rules: u32 = engine.lists.iter().map(|list| list.rules).sum();
                println!("{} of {} requests were blocked, by {rules} rules", engine.blocked, engine.checked);
                if let Some(VerdictWait { p50_us, p99_us, .. }) = engine.wait {
                    println!("time to a verdict: {p50_us} µs at the median, {p99_us} µs at the 99th percentile");
                }
                if !engine.error.is_empty() {
                    println!("{}", engine.error);
                }
            });
        }
        ShieldsCommand::Level { level, site, workspace } => {
            let request = ShieldsRequest {
                level: level.unwrap_or_default(),
                site: site.unwrap_or_default(),
                workspace: workspace.unwrap_or_default(),
            };
            show(&client.api.shields(request).await?.into_inner(), output, |_| {});
        }
        ShieldsCommand::Lists(arguments) => {
            if let Some(change) = change(arguments)? {
                client.api.shields_lists(ListsRequest { change: Some(change) }).await?;
            }
            let reply = client.api.shields(ShieldsRequest::default()).await?.into_inner();
            return Ok(print_lists(&reply.engine.ok_or_else(no_engine)?, output));
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
                .ok_or_else(|| Failure::NotFound("there is no such tab: `regen tab list` shows the tabs".to_owned()))?;
            let host = Url::parse(&found.url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let host = host.ok_or_else(|| Failure::Usage("the tab shows no site".to_owned()))?;
            let rule = format!("{host}##{selector}");
            client.api.shields_rules(OwnRulesRequest { add: vec![rule.clone()], remove: Vec::new() }).await?;
            match output {
                Output::Json => render::print_json(&json!({ "rule": rule })),
                Output::Text => println!("{rule}\nThe rule applies to open pages when they are reloaded."),
            }
        }
        ShieldsCommand::Log { follow } => log(client, follow, output).await?,
        ShieldsCommand::Test(TestArguments { requests: Some(file), .. }) => test_all(client, &file).await?,
        ShieldsCommand::Test(TestArguments { url, page, kind, .. }) => {
            // Both are required arguments.
            let (url, page) = (url.unwrap_or_default(), page.unwrap_or_default());
            let request = CheckRequest { url, page, kind, method: "GET".to_owned(), waited_us: 0 };
            let verdict = client.api.shields_test(request).await?.into_inner();
            let Verdict { blocked, rule, list, rewritten_url, .. } = &verdict;
            if output == Output::Json {
                render::print_json(&verdict_of(&verdict));
            } else {
                let word = if *blocked { "blocked" } else { "sent" };
                let why = if rule.is_empty() { String::new() } else { format!(": {rule} ({list})") };
                let other = if rewritten_url.is_empty() { String::new() } else { format!(", as {rewritten_url}") };
                println!("{word}{other}{why}");
            }
            return Ok(ExitCode::from(u8::from(*blocked)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tests each request in a file of JSON lines, and prints each verdict as a line of JSON.
async fn test_all(mut client: Client, file: &Path) -> Result<(), Failure> {
    let wrong = |number: usize, what: String| Failure::Usage(format!("{}: line {number}: {what}", file.display()));
    let text =
        if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = text.map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    for (number, line) in (1..).zip(text.lines()) {
        let asked: Value = serde_json::from_str(line).map_err(|error| wrong(number, error.to_string()))?;
        let word = |key: &str| {
            asked
                .get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| wrong(number, format!("“{key}” is missing")))
        };
        let (url, page, kind, method) = (word("url")?, word("page")?, word("type")?, "GET".to_owned());
        let request = CheckRequest { url, page, kind, method, waited_us: 0 };
        if !regen_proto::KINDS.contains(&request.kind.as_str()) {
            return Err(wrong(number, format!("there is no type “{}”", request.kind)));
        }
        render::print_json_line(&verdict_of(&client.api.shields_test(request).await?.into_inner()));
    }
    Ok(())
}

/// Changes the HTTPS-only setting if asked to, then shows it.
pub(crate) async fn https_only(
    mut client: Client,
    choice: Option<String>,
    site: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let request = HttpsOnlyRequest { choice: choice.unwrap_or_default(), site: site.unwrap_or_default() };
    let HttpsOnlyReply { on, sites } = client.api.https_only(request).await?.into_inner();
    let sites: BTreeMap<String, bool> = sites.into_iter().collect();
    if output == Output::Json {
        render::print_json(&json!({ "on": on, "sites": sites }));
    } else {
        let word = |on: bool| if on { "on" } else { "off" };
        println!("{}", word(on));
        sites.iter().for_each(|(site, on)| println!("{}  on {site}", word(*on)));
    }
    Ok(())
}

fn verdict_of(verdict: &Verdict) -> Value {
    let Verdict { blocked, rule, list, rewritten_url, .. } = verdict;
    json!({ "blocked": blocked, "rule": rule, "list": list, "sent_as": rewritten_url })
}

fn change(arguments: ListsArguments) -> Result<Option<Change>, Failure> {
    let ListsArguments { add, name, sha256, remove, update } = arguments;
    let Some(place) = add else {
        return Ok(remove.map(Change::Remove).or_else(|| update.then_some(Change::Update(UpdateLists {}))));
    };
    let is_address = place.contains("://");
    let stem = || {
        let last = Path::new(place.split(['?', '#']).next().unwrap_or_default());
        last.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned()
    };
    let name = name.unwrap_or_else(stem);
    let failed = |error: std::io::Error| Failure::Usage(format!("{place}: {error}"));
    let text = if is_address { String::new() } else { std::fs::read_to_string(&place).map_err(failed)? };
    let url = if is_address { place } else { String::new() };
    Ok(Some(Change::Add(AddList { name, url, text, sha256: sha256.unwrap_or_default() })))
}

/// Prints the filter lists. The exit code is 1 if the engine or a list has an error.
fn print_lists(engine: &ShieldsStatus, output: Output) -> ExitCode {
    match output {
        Output::Json => render::print_json(&json!(engine.lists.iter().map(list).collect::<Vec<_>>())),
        Output::Text => {
            println!("{:<20} {:>7} {:>11}  TITLE", "LIST", "RULES", "UNSUPPORTED");
            for FilterList { name, title, rules, unreadable, url, error, .. } in &engine.lists {
                let title = if title.is_empty() { url } else { title };
                println!("{name:<20} {rules:>7} {unreadable:>11}  {title}");
                if !error.is_empty() {
                    println!("  not updated: {error}");
                }
            }
            if !engine.error.is_empty() {
                println!("{}", engine.error);
            }
        }
    }
    let is_well = engine.error.is_empty() && engine.lists.iter().all(|list| list.error.is_empty());
    ExitCode::from(u8::from(!is_well))
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
            "level": reply.level, "workspaces": reply.workspaces, "sites": reply.sites, "ready": engine.ready, "checked": engine.checked,
            "blocked": engine.blocked, "error": engine.error, "read_ms": engine.read_ms, "from_cache": engine.from_cache,
            "wait": engine.wait.map(|wait| json!({
                "count": wait.count, "p50_us": wait.p50_us, "p99_us": wait.p99_us, "max_us": wait.max_us,
            })),
            "lists": engine.lists.iter().map(list).collect::<Vec<_>>(),
        }));
    }
    println!("shields are {}", reply.level);
    let workspaces: BTreeMap<_, _> = reply.workspaces.iter().collect();
    workspaces.iter().for_each(|(workspace, level)| println!("{level} in workspace {workspace}"));
    let mut sites: Vec<_> = reply.sites.iter().collect();
    sites.sort();
    for (site, level) in sites {
        println!("{level} on {site}");
    }
    more(reply);
}

fn list(list: &FilterList) -> Value {
    let FilterList { name, title, rules, unreadable, bytes, url, checked_s, error } = list;
    json!({
        "name": name, "title": title, "rules": rules, "unreadable": unreadable, "bytes": bytes,
        "url": url, "checked_s": checked_s, "error": error,
    })
}

async fn log(mut client: Client, follow: bool, output: Output) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let entries = client.api.shields_log(ShieldsLogRequest { after }).await?.into_inner().entries;
        after = entries.last().map_or(after, |entry| entry.number);
        match output {
            Output::Json if !follow => render::print_json(&json!(entries.iter().map(entry).collect::<Vec<_>>())),
            Output::Json => entries.iter().for_each(|blocked| render::print_json_line(&entry(blocked))),
            Output::Text => {
                for Blocked { page, url, kind, rule, list, .. } in &entries {
                    println!("{kind} {url}\n  on {page}\n  by {rule} ({list})");
                }
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn entry(blocked: &Blocked) -> Value {
    let Blocked { number, time_ms, site, page, url, kind, rule, list, workspace } = blocked;
    json!({
        "number": number, "time_ms": time_ms, "site": site, "page": page, "url": url, "type": kind, "rule": rule,
        "list": list, "workspace": workspace,
    })
}
