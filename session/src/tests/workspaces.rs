//! Workspaces: names, the tabs of each, sites that always open in one, and throw-away ones.

use super::*;
use crate::workspaces::{Colour, WorkspaceError, Workspaces};

fn open_in(session: &mut Session, url: &str, workspace: &str) -> TabId {
    let load = Some(PageLoad::by_user(url));
    reduce(session, Event::Open { load, workspace: workspace.to_owned(), background: false, opener: None });
    session.last_id
}

/// Lets the page of a tab go to another site.
fn send(session: &mut Session, tab: TabId, load: Load) -> Vec<Effect> {
    let host = session.tabs[&tab].host().unwrap();
    reduce(session, Event::Page { host, tab, event: PageEvent::Handover(load) })
}

/// Lets the page of a tab commit and finish its load.
fn shown(session: &mut Session, tab: TabId) {
    let (host, url) = (session.tabs[&tab].host().unwrap(), session.tabs[&tab].address().to_owned());
    reduce(session, Event::HostUp(host.clone()));
    reduce(session, Event::Page { host: host.clone(), tab, event: committed(&url) });
    reduce(session, Event::Page { host, tab, event: PageEvent::LoadFinished });
}

#[test]
fn names_are_seen_and_there_once() {
    let mut all = Workspaces::default();
    assert_eq!(all.create(" Work ", None).unwrap(), "work");
    assert_eq!(all.create("Дом", Some(Colour::Green)).unwrap(), "workspace-1");
    assert_eq!(all.create("WORK", None), Err(WorkspaceError::Taken("WORK".to_owned())));
    for bad in ["", "  ", "a\u{202e}b", "a\nb", &"x".repeat(41)] {
        assert!(matches!(all.create(bad, None), Err(WorkspaceError::Name(_))), "{bad:?}");
    }
    all.rename("work", "work").unwrap();
    assert!(all.rename("work", "Default").is_err());
    all.rename("work", "Office").unwrap();
    // A name must not be another's identifier: a command could mean either.
    assert!(matches!(all.create("Work", None), Err(WorkspaceError::Identifier { .. })));
    assert_eq!((all.find("office").unwrap().as_str(), all.find("work").unwrap().as_str()), ("work", "work"));
    assert!(all.rename("none", "None").is_err() && all.recolour("none", Colour::Red).is_err());
    assert!(all.check_delete("").is_err() && all.check_delete("work").is_ok());
    assert!("beige".parse::<Colour>().unwrap_err().to_string().contains("turquoise"));
    let colours: std::collections::BTreeSet<String> = all.all().map(|one| one.colour.to_string()).collect();
    assert_eq!(colours.len(), 3, "each has a colour of its own while there are enough");
}

#[test]
fn throw_away_ones_are_never_saved() {
    let mut all = Workspaces::default();
    let first = all.create_throw_away().unwrap();
    assert_eq!(all.name(&first), "Throw-away");
    assert_eq!(all.set_home("a.test", Some(&first)), Err(WorkspaceError::ThrowAway));
    all.remove(&first);
    let second = all.create_throw_away().unwrap();
    assert_ne!(first, second, "a folder that is being removed must not be used again");
    assert_eq!(all.to_save(), Workspaces::default());
    assert!(!all.note("~9"), "no tab of an earlier run makes one");
}

