//! Attacks across the trust boundary, from plain pages and from hostile tab-hosts, on the broker, the net-daemon, other
//! sites and the user. Each refusal has a positive control.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use regen_tests::process::{cpu_ticks, pss};
use regen_tests::site::Answer;
use regen_tests::{Browser, DEADLINE, ForeignPeer, NameServer, Site, eventually, programs, programs_with, within};
use serde_json::Value;
use tempfile::TempDir;

/// Starts a browser with a hostile tab-host that misbehaves as its site's host name says.
fn hostile() -> (TempDir, Browser) {
    let program = std::fs::read(programs().join("regen-hostile-child")).unwrap();
    let folder = programs_with("tab-host", &program);
    let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
    browser.start();
    (folder, browser)
}

fn open(browser: &Browser, url: &str) -> u64 {
    browser.json(&["tab", "open", url])["id"].as_u64().unwrap()
}

/// Waits until a tab has a title, and returns it.
fn title(browser: &Browser, tab: u64) -> String {
    eventually("a title", || browser.tab(tab)["title"].as_str().filter(|title| !title.is_empty()).map(str::to_owned))
}

fn refused(browser: &Browser) -> u64 {
    browser.status()["refused_messages"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

/// Returns the size of a folder and everything below it, bytes.
fn size_of(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => size_of(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

// ── hostile tab-hosts ──

#[test]
fn a_host_cannot_send_a_form_in_another_sites_name() {
    let (_folder, browser) = hostile();
    let tab = open(&browser, "http://forger.test/");
    let said = title(&browser, tab);
    assert_eq!(
        said, "method “”, 0 bytes, redirected true, by “”",
        "the forged form must become a plain redirected GET without an initiator"
    );
    assert_eq!(browser.tab(tab)["site"], "http://victim.test");
}

#[test]
fn payloads_for_tabs_that_do_not_exist_hold_up_nobody() {
    let (_folder, browser) = hostile();
    let quiet = open(&browser, "http://decent.test/");
    let pid = eventually("the neighbour", || browser.tab(quiet)["pid"].as_i64().filter(|pid| *pid > 0));
    let (net, broker) = (browser.daemon("net-daemon"), browser.broker());
    open(&browser, "http://greedy.test/");
    eventually("the greedy host", || (browser.pids_of("tab-host").len() == 2).then_some(()));
    let before = cpu_ticks(broker);
    for _ in 0..10 {
        let asked = Instant::now();
        let _ = browser.status();
        assert!(asked.elapsed() < Duration::from_secs(2), "status took {:?}", asked.elapsed());
        std::thread::park_timeout(Duration::from_millis(200));
    }
    let used = cpu_ticks(broker) - before;
    assert!(used < 200, "the broker used {used} hundredths of a second");
    assert_eq!((browser.daemon("net-daemon"), browser.tab(quiet)["pid"].as_i64()), (net, Some(pid)), "a child ended");
}

#[test]
fn snapshots_without_end_fill_neither_memory_nor_disk() {
    let (_folder, browser) = hostile();
    let hoarder = open(&browser, "http://hoarder.test/");
    let pid = eventually("the hoarder", || browser.tab(hoarder)["pid"].as_i64().filter(|pid| *pid > 0));
    let (start, mut most) = (Instant::now(), 0.0_f64);
    while start.elapsed() < Duration::from_secs(15) {
        most = most.max(pss(browser.broker()));
        std::thread::park_timeout(Duration::from_millis(250));
    }
    let disk = size_of(&browser.profile()) >> 20;
    assert!(most < 150.0, "the broker has {most} MB");
    assert!(disk < 500, "the profile has {disk} MB");
    assert_eq!(browser.tab(hoarder)["pid"].as_i64(), Some(pid), "the host was ended instead of slowed down");
    // Control: the last snapshot within the limit was saved.
    browser.regen(&["session", "save"]).unwrap();
    let saved = browser.profile().join("sessions");
    assert!(size_of(&saved) > 3_000_000, "{} bytes", size_of(&saved));
}

#[test]
fn a_chooser_without_a_click_is_answered_with_nothing() {
    let (_folder, browser) = hostile();
    let tab = open(&browser, "http://chooser.test/");
    assert_eq!(title(&browser, tab), "request 5: 0 files");
}

#[test]
fn files_without_a_click_wait_for_the_users_word() {
    let (_folder, browser) = hostile();
    let tab = open(&browser, "http://saver.test/");
    // One download is granted for the user's own navigation, twenty wait for an answer, the rest are refused at once.
    eventually("the other downloads to be refused", || (title(&browser, tab) == "1 granted, 39 refused").then_some(()));
    let status = browser.status();
    let warning =
        status["warnings"].as_array().unwrap().iter().find(|text| text.as_str().unwrap().contains("saver.test"));
    assert!(warning.unwrap().as_str().unwrap().contains("20 more files"), "{status}");
    browser.regen(&["tab", "allow-downloads", &tab.to_string(), "--refuse"]).unwrap();
    eventually("all to be refused", || (title(&browser, tab) == "1 granted, 59 refused").then_some(()));
    assert_eq!(std::fs::read_dir(browser.downloads()).unwrap().count(), 1);
    assert_eq!(refused(&browser), 0, "download requests were counted as violations");
    // Control: the user may also allow downloads.
    let other = open(&browser, "http://saver.test:81/");
    browser.regen(&["tab", "allow-downloads", &tab.to_string()]).unwrap();
    assert!(other != tab);
}

#[test]
fn a_host_that_talks_all_day_fills_no_log() {
    let (_folder, browser) = hostile();
    open(&browser, "http://chatty.test/");
    eventually("its log lines", || browser.log().contains("blah").then_some(()));
    let (broker, start) = (browser.broker(), Instant::now());
    let before = cpu_ticks(broker);
    while start.elapsed() < Duration::from_secs(6) {
        std::thread::park_timeout(Duration::from_millis(500));
    }
    let (used, log) = (cpu_ticks(broker) - before, size_of_file(&browser, "regen.log"));
    assert!(used < 150, "the broker used {used} hundredths of a second in 6 s");
    assert!(log < 1 << 20, "{log} bytes of log");
    let audit = size_of_file(&browser, "audit.log");
    assert!(audit < 200 * 1024, "{audit} bytes of audit log");
    let text = std::fs::read(browser.profile().join("regen.log")).unwrap();
    assert!(!text.contains(&0x1b), "the log has terminal escapes");
    browser.regen(&["audit", "verify"]).unwrap();
}

fn size_of_file(browser: &Browser, name: &str) -> u64 {
    std::fs::metadata(browser.profile().join(name)).unwrap().len()
}

#[test]
fn tunnels_of_two_hosts_that_nobody_reads_do_not_end_the_net_daemon() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let second = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)).unwrap();
    for listener in [listener, second] {
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in listener.incoming().flatten() {
                // Writes as much as the other end and the system buffer.
                stream.set_nonblocking(true).unwrap();
                while std::io::Write::write(&mut stream, &[7; 1 << 16]).is_ok() {}
                open.push(stream);
                for stream in open.iter_mut().rev().take(64) {
                    while std::io::Write::write(stream, &[7; 1 << 16]).is_ok() {}
                }
            }
        });
    }
    let stranger = ForeignPeer::start();
    let net = stranger.browser.daemon("net-daemon");
    let tabs = [1, 2].map(|host| stranger.open(&format!("http://127.0.0.{host}:{port}/unread/2000")));
    // Beyond half of the limit for all hosts, each host gets only its share.
    let open = tabs.map(|tab| stranger.says(tab).trim_end_matches(" unread").parse::<u32>().unwrap());
    assert!(open.iter().all(|count| *count >= 256) && open.iter().sum::<u32>() >= 3000, "{open:?}");
    let memory = pss(net);
    assert!(memory < 600.0, "the net-daemon has {memory} MB");
    assert_eq!(stranger.browser.daemon("net-daemon"), net, "the net-daemon was restarted");
}

