//! Recovery from kills and crashes: a page is restored where it was, and other sites are not affected.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regen_tests::process::{descendants, is_alive, signal};
use regen_tests::site::Answer;
use regen_tests::{Browser, DEADLINE, Site, eventually, within};
use rustix::process::Signal;
use serde_json::Value;

/// A long page with fields, a counter that exists only in its JavaScript, and a link within the site.
const PAGE: &str = r#"<!doctype html><title>long</title><body style="margin:0;height:6000px">
<input id="name" style="position:absolute;left:10px;top:10px;width:300px;height:30px">
<textarea id="words" style="position:absolute;left:10px;top:50px;width:300px;height:60px"></textarea>
<input id="check" type="checkbox" style="position:absolute;left:10px;top:120px;width:30px;height:30px">
<input id="secret" type="password" style="position:absolute;left:10px;top:160px;width:300px;height:30px">
<a href="/second" style="position:absolute;left:10px;top:200px;width:300px;height:30px;display:block">second</a>
<pre id="log" style="position:fixed;left:10px;top:300px"></pre>
<script>
  const token = Math.random(); let ticks = 0;
  const show = () => log.textContent = JSON.stringify({ name: name_.value, words: words.value, check: check.checked,
    secret: secret.value, y: scrollY, token, ticks });
  const name_ = document.getElementById("name");
  setInterval(() => { ticks += 1; show(); }, 50); oninput = show; onscroll = show; show();
</script>"#;

fn site() -> Site {
    Site::pages(&[("/", PAGE), ("/second", "<title>second</title><p>the second page</p>")])
}

fn state(browser: &Browser, tab: u64) -> Value {
    eventually("the page to tell its state", || {
        let text = browser.regen(&["tab", "text", &tab.to_string()]).ok()?;
        serde_json::from_str(text.get(text.find('{')?..)?.trim()).ok()
    })
}

fn fill_in(browser: &Browser, tab: u64) {
    browser.input(tab, &["--click", "50,25"]);
    browser.input(tab, &["--type", "Ada"]);
    browser.input(tab, &["--click", "50,80"]);
    browser.input(tab, &["--type", "two words"]);
    browser.input(tab, &["--click", "25,135"]);
    browser.input(tab, &["--click", "50,175"]);
    browser.input(tab, &["--type", "hunter2"]);
    browser.input(tab, &["--click", "700,400"]);
    browser.input(tab, &["--scroll", "0,700"]);
    eventually("the page to have all input", || {
        let now = state(browser, tab);
        (now["y"] == 700 && now["secret"] == "hunter2" && now["name"] == "Ada").then_some(())
    });
    browser.regen(&["session", "save"]).unwrap();
}

#[expect(clippy::print_stdout, reason = "shows what was missing if the test fails")]
fn is_back(browser: &Browser, tab: u64) {
    let mut last = Value::Null;
    let mut say = |now: &Value| {
        let seen = serde_json::json!([now["name"], now["words"], now["check"], now["y"]]);
        if seen != last {
            println!("the page has {seen}");
            last = seen;
        }
    };
    eventually("the page's state to be restored", || {
        let now = state(browser, tab);
        say(&now);
        let whole = now["name"] == "Ada" && now["words"] == "two words" && now["check"] == true && now["y"] == 700;
        whole.then_some(())
    });
    assert_eq!(state(browser, tab)["secret"], "", "a password was restored");
}

#[test]
fn a_killed_tab_host_comes_back_with_scroll_and_typed_text() {
    let (site, browser) = (site(), Browser::headless());
    let (tab, other) = (browser.open(&site.url(1, "/")), browser.open(&site.url(2, "/")));
    fill_in(&browser, tab);
    let before = state(&browser, other);
    let old = browser.pid_of_tab(tab);
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    eventually("another process", || {
        let tab = browser.tab(tab);
        (tab["state"] == "ready" && tab["pid"] != old && tab["pid"] != 0).then_some(())
    });
    is_back(&browser, tab);
    let after = state(&browser, other);
    assert_eq!(after["token"], before["token"], "the other site was reloaded");
    // Timers in a background page run once a second.
    eventually("the other site's JavaScript to go on", || {
        (state(&browser, other)["ticks"].as_u64() > before["ticks"].as_u64()).then_some(())
    });
}

