//! `regen downloads`: list, pause, resume and cancel downloads.

use regen_proto::downloads::v1::{Download, DownloadAction, DownloadOrder, DownloadsRequest};
use serde_json::json;

use crate::arguments::{DownloadsCommand, Output};
use crate::client::{Client, Failure};
use crate::moment;
use crate::render::print_json;

pub(crate) async fn run(mut client: Client, command: Option<DownloadsCommand>, output: Output) -> Result<(), Failure> {
    let order = |action: DownloadAction, download| Some(DownloadOrder { action: action.into(), download });
    let order = match command.unwrap_or(DownloadsCommand::List) {
        DownloadsCommand::List => None,
        DownloadsCommand::Pause { id } => order(DownloadAction::Pause, id),
        DownloadsCommand::Resume { id } => order(DownloadAction::Resume, id),
        DownloadsCommand::Cancel { id } => order(DownloadAction::Cancel, id),
        DownloadsCommand::Forget { id: Some(id), all: _ } => order(DownloadAction::Forget, id),
        DownloadsCommand::Forget { id: None, all: _ } => order(DownloadAction::ForgetEnded, 0),
        DownloadsCommand::Folder { id } => order(DownloadAction::ShowFolder, id),
    };
    let downloads = client.api.downloads(DownloadsRequest { order }).await?.into_inner().downloads;
    if output == Output::Json {
        print_json(&downloads.iter().map(to_json).collect());
    } else if downloads.is_empty() {
        println!("no downloads");
    } else {
        downloads.iter().for_each(print);
    }
    Ok(())
}

fn to_json(download: &Download) -> serde_json::Value {
    json!({
        "id": download.download,
        "url": download.url,
        "path": download.path,
        "received": download.received,
        "total": download.total,
        "state": download.state,
        "error": download.error,
        "can_resume": download.can_resume,
        "ended_at": (download.ended_at > 0).then(|| moment::text(download.ended_at)),
    })
}

fn print(download: &Download) {
    let size = match download.total {
        0 => format!("{} bytes", download.received),
        total => format!("{} of {total} bytes", download.received),
    };
    let ended = match download.ended_at {
        0 => String::new(),
        at => format!("  {}", moment::text(at)),
    };
    println!("{:>4}  {:<11}  {size}{ended}  {}", download.download, download.state, download.path);
    if !download.error.is_empty() {
        println!("      {}", download.error);
    }
}
