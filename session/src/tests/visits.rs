//! Pages that belong in the history.

use super::*;

fn visits(effects: &[Effect]) -> Vec<(bool, bool)> {
    let visit = |effect: &Effect| {
        if let Effect::Visited { typed, same_document, .. } = effect { Some((*typed, *same_document)) } else { None }
    };
    effects.iter().filter_map(visit).collect()
}

fn moved(url: &str) -> PageEvent {
    PageEvent::Committed(Committed { url: url.into(), same_document: true, ..Committed::default() })
}

#[test]
fn a_page_is_visited_when_it_commits_and_not_again_by_a_reload_or_a_restore() {
    let mut session = Session::default();
    let (tab, effects) = open(&mut session, A);
    assert_eq!(visits(&effects), [], "nothing is shown yet");
    reduce(&mut session, Event::HostUp(key(A)));
    assert_eq!(visits(&page(&mut session, A, tab, committed(A))), [(true, false)]);
    reduce(&mut session, Event::Reload { tab, bypass_cache: false });
    assert_eq!(visits(&page(&mut session, A, tab, committed(A))), []);
    reduce(&mut session, Event::HostDied { host: key(A), reason: "killed".into(), given_up: false });
    reduce(&mut session, Event::HostUp(key(A)));
    assert_eq!(visits(&page(&mut session, A, tab, committed(A))), []);
}

#[test]
fn a_link_is_a_visit_that_nobody_typed_and_a_part_of_a_page_is_none() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let next = "http://127.0.0.1:8000/next";
    assert_eq!(visits(&page(&mut session, A, tab, committed(next))), [(false, false)]);
    assert_eq!(visits(&page(&mut session, A, tab, moved("http://127.0.0.1:8000/next#part"))), []);
    assert_eq!(visits(&page(&mut session, A, tab, moved("http://127.0.0.1:8000/app?view=2"))), [(false, true)]);
    let titled = page(&mut session, A, tab, PageEvent::Title("t".into()));
    assert!(titled.contains(&Effect::Titled(tab)));
}