/// The engine restores an older scroll position when the page has finished loading, which may be long after it is
/// shown.
#[test]
fn a_page_that_goes_on_loading_stays_where_it_was() {
    let held = Arc::new(AtomicBool::new(false));
    let hold = Arc::clone(&held);
    let site = Site::serve(move |request| {
        if request.path == "/slow" {
            // The limit keeps a failed test from blocking forever.
            within(DEADLINE, || (!hold.load(Ordering::SeqCst)).then_some(()));
        }
        let slow = request.header("host").replace("127.0.0.1", "127.0.0.3");
        Some(if request.path == "/" {
            Answer::page(&format!("{PAGE}<script>fetch('http://{slow}/slow', {{ mode: 'no-cors' }})</script>"))
        } else {
            Answer::typed("text/plain", b"x".to_vec())
        })
    });
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let scroll_to = |y: u64| {
        browser.input(tab, &["--scroll", "0,400"]);
        eventually("the scroll", || (state(&browser, tab)["y"] == y).then_some(()));
        browser.regen(&["session", "save"]).unwrap();
    };
    let kill = || {
        let old = browser.pid_of_tab(tab);
        signal(old, Signal::KILL);
        eventually("another process", || Some(browser.pid_of_tab(tab)).filter(|pid| *pid != old && *pid != 0));
    };
    scroll_to(400);
    kill();
    eventually("the page at its scroll position", || (state(&browser, tab)["y"] == 400).then_some(()));
    browser.wait_for_state(tab, "ready");
    scroll_to(800);
    held.store(true, Ordering::SeqCst);
    kill();
    eventually("the page at its scroll position for three seconds", || {
        let now = state(&browser, tab);
        (now["y"] == 800 && now["ticks"].as_u64() > Some(60)).then_some(())
    });
    held.store(false, Ordering::SeqCst);
    browser.wait_for_state(tab, "ready");
    let ticks = state(&browser, tab)["ticks"].as_u64();
    let now = eventually("another tick", || Some(state(&browser, tab)).filter(|now| now["ticks"].as_u64() > ticks));
    assert_eq!(now["y"], 800);
}

#[test]
fn a_page_that_comes_back_before_the_network_does_is_tried_again_and_loses_nothing() {
    let site = site();
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    fill_in(&browser, tab);
    browser.regen(&["session", "save"]).unwrap();
    // The retry delay grows with each death.
    for _ in 0..6 {
        let net_daemon = browser.daemon("net-daemon");
        signal(net_daemon, Signal::KILL);
        eventually("another net-daemon", || {
            browser.pids_of("net-daemon").iter().any(|pid| *pid != net_daemon && *pid != 0).then_some(())
        });
    }
    signal(browser.daemon("net-daemon"), Signal::KILL);
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    let failed = browser.wait_for_state(tab, "failed");
    assert!(failed["reason"].as_str().unwrap().contains("network process is not there"), "{failed}");
    browser.wait_for_state(tab, "ready");
    is_back(&browser, tab);
}

#[test]
fn the_state_of_a_history_entry_comes_back_and_text_that_was_typed_before_the_page_moved() {
    // A single-page application: one document with several addresses.
    let page = r#"<!doctype html><body style="margin:0"><input id="text" style="position:absolute;left:10px;top:10px;width:300px;height:30px">
        <button onclick="history.pushState({ step: 2, list: ['a', null, 1.5] }, '', '/step')" style="position:absolute;left:10px;top:60px;width:300px;height:30px">on</button>
        <pre id="log" style="position:absolute;top:100px"></pre><script>
        const first = JSON.stringify(history.state);
        const show = () => log.textContent = [first, JSON.stringify(history.state), text.value, location.pathname].join(' ');
        setInterval(show, 50)</script>"#;
    let site = Site::serve(move |_| Some(Answer::page(page)));
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.input(tab, &["--click", "50,25"]);
    browser.input(tab, &["--type", "Ada"]);
    browser.input(tab, &["--click", "50,75"]);
    let state = r#"{"step":2,"list":["a",null,1.5]}"#;
    browser.wait_for_text(tab, &format!("null {state} Ada /step"));
    browser.regen(&["session", "save"]).unwrap();
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    // The page's script sees the restored state when it starts.
    browser.wait_for_text(tab, &format!("{state} {state} Ada /step"));
}

