//! Damaged or unusable disks, folders and files: nothing is lost, and the error says what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;

use regen_store::secrets::Vault;
use regen_tests::{Browser, Site, eventually};
use rustix::process::Signal;

fn site() -> Site {
    Site::pages(&[("/", "<title>kept</title><p>page</p>")])
}

#[test]
fn a_store_that_cannot_be_read_is_moved_aside_and_the_browser_starts() {
    let (site, browser) = (site(), Browser::headless());
    browser.open(&site.url(1, "/"));
    browser.quit();
    let store = browser.profile().join("store");
    let mut damaged = 0;
    for entry in fs::read_dir(&store).unwrap().flatten() {
        if entry.path().is_file() {
            fs::write(entry.path(), b"this was never a store").unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0);
    browser.start();
    let status = browser.status();
    let warning = status["warnings"][0].as_str().unwrap();
    assert!(warning.contains("could not be read") && warning.contains("store.unreadable-"), "{warning}");
    let aside = fs::read_dir(browser.profile()).unwrap().flatten();
    let kept = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("store.unreadable-")).count();
    assert_eq!(kept, 1, "the unreadable store was not kept");
    let findings = browser.regen(&["--json", "doctor"]).unwrap_err();
    assert_eq!(findings.code, 1);
    browser.open(&site.url(1, "/"));
}

#[test]
fn a_profile_in_use_is_a_clear_error() {
    let browser = Browser::headless();
    // Without the socket, the command line starts a second broker instead of talking to the first.
    fs::remove_file(find_socket(&browser)).unwrap();
    let failed = browser.try_start().unwrap_err();
    assert!(failed.message.contains("is in use by process"), "{}", failed.message);
    regen_tests::process::signal(pid_of_lock(&browser), Signal::KILL);
}

fn pid_of_lock(browser: &Browser) -> i32 {
    fs::read_to_string(browser.profile().join("lock")).unwrap().trim().parse().unwrap()
}

fn find_socket(browser: &Browser) -> std::path::PathBuf {
    let runtime = browser.profile().parent().unwrap().join("regen");
    let folder = fs::read_dir(runtime).unwrap().flatten().next().unwrap().path();
    folder.join("control.sock")
}

#[test]
fn a_profile_of_somebody_else_is_a_clear_error() {
    if !rustix::process::geteuid().is_root() {
        // Only root can change a folder's owner.
        return;
    }
    let browser = Browser::not_started(&["--headless"]);
    fs::create_dir_all(browser.profile()).unwrap();
    std::os::unix::fs::chown(browser.profile(), Some(4321), Some(4321)).unwrap();
    let failed = browser.try_start().unwrap_err();
    assert!(failed.message.contains("belongs to user 4321"), "{}", failed.message);
}

#[test]
fn a_profile_that_cannot_be_made_is_a_clear_error() {
    let browser = Browser::not_started(&["--headless"]);
    fs::write(browser.profile(), "a file, not a folder").unwrap();
    let failed = browser.try_start().unwrap_err();
    assert!(failed.message.contains("cannot use the profile"), "{}", failed.message);
}

#[test]
fn two_thousand_tabs_come_back_lazily() {
    let (site, browser) = (site(), Browser::headless());
    let urls: Vec<String> = (0..2000).map(|number| site.url(1, &format!("/?{number}"))).collect();
    // The session is written directly, as opening 2000 tabs would take too long.
    browser.open(&site.url(1, "/"));
    let epoch = browser.profile().join("store");
    assert!(epoch.exists());
    browser.quit();
    write_session(&browser, &urls);
    browser.start();
    assert_eq!(browser.json(&["session", "list"])["saved"]["tabs"], 2000);
    browser.regen(&["session", "restore"]).unwrap();
    let status = browser.status();
    let tabs = status["tabs"].as_array().unwrap();
    assert_eq!(tabs.len(), 2000);
    assert_eq!(tabs.iter().filter(|tab| tab["state"] == "lazy").count(), 1999);
    eventually("the active tab to load", || {
        let status = browser.status();
        status["tabs"].as_array()?.iter().any(|tab| tab["state"] == "ready").then_some(())
    });
    assert_eq!(browser.pids_of("tab-host").len(), 1);
}

