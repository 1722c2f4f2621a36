//! The net-daemon as the only egress: without it nothing is sent, and each failure shows an error page with the reason.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::CertificateParams;
use regen_tests::network::own_network;
use regen_tests::site::Answer;
use regen_tests::tls::Authority;
use regen_tests::{Browser, DEADLINE, Site, eventually, within};
use rustix::process::Signal;

#[test]
fn without_the_net_daemon_pages_fail_closed_and_retry_works_when_it_is_back() {
    let site = Site::pages(&[("/", "<title>here</title><p>the page</p>"), ("/next", "<p>the next page</p>")]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let host = browser.pid_of_tab(tab);
    browser.regen(&["kill", "net-daemon"]).unwrap();
    let id = tab.to_string();
    browser.regen(&["tab", "goto", &id, &site.url(1, "/next")]).unwrap();
    eventually("the retry to succeed", || {
        let now = browser.tab(tab);
        if now["state"] == "failed" {
            browser.regen(&["tab", "reload", &id]).unwrap();
        }
        (now["state"] == "ready" && now["url"] == site.url(1, "/next").as_str()).then_some(())
    });
    assert!(browser.text(tab).contains("the next page"));
    assert_eq!(browser.pid_of_tab(tab), host, "the tab-host was restarted");
}

#[test]
fn a_page_that_was_asked_for_when_the_net_daemon_died_is_asked_for_again_and_a_form_is_not() {
    // The answer is held until the net-daemon has been killed.
    let held = Arc::new(AtomicBool::new(true));
    let holds = Arc::clone(&held);
    let site = Site::serve(move |request| {
        Some(match request.path.as_str() {
            "/" => {
                Answer::page("<title>form</title><form method=post action=/sent><input name=a value=b></form>the form")
            }
            "/other" => Answer::page("<title>other</title>the other page"),
            _ => {
                within(DEADLINE, || (!holds.load(Ordering::SeqCst)).then_some(()))?;
                Answer::page("<title>answer</title>the answer")
            }
        })
    });
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, "the form");
    let id = tab.to_string();
    browser.regen(&["tab", "goto", &id, &site.url(1, "/slow")]).unwrap();
    let _ = site.wait_for_request("/slow");
    browser.regen(&["kill", "net-daemon"]).unwrap();
    held.store(false, Ordering::SeqCst);
    browser.wait_for_text(tab, "the answer");
    assert_eq!(site.requests("/slow").len(), 2);
    held.store(true, Ordering::SeqCst);
    browser.regen(&["tab", "back", &id]).unwrap();
    browser.wait_for_text(tab, "the form");
    browser.input(tab, &["--click", "100,20"]);
    browser.input(tab, &["--key", "enter"]);
    let _ = site.wait_for_request("/sent");
    let _ = browser.daemon("net-daemon");
    browser.regen(&["kill", "net-daemon"]).unwrap();
    browser.wait_for_state(tab, "failed");
    // The same tab-host loads another page through the new net-daemon, so it could have sent the form again.
    let other = browser.open(&site.url(1, "/other"));
    browser.wait_for_text(other, "the other page");
    assert_eq!(browser.pid_of_tab(other), browser.pid_of_tab(tab));
    assert_eq!(browser.tab(tab)["state"], "failed", "the form was sent again without the user");
    assert_eq!(site.requests("/sent").len(), 1);
}

#[test]
fn a_hung_net_daemon_is_replaced() {
    let browser = Browser::headless();
    let old = browser.daemon("net-daemon");
    browser.regen(&["kill", "net-daemon", "--signal", "STOP"]).unwrap();
    eventually("another one", || browser.pids_of("net-daemon").first().copied().filter(|pid| *pid != old && *pid != 0));
}

#[test]
fn a_refused_connection_names_the_host_and_the_reason_and_retry_works() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let browser = Browser::headless();
    let url = format!("http://127.0.0.1:{port}/");
    let tab = browser.json(&["tab", "open", &url, "--wait"]);
    assert_eq!(tab["state"], "failed", "{tab}");
    let reason = tab["reason"].as_str().unwrap();
    assert!(reason.contains("127.0.0.1") && reason.contains("refused the connection"), "{reason}");
    let id = tab["id"].as_u64().unwrap();
    let text = browser.text(id);
    assert!(text.contains("refused the connection") && text.contains("Retry"), "{text}");

    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 2048];
            // Every request gets the same answer.
            let _ = stream.read(&mut request);
            let body = "<p>now it answers</p>";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    // Clicks the error page's own button.
    let picture = browser.screenshot(id);
    let (x, y) = find_button(&picture);
    browser.input(id, &["--click", &format!("{x},{y}")]);
    browser.wait_for_text(id, "now it answers");
}

/// Returns a point in the middle of the blue button.
fn find_button((width, height, pixels): &(usize, usize, Vec<u8>)) -> (usize, usize) {
    let blue: Vec<(usize, usize)> = (0..width * height)
        .filter(|at| pixels[at * 3..at * 3 + 3] == [0x2f, 0x5f, 0xd0])
        .map(|at| (at % width, at / width))
        .collect();
    assert!(!blue.is_empty(), "the screenshot shows no button");
    blue[blue.len() / 2]
}