// ── plain pages ──

#[test]
fn names_whose_server_never_answers_do_not_end_the_net_daemon() {
    // A DNS server that receives queries and never answers.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = format!("udp://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let page = "<title>asks</title><script>for (let n = 0; n < 256; n++) fetch(`http://n${n}.never.test/`).catch(() => 0)</script>";
    let site = Site::serve(move |request| Some(Answer::page(if request.path == "/asks" { page } else { "<p>here" })));
    let browser = Browser::headless();
    browser.regen(&["dns", "set", &server]).unwrap();
    let net = browser.daemon("net-daemon");
    for number in 1..=2 {
        let _ = browser.open(&site.url(number, "/asks"));
    }
    let mut heard = std::collections::HashSet::new();
    silent.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut question = [0; 512];
    while heard.len() < 60
        && let Ok(length) = silent.recv(&mut question)
    {
        heard.insert(question[12..length].to_vec());
    }
    assert!(heard.len() >= 60, "control: the DNS server was asked for only {} names", heard.len());
    let threads = std::fs::read_dir(format!("/proc/{net}/task")).unwrap().count();
    assert!(threads < 60, "{threads} threads");
    // Other pages still load.
    let tab = browser.open(&site.url(3, "/"));
    assert!(browser.text(tab).contains("here"));
    assert_eq!(browser.daemon("net-daemon"), net);
}

