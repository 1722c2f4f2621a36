//! `regen bookmarks`: lists, changes, imports and exports bookmarks.

mod netscape;

use std::io::Write;
use std::path::Path;

use regen_proto::places::v1::bookmarks_request::Action;
use regen_proto::places::v1::{
    Bookmark, BookmarkEdit, BookmarkFilter, BookmarkImport, BookmarkTags, BookmarksReply, BookmarksRequest,
};
use regen_session::address;
use serde_json::{Value, json};

use crate::arguments::{BookmarksCommand, Output};
use crate::client::{Client, Failure};
use crate::render::print_json;

/// Folders that are always there.
const ROOTS: [(u64, &str); 2] = [(1, "Bookmarks bar"), (2, "Other bookmarks")];
/// Maximum size of a file that is imported, in bytes.
const MAX_FILE: u64 = 64 << 20;

pub(crate) async fn run(mut client: Client, command: BookmarksCommand, output: Output) -> Result<(), Failure> {
    match command {
        BookmarksCommand::List { words, folder } => {
            let filter = BookmarkFilter { words: words.join(" "), parent: folder, ..BookmarkFilter::default() };
            list(&ask(&mut client, Action::List(filter)).await?.bookmarks, output);
        }
        BookmarksCommand::Add { url, title, folder, tags } => {
            let url = address::as_url(&url).ok_or_else(|| Failure::Usage(format!("“{url}” is not an address")))?;
            let title = title.unwrap_or_else(|| url.clone());
            let bookmark = Bookmark { url: Some(url), title, parent: folder, tags, ..Bookmark::default() };
            print_added(ask(&mut client, Action::Add(bookmark)).await?.added, output);
        }
        BookmarksCommand::Folder { title, folder } => {
            let bookmark = Bookmark { title, parent: folder, ..Bookmark::default() };
            print_added(ask(&mut client, Action::Add(bookmark)).await?.added, output);
        }
        BookmarksCommand::Edit { id, title, url, tags, no_tags, folder, place } => {
            let tags = (no_tags || !tags.is_empty()).then_some(BookmarkTags { tags });
            let edit = BookmarkEdit { id, title, url, tags, parent: folder, place: place.unwrap_or(u32::MAX) };
            print_changed(ask(&mut client, Action::Edit(edit)).await?.changed, "changed", output);
        }
        BookmarksCommand::Remove { id } => {
            print_changed(ask(&mut client, Action::Remove(id)).await?.changed, "removed", output);
        }
        BookmarksCommand::Undo => {
            let changed = ask(&mut client, Action::Undo(true)).await?.changed;
            if changed == 0 {
                return Err(Failure::NotFound("there is no removal to undo".to_owned()));
            }
            print_changed(changed, "restored", output);
        }
        BookmarksCommand::Import { file, folder } => import(&mut client, &file, folder, output).await?,
        BookmarksCommand::Export { file } => {
            let all = ask(&mut client, Action::List(BookmarkFilter::default())).await?.bookmarks;
            export(&all, file.as_deref(), output)?;
        }
    }
    Ok(())
}

async fn ask(client: &mut Client, action: Action) -> Result<BookmarksReply, Failure> {
    Ok(client.api.bookmarks(BookmarksRequest { action: Some(action), skip: 0 }).await?.into_inner())
}

async fn import(client: &mut Client, file: &Path, folder: u64, output: Output) -> Result<(), Failure> {
    let cannot = |what: String| Failure::Other(format!("cannot import {}: {what}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| cannot(error.to_string()))?.len();
    if size > MAX_FILE {
        return Err(cannot(format!("it has {} MB (limit {} MB)", size >> 20, MAX_FILE >> 20)));
    }
    let bytes = std::fs::read(file).map_err(|error| cannot(error.to_string()))?;
    let bookmarks = netscape::parse(&String::from_utf8_lossy(&bytes));
    if bookmarks.is_empty() {
        return Err(cannot("it has no bookmarks; a file that a browser exported as HTML is needed".to_owned()));
    }
    let reply = ask(client, Action::Import(BookmarkImport { folder, bookmarks })).await?;
    print_changed(reply.changed, "imported", output);
    Ok(())
}

fn export(all: &[Bookmark], file: Option<&Path>, output: Output) -> Result<(), Failure> {
    let html = netscape::write(all, &ROOTS);
    let Some(file) = file else {
        // The file for other browsers, byte for byte: nothing is escaped for a terminal.
        return std::io::stdout().write_all(html.as_bytes()).map_err(|error| Failure::Other(error.to_string()));
    };
    std::fs::write(file, html).map_err(|error| Failure::Other(format!("cannot write {}: {error}", file.display())))?;
    print_changed(all.len() as u64, "exported", output);
    Ok(())
}

fn list(all: &[Bookmark], output: Output) {
    if output == Output::Json {
        let bookmarks: Vec<Value> = all.iter().map(to_json).collect();
        return print_json(&json!({ "bookmarks": bookmarks }));
    }
    for Bookmark { id, parent, url, title, tags, .. } in all {
        let tags = if tags.is_empty() { String::new() } else { format!("  [{}]", tags.join(", ")) };
        println!("{id}  {}  {title}  {}{tags}", folder_name(*parent), url.as_deref().unwrap_or("(folder)"));
    }
    if all.is_empty() {
        eprintln!("regen: no bookmarks");
    }
}

fn folder_name(id: u64) -> String {
    ROOTS.iter().find(|(root, _)| *root == id).map_or_else(|| format!("in {id}"), |(_, name)| (*name).to_owned())
}

fn to_json(bookmark: &Bookmark) -> Value {
    let Bookmark { id, parent, url, title, tags, added } = bookmark;
    json!({ "id": id, "folder": parent, "url": url, "title": title, "tags": tags, "added": added })
}

fn print_added(id: u64, output: Output) {
    match output {
        Output::Json => print_json(&json!({ "id": id })),
        Output::Text => println!("bookmark {id}"),
    }
}

fn print_changed(changed: u64, done: &str, output: Output) {
    match output {
        Output::Json => print_json(&json!({ done: changed })),
        Output::Text => println!("{changed} {} {done}", if changed == 1 { "bookmark" } else { "bookmarks" }),
    }
}
