use super::*;
use crate::chunks::ChunkRecord;
use crate::codec::Record;
use crate::database::now;
use crate::mirror::COMMON;
use crate::saved::{DNS, Meta, ROUTES, WorkspaceLevels};
use regen_net_config::settings::permissions::{KeptPermission, PermissionKind};
use regen_net_config::settings::scope::Scope;
use regen_net_config::settings::shields::Level;
use regen_net_config::site::Site;
use regen_session::workspaces::Colour;
use regen_session::{Event, HostKey, PageLoad, SavedSegment, SavedSnapshot, SavedTab, Session, Workspaces, reduce};

mod golden;
mod workspaces;

fn tab(id: u64) -> SavedTab {
    let segment = SavedSegment {
        site: "http://127.0.0.1".into(),
        url: format!("http://127.0.0.1/{id}"),
        title: "t".into(),
        can_go_back: false,
        can_go_forward: false,
        snapshot: SavedSnapshot { session_state: vec![1, 2, 3], ..SavedSnapshot::default() },
    };
    SavedTab {
        id,
        workspace: String::new(),
        segments: vec![segment],
        current: 0,
        zoom: 1.0,
        muted: false,
        pinned: false,
    }
}

pub(crate) fn visit(id: u64) -> SavedVisit {
    SavedVisit {
        id,
        at: 1_790_000_000,
        url: "https://example.org/".into(),
        title: "Example".into(),
        typed: true,
        ..SavedVisit::default()
    }
}

pub(crate) fn opened(profile: &Path) -> OpenStore {
    open(profile, Vault::of_profile(profile).unwrap()).unwrap()
}

/// Opens sled without a browser.
fn database(profile: &Path) -> sled::Db {
    (0..5000).find_map(|_| sled::open(sled_path(profile)).ok()).unwrap()
}

fn cookies(site: &str) -> Cookies {
    Cookies { workspace: String::new(), site: site.to_owned(), cookies: b"secret".to_vec() }
}

#[test]
fn the_next_start_finds_the_last_session_in_order() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    assert_eq!(first.previous, []);
    for id in [1, 2, 3] {
        first.store.put_tab(tab(id));
    }
    first.store.forget_tab(2);
    first.store.put_order(SavedOrder { order: vec![3, 1], active: 3 });
    first.store.put_cookies(cookies("http://127.0.0.1"));
    first.store.put_session_settings(SessionSettings { restore: true });
    first.store.flush(false).unwrap();
    drop(first);
    let again = opened(profile.path());
    let previous = again.previous[0].clone();
    assert_eq!(previous.tabs.iter().map(|t| t.id).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(
        (previous.cookies.as_slice(), again.settings.session.restore),
        ([cookies("http://127.0.0.1")].as_slice(), true)
    );
    assert!(!previous.clean && !previous.dismissed && previous.saved_at > 0 && !previous.is_stale());
    again.store.answered(previous.epoch, false);
    again.store.flush(true).unwrap();
    drop(again.store);
    let third = opened(profile.path());
    assert!(third.previous[0].dismissed, "it can still be had");
    third.store.answered(previous.epoch, true);
    third.store.flush(true).unwrap();
    drop(third.store);
    assert_eq!(opened(profile.path()).previous, [], "all of it is in a later session");
}

/// Returns the sizes of a session's files by name.
fn files_of(profile: &Path, session: &str) -> std::collections::BTreeMap<String, u64> {
    let listed = std::fs::read_dir(mirror::files(profile).join(session)).unwrap().flatten();
    listed.map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().len())).collect()
}