#[test]
fn what_pages_do_all_day_is_no_violation() {
    let page = "<title>busy</title><p id=said>busy</p><script>
        const done = text => { said.textContent = text; };
        const work = {
            address: () => { history.replaceState(0, '', '/?' + 'x'.repeat(40000)); history.pushState(0, '', '/long#' + 'y'.repeat(40000)); },
            titles: () => { for (let n = 0; n < 20000; n++) document.title = 't' + n; },
            hashes: () => { for (let n = 0; n < 20000; n++) location.hash = n; },
            states: () => { for (let n = 0; n < 40; n++) history.pushState('z'.repeat(100000), '', '/s' + n); },
        };
        onload = () => setTimeout(() => { work[new URLSearchParams(location.search).get('do')]?.(); done('done'); }, 100);
    </script>";
    let site = Site::serve(move |_| Some(Answer::page(page)));
    let browser = Browser::headless();
    for what in ["address", "titles", "hashes", "states"] {
        let tab = browser.open(&site.url(1, &format!("/?do={what}")));
        let pid = browser.pid_of_tab(tab);
        browser.wait_for_text(tab, "done");
        // Updates are throttled, not lost: the last of many titles arrives.
        if what == "titles" {
            eventually("the last title", || (browser.tab(tab)["title"] == "t19999").then_some(()));
        }
        browser.regen(&["session", "save"]).unwrap();
        let after = browser.tab(tab);
        assert_eq!(
            (after["state"].as_str(), after["pid"].as_i64()),
            (Some("ready"), Some(i64::from(pid))),
            "{what}: {after}"
        );
        browser.regen(&["tab", "close", &tab.to_string()]).unwrap();
    }
    assert_eq!(refused(&browser), 0);
    assert!(!browser.log().contains("died"), "{}", browser.log());
}

#[test]
fn sixty_tabs_that_are_opened_at_once_all_show_their_page() {
    const TABS: usize = 60;
    // The answers are not cached: each page is requested when it is opened and again when it is restored.
    let pages = AtomicUsize::new(0);
    let site = Site::serve(move |request| match request.path.as_str() {
        "/begins" => Some(Answer::page(
            "<p id=said>begins</p><script>fetch('/slow').then((answer) => answer.text()).then((text) => said.textContent = text)</script>",
        )),
        "/slow" => {
            // Answers only after other tabs of the site have been opened.
            within(4 * DEADLINE, || (pages.load(Ordering::Relaxed) > TABS / 2).then_some(()))?;
            Some(Answer::page("what it waited for"))
        }
        path => {
            pages.fetch_add(1, Ordering::Relaxed);
            Some(Answer::page(&format!("<p>page {path}")))
        }
    });
    let browser = Browser::headless();
    let first = browser.open(&site.url(1, "/begins"));
    std::thread::scope(|all| {
        for number in 1..TABS {
            let url = site.url(1, &format!("/{number}"));
            let browser = &browser;
            all.spawn(move || browser.regen(&["tab", "open", "--background", &url]).unwrap());
        }
    });
    let all_are_well = |when: &str| {
        // Sixty pages take a long time to load, and no time limit is promised.
        let live = within(4 * DEADLINE, || {
            let status = browser.status();
            let tabs = status["tabs"].as_array().unwrap();
            let is_well = |tab: &&Value| ["ready", "lazy"].contains(&tab["state"].as_str().unwrap());
            let live = tabs.iter().filter(|tab| tab["state"] == "ready").map(|tab| tab["id"].as_u64().unwrap());
            (tabs.len() == TABS && tabs.iter().all(|tab| is_well(&tab))).then(|| live.collect::<Vec<_>>())
        });
        let live = live.unwrap_or_else(|| panic!("not all tabs are ready or lazy: {when}"));
        assert_eq!(live.len(), 40, "{when}: not exactly the 40 most recently used tabs are live");
        live.into_iter().filter(|tab| *tab != first).for_each(|tab| browser.wait_for_text(tab, "page /"));
    };
    all_are_well("sixty tabs");
    browser.wait_for_text(first, "what it waited for");
    browser.regen(&["kill", "tab", &first.to_string()]).unwrap();
    all_are_well("sixty tabs after a kill");
    assert!(!browser.log().contains("hung"), "{}", browser.log());
    assert_eq!(refused(&browser), 0);
}

