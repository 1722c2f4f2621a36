//! `regen route` and `regen tor`: shows and changes routes, and shows the state of Tor.

use std::collections::BTreeMap;
use std::process::ExitCode;

use regen_proto::control::v1::{RoutesReply, RoutesRequest};
use regen_proto::net::v1::{NewIdentityRequest, TorState, TorStatus};
use serde_json::json;

use crate::arguments::{Output, RouteCommand, TorCommand};
use crate::client::{Client, Failure};
use crate::render;

/// Changes a route if asked to, then shows all routes.
pub(crate) async fn route(mut client: Client, command: RouteCommand, output: Output) -> Result<(), Failure> {
    let request = match command {
        RouteCommand::Show => RoutesRequest::default(),
        RouteCommand::Set { route, site, workspace } => {
            RoutesRequest { route, site: site.unwrap_or_default(), workspace: workspace.unwrap_or_default() }
        }
    };
    let RoutesReply { route, workspaces, sites, tor } = client.api.routes(request).await?.into_inner();
    let (workspaces, sites): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (workspaces.into_iter().collect(), sites.into_iter().collect());
    if output == Output::Json {
        let tor = word(&tor.unwrap_or_default());
        render::print_json(&json!({ "route": route, "workspaces": workspaces, "sites": sites, "tor": tor }));
    } else {
        println!("{route}");
        workspaces.iter().for_each(|(workspace, route)| println!("{route}  in workspace {workspace}"));
        sites.iter().for_each(|(site, route)| println!("{route}  on {site}"));
    }
    Ok(())
}

/// Shows the state of Tor, or switches to new circuits. The exit code is 1 if Tor is failing.
pub(crate) async fn tor(mut client: Client, command: TorCommand, output: Output) -> Result<ExitCode, Failure> {
    match command {
        TorCommand::Status => {
            let status = client.api.routes(RoutesRequest::default()).await?.into_inner().tor.unwrap_or_default();
            let TorStatus { percent, message, waiting, open, .. } = &status;
            if output == Output::Json {
                render::print_json(&json!({
                    "state": word(&status), "percent": percent, "message": message, "waiting": waiting, "open": open,
                }));
            } else {
                let why = if message.is_empty() { String::new() } else { format!(": {message}") };
                match status.state() {
                    TorState::Starting => println!("starting, {percent} %{why}"),
                    TorState::Off | TorState::Unspecified => println!("off, starts when a route needs it{why}"),
                    TorState::Ready | TorState::Failing => println!("{}{why}", word(&status)),
                }
                println!("{open} connections open, {waiting} waiting");
            }
            return Ok(ExitCode::from(u8::from(status.state() == TorState::Failing)));
        }
        TorCommand::NewIdentity => {
            let ended = client.api.tor_new_identity(NewIdentityRequest {}).await?.into_inner().ended;
            match output {
                Output::Json => render::print_json(&json!({ "ended": ended })),
                Output::Text => println!("{ended} connections closed; new connections use new circuits"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn word(status: &TorStatus) -> &'static str {
    match status.state() {
        TorState::Off | TorState::Unspecified => "off",
        TorState::Starting => "starting",
        TorState::Ready => "ready",
        TorState::Failing => "failing",
    }
}