#[test]
fn each_entry_of_a_history_is_written_once_and_goes_with_its_tab() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    let mut grown = tab(1);
    for number in 0..5_u8 {
        let mut segment = grown.segments[0].clone();
        segment.snapshot.session_state = vec![number; 100_000];
        grown.segments.push(segment);
        first.store.put_tab(grown.clone());
        first.store.flush(false).unwrap();
    }
    let files = files_of(profile.path(), "session-1");
    let sizes: Vec<u64> =
        files.iter().filter(|(name, _)| name.starts_with("entry-1-")).map(|(_, size)| *size).collect();
    assert!(sizes.len() == 5 && sizes.iter().all(|size| (100_000..101_000).contains(size)), "{files:?}");
    assert!(files["history-1"] < 2000, "{files:?}");
    // An entry that the user stepped back from before going elsewhere.
    grown.segments.pop();
    first.store.put_tab(grown.clone());
    first.store.put_tab(tab(2));
    first.store.flush(false).unwrap();
    assert_eq!(files_of(profile.path(), "session-1").len(), files.len(), "a tab came, and an entry went");
    drop(first);
    let again = opened(profile.path());
    assert_eq!(again.previous[0].tabs, [grown, tab(2)]);
    again.store.put_tab(tab(2));
    let mut heavy = tab(3);
    heavy.segments[0].snapshot.form = vec![b'x'; 50_000];
    again.store.put_tab(heavy);
    again.store.flush(false).unwrap();
    assert!(files_of(profile.path(), "session-2").keys().any(|name| name.starts_with("entry-3-")));
    again.store.forget_tab(3);
    again.store.flush(false).unwrap();
    let left: Vec<String> = files_of(profile.path(), "session-2").into_keys().collect();
    assert_eq!(left, ["history-2", "meta"]);
}

#[test]
fn the_newest_state_of_a_tab_is_kept_however_all_is_saved() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    for zoom in 1..50_u8 {
        let newest = SavedTab { zoom: f64::from(zoom), ..tab(1) };
        first.store.put_everything(vec![tab(1)], SavedOrder { order: vec![1], active: 1 }, Vec::new());
        first.store.put_tab(newest);
    }
    first.store.flush(false).unwrap();
    drop(first);
    assert_eq!(opened(profile.path()).previous[0].tabs[0].zoom, 49.0);
}

#[test]
fn tabs_of_builds_that_kept_a_history_in_one_record_come_back() {
    let profile = tempfile::tempdir().unwrap();
    drop(opened(profile.path()));
    let folder = mirror::files(profile.path()).join("session-1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("tab-7"), include_bytes!("golden/v2-tab.record")).unwrap();
    std::fs::write(folder.join("meta"), codec::encode(2, &Meta { saved_at: now(), ..Meta::default() }).unwrap())
        .unwrap();
    let tabs = opened(profile.path()).previous.remove(0).tabs;
    assert_eq!(tabs.iter().map(|tab| tab.id).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_damaged_copy_costs_nothing() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    (1..4).for_each(|id| first.store.put_tab(tab(id)));
    first.store.put_order(SavedOrder { order: vec![1, 2, 3], active: 1 });
    first.store.flush(false).unwrap();
    drop(first);
    // In sled: garbage, and a record of a later build. In the files: a flipped bit, and a missing file.
    let database = database(profile.path());
    let tree = database.open_tree("session-1").unwrap();
    tree.insert("history-1", b"something else entirely").unwrap();
    let mut newer = tree.get("history-2").unwrap().unwrap().to_vec();
    newer[4] = 9;
    tree.insert("history-2", newer).unwrap();
    database.flush().unwrap();
    drop((tree, database));
    let file = mirror::files(profile.path()).join("session-1/history-3");
    let mut flipped = std::fs::read(&file).unwrap();
    *flipped.last_mut().unwrap() ^= 4;
    std::fs::write(&file, flipped).unwrap();
    std::fs::remove_file(mirror::files(profile.path()).join("session-1/order")).unwrap();
    let again = opened(profile.path());
    assert_eq!((again.warning, again.previous[0].tabs.len()), (None, 3));
}

#[test]
fn a_closed_tab_does_not_come_back_with_an_older_sled() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    (1..4).for_each(|id| first.store.put_tab(tab(id)));
    first.store.put_order(SavedOrder { order: vec![1, 2, 3], active: 1 });
    first.store.flush(false).unwrap();
    let closed = std::fs::read(mirror::files(profile.path()).join("session-1/history-2")).unwrap();
    first.store.forget_tab(2);
    first.store.put_order(SavedOrder { order: vec![1, 3], active: 1 });
    // A tab that was opened since, and whose place was not saved yet.
    first.store.put_tab(tab(4));
    first.store.flush(false).unwrap();
    drop(first);
    let database = database(profile.path());
    database.open_tree("session-1").unwrap().insert("history-2", closed).unwrap();
    database.flush().unwrap();
    drop(database);
    let again = opened(profile.path());
    assert_eq!(again.previous[0].tabs.iter().map(|tab| tab.id).collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn a_sled_that_cannot_be_opened_is_moved_aside_and_its_session_comes_back() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    (1..4).for_each(|id| first.store.put_tab(tab(id)));
    first.store.flush(false).unwrap();
    drop(first);
    drop(database(profile.path()));
    for entry in std::fs::read_dir(sled_path(profile.path())).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            std::fs::write(entry.path(), b"garbage").unwrap();
        }
    }
    let again = opened(profile.path());
    assert!(again.warning.unwrap().contains("store.unreadable-"));
    assert_eq!(again.previous[0].tabs.len(), 3);
}