#[test]
fn many_tabs_of_one_site_outlive_a_kill() {
    const TABS: usize = 46;
    let site =
        Site::serve(|request| Some(Answer::page(&format!("<title>{}</title><p>{}", request.path, request.path))));
    let browser = Browser::headless();
    let tabs: Vec<u64> = (0..TABS).map(|n| browser.open(&site.url(1, &format!("/{n}")))).collect();
    let asleep =
        |status: &Value| status["tabs"].as_array().unwrap().iter().filter(|tab| tab["state"] == "lazy").count();
    assert_eq!(asleep(&browser.status()), TABS - 40, "not exactly the 40 most recently used tabs are live");
    browser.regen(&["kill", "tab", &tabs[TABS - 1].to_string()]).unwrap();
    eventually("all tabs to be restored", || {
        let status = browser.status();
        let states: Vec<&str> =
            status["tabs"].as_array().unwrap().iter().map(|tab| tab["state"].as_str().unwrap()).collect();
        states.iter().all(|state| ["ready", "lazy"].contains(state)).then_some(())
    });
    // The first tab is lazy, and loads when it is activated.
    browser.regen(&["tab", "activate", &tabs[0].to_string()]).unwrap();
    browser.wait_for_text(tabs[0], "/0");
    assert_eq!(refused(&browser), 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "searches the files of the profile")]
fn an_address_is_shown_when_it_is_committed_and_without_credentials() {
    let site = Site::serve(|request| match request.path.as_str() {
        "/leaves" => Some(Answer::page(
            "<title>leaves</title><script>onload = () => setTimeout(() => location = location.href.replace('127.0.0.1', '127.0.0.2').replace('leaves', 'never'), 50)</script>",
        )),
        "/never" => {
            std::thread::park_timeout(Duration::from_secs(30));
            None
        }
        _ => Some(Answer::page("<title>in</title><p>in")),
    });
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/leaves"));
    let _ = site.wait_for_request("/leaves");
    eventually("the tab to move to the other site", || (browser.tab(tab)["site"] == "http://127.0.0.2").then_some(()));
    assert_eq!(browser.tab(tab)["url"], site.url(1, "/leaves").as_str(), "the address changed too early");
    let secret = site.url(3, "/in").replace("http://", "http://login.bank.com:hunter2@");
    let tab = browser.open(&secret);
    let shown = browser.tab(tab);
    assert_eq!(shown["url"], site.url(3, "/in").as_str());
    let request = site.wait_for_request("/in");
    assert_eq!(request.header("authorization"), "Basic bG9naW4uYmFuay5jb206aHVudGVyMg==", "no credentials were sent");
    browser.regen(&["session", "save"]).unwrap();
    browser.quit();
    let found = Command::new("grep").args(["-r", "-l", "hunter2"]).arg(browser.profile()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "a file of the profile has the password");
}

