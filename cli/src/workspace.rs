//! `regen workspace`: lists and changes workspaces.

use regen_proto::workspaces::v1::workspaces_request::Action;
use regen_proto::workspaces::v1::{
    NewWorkspace, SiteWorkspace, TabWorkspace, Workspace, WorkspaceEdit, WorkspacesReply, WorkspacesRequest,
};
use serde_json::json;

use crate::arguments::{Output, WorkspaceCommand};
use crate::client::{Client, Failure};
use crate::render::print_json;

pub(crate) async fn run(mut client: Client, command: Option<WorkspaceCommand>, output: Output) -> Result<(), Failure> {
    let action = match command.unwrap_or(WorkspaceCommand::List) {
        WorkspaceCommand::List => None,
        WorkspaceCommand::Create { name, colour, throw_away, show } => {
            let (name, colour) = (name.unwrap_or_default(), colour.unwrap_or_default());
            Some(Action::Create(NewWorkspace { name, colour, throw_away, show }))
        }
        WorkspaceCommand::Rename { workspace, name } => {
            Some(Action::Edit(WorkspaceEdit { workspace, name: Some(name), ..WorkspaceEdit::default() }))
        }
        WorkspaceCommand::Colour { workspace, colour } => {
            Some(Action::Edit(WorkspaceEdit { workspace, colour: Some(colour), ..WorkspaceEdit::default() }))
        }
        WorkspaceCommand::Switch { workspace } => Some(Action::Show(workspace)),
        WorkspaceCommand::Delete { workspace } => Some(Action::Delete(workspace)),
        WorkspaceCommand::Always { url, workspace } => Some(Action::Site(SiteWorkspace { url, workspace })),
        WorkspaceCommand::Move { tab, workspace } => Some(Action::Move(TabWorkspace { tab, workspace })),
    };
    let creates = matches!(action, Some(Action::Create(_)));
    let WorkspacesReply { workspaces, created } =
        client.api.workspaces(WorkspacesRequest { action }).await?.into_inner();
    match output {
        Output::Json if creates => print_json(&json!({ "created": created })),
        Output::Json => print_json(&workspaces.iter().map(to_json).collect()),
        Output::Text if creates => println!("{created}"),
        Output::Text => workspaces.iter().for_each(print),
    }
    Ok(())
}

fn to_json(workspace: &Workspace) -> serde_json::Value {
    let own = |choice: &str| (!choice.is_empty()).then(|| choice.to_owned());
    json!({
        "id": workspace.id,
        "name": workspace.name,
        "colour": workspace.colour,
        "throw_away": workspace.throw_away,
        "current": workspace.current,
        "tabs": workspace.tabs,
        "route": own(&workspace.route),
        "shields": own(&workspace.shields),
        "sites": workspace.sites,
    })
}

fn print(workspace: &Workspace) {
    let tabs = if workspace.tabs == 1 { "1 tab".to_owned() } else { format!("{} tabs", workspace.tabs) };
    let own = |what: &str, choice: &str| if choice.is_empty() { String::new() } else { format!(", {what} {choice}") };
    let kind = if workspace.throw_away { ", throw-away" } else { "" };
    let mark = if workspace.current { "*" } else { " " };
    let (route, shields) = (own("route", &workspace.route), own("shields", &workspace.shields));
    println!("{mark} {}  {tabs}, {}{kind}{route}{shields}", workspace.name, workspace.colour);
    workspace.sites.iter().for_each(|site| println!("    always opens {site}"));
}
