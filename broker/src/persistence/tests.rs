//! The persistence component on a real store, without processes.

use std::path::Path;

use regen_net_config::site::Site;
use regen_session::{Event as SessionEvent, HostKey, PageLoad, Session, reduce};
use regen_store::Settings;
use regen_store::secrets::Vault;
use tokio::sync::mpsc;

use super::{Event, Persistence};

fn open(profile: &Path) -> (Persistence, mpsc::Receiver<Event>) {
    let vault = Vault::of_profile(profile).unwrap();
    let opened = regen_store::open(profile, vault).unwrap();
    let (events, received) = mpsc::channel(4);
    (Persistence::new(opened.store, opened.previous, "a file", events), received)
}

fn tab(session: &mut Session, url: &str) -> u64 {
    let load = Some(PageLoad::by_user(url));
    reduce(session, SessionEvent::Open { load, workspace: String::new(), background: false, opener: None });
    *session.order.last().unwrap()
}

#[tokio::test]
async fn changes_of_a_moment_are_saved_once_and_come_back() {
    let profile = tempfile::tempdir().unwrap();
    let mut session = Session::default();
    let (mut persistence, mut events) = open(profile.path());
    let id = tab(&mut session, "https://a.test/x");
    for _ in 0..50 {
        persistence.tab_changed(id);
    }
    persistence.order_changed(&session);
    assert_eq!(events.recv().await, Some(Event::Save));
    assert!(events.try_recv().is_err(), "one save for all of them");
    persistence.save(&session, false);
    let host = HostKey { site: Site::of("https://a.test/").unwrap(), workspace: String::new() };
    persistence.keep_cookies(host.clone(), b"cookie".to_vec());
    persistence.flush(false).unwrap();
    drop(persistence);

    let (mut persistence, _events) = open(profile.path());
    assert_eq!(persistence.restored_by_itself(), None, "it did not end by the user's wish");
    let offer = persistence.offer().unwrap();
    assert_eq!((offer.tabs, offer.choices.len()), (1, 1));
    assert_eq!(persistence.cookies(&host), None, "they come back with the session, not before");
    let back = persistence.answered(offer.session, true, &[]).unwrap();
    assert!(back.is_all && back.tabs.len() == 1);
    assert_eq!(persistence.cookies(&host), Some(b"cookie".as_slice()));
    persistence.restored(&session, back.session, back.is_all);
    assert!(persistence.offered().is_none() && persistence.answered(back.session, true, &[]).is_none());
}

#[tokio::test]
async fn a_dismissed_session_is_not_offered_but_can_still_be_had() {
    let profile = tempfile::tempdir().unwrap();
    let mut session = Session::default();
    let (mut persistence, _events) = open(profile.path());
    let id = tab(&mut session, "https://a.test/x");
    persistence.tab_changed(id);
    persistence.save(&session, true);
    persistence.order_changed(&session);
    persistence.flush(true).unwrap();
    drop(persistence);

    let (mut persistence, _events) = open(profile.path());
    persistence.set_restores(true);
    let epoch = persistence.restored_by_itself().expect("it ended cleanly, and the user wants it");
    assert!(persistence.answered(epoch, false, &[]).unwrap().tabs.is_empty());
    assert!(persistence.offered().is_none() && persistence.restored_by_itself().is_none());
    assert_eq!(persistence.offer_again().map(|offer| offer.session), Some(epoch));
    assert_eq!(persistence.check_store(&session, Settings::default), super::StoreCheck::default());
}
