//! `regen history`: lists, searches and deletes visits.

use regen_net_config::site::Site;
use regen_proto::places::v1::{Visit, VisitAction, VisitFilter, VisitsReply, VisitsRequest};
use regen_session::address;
use serde_json::json;

use crate::arguments::{HistoryCommand, Output, VisitConditions};
use crate::client::{Client, Failure};
use crate::moment::{self, Moment};
use crate::render::print_json;

/// Maximum number of visits that are asked for at once.
const PART: u32 = 5000;

pub(crate) async fn run(mut client: Client, command: HistoryCommand, output: Output) -> Result<(), Failure> {
    match command {
        HistoryCommand::List { conditions, limit } => list(client, filter(conditions)?, limit, output).await,
        HistoryCommand::Delete { conditions, all } => {
            let filter = filter(conditions)?;
            if !all && filter == VisitFilter::default() {
                let what = "name what to delete, such as `--site example.org` or `--until 30d`, or use --all";
                return Err(Failure::Usage(what.to_owned()));
            }
            let changed = change(&mut client, VisitAction::Delete, Some(filter)).await?;
            print_changed(changed, "deleted", output);
            Ok(())
        }
        HistoryCommand::Undo => {
            let changed = change(&mut client, VisitAction::Undo, None).await?;
            if changed == 0 {
                return Err(Failure::NotFound("there is no deletion to undo: it is final after one minute".to_owned()));
            }
            print_changed(changed, "restored", output);
            Ok(())
        }
    }
}

async fn change(client: &mut Client, action: VisitAction, filter: Option<VisitFilter>) -> Result<u64, Failure> {
    let request = VisitsRequest { action: action.into(), filter, ..VisitsRequest::default() };
    Ok(client.api.visits(request).await?.into_inner().changed)
}

async fn list(mut client: Client, filter: VisitFilter, limit: u32, output: Output) -> Result<(), Failure> {
    let (mut visits, mut after, mut has_more) = (Vec::new(), 0, true);
    while has_more && visits.len() < limit as usize {
        let room = limit - u32::try_from(visits.len()).unwrap_or(limit);
        let action = VisitAction::List.into();
        let request = VisitsRequest { action, filter: Some(filter.clone()), limit: room.min(PART), after };
        let reply: VisitsReply = client.api.visits(request).await?.into_inner();
        has_more = reply.has_more && !reply.visits.is_empty();
        after = reply.visits.last().map_or(0, |visit| visit.id);
        visits.extend(reply.visits);
    }
    if output == Output::Json {
        let visits: Vec<_> = visits.iter().map(to_json).collect();
        print_json(&json!({ "visits": visits, "more": has_more }));
        return Ok(());
    }
    for visit in &visits {
        let title = if visit.title.is_empty() { "–" } else { &visit.title };
        println!("{}  {}  {}", moment::text(visit.at), title, visit.url);
    }
    match (visits.is_empty(), has_more) {
        (true, _) => eprintln!("regen: no visits"),
        (false, true) => eprintln!("regen: there are more: use --limit"),
        (false, false) => {}
    }
    Ok(())
}

fn to_json(visit: &Visit) -> serde_json::Value {
    let Visit { id, at, url, title, workspace, typed } = visit;
    json!({ "id": id, "at": moment::text(*at), "url": url, "title": title, "workspace": workspace, "typed": typed })
}

fn print_changed(changed: u64, done: &str, output: Output) {
    match output {
        Output::Json => print_json(&json!({ done: changed })),
        Output::Text => println!("{changed} {} {done}", if changed == 1 { "visit" } else { "visits" }),
    }
}

fn filter(conditions: VisitConditions) -> Result<VisitFilter, Failure> {
    let VisitConditions { words, site, url, workspace, since, until } = conditions;
    let domain = match site {
        Some(site) => {
            let url = address::as_url(&site).unwrap_or_else(|| site.clone());
            let site = Site::of(&url).map_err(|error| Failure::Usage(format!("--site {site}: {error}")))?;
            site.host().to_owned()
        }
        None => String::new(),
    };
    let at = |when: Option<Moment>| when.map(|Moment(at)| at);
    Ok(VisitFilter {
        words: words.join(" "),
        domain,
        url: url.unwrap_or_default(),
        workspace,
        since: at(since),
        until: at(until),
        visits: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_may_be_given_with_or_without_a_scheme() {
        let of = |site: &str| VisitConditions { site: Some(site.to_owned()), ..VisitConditions::default() };
        assert_eq!(filter(of("www.example.org")).unwrap().domain, "example.org");
        assert_eq!(filter(of("https://example.org/path")).unwrap().domain, "example.org");
        assert!(filter(of("about:blank")).is_err());
    }
}