#[test]
fn every_tab_of_the_site_comes_back_and_history_too() {
    let (site, browser) = (site(), Browser::headless());
    let (one, two) = (browser.open(&site.url(1, "/")), browser.open(&site.url(1, "/second")));
    browser.input(one, &["--click", "100,215"]);
    browser.wait_for_url(one, &site.url(1, "/second"));
    browser.regen(&["tab", "back", &one.to_string()]).unwrap();
    browser.wait_for_url(one, &site.url(1, "/"));
    browser.regen(&["session", "save"]).unwrap();
    signal(browser.pid_of_tab(one), Signal::ABORT);
    eventually("a restart", || {
        let status = browser.status();
        let host = status["processes"].as_array()?.iter().find(|p| p["site"] != "" && p["role"] == "tab-host")?.clone();
        (host["restarts"] == 1 && host["state"] == "ready").then_some(())
    });
    let back = browser.wait_for_url(one, &site.url(1, "/"));
    browser.wait_for_url(two, &site.url(1, "/second"));
    assert_eq!(back["can_go_forward"], true, "{back}");
    browser.regen(&["tab", "forward", &one.to_string()]).unwrap();
    browser.wait_for_url(one, &site.url(1, "/second"));
}

#[test]
fn the_death_of_any_helper_is_recovered_from_in_the_same_way() {
    let (site, browser) = (site(), Browser::headless());
    let tab = browser.open(&site.url(1, "/"));
    fill_in(&browser, tab);
    for helper in ["WebKitNetwork", "WebKitWeb"] {
        let host = browser.pid_of_tab(tab);
        let pid = eventually(helper, || {
            let status = browser.status();
            let helpers = status["processes"].as_array()?.iter().find(|p| p["pid"] == host)?["helpers"].clone();
            let found = helpers.as_array()?.iter().find(|h| h["name"].as_str().unwrap().starts_with(helper))?.clone();
            i32::try_from(found["pid"].as_i64()?).ok()
        });
        browser.regen(&["kill", &pid.to_string()]).unwrap();
        eventually("another process", || {
            let tab = browser.tab(tab);
            (tab["state"] == "ready" && tab["pid"] != host && tab["pid"] != 0).then_some(())
        });
        is_back(&browser, tab);
        browser.regen(&["session", "save"]).unwrap();
    }
}

#[test]
fn three_crashes_in_a_minute_make_a_sad_tab_with_the_reason() {
    let (site, browser) = (site(), Browser::headless());
    let tab = browser.open(&site.url(1, "/"));
    let mut last = 0;
    for _crash in 1..=3 {
        let pid = eventually("a new process", || {
            let tab = browser.tab(tab);
            let pid = i32::try_from(tab["pid"].as_i64()?).ok()?;
            (tab["state"] == "ready" && pid != 0 && pid != last).then_some(pid)
        });
        signal(pid, Signal::ABORT);
        last = pid;
    }
    let sad = browser.wait_for_state(tab, "sad");
    assert!(sad["reason"].as_str().unwrap().contains("SIGABRT"), "{sad}");
    browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    browser.wait_for_url(tab, &site.url(1, "/"));
}

#[test]
fn a_stopped_host_is_found_and_replaced() {
    let (site, browser) = (site(), Browser::headless());
    let tab = browser.open(&site.url(1, "/"));
    let pid = browser.pid_of_tab(tab);
    browser.regen(&["kill", "tab", &tab.to_string(), "--signal", "STOP"]).unwrap();
    eventually("another process", || {
        let tab = browser.tab(tab);
        (tab["state"] == "ready" && tab["pid"] != pid && tab["pid"] != 0).then_some(())
    });
    assert!(!is_alive(pid));
}

#[test]
fn when_the_broker_dies_nothing_is_left_and_the_next_start_offers_the_session() {
    let (site, browser) = (site(), Browser::headless());
    let tab = browser.open(&site.url(1, "/"));
    let _second = browser.open(&site.url(2, "/second"));
    fill_in(&browser, tab);
    let broker = browser.broker();
    let family = descendants(broker);
    assert!(family.len() >= 8, "{family:?}");
    signal(broker, Signal::KILL);
    eventually("all processes to be gone", || family.keys().all(|pid| !is_alive(*pid)).then_some(()));
    browser.start();
    let offered = browser.json(&["session", "list"]);
    assert_eq!(offered["saved"]["tabs"], 2);
    assert_eq!(offered["saved"]["clean"], false);
    assert!(browser.status()["tabs"].as_array().unwrap().is_empty(), "a session was restored without being asked for");
    browser.regen(&["session", "restore"]).unwrap();
    let status = browser.status();
    let tabs = status["tabs"].as_array().unwrap();
    assert_eq!(tabs.len(), 2);
    let restored = tabs.iter().find(|t| t["url"] == site.url(1, "/").as_str()).unwrap()["id"].as_u64().unwrap();
    let lazy = tabs.iter().filter(|tab| tab["state"] == "lazy").count();
    assert_eq!(lazy, 1, "not only the active tab loads: {tabs:#?}");
    is_back(&browser, restored);
    // The other tab loads when it is used.
    let other = tabs.iter().find(|tab| tab["state"] == "lazy").unwrap()["id"].as_u64().unwrap();
    browser.input(other, &["--key", "Shift"]);
    browser.wait_for_url(other, &site.url(2, "/second"));
}