#[test]
fn each_workspace_has_its_strip() {
    let mut session = Session::default();
    let (a, b) = (open_in(&mut session, "https://a.test/", ""), open_in(&mut session, "https://b.test/", "work"));
    let (c, d) = (open_in(&mut session, "https://c.test/", ""), open_in(&mut session, "https://d.test/", "work"));
    assert_eq!(session.workspace(), "work");
    assert_eq!(session.strip("work").collect::<Vec<_>>(), [b, d]);
    // The place is one in the strip that is seen.
    reduce(&mut session, Event::Move { tab: d, index: 0 });
    assert_eq!(session.strip("work").collect::<Vec<_>>(), [d, b]);
    assert_eq!(session.strip("").collect::<Vec<_>>(), [a, c]);
    reduce(&mut session, Event::Move { tab: d, index: 9 });
    assert_eq!(session.strip("work").collect::<Vec<_>>(), [b, d]);
    // A neighbour is shown next, not a tab of another workspace.
    reduce(&mut session, Event::Activate(b));
    reduce(&mut session, Event::Close { tab: b, ask: false });
    assert_eq!((session.active, session.workspace()), (Some(d), "work"));
    // The last tab of a workspace leads to the tab that was last looked at elsewhere.
    reduce(&mut session, Event::Close { tab: d, ask: false });
    assert_eq!((session.active, session.workspace()), (Some(c), ""));
    assert!(session.workspaces.get("work").is_some(), "the workspace stays");
    reduce(&mut session, Event::ShowWorkspace("work".to_owned()));
    assert_eq!((session.workspace(), session.strip("work").count()), ("work", 1));
    assert_eq!(session.tabs[&session.active.unwrap()].phase, Phase::Blank);
    reduce(&mut session, Event::ShowWorkspace(String::new()));
    assert_eq!(session.active, Some(c));
    reduce(&mut session, Event::ShowWorkspace("none".to_owned()));
    assert_eq!(session.active, Some(c));
}

#[test]
fn closed_tabs_come_back_where_they_were_and_throw_away_ones_never_elsewhere() {
    let mut session = Session::default();
    open_in(&mut session, "https://a.test/", "");
    let thrown = session.workspaces.create_throw_away().unwrap();
    let first = open_in(&mut session, "https://b.test/", &thrown);
    let second = open_in(&mut session, "https://c.test/", &thrown);
    reduce(&mut session, Event::Close { tab: first, ask: false });
    reduce(&mut session, Event::ShowWorkspace(String::new()));
    reduce(&mut session, Event::ReopenClosed);
    assert_eq!(session.strip(&thrown).count(), 1, "nothing of it is seen from another workspace");
    reduce(&mut session, Event::Activate(second));
    reduce(&mut session, Event::ReopenClosed);
    assert_eq!(session.strip(&thrown).count(), 2);
    let tabs: Vec<TabId> = session.strip(&thrown).collect();
    let mut effects = Vec::new();
    for tab in tabs {
        effects.extend(reduce(&mut session, Event::Close { tab, ask: false }));
    }
    assert!(effects.contains(&Effect::WorkspaceEnded(thrown.clone())), "{effects:?}");
    assert!(session.workspaces.get(&thrown).is_none() && session.closed.is_empty());
    assert!(session.hosts.keys().all(|host| host.workspace != thrown));
}

#[test]
fn a_download_keeps_its_throw_away_workspace_until_it_has_ended() {
    let mut session = Session::default();
    open_in(&mut session, "https://a.test/", "");
    let thrown = session.workspaces.create_throw_away().unwrap();
    let tab = open_in(&mut session, "https://b.test/", &thrown);
    let host = session.tabs[&tab].host().unwrap();
    reduce(&mut session, Event::Saving { host: host.clone(), is_saving: true });
    reduce(&mut session, Event::Close { tab, ask: false });
    assert!(session.workspaces.get(&thrown).is_some() && session.hosts.contains_key(&host));
    let effects = reduce(&mut session, Event::Saving { host: host.clone(), is_saving: false });
    assert!(effects.contains(&Effect::WorkspaceEnded(thrown)) && effects.contains(&Effect::UnwantHost(host)));
}

#[test]
fn deleting_a_workspace_takes_its_tabs_and_choices() {
    let mut session = Session::default();
    let work = session.workspaces.create("Work", None).unwrap();
    open_in(&mut session, "https://a.test/", "");
    let closed = open_in(&mut session, "https://b.test/", &work);
    let tab = open_in(&mut session, "https://c.test/", &work);
    reduce(&mut session, Event::Zoom { tab, zoom: 2.0 });
    session.hsts.hear(&work, "https://c.test/", "max-age=1000", 1_000_000);
    session.workspaces.set_home("b.test", Some(&work)).unwrap();
    reduce(&mut session, Event::Close { tab: closed, ask: false });
    let effects = reduce(&mut session, Event::DeleteWorkspace(work.clone()));
    assert!(effects.contains(&Effect::WorkspaceEnded(work.clone())));
    let host = HostKey { site: Site::of("https://c.test/").unwrap(), workspace: work.clone() };
    assert!(effects.contains(&Effect::UnwantHost(host.clone())));
    assert!((session.zooms.of(&host) - 1.0).abs() < 0.01);
    assert_eq!(session.hsts, Hsts::default());
    assert!(session.closed.is_empty() && session.workspaces.home("b.test").is_none());
    assert_eq!((session.workspace(), session.tabs.len()), ("", 1));
    // The only tabs may be those that go.
    let mut session = Session::default();
    let work = session.workspaces.create("Work", None).unwrap();
    open_in(&mut session, "https://b.test/", &work);
    reduce(&mut session, Event::DeleteWorkspace(work));
    assert_eq!(session.tabs.len(), 1, "a window shows something");
    reduce(&mut session, Event::DeleteWorkspace(String::new()));
    assert!(session.workspaces.get("").is_some());
}