#[test]
fn a_port_that_the_engine_refuses_is_an_error_in_words() {
    let site = Site::pages(&[("/", "<title>t</title><p>here")]);
    let browser = Browser::headless();
    let tab = browser.json(&["tab", "open", "http://127.0.0.1:9/"])["id"].as_u64().unwrap();
    let refused = browser.wait_for_state(tab, "failed");
    assert!(refused["reason"].as_str().unwrap().contains("another service"), "{refused}");
    assert_eq!(refused["url"], "http://127.0.0.1:9/");
    browser.regen(&["tab", "goto", &tab.to_string(), &site.url(1, "/"), "--wait"]).unwrap();
    assert!(browser.text(tab).contains("here"));
    browser.regen(&["tab", "goto", &tab.to_string(), "http://127.0.0.1:6000/"]).unwrap();
    let again = browser.wait_for_state(tab, "failed");
    assert_eq!(again["url"], "http://127.0.0.1:6000/");
}

#[test]
fn a_name_that_does_not_exist_is_named() {
    let browser = Browser::headless();
    let tab = browser.json(&["tab", "open", "http://no-such-host.invalid/", "--wait"]);
    assert_eq!(tab["state"], "failed", "{tab}");
    let reason = tab["reason"].as_str().unwrap();
    assert!(reason.contains("no-such-host.invalid") && reason.contains("resolved"), "{reason}");
}

fn https(authority: &Authority, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Site {
    let (certificate, key) = authority.issue(names, change);
    Site::serve_tls(&certificate, &key, |_| Some(Answer::page("<title>secret</title><p>over TLS</p>")))
}

#[test]
fn https_works_with_an_authority_that_the_profile_adds() {
    let authority = Authority::new("test authority");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let browser = Browser::with_options(&["--headless", "--extra-ca", file.to_str().unwrap()]);
    assert_eq!(browser.status()["extra_ca"], 1);
    let site = https(&authority, &["127.0.0.1"], |_| {});
    let tab = browser.open(&site.url(1, "/"));
    assert!(browser.text(tab).contains("over TLS"));
    assert_eq!(browser.tab(tab)["site"], "https://127.0.0.1");

    let failed = |site: &Site, number: u8, words: &str| {
        let tab = browser.json(&["tab", "open", &site.url(number, "/"), "--wait"]);
        assert_eq!(tab["state"], "failed", "{tab}");
        let reason = tab["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{words}: {tab}");
        let text = browser.text(tab["id"].as_u64().unwrap());
        assert!(text.contains(&format!("127.0.0.{number}")) && text.contains("Retry"), "{text}");
    };
    failed(&https(&authority, &["other.example"], |_| {}), 1, "belongs to another host");
    let expired = https(&authority, &["127.0.0.2"], |parameters| {
        parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    failed(&expired, 2, "expired");
    failed(&https(&Authority::new("somebody else"), &["127.0.0.3"], |_| {}), 3, "not issued by an authority");
}

#[test]
fn without_the_added_authority_the_same_site_is_refused() {
    let site = https(&Authority::new("test authority"), &["127.0.0.1"], |_| {});
    let browser = Browser::headless();
    let tab = browser.json(&["tab", "open", &site.url(1, "/"), "--wait"]);
    assert_eq!(tab["state"], "failed", "{tab}");
    assert!(site.requests("/").is_empty(), "a request was sent");
}

#[test]
fn a_file_that_holds_no_certificate_is_refused_at_the_start() {
    let browser = Browser::not_started(&["--headless", "--extra-ca", "/dev/null"]);
    let failed = browser.try_start().unwrap_err();
    assert!(failed.message.contains("/dev/null") && failed.message.contains("no certificate"), "{}", failed.message);
}

#[test]
fn a_tab_host_has_no_other_way_out() {
    let site = Site::pages(&[("/", "<p>page")]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let seen = site.requests("/").len();
    // While the net-daemon is stopped, a reload reaches no server.
    browser.regen(&["kill", "net-daemon", "--signal", "STOP"]).unwrap();
    browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    // The reload has begun, and waits for an answer that does not come.
    eventually("the reload to begin", || (browser.tab(tab)["state"] == "loading").then_some(()));
    assert_eq!(site.requests("/").len(), seen);
    let pids = browser.pids_of("net-daemon");
    if let Some(pid) = pids.first() {
        regen_tests::process::signal(*pid, Signal::CONT);
    }
    eventually("the reload to arrive once the net-daemon continues", || {
        if browser.tab(tab)["state"] == "failed" {
            browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
        }
        (site.requests("/").len() > seen).then_some(())
    });
}

#[test]
fn pages_from_outside_do_not_reach_this_computers_own_network() {
    let _ = own_network();
    let any = "Access-Control-Allow-Origin";
    let inside = Site::serve(move |_| Some(Answer::typed("text/plain", b"x".to_vec()).with(any, "*")));
    let page = format!(
        "<title>t</title><p id=said>asks</p><script>
            const say = text => document.getElementById('said').textContent = text;
            fetch('{}').then(() => say('reached'), () => say('kept out'));
        </script>",
        inside.url(1, "/inside")
    );
    let outside = Site::serve_in([93, 184, 216], move |_| Some(Answer::page(&page)));
    let browser = Browser::with_options(&["--headless", "--reach-private", &outside.url(2, "/")]);
    let tab = browser.open(&outside.url(1, "/"));
    browser.wait_for_text(tab, "kept out");
    assert!(inside.requests("/inside").is_empty());
    // Control: a site that the user lets in with `--reach-private`.
    let trusted = browser.open(&outside.url(2, "/"));
    browser.wait_for_text(trusted, "reached");
    assert_eq!(inside.requests("/inside").len(), 1);
    // The user's own navigation to a private address works.
    browser.open(&inside.url(2, "/mine"));
}