#[test]
fn a_form_with_fields_called_submit_and_append_arrives() {
    let form = |to: &str| {
        format!(
            "<form method=post action='{to}'><input name=submit value=one><input name=append value=two>\
             <button name=action style='position:fixed;left:0;top:0;width:200px;height:100px'>send</button></form>"
        )
    };
    let site = Site::serve(move |request| {
        let port = request.header("host").rsplit(':').next().unwrap_or_default().to_owned();
        Some(Answer::page(&match request.path.as_str() {
            "/form" => form(&format!("http://127.0.0.2:{port}/takes")),
            _ => format!("<p>took: {}", request.body),
        }))
    });
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/form"));
    browser.input(tab, &["--click", "50,50"]);
    let request = site.wait_for_request("/takes");
    assert_eq!(
        (request.method.as_str(), request.body.contains("submit=one&append=two")),
        ("POST", true),
        "{request:?}"
    );
}

#[test]
fn a_page_from_the_internet_takes_no_tab_to_a_private_address() {
    let _packets = regen_tests::network::own_network();
    let names = [("evil.test", Ipv4Addr::new(93, 184, 216, 1)), ("router.test", Ipv4Addr::new(10, 82, 0, 53))];
    let authority = regen_tests::tls::Authority::new("test authority");
    let (certificate, key) = authority.issue(&[regen_tests::names::SERVER_NAME], |_| {});
    let _server = NameServer::start(&names, &[], &certificate, &key);
    let inside = Site::serve(|_| Some(Answer::page("<title>inside</title><p>inside")));
    let to = inside.url(1, "/reboot");
    let router = TcpListener::bind((Ipv4Addr::new(10, 82, 0, 53), 8080)).unwrap();
    let outside = Site::serve_in([93, 184, 216], move |request| {
        let script = |to: &str| {
            Answer::page(&format!(
                "<title>evil</title><script>onload = () => setTimeout(() => location = '{to}', 50)</script>"
            ))
        };
        Some(match request.path.as_str() {
            "/script" => script(&to),
            "/redirect" => Answer::redirect(302, &to),
            "/name" => script("http://router.test:8080/reboot"),
            _ => Answer::page("<title>evil</title><p>evil"),
        })
    });
    let browser = Browser::headless();
    browser.regen(&["dns", "set", &format!("udp://{}", regen_tests::names::SERVER)]).unwrap();
    let evil = |path: &str| format!("http://evil.test:{}{path}", outside.port());
    for path in ["/script", "/redirect", "/name"] {
        let tab = open(&browser, &evil(path));
        let asks = browser.wait_for_state(tab, "private");
        assert!(asks["reason"].as_str().unwrap().contains("internet"), "{path}: {asks}");
    }
    assert!(inside.requests("/reboot").is_empty(), "a request was sent");
    router.set_nonblocking(true).unwrap();
    assert!(router.accept().is_err(), "a request was sent to the name's address");
    // The mark tells a restarted browser that the site is public, before the site is loaded.
    let marks = browser.profile().join("public-sites/default/http_evil.test");
    eventually("the mark as a public site", || marks.exists().then_some(()));
    // Control: the user may allow the navigation.
    let tab = open(&browser, &evil("/script"));
    browser.wait_for_state(tab, "private");
    browser.regen(&["tab", "allow-private", &tab.to_string()]).unwrap();
    browser.wait_for_text(tab, "inside");
    assert_eq!(inside.requests("/reboot").len(), 1);
}

// ── the terminal, and other users of the machine ──