#[test]
fn a_clean_end_is_remembered_as_one_and_a_dismissed_session_is_not_offered_again() {
    let (site, browser) = (site(), Browser::headless());
    let _tab = browser.open(&site.url(1, "/second"));
    browser.quit();
    browser.start();
    assert_eq!(browser.json(&["session", "list"])["saved"]["clean"], true);
    browser.regen(&["session", "dismiss"]).unwrap();
    browser.quit();
    browser.start();
    assert_eq!(browser.json(&["session", "list"])["saved"], Value::Null);
    assert_eq!(browser.regen(&["session", "restore"]).unwrap_err().code, 4);
}

/// Returns whether any file of the profile's sessions holds these bytes.
fn is_saved(browser: &Browser, bytes: &[u8]) -> bool {
    let mut folders = vec![browser.profile().join("sessions")];
    while let Some(folder) = folders.pop() {
        // A file or folder may be replaced meanwhile.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if let Ok(text) = std::fs::read(entry.path())
                && text.windows(bytes.len()).any(|window| window == bytes)
            {
                return true;
            }
        }
    }
    false
}

#[test]
fn what_is_typed_is_saved_by_itself_soon() {
    let (site, browser) = (site(), Browser::headless());
    let tab = browser.open(&site.url(1, "/"));
    browser.input(tab, &["--click", "50,25"]);
    browser.input(tab, &["--type", "Ada"]);
    // No snapshot is requested.
    eventually("the text to be on the disk", || is_saved(&browser, b"Ada").then_some(()));
    let old = browser.pid_of_tab(tab);
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    eventually("the text to be back in another process", || {
        let now = browser.tab(tab);
        let is_new = now["state"] == "ready" && now["pid"] != old && now["pid"] != 0;
        (is_new && state(&browser, tab)["name"] == "Ada").then_some(())
    });
}

#[test]
fn a_killed_daemon_is_back_at_once() {
    let browser = Browser::headless();
    for role in ["net-daemon", "agent-daemon"] {
        let old = browser.daemon(role);
        browser.regen(&["kill", role]).unwrap();
        eventually("another process", || {
            let status = browser.status();
            let process = status["processes"].as_array()?.iter().find(|p| p["role"] == role)?.clone();
            (process["pid"] != old && process["pid"] != 0 && process["state"] == "ready").then_some(())
        });
    }
}

#[test]
fn a_site_that_nobody_looks_at_sleeps_and_comes_back_where_it_was() {
    let site = site();
    // 0.05 minutes are three seconds.
    let browser = Browser::with_options(&["--headless", "--hibernate-after", "0.05"]);
    let first = browser.open(&site.url(2, "/"));
    fill_in(&browser, first);
    let pid = browser.pid_of_tab(first);
    let second = browser.open(&site.url(3, "/"));
    let asleep = browser.wait_for_state(first, "lazy");
    assert_eq!((&asleep["pid"], browser.tab(second)["state"].as_str()), (&0.into(), Some("ready")));
    eventually("its process to be gone", || (!is_alive(pid)).then_some(()));
    browser.regen(&["tab", "activate", &first.to_string()]).unwrap();
    is_back(&browser, first);
    // Hibernation is no crash.
    assert_eq!(browser.json(&["crashes", "list"]).as_array().unwrap().len(), 0);
    assert!(browser.regen(&["audit"]).unwrap().contains("hibernated"));
}

#[test]
fn a_page_that_takes_all_memory_is_ended_and_says_why() {
    let greedy = "<title>greedy</title><p>greedy</p><script>const kept = [];\
                  if (!localStorage.done) { localStorage.done = 1;\
                  setInterval(() => kept.push(new Uint8Array(2e7).fill(7)), 5); }</script>";
    let site = Site::pages(&[("/", greedy), ("/calm", "<title>calm</title><p>calm</p>")]);
    let browser = Browser::with_options(&["--headless", "--site-memory", "700M"]);
    let neighbour = browser.open(&site.url(3, "/calm"));
    let pid = browser.pid_of_tab(neighbour);
    let tab = browser.json(&["tab", "open", &site.url(2, "/")])["id"].as_u64().unwrap();
    let report =
        eventually("the report of its end", || browser.json(&["crashes", "list"]).as_array().unwrap().first().cloned());
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("memory: it used") && reason.contains("the limit is 700 MB"), "{reason}");
    assert!(report["resources"]["resident_kb"].as_u64().unwrap() > 300 << 10, "{report}");
    // After the reload the page takes little memory, and stays.
    browser.wait_for_state(tab, "ready");
    assert_eq!(browser.pid_of_tab(neighbour), pid);
}