/// Writes a session with the store's own code.
fn write_session(browser: &Browser, urls: &[String]) {
    use regen_session::{SavedSegment, SavedSnapshot, SavedTab};
    let vault = Vault::of_profile(&browser.profile()).unwrap();
    let opened = regen_store::open(&browser.profile(), vault).unwrap();
    for (index, url) in urls.iter().enumerate() {
        let segment = SavedSegment {
            site: "http://127.0.0.1".into(),
            url: url.clone(),
            title: String::new(),
            can_go_back: false,
            can_go_forward: false,
            snapshot: SavedSnapshot::default(),
        };
        opened.store.put_tab(SavedTab {
            id: index as u64 + 1,
            workspace: String::new(),
            segments: vec![segment],
            current: 0,
            zoom: 1.0,
            muted: false,
            pinned: false,
        });
    }
    opened.store.flush(true).unwrap();
    drop(opened);
    // The store's thread releases its lock shortly after the drop.
    let path = browser.profile().join("store");
    eventually("the store to be closed", || {
        let lock = fs::OpenOptions::new().write(true).open(path.join("db")).ok()?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).ok()
    });
}

/// Starts the browser in a mount namespace of its own, with its profile on a disk of this size.
fn on_a_small_disk(bytes: usize) -> (tempfile::TempDir, Browser) {
    let folder = tempfile::tempdir().unwrap();
    let real = regen_tests::programs().join("regen");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--detach*)\n  exec unshare --mount sh -c 'mkdir -p \"$REGEN_PROFILE\" && \
         mount -t tmpfs -o size={bytes},mode=700 tmpfs \"$REGEN_PROFILE\" && exec \"$0\" \"$@\"' '{0}' \"$@\";;\n\
         *) exec '{0}' \"$@\";;\nesac\n",
        real.display()
    );
    let wrapper = folder.path().join("regen");
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let browser = Browser::not_started(&["--headless"]).with_programs(folder.path());
    browser.start();
    (folder, browser)
}

#[test]
fn a_full_disk_loses_no_running_tab_and_saving_goes_on_when_there_is_room() {
    assert!(rustix::process::geteuid().is_root(), "cannot mount a small disk: run this test as root");
    let page =
        "<title>kept</title><body style='margin:0'><textarea id=field style='width:500px;height:300px'></textarea>
      <script>field.oninput = () => { document.title = field.value.trimEnd(); \
      field.value = field.value.trimEnd() + ' '.repeat(300000); \
      field.setSelectionRange(field.value.trimEnd().length, field.value.trimEnd().length) }</script>";
    let site = Site::serve(move |_| Some(regen_tests::site::Answer::page(page)));
    let (_programs, browser) = on_a_small_disk(24 << 20);
    let tab = browser.open(&site.url(1, "/"));
    let profile = browser.profile();
    let disk = format!("/proc/{}/root{}", browser.broker(), profile.display());
    // Control: before, saving works without a warning.
    browser.regen(&["session", "save"]).unwrap();
    assert_eq!(browser.status()["warnings"], serde_json::json!([]));
    let fill = format!("{disk}/fill");
    let full = fs::write(&fill, vec![1_u8; 64 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);

    browser.input(tab, &["--click", "100,100"]);
    browser.input(tab, &["--type", "onafulldisk"]);
    // The long text is slow to lay out, so typing takes time on a busy machine.
    eventually("the page to have the text", || (browser.tab(tab)["title"] == "onafulldisk").then_some(()));
    let more = browser.open(&site.url(2, "/"));
    let warning = eventually("a warning", || {
        // The store has already allocated some space on the disk, so saving may fail only after a while.
        browser.input(tab, &["--type", "!"]);
        let _ = browser.regen(&["session", "save"]);
        Some(browser.status()["warnings"][0].as_str()?.to_owned())
    });
    assert!(warning.contains("cannot be saved") && warning.contains("make room"), "{warning}");
    let refused = browser.regen(&["session", "save"]).unwrap_err();
    assert!(refused.message.contains("cannot be saved"), "{}", refused.message);
    // The broker keeps the tab's state in memory: a crash on a full disk loses nothing.
    regen_tests::process::signal(browser.pid_of_tab(tab), Signal::KILL);
    browser.wait_for_state(tab, "ready");
    fs::remove_file(&fill).unwrap();
    eventually("saving to go on", || (browser.status()["warnings"] == serde_json::json!([])).then_some(()));
    browser.regen(&["session", "save"]).unwrap();
    let broker = browser.broker();
    let store = tempfile::tempdir().unwrap();
    copy_folder(std::path::Path::new(&format!("{disk}/store")), &store.path().join("store"));
    let opened = regen_store::open(store.path(), Vault::of_profile(store.path()).unwrap()).unwrap();
    let saved = &opened.previous[0];
    let ids: Vec<u64> = saved.tabs.iter().map(|tab| tab.id).collect();
    assert!(ids.contains(&tab) && ids.contains(&more), "{ids:?}");
    let form = saved.tabs.iter().find(|saved| saved.id == tab).unwrap();
    let form = String::from_utf8_lossy(&form.segments[0].snapshot.form).into_owned();
    assert!(form.contains("onafulldisk"), "{form}");
    assert!(regen_tests::process::is_alive(broker));
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