/// The lost servers may have been chosen to avoid this machine's own.
#[test]
fn name_servers_that_cannot_be_read_leave_nobody_to_ask() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    assert_eq!(first.settings.dns, DnsSettings::default(), "the control: servers that were never chosen");
    let chosen = DnsSettings { servers: "tls://9.9.9.9".parse().unwrap(), dnssec: false };
    first.store.put_dns(chosen.clone());
    first.store.flush(false).unwrap();
    drop(first);
    assert_eq!(opened(profile.path()).settings.dns, chosen);
    let database = database(profile.path());
    database.open_tree(COMMON).unwrap().insert(DNS, b"nonsense").unwrap();
    database.flush().unwrap();
    drop(database);
    std::fs::write(mirror::files(profile.path()).join(COMMON).join(DNS), b"").unwrap();
    for what in ["found", "remembered"] {
        let again = opened(profile.path());
        assert_eq!(again.settings.dns.servers.to_string(), "block", "{what}");
        assert_eq!(again.warning.is_some_and(|text| text.contains("No name server is asked")), what == "found");
        again.store.flush(false).unwrap();
    }
}

/// The lost routes may have kept connections from going out directly.
#[test]
fn routes_that_cannot_be_read_let_nothing_out() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    assert_eq!(first.settings.routes, RouteSettings::default(), "the control: routes that were never chosen");
    let mut routes = RouteSettings::default();
    routes.choose(Scope::Everywhere, Some("tor".parse().unwrap()));
    first.store.put_routes(&routes);
    first.store.flush(false).unwrap();
    drop(first);
    let database = database(profile.path());
    database.open_tree(COMMON).unwrap().insert(ROUTES, b"nonsense").unwrap();
    database.flush().unwrap();
    drop(database);
    std::fs::write(mirror::files(profile.path()).join(COMMON).join(ROUTES), b"").unwrap();
    for what in ["found", "remembered"] {
        let again = opened(profile.path());
        assert_eq!(again.settings.routes.everywhere.to_string(), "block", "{what}");
        assert_eq!(again.warning.is_some_and(|text| text.contains("Nothing leaves")), what == "found");
        again.store.flush(false).unwrap();
    }
}

#[test]
fn what_is_damaged_in_both_places_is_kept_aside_and_the_rest_comes_back() {
    let profile = tempfile::tempdir().unwrap();
    let first = opened(profile.path());
    (1..4).for_each(|id| first.store.put_tab(tab(id)));
    first.store.flush(false).unwrap();
    drop(first);
    let database = database(profile.path());
    database.open_tree("session-1").unwrap().insert("history-1", b"nonsense").unwrap();
    database.flush().unwrap();
    drop(database);
    std::fs::write(mirror::files(profile.path()).join("session-1/history-1"), b"").unwrap();
    let again = opened(profile.path());
    let warning = again.warning.unwrap();
    assert!(warning.contains("history-1") && warning.contains("store.unreadable-"), "{warning}");
    assert_eq!(again.previous[0].tabs.len(), 2);
}

/// Simulates days of use with a hundred tabs, each saved every ten seconds while it is active: the store stays below 50
/// MB.
#[test]
fn a_week_of_use_does_not_make_it_grow() {
    let profile = tempfile::tempdir().unwrap();
    let size = || -> u64 {
        let mut folders = vec![profile.path().to_path_buf()];
        let mut sum = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.metadata() {
                    Ok(data) if data.is_dir() => folders.push(entry.path()),
                    Ok(data) => sum += data.len(),
                    Err(_) => {}
                }
            }
        }
        sum
    };
    let mut random = fastrand::Rng::with_seed(1);
    let mut state: Vec<u8> = (0..4000).map(|_| random.u8(..)).collect();
    let mut sizes = Vec::new();
    for day in 0..7 {
        let opened = opened(profile.path());
        // The first day is simulated in full.
        for change in 0..if day == 0 { 8640_u64 } else { 1000 } {
            let mut tab = tab(change % 100 + 1);
            state[random.usize(0..4000)] = random.u8(..);
            tab.segments[0].snapshot.session_state.clone_from(&state);
            opened.store.put_tab(tab);
            if change % 500 == 0 {
                opened.store.flush(false).unwrap();
            }
        }
        opened.store.flush(true).unwrap();
        for saved in &opened.previous {
            opened.store.answered(saved.epoch, true);
        }
        opened.store.flush(true).unwrap();
        sizes.push(size() >> 20);
    }
    println!("MB after each day: {sizes:?}");
    assert!(sizes.iter().all(|megabytes| *megabytes < 50), "{sizes:?} MB");
}

