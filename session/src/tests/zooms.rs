//! Zoom of sites.

use super::*;

fn zooms(effects: &[Effect]) -> Vec<(TabId, f64)> {
    let one = |effect: &Effect| {
        if let Effect::Send { tab, command: HostCommand::Zoom(zoom), .. } = effect { Some((*tab, *zoom)) } else { None }
    };
    effects.iter().filter_map(one).collect()
}

#[test]
fn zoom_holds_for_all_tabs_of_a_site_and_for_later_ones() {
    let mut session = Session::default();
    let (first, second, other) = (loaded(&mut session, A), loaded(&mut session, A), loaded(&mut session, B));
    let effects = reduce(&mut session, Event::Zoom { tab: first, zoom: 1.5 });
    assert_eq!(zooms(&effects), [(first, 1.5), (second, 1.5)]);
    assert!(effects.contains(&Effect::ZoomsChanged));
    assert!((session.tabs[&other].zoom - 1.0).abs() < 0.001);
    let (later, effects) = open(&mut session, A);
    assert_eq!(zooms(&effects), [(later, 1.5)]);
    let again = reduce(&mut session, Event::Zoom { tab: later, zoom: 1.5 });
    assert!(!again.contains(&Effect::ZoomsChanged), "nothing to save");
    // The same site in another workspace.
    let load = Some(PageLoad::by_user(A));
    reduce(&mut session, Event::Open { load, workspace: "work".into(), background: false, opener: None });
    reduce(&mut session, Event::HostUp(HostKey { workspace: "work".into(), ..key(A) }));
    assert!((session.tabs[&session.last_id].zoom - 1.0).abs() < 0.001);
}

#[test]
fn a_tab_takes_the_zoom_of_the_site_that_it_goes_to() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::Zoom { tab, zoom: 9.0 });
    assert!((session.tabs[&tab].zoom - 5.0).abs() < 0.001, "five times at most");
    let effects = reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user(B) });
    let up = reduce(&mut session, Event::HostUp(key(B)));
    assert_eq!((zooms(&effects), zooms(&up)), (Vec::new(), Vec::new()));
    page(&mut session, B, tab, committed(B));
    assert!((session.tabs[&tab].zoom - 1.0).abs() < 0.001);
    // Back on the first site.
    reduce(&mut session, Event::Navigate { tab, load: PageLoad::by_user(A) });
    let up = reduce(&mut session, Event::HostUp(key(A)));
    assert_eq!(zooms(&up), [(tab, 5.0)]);
}

#[test]
fn steps_are_counted_from_what_the_zoom_is_by_then() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let mut by = |steps| {
        reduce(&mut session, Event::ZoomBy { tab, steps });
        session.tabs[&tab].zoom
    };
    assert_eq!([by(1), by(1), by(1), by(-1), by(-2), by(100), by(-100)], [1.1, 1.25, 1.5, 1.25, 1.0, 5.0, 0.25]);
}

#[test]
fn a_popup_begins_with_its_sites_zoom_and_is_zoomed_alone() {
    let mut session = Session::default();
    let opener = loaded(&mut session, A);
    reduce(&mut session, Event::Zoom { tab: opener, zoom: 1.5 });
    let mut popup = |url: &str| {
        let opened = PopupOpened { token: 1, url: url.into(), user_gesture: true };
        let effects = page(&mut session, A, opener, PageEvent::PopupOpened(opened));
        (session.last_id, zooms(&effects))
    };
    let (same, sent) = popup(A);
    assert_eq!(sent, [(same, 1.5)]);
    let (blank, sent) = popup("about:blank");
    assert_eq!(sent, []);
    assert_eq!(zooms(&reduce(&mut session, Event::ZoomBy { tab: blank, steps: 1 })), [(blank, 1.1)]);
    assert_eq!([session.tabs[&opener].zoom, session.tabs[&same].zoom], [1.5, 1.5]);
}

#[test]
fn clearing_a_site_forgets_its_zoom() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::Zoom { tab, zoom: 2.0 });
    assert!(reduce(&mut session, Event::ClearSite(key(A))).contains(&Effect::ZoomsChanged));
    assert_eq!(session.zooms, Zooms::default());
}
