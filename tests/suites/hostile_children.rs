//! Hostile children: each is refused, counted and killed alone, while another site's page keeps running.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{IoSlice, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use regen_tests::process::is_alive;
use regen_tests::{Browser, eventually, programs, programs_with};
use tempfile::TempDir;

/// Starts a browser with a hostile tab-host.
fn hostile() -> (TempDir, Browser) {
    let hostile = std::fs::read(programs().join("regen-hostile-child")).unwrap();
    let folder = programs_with("tab-host", &hostile);
    // No prelaunched process: a hostile child needs a site to know what to do.
    let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
    browser.start();
    (folder, browser)
}

/// Lets a child misbehave, and asserts that it is killed for this reason and counted.
fn is_killed_for(site: &str, words: &str, counter: &str) {
    let (_folder, browser) = hostile();
    let quiet = browser.json(&["tab", "open", "http://decent.test/"])["id"].as_u64().unwrap();
    let neighbour =
        eventually("the quiet neighbour", || Some(browser.tab(quiet)["pid"].as_i64().unwrap()).filter(|pid| *pid > 0));
    let before = (browser.broker(), browser.daemon("net-daemon"));
    let tab = browser.json(&["tab", "open", &format!("http://{site}/")])["id"].as_u64().unwrap();
    let sad = browser.wait_for_state(tab, "sad");
    let reason = sad["reason"].as_str().unwrap();
    assert!(reason.contains(words), "{reason}");
    assert_eq!((browser.broker(), browser.daemon("net-daemon")), before, "another process was restarted");
    assert_eq!(browser.tab(quiet)["pid"], neighbour);
    let status = browser.status();
    assert!(status["refused_messages"][counter].as_u64().unwrap() >= 3, "{}", status["refused_messages"]);
    assert!(browser.log().contains(words), "{}", browser.log());
}

#[test]
fn garbage_ends_its_sender() {
    is_killed_for("garbage.test", "malformed message", "malformed");
}

#[test]
fn an_unknown_kind_of_message_ends_its_sender() {
    is_killed_for("unknown.test", "malformed message", "malformed");
}

#[test]
fn an_empty_message_with_a_descriptor_ends_its_sender() {
    is_killed_for("empty.test", "malformed message", "malformed");
}

#[test]
fn an_oversized_message_ends_its_sender() {
    is_killed_for("oversize.test", "larger than 65536 bytes", "oversized");
}

#[test]
fn stray_descriptors_end_their_sender() {
    is_killed_for("descriptors.test", "descriptors where 0 belong", "malformed");
}

#[test]
fn a_flood_ends_its_sender() {
    is_killed_for("flood.test", "faster than allowed", "too_frequent");
}

#[test]
fn a_tab_host_cannot_play_the_user() {
    is_killed_for("shell.test", "a tab-host may not send a user command", "not_allowed");
}

#[test]
fn a_second_hello_ends_its_sender() {
    is_killed_for("rehello.test", "a second Hello", "malformed");
}

#[test]
fn a_lying_favicon_ends_its_sender() {
    is_killed_for("bigfavicon.test", "favicon", "malformed");
}

#[test]
fn a_descriptor_that_is_no_process_ends_its_sender() {
    is_killed_for("nopidfd.test", "no process of its own", "malformed");
}

#[test]
fn a_payload_that_can_still_be_written_ends_its_sender() {
    is_killed_for("open-payload.test", "not sealed", "malformed");
}

#[test]
fn a_payload_that_shrinks_while_it_is_read_ends_its_sender() {
    is_killed_for("shrinking-payload.test", "not sealed", "malformed");
}

#[test]
fn a_payload_that_its_sender_keeps_mapped_ends_it() {
    is_killed_for("mapped-payload.test", "not sealed", "malformed");
}

#[test]
fn a_payload_that_is_shorter_than_announced_ends_its_sender() {
    is_killed_for("short-payload.test", "of 100 bytes, announced as 4000", "malformed");
}

#[test]
fn a_payload_that_is_a_pipe_ends_its_sender() {
    is_killed_for("pipe-payload.test", "a snapshot that cannot be read", "malformed");
}

#[test]
fn a_payload_that_is_a_folder_ends_its_sender() {
    is_killed_for("folder-payload.test", "a snapshot that cannot be read", "malformed");
}