#[test]
fn vpn_profiles_survive_a_start_without_their_key() {
    let profile = tempfile::tempdir().unwrap();
    let import = |settings: &mut VpnSettings, name: &str| {
        let config = "[Interface]\nPrivateKey = AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nAddress = 10.0.0.2/32\n\
                      [Peer]\nPublicKey = AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nAllowedIPs = 0.0.0.0/0\n\
                      Endpoint = 192.0.2.1:51820\n";
        let change = regen_net_config::settings::vpn::VpnChange::Import {
            name: name.into(),
            config: config.into(),
            replace: false,
        };
        settings.change(change).unwrap();
    };
    let first = opened(profile.path());
    let mut settings = VpnSettings::default();
    import(&mut settings, "home");
    first.store.put_vpn(settings.clone());
    first.store.flush(true).unwrap();
    drop(first);
    // The Secret Service is unavailable: another key is used, and another profile is imported.
    let key = profile.path().join("secret.key");
    let away = profile.path().join("key.away");
    std::fs::rename(&key, &away).unwrap();
    for _ in 0..2 {
        let without = opened(profile.path());
        assert_eq!(without.settings.vpn, VpnSettings::default());
        assert!(without.warning.as_deref().unwrap().contains("cannot be decrypted"), "{:?}", without.warning);
        drop(without);
    }
    let without = opened(profile.path());
    let mut meanwhile = VpnSettings::default();
    import(&mut meanwhile, "work");
    without.store.put_vpn(meanwhile.clone());
    without.store.flush(true).unwrap();
    drop(without);
    let others = opened(profile.path());
    assert_eq!(others.settings.vpn, meanwhile);
    drop(others);
    // The key is back.
    std::fs::rename(&away, &key).unwrap();
    let back = opened(profile.path());
    assert!(back.settings.vpn.profiles.contains_key("home"), "{:?}", back.settings.vpn);
    assert!(back.warning.is_some(), "the other key's are kept in turn");
}

#[test]
fn large_states_that_come_and_go_are_given_back_to_the_disk() {
    let profile = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let opened_once = opened(profile.path());
    for change in 0..80_u64 {
        let mut tab = tab(change % 4 + 1);
        tab.segments[0].snapshot.session_state = std::iter::repeat_with(|| random.u8(..)).take(2 << 20).collect();
        opened_once.store.put_tab(tab);
        // Each change reaches the disk.
        opened_once.store.flush(false).unwrap();
    }
    opened_once.store.flush(true).unwrap();
    let size = || {
        let all = std::fs::read_dir(sled_path(profile.path())).unwrap().flatten();
        let files = all.flat_map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => {
                std::fs::read_dir(entry.path()).unwrap().flatten().map(|file| file.metadata().unwrap().len()).collect()
            }
            Ok(data) => vec![data.len()],
            Err(_) => Vec::new(),
        });
        files.sum::<u64>() >> 20
    };
    // 160 MB were written, and 8 MB are kept.
    assert!(size() < 100, "{} MB while it runs", size());
    drop(opened_once);
    let again = opened(profile.path());
    assert_eq!(again.previous[0].tabs.len(), 4);
    assert!(again.previous[0].tabs.iter().all(|tab| tab.state_size() == 2 << 20), "nothing is lost");
    assert!(size() < 100, "{} MB after the next start", size());
}

#[test]
fn a_tab_waits_for_the_disk_once_however_often_it_changes() {
    let profile = tempfile::tempdir().unwrap();
    let opened_once = opened(profile.path());
    for change in 0..10_000 {
        let mut tab = tab(1);
        tab.segments[0].title = change.to_string();
        opened_once.store.put_tab(tab);
        assert!(opened_once.store.waiting.tabs().len() <= 1);
    }
    opened_once.store.flush(true).unwrap();
    drop(opened_once);
    assert_eq!(opened(profile.path()).previous[0].tabs[0].segments[0].title, "9999", "the last one counts");
}
