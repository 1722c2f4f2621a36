//! `regen permissions`: lists and changes what sites may do.

use regen_proto::permissions::v1::{KeptPermission, PermissionChange, PermissionsRequest};
use serde_json::json;

use crate::arguments::{Output, PermissionsCommand};
use crate::client::{Client, Failure};
use crate::moment;
use crate::render::print_json;

pub(crate) async fn run(
    mut client: Client,
    command: Option<PermissionsCommand>,
    output: Output,
) -> Result<(), Failure> {
    let change = match command.unwrap_or(PermissionsCommand::List) {
        PermissionsCommand::List => None,
        PermissionsCommand::Set { site, permission, choice, time } => Some(PermissionChange {
            url: site.url,
            workspace: site.workspace,
            kind: permission,
            state: choice,
            seconds: time.map_or(0, |time| time.as_secs().max(1)),
        }),
        PermissionsCommand::Revoke { site, permission } => Some(PermissionChange {
            url: site.url,
            workspace: site.workspace,
            kind: permission.unwrap_or_default(),
            state: "ask".to_owned(),
            seconds: 0,
        }),
    };
    let kept = client.api.permissions(PermissionsRequest { change }).await?.into_inner().permissions;
    if output == Output::Json {
        print_json(&kept.iter().map(to_json).collect());
    } else if kept.is_empty() {
        println!("no choices are kept: every site has to ask");
    } else {
        kept.iter().for_each(print);
    }
    Ok(())
}

fn to_json(kept: &KeptPermission) -> serde_json::Value {
    json!({
        "site": kept.site, "workspace": kept.workspace, "permission": kept.kind, "choice": kept.state,
        "until": (kept.until > 0).then(|| moment::text(kept.until)),
    })
}

fn print(kept: &KeptPermission) {
    let workspace = if kept.workspace.is_empty() { String::new() } else { format!(" in {}", kept.workspace) };
    let until = if kept.until == 0 { String::new() } else { format!(" until {}", moment::text(kept.until)) };
    println!("{:<6} {:<15} {}{workspace}{until}", kept.state, kept.kind, kept.site);
}