#[test]
fn descriptors_on_a_granted_connection_reach_nobody() {
    let (_folder, browser) = hostile();
    let net = browser.daemon("net-daemon");
    let open = || std::fs::read_dir(format!("/proc/{}/fd", net)).unwrap().count();
    let before = open();
    let tab = browser.json(&["tab", "open", "http://rights.test/"])["id"].as_u64().unwrap();
    let title = eventually("the number of descriptors sent", || {
        browser.tab(tab)["title"].as_str().filter(|title| title.ends_with(" sent")).map(str::to_owned)
    });
    let sent: u64 = title.trim_end_matches(" sent").parse().unwrap();
    assert!(sent >= 250 * 24, "only {sent} descriptors were sent");
    // The connection stays open at both ends, so unclosed descriptors would show.
    eventually("the received descriptors to be closed", || (open() <= before + 2).then_some(()));
    assert_eq!(browser.daemon("net-daemon"), net, "the net-daemon was restarted");
}

#[test]
fn descriptors_on_the_control_socket_reach_nobody() {
    let browser = Browser::headless();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sent");
    let sent_file = std::fs::File::create(&file).unwrap();
    let held_by = |process: i32| {
        let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
        open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == file)).count()
    };
    assert_eq!(held_by(nix::unistd::getpid().as_raw()), 1, "the control does not find the file that is sent");
    let socket = UnixStream::connect(browser.control_socket()).unwrap();
    let spam = [sent_file.as_raw_fd(); 250];
    let mut sent = 0;
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        let (one, rights) = ([*byte], [ControlMessage::ScmRights(&spam)]);
        sent +=
            sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&one)], &rights, MsgFlags::MSG_NOSIGNAL, None).unwrap();
    }
    assert_eq!(sent, 24);
    // The broker answers on this connection only after it has read all bytes.
    let mut settings = [0; 9];
    (&socket).read_exact(&mut settings).unwrap();
    assert_eq!(settings[3], 4, "the server's first frame is not SETTINGS");
    eventually("the received descriptors to be closed", || (held_by(browser.broker()) == 0).then_some(()));
    assert_eq!(browser.status()["refused_messages"]["malformed"], 0, "descriptors count as malformed messages");
}

#[test]
fn a_host_that_shows_a_foreign_page_is_killed() {
    is_killed_for("foreign.test", "committed https://bank.example/", "not_allowed");
}

#[test]
fn a_grant_cannot_be_asked_for() {
    is_killed_for("grants.test", "an unknown or empty kind", "malformed");
}

#[test]
fn a_host_cannot_invent_a_gesture_to_open_tabs() {
    let (_folder, browser) = hostile();
    let tab = browser.json(&["tab", "open", "http://opener.test/"])["id"].as_u64().unwrap();
    let tabs = || browser.status()["tabs"].as_array().unwrap().len();
    // Messages of a host are handled in order: its title is set after the wishes of that round.
    let round = || browser.tab(tab)["title"].as_str().unwrap().parse::<u64>().ok();
    let heard = eventually("two rounds of wishes", || round().filter(|round| *round >= 2));
    assert_eq!(tabs(), 1, "a tab was opened without a click");
    // Control: after a real click the same request is granted, once.
    browser.input(tab, &["--click", "10,10"]);
    eventually("one more tab", || (tabs() == 2).then_some(()));
    let at_click = round().unwrap_or(heard);
    eventually("two more rounds of wishes", || round().filter(|round| *round >= at_click + 2));
    assert_eq!(tabs(), 2);
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let (_folder, browser) = hostile();
    let tab = browser.json(&["tab", "open", "http://unasked.test/"])["id"].as_u64().unwrap();
    let pid = eventually("the host", || i32::try_from(browser.tab(tab)["pid"].as_i64()?).ok().filter(|pid| *pid > 0));
    let status = browser.status();
    assert_eq!(status["refused_messages"]["malformed"], 0);
    assert!(is_alive(pid));
}

#[test]
fn a_silent_host_is_found_and_replaced() {
    let (_folder, browser) = hostile();
    let tab = browser.json(&["tab", "open", "http://silent.test/"])["id"].as_u64().unwrap();
    let first = eventually("the host", || Some(browser.tab(tab)["pid"].as_i64()?).filter(|pid| *pid > 0));
    eventually("another host", || Some(browser.tab(tab)["pid"].as_i64()?).filter(|pid| *pid > 0 && *pid != first));
    assert!(browser.log().contains("no sign of life"), "{}", browser.log());
}