#[test]
fn nothing_of_a_page_reaches_a_terminal_as_a_command() {
    let page = "<title>a\u{1b}[2Jb\u{202e}c\u{9b}31m</title><p>text \u{1b}]0;owned\u{7} \u{2066}end";
    let site = Site::serve(move |_| Some(Answer::page(page)));
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let dangerous = |text: &str| {
        text.chars()
            .any(|char| (char.is_control() && !"\n\t".contains(char)) || ('\u{202a}'..='\u{2069}').contains(&char))
    };
    let id = tab.to_string();
    for command in [&["status"][..], &["tab", "text", &id], &["--json", "status"], &["--json", "tab", "text", &id]] {
        let printed = browser.regen(command).unwrap();
        assert!(!dangerous(&printed), "{command:?}: {printed:?}");
    }
    // Control: the text is there in escaped form.
    assert!(browser.text(tab).contains("u{1b}]0;owned"), "{}", browser.text(tab));
    assert_eq!(browser.tab(tab)["title"].as_str().unwrap(), "a\u{1b}[2Jb\u{202e}c\u{9b}31m");
    let error = browser.regen(&["tab", "text", "9\u{1b}[2J"]).unwrap_err();
    assert!(!dangerous(&error.message), "{:?}", error.message);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test starts the product's command line as another user")]
fn a_folder_in_tmp_that_somebody_else_made_is_refused() {
    const VICTIM: u32 = 64_001;
    const SQUATTER: u32 = 64_002;
    let place = TempDir::with_prefix("regen-shared-").unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    // The program must be in a folder that any user can reach.
    let bin = place.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::copy(programs().join("regen"), bin.join("regen")).unwrap();
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(VICTIM), Some(VICTIM)).unwrap();
    let status = || {
        let output = Command::new("setpriv")
            .args([&format!("--reuid={VICTIM}"), &format!("--regid={VICTIM}"), "--clear-groups"])
            .arg(bin.join("regen"))
            .arg("status")
            .env_clear()
            .env("HOME", &home)
            .env("TMPDIR", place.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // Control: the folder does not exist yet.
    let (code, said) = status();
    assert_eq!(code, Some(3), "{said}");
    let squatted = place.path().join(format!("regen-{VICTIM}"));
    std::fs::create_dir(&squatted).unwrap();
    std::fs::set_permissions(&squatted, std::fs::Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::chown(&squatted, Some(SQUATTER), Some(SQUATTER)).unwrap();
    let (code, said) = status();
    assert!(code == Some(1) && said.contains(&format!("belongs to user {SQUATTER}")), "{code:?}: {said}");
    // A symlink to the victim's own folder is refused as well: the one who made it can change its target.
    std::fs::remove_dir(&squatted).unwrap();
    std::os::unix::fs::symlink(&home, &squatted).unwrap();
    let (code, said) = status();
    assert!(code == Some(1) && said.contains("it is a link"), "{code:?}: {said}");
}

#[test]
fn orders_are_recorded_with_who_gave_them() {
    let browser = Browser::headless();
    let net = browser.daemon("net-daemon");
    browser.regen(&["kill", "net-daemon"]).unwrap();
    eventually("another net-daemon", || (browser.daemon("net-daemon") != net).then_some(()));
    browser.regen(&["route", "set", "block"]).unwrap();
    let anchor = browser.regen(&["audit", "anchor"]).unwrap();
    browser.quit();
    let printed = browser.regen(&["--json", "audit"]).unwrap();
    let entries = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["entry"].clone());
    let ordered: Vec<Value> = entries.filter(|entry| entry["event"] == "ordered").collect();
    let whats: Vec<&str> = ordered.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["kill", "route", "quit"], "{ordered:?}");
    assert!(ordered.iter().all(|entry| entry["by"]["program"].as_str().unwrap().ends_with("regen")), "{ordered:?}");
    browser.regen(&["audit", "verify", "--anchor", anchor.trim()]).unwrap();
    // Deletes the log and its copy in the store: now only the anchor, which is kept elsewhere, reveals the change.
    std::fs::remove_dir_all(browser.profile().join("store")).unwrap();
    std::fs::remove_dir_all(browser.profile().join("sessions")).unwrap();
    std::fs::remove_file(browser.profile().join("audit.log")).unwrap();
    browser.start();
    browser.regen(&["audit", "verify"]).unwrap();
    let error = browser.regen(&["audit", "verify", "--anchor", anchor.trim()]).unwrap_err();
    assert!(
        error.code == 1 && (error.message.contains("rewritten") || error.message.contains("cut off")),
        "{}",
        error.message
    );
}

#[test]
fn a_log_that_was_touched_between_two_runs_is_told_of_by_every_later_one() {
    let browser = Browser::headless();
    browser.quit();
    std::fs::write(browser.profile().join("audit.log"), "").unwrap();
    browser.start();
    for _ in 0..2 {
        let error = browser.regen(&["audit", "verify"]).unwrap_err();
        assert!(error.code == 1 && error.message.contains("cut off"), "{}", error.message);
        let status = browser.status();
        assert!(status["warnings"].to_string().contains("audit log was changed"), "{status}");
        browser.quit();
        browser.start();
    }
}