#[test]
fn a_page_that_loops_is_no_hung_host_and_its_user_may_stop_it() {
    let looping = "<title>loop</title><p>click me</p><script>onclick = () => { for (;;); }</script>";
    let site = Site::pages(&[("/", looping), ("/calm", "<title>calm</title><p>calm</p>")]);
    let browser = Browser::headless();
    let other = browser.open(&site.url(2, "/calm"));
    let tab = browser.open(&site.url(2, "/"));
    let pid = browser.pid_of_tab(tab);
    browser.input(tab, &["--click", "200,200"]);
    eventually("the page to be called unresponsive", || (browser.tab(tab)["unresponsive"] == true).then_some(()));
    assert_eq!((browser.pid_of_tab(tab), browser.tab(other)["state"].as_str()), (pid, Some("ready")));
    browser.regen(&["tab", "stop-script", &tab.to_string()]).unwrap();
    let sad = browser.wait_for_state(tab, "sad");
    assert!(sad["reason"].as_str().unwrap().contains("stopped"), "{sad}");
    browser.wait_for_text(other, "calm");
    browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    browser.wait_for_text(tab, "click me");
}

#[test]
fn a_crash_leaves_a_minidump_and_a_kill_says_why_it_leaves_none() {
    use minidump::{Minidump, MinidumpException, MinidumpModuleList, MinidumpThreadList, Module};
    let site = site();
    let browser = Browser::headless();
    let reports = |count: usize| {
        eventually("the reports", || {
            Some(browser.json(&["crashes", "list"])).filter(|all| all.as_array().is_some_and(|all| all.len() == count))
        })
    };
    let file = browser.profile().join("memory.dmp");
    let export = || browser.regen(&["crashes", "export", "last", "--minidump", "-o", file.to_str().unwrap()]);
    let helper = |host: i32, name: &str| {
        let status = browser.status();
        let host = status["processes"].as_array().unwrap().iter().find(|process| process["pid"] == host).cloned();
        let helpers = host.unwrap()["helpers"].as_array().unwrap().clone();
        let found = helpers.into_iter().find(|helper| helper["name"].as_str().unwrap().starts_with(name)).unwrap();
        i32::try_from(found["pid"].as_i64().unwrap()).unwrap()
    };
    let victims = [
        ("net-daemon", Signal::SEGV, 11, "regen-net-daemon"),
        ("WebKitWebProces", Signal::ABORT, 6, "libwebkit2gtk"),
        ("WebKitWebProces", Signal::SEGV, 11, "libregen_crash_agent"),
        ("WebKitNetworkPr", Signal::ABORT, 6, "libwebkit2gtk"),
        ("WebKitNetworkPr", Signal::SEGV, 11, "libregen_crash_agent"),
    ];
    let mut tab = 0;
    for (count, (victim, by, number, module)) in (1..).zip(victims) {
        // The sites alternate, so that none dies too often within a minute.
        tab = browser.open(&site.url(count % 3 + 1, "/second"));
        let pid = if victim == "net-daemon" { browser.daemon(victim) } else { helper(browser.pid_of_tab(tab), victim) };
        signal(pid, by);
        reports(count.into());
        export().unwrap();
        let dump = Minidump::read_path(&file).unwrap();
        let exception = dump.get_stream::<MinidumpException<'_>>().unwrap();
        assert_eq!(exception.raw.exception_record.exception_code, number);
        let threads = dump.get_stream::<MinidumpThreadList<'_>>().unwrap();
        assert!(threads.get_thread(exception.get_crashing_thread_id()).is_some());
        let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
        assert!(modules.iter().any(|its| its.code_file().contains(module)), "{module}");
        browser.wait_for_state(tab, "ready");
    }
    signal(browser.pid_of_tab(tab), Signal::KILL);
    let last = reports(6)[5].clone();
    assert_eq!(last["minidump"], "none: a process that is killed has no time for one");
    let refused = export().unwrap_err();
    assert!(refused.code == 4 && refused.message.contains("no time for one"), "{refused:?}");
}