#[test]
fn a_program_that_is_not_there_is_a_sad_tab_with_the_reason() {
    let (folder, browser) = hostile();
    std::fs::remove_file(folder.path().join("regen-tab-host")).unwrap();
    let tab = browser.json(&["tab", "open", "http://silent.test/", "--wait"]);
    assert_eq!(tab["state"], "sad", "{tab}");
    assert!(tab["reason"].as_str().unwrap().contains("regen-tab-host"), "{tab}");
    // Control: with the program back, Reload works.
    symlink(programs().join("regen-hostile-child"), folder.path().join("regen-tab-host")).unwrap();
    let id = tab["id"].as_u64().unwrap();
    browser.regen(&["tab", "reload", &id.to_string()]).unwrap();
    eventually("a process", || Some(browser.tab(id)["pid"].as_i64()?).filter(|pid| *pid > 0));
}

#[test]
fn a_death_after_a_refused_call_names_the_call_and_the_policy() {
    let (_folder, browser) = hostile();
    let tab = browser.json(&["tab", "open", "http://forbidden.test/"])["id"].as_u64().unwrap();
    let sad = browser.wait_for_state(tab, "sad");
    let reason = sad["reason"].as_str().unwrap();
    for words in ["SIGABRT", "ptrace", "tab-host.toml does not allow it"] {
        assert!(reason.contains(words), "{reason}");
    }
    assert!(browser.status()["refused_messages"]["system_calls"].as_u64().unwrap() >= 3);
    assert!(browser.log().contains("refused ptrace("), "{}", browser.log());
}

#[test]
fn a_loop_of_refused_calls_holds_up_nobody_but_itself() {
    let (_folder, browser) = hostile();
    browser.regen(&["tab", "open", "http://insistent.test/"]).unwrap();
    eventually("refused calls beyond those that are answered at once", || {
        browser.status()["refused_messages"]["system_calls"].as_u64().filter(|calls| *calls > 50)
    });
    let (before, cpu) = (browser.status(), regen_tests::process::cpu_ticks(browser.broker()));
    let calls = |status: &serde_json::Value| status["refused_messages"]["system_calls"].as_u64().unwrap();
    let until = calls(&before) + 40;
    let after = eventually("forty more calls", || Some(browser.status()).filter(|status| calls(status) >= until));
    // Forty calls at twenty a second take two seconds; an unthrottled loop would make a hundred thousand in that time.
    assert!(calls(&after) < until + 100, "{} calls", calls(&after) - calls(&before));
    let used = regen_tests::process::cpu_ticks(browser.broker()) - cpu;
    assert!(used < 100, "the broker used {used} hundredths of a second");
}

#[test]
fn every_death_leaves_a_report_with_its_last_words() {
    let (_folder, browser) = hostile();
    assert_eq!(browser.json(&["crashes", "list"]).as_array().unwrap().len(), 0);
    // The hostile child panics at an unknown host name.
    let tab = browser.json(&["tab", "open", "http://unheard-of.test/"])["id"].as_u64().unwrap();
    browser.wait_for_state(tab, "sad");
    let reports = eventually("three reports", || {
        Some(browser.json(&["crashes", "list"])).filter(|all| all.as_array().unwrap().len() == 3)
    });
    let last = &reports[2];
    assert_eq!(
        (&last["role"], &last["site"], &last["state"]),
        (&"tab-host".into(), &"http://unheard-of.test".into(), &"ready".into())
    );
    assert_eq!(
        (&last["exit_code"], &last["signal"], &last["crashes_before"]),
        (&101.into(), &serde_json::Value::Null, &2.into())
    );
    let log = last["log"].to_string();
    assert!(log.contains("unknown behaviour") && log.contains("stack backtrace"), "{log}");
    let shown = browser.regen(&["crashes", "show", "last"]).unwrap();
    assert!(shown.contains("unknown behaviour") && shown.contains("http://unheard-of.test"), "{shown}");
    let file = browser.profile().join("report.json");
    browser.regen(&["crashes", "export", "last", "-o", file.to_str().unwrap()]).unwrap();
    let exported: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(exported["id"], last["id"]);
    // Reports outlive the browser.
    browser.quit();
    assert_eq!(browser.json(&["crashes", "list"]).as_array().unwrap().len(), 3);
    assert_eq!(browser.regen(&["crashes", "show", "none"]).unwrap_err().code, 4);
}