#[test]
fn a_site_opens_in_its_workspace() {
    let mut session = Session::default();
    let bank = session.workspaces.create("Bank", None).unwrap();
    session.workspaces.set_home("bank.test", Some(&bank)).unwrap();
    // An empty tab becomes one of that workspace.
    reduce(&mut session, Event::Open { load: None, workspace: String::new(), background: false, opener: None });
    let blank = session.last_id;
    reduce(&mut session, Event::Navigate { tab: blank, load: PageLoad::by_user("https://www.bank.test/in") });
    assert_eq!((session.tabs.len(), session.workspace()), (1, "bank"));
    // A tab with a page stays; the site opens beside it.
    let other = open_in(&mut session, "https://a.test/", "");
    shown(&mut session, other);
    reduce(&mut session, Event::Navigate { tab: other, load: PageLoad::by_user("https://bank.test/") });
    let opened = session.last_id;
    assert_eq!((session.tabs[&opened].workspace.as_str(), session.active), ("bank", Some(opened)));
    assert_eq!(session.tabs[&other].address(), "https://a.test/");
    // A link that the user clicked, too; a page alone opens no tab. The engine has given up the page that was left, which comes
    // back from its snapshot.
    let link = |gesture| Load { user_gesture: gesture, ..from("https://a.test/", "https://bank.test/pay") };
    let count = session.tabs.len();
    let effects = send(&mut session, other, Load { referrer: Some("https://a.test/".to_owned()), ..link(true) });
    assert!(effects.contains(&Effect::GestureUsed(other)), "one click opens one tab");
    assert_eq!((session.tabs.len(), session.tabs[&other].phase.clone()), (count + 1, Phase::Lazy));
    let pending = session.tabs[&session.last_id].pending.clone().unwrap().load;
    assert_eq!((pending.referrer, pending.user_gesture), (None, false));
    reduce(&mut session, Event::Activate(other));
    shown(&mut session, other);
    assert_eq!(session.tabs[&other].address(), "https://a.test/");
    send(&mut session, other, link(false));
    assert_eq!(session.tabs.len(), count + 1);
    assert!(matches!(&session.tabs[&other].phase, Phase::Refused(why) if why.contains("Bank")));
    // In a throw-away workspace every site opens where its user is.
    let thrown = session.workspaces.create_throw_away().unwrap();
    let private = open_in(&mut session, "https://bank.test/", &thrown);
    assert_eq!(session.tabs[&private].workspace, thrown);
    // Without the choice, the site opens anywhere.
    session.workspaces.set_home("bank.test", None).unwrap();
    let last = open_in(&mut session, "https://bank.test/", "");
    assert_eq!(session.tabs[&last].workspace, "");
}

#[test]
fn a_tab_moves_to_another_workspace_without_what_its_pages_left() {
    let mut session = Session::default();
    let work = session.workspaces.create("Work", None).unwrap();
    let tab = open_in(&mut session, "https://a.test/", "");
    shown(&mut session, tab);
    let host = session.tabs[&tab].host().unwrap();
    let snapshot = SavedSnapshot { form: b"secret".to_vec(), ..SavedSnapshot::default() };
    reduce(&mut session, Event::Snapshot { host: host.clone(), tab, snapshot });
    reduce(&mut session, Event::MoveToWorkspace { tab, workspace: work.clone() });
    let moved = session.active.unwrap();
    assert_ne!(moved, tab);
    let shown = &session.tabs[&moved];
    assert_eq!((shown.workspace.as_str(), shown.address()), ("work", "https://a.test/"));
    assert_eq!(shown.segment().snapshot, SavedSnapshot::default());
    assert_ne!(shown.host(), Some(host));
    reduce(&mut session, Event::MoveToWorkspace { tab: moved, workspace: "none".to_owned() });
    assert_eq!(session.active, Some(moved));
}

