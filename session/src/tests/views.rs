//! Views of a host: a few start at a time, and none waits forever.

use super::*;

const BEHIND: usize = 60;

fn open_behind(session: &mut Session) -> Vec<TabId> {
    let opened = (0..BEHIND).flat_map(|_| {
        let load = Some(PageLoad::by_user(A));
        let effects = reduce(session, Event::Open { load, workspace: String::new(), background: true, opener: None });
        views_opened(&effects)
    });
    opened.collect()
}

#[test]
fn tabs_that_are_opened_at_once_start_a_few_at_a_time() {
    let mut session = Session::default();
    loaded(&mut session, A);
    let opened = open_behind(&mut session);
    assert_eq!(opened.len(), 8);
    assert_eq!(starts_in_turn(&mut session, opened).len(), BEHIND, "and all of them in the end");
}

#[test]
fn a_tab_that_is_looked_at_does_not_wait() {
    let mut session = Session::default();
    loaded(&mut session, A);
    open_behind(&mut session);
    let last = *session.order.last().unwrap();
    assert!(!session.tabs[&last].view);
    let effects = reduce(&mut session, Event::Activate(last));
    assert_eq!(views_opened(&effects), [last]);
}

#[test]
fn tabs_that_are_closed_or_leave_before_they_start_make_room() {
    let mut session = Session::default();
    loaded(&mut session, A);
    let opened = open_behind(&mut session);
    let mut next = Vec::new();
    for (number, tab) in opened.into_iter().enumerate() {
        let event = if number % 2 == 0 {
            Event::Close { tab, ask: false }
        } else {
            Event::Navigate { tab, load: PageLoad::by_user(B) }
        };
        next.extend(views_opened(&reduce(&mut session, event)));
    }
    assert_eq!(next.len(), 8);
}

#[test]
fn nobody_waits_for_a_view_of_a_process_that_died() {
    let mut session = Session::default();
    loaded(&mut session, A);
    open_behind(&mut session);
    reduce(&mut session, Event::HostDied { host: key(A), reason: "killed".into(), given_up: false });
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    assert_eq!(starts_in_turn(&mut session, views_opened(&effects)).len(), BEHIND + 1, "none of them was lost");
}

#[test]
fn a_sleeping_tab_that_is_shown_because_its_neighbour_died_while_it_closed_gets_a_process() {
    let mut session = Session::default();
    let (closing, sleeping) = (loaded(&mut session, A), loaded(&mut session, A));
    reduce(&mut session, Event::Activate(closing));
    let tab = session.tabs.get_mut(&sleeping).unwrap();
    (tab.phase, tab.view) = (Phase::Lazy, false);
    reduce(&mut session, Event::Close { tab: closing, ask: true });
    reduce(&mut session, Event::HostDied { host: key(A), reason: "killed".into(), given_up: false });
    assert_eq!(session.active, Some(sleeping));
    assert_eq!(session.hosts.get(&key(A)), Some(&HostPhase::Starting));
    let effects = reduce(&mut session, Event::HostUp(key(A)));
    assert_eq!(views_opened(&effects), [sleeping]);
}
