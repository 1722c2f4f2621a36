//! Workspaces that leave nothing in the files: deleted ones and throw-away ones.

use regen_net_config::settings::scope::Scope;
use regen_session::{Event, PageLoad, Session, reduce};

use super::*;

/// Returns whether any file below a folder contains a text.
fn is_anywhere(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_anywhere(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

fn tab_in(workspace: &str, id: u64, title: &str) -> SavedTab {
    let mut tab = SavedTab { workspace: workspace.to_owned(), ..tab(id) };
    tab.segments[0].title = title.to_owned();
    // Large enough for a record of its own.
    tab.segments[0].snapshot.form = title.as_bytes().repeat(1000);
    tab
}

#[test]
fn nothing_of_a_deleted_workspace_stays_in_the_files() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    for (id, workspace, title) in [(1, "", "stays-here"), (2, "work", "goes-away")] {
        first.store.put_tab(tab_in(workspace, id, title));
        first.store.put_cookies(Cookies { workspace: workspace.to_owned(), ..cookies("http://127.0.0.1") });
    }
    first.store.flush(true).unwrap();
    assert!(is_anywhere(profile.path(), "goes-away"));
    drop(first);
    let again = opened(profile.path());
    again.store.put_tab(tab_in("work", 3, "goes-away"));
    again.store.put_tab(tab_in("work", 4, "goes-away"));
    again.store.flush(false).unwrap();
    again.store.put_tab(tab_in("work", 4, "goes-away-too"));
    again.store.forget_workspace("work");
    again.store.flush(true).unwrap();
    drop(again);
    let last = opened(profile.path());
    let tabs: Vec<u64> = last.previous.iter().flat_map(|saved| &saved.tabs).map(|tab| tab.id).collect();
    let cookies: Vec<&str> =
        last.previous.iter().flat_map(|saved| &saved.cookies).map(|one| one.workspace.as_str()).collect();
    assert_eq!((tabs.as_slice(), cookies.as_slice()), ([1].as_slice(), [""].as_slice()));
    assert!(is_anywhere(profile.path(), "stays-here") && !is_anywhere(profile.path(), "goes-away"));
}

#[test]
fn nothing_of_a_throw_away_workspace_is_written() {
    let profile = tempfile::tempdir().unwrap();
    let OpenStore { store, .. } = opened(profile.path());
    store.put_tab(tab_in("~1", 1, "thrown"));
    store.put_cookies(Cookies { workspace: "~1".to_owned(), ..cookies("http://thrown.test") });
    store.put_everything(
        vec![tab_in("~1", 2, "thrown")],
        SavedOrder::default(),
        vec![Cookies { workspace: "~1".to_owned(), ..cookies("http://thrown.test") }],
    );
    let mut session = Session::default();
    let load = Some(PageLoad::by_user("https://thrown.test/"));
    reduce(&mut session, Event::Open { load, workspace: "~1".to_owned(), background: false, opener: None });
    reduce(&mut session, Event::Zoom { tab: 1, zoom: 2.0 });
    assert!(session.hsts.hear("~1", "https://thrown.test/", "max-age=1000", 1_000_000));
    let mut routes = RouteSettings::default();
    routes.choose(Scope::Workspace("~1".to_owned()), Some("vpn:thrown".parse().unwrap()));
    routes.choose(Scope::Workspace("kept".to_owned()), Some("vpn:kept".parse().unwrap()));
    store.put_zooms(&session.zooms);
    store.put_hsts(&session.hsts);
    store.put_routes(&routes);
    session.workspaces.create_throw_away().unwrap();
    store.put_workspaces(&session.workspaces);
    store.flush(true).unwrap();
    assert!(is_anywhere(profile.path(), "kept") && !is_anywhere(profile.path(), "thrown"));
    assert!(!is_anywhere(profile.path(), "~1") && !is_anywhere(profile.path(), "Throw-away"));
}