#[test]
fn a_workspace_that_a_tab_names_exists() {
    let mut session = Session::default();
    open_in(&mut session, "https://a.test/", "shop");
    assert_eq!(session.workspaces.name("shop"), "shop");
    let saved: Vec<SavedTab> = session.tabs.values().map(SavedTab::from).collect();
    let mut later = Session::default();
    let effects = reduce(&mut later, Event::Restore { tabs: saved, active: 0 });
    assert!(later.workspaces.get("shop").is_some() && effects.contains(&Effect::WorkspacesChanged));
}

#[test]
fn servers_that_send_a_load_from_workspace_to_workspace_open_no_tabs_for_ever() {
    let mut session = Session::default();
    let [one, two] = ["One", "Two"].map(|name| session.workspaces.create(name, None).unwrap());
    session.workspaces.set_home("a.test", Some(&one)).unwrap();
    session.workspaces.set_home("b.test", Some(&two)).unwrap();
    let mut tab = open_in(&mut session, "https://a.test/", "");
    for (at, url) in ["https://b.test/", "https://a.test/"].iter().cycle().take(50).enumerate() {
        let Some(host) = session.tabs.get(&tab).and_then(Tab::host) else { break };
        reduce(&mut session, Event::HostUp(host));
        let sent = Load { continues: true, user_gesture: true, ..from("https://a.test/", url) };
        send(&mut session, tab, sent);
        tab = session.active.unwrap();
        assert!(session.tabs.len() <= 3, "hop {at}");
    }
}

#[test]
fn a_popup_of_a_page_goes_home_as_a_link_does() {
    let mut session = Session::default();
    let bank = session.workspaces.create("Bank", None).unwrap();
    session.workspaces.set_home("bank.test", Some(&bank)).unwrap();
    let tab = open_in(&mut session, "https://a.test/", "");
    shown(&mut session, tab);
    let host = session.tabs[&tab].host().unwrap();
    let popup = PopupOpened { token: 1, url: "about:blank".to_owned(), user_gesture: true };
    reduce(&mut session, Event::Page { host: host.clone(), tab, event: PageEvent::PopupOpened(popup) });
    let popup = session.last_id;
    let load = Load { method: form("secret"), user_gesture: true, ..from("https://a.test/", "https://bank.test/") };
    reduce(&mut session, Event::Page { host, tab: popup, event: PageEvent::Handover(load) });
    assert!(!session.tabs.contains_key(&popup), "the empty popup is closed");
    let opened = &session.tabs[&session.active.unwrap()];
    assert_eq!((opened.workspace.as_str(), opened.segment().url.as_str()), ("bank", "https://bank.test/"));
    assert_eq!(opened.pending.clone().unwrap().load.method, Method::Get, "the form stays behind");
}

#[test]
fn the_identifier_of_a_deleted_workspace_is_not_used_again_while_something_of_it_is_left() {
    let mut session = Session::default();
    let work = session.workspaces.create("Work", None).unwrap();
    open_in(&mut session, "https://a.test/", "");
    open_in(&mut session, "https://b.test/", &work);
    let closed = open_in(&mut session, "https://c.test/", "");
    reduce(&mut session, Event::Close { tab: closed, ask: false });
    reduce(&mut session, Event::ShowWorkspace(work.clone()));
    reduce(&mut session, Event::DeleteWorkspace(work.clone()));
    assert_eq!(session.closed.len(), 1, "closed tabs of others stay");
    assert_eq!(session.workspaces.removing().collect::<Vec<_>>(), ["work"]);
    assert_ne!(session.workspaces.create("Work", None).unwrap(), work);
    assert!(!session.workspaces.note(&work));
    session.workspaces.removed(&work);
    assert_eq!(session.workspaces.removing().count(), 0);
}
