//! HTTPS-only mode, mixed content and HSTS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::Ipv4Addr;

use regen_tests::names::{SERVER, SERVER_NAME};
use regen_tests::network::own_network;
use regen_tests::site::{Answer, Request};
use regen_tests::tls::Authority;
use regen_tests::{Browser, NameServer, Site};
use serde_json::Value;

/// Servers on ports 80 and 443: `both` and `back` with and without TLS, `plain` only without.
struct Scene {
    plain: Site,
    secure: Site,
    alone: Site,
    browser: Browser,
    _names: NameServer,
    _folder: tempfile::TempDir,
}

fn answer(request: &Request) -> Option<Answer> {
    let mixed = "<p id=said>asks</p><script>
        const part = new Promise(done => {
            const script = document.createElement('script');
            [script.onload, script.onerror] = [() => done('script:came'), () => done('script:kept out')];
            script.src = 'http://plain.test/mixed.js';
            document.body.append(script);
        });
        const frame = document.createElement('iframe');
        frame.src = 'http://plain.test/frame';
        document.body.append(frame);
        const fetched = fetch('http://plain.test/fetched', { mode: 'no-cors' }).then(() => 'fetch:came', () => 'fetch:kept out');
        Promise.all([part, fetched]).then(all => said.textContent = all.join(' '));</script>";
    Some(match (request.header("host"), request.path.as_str()) {
        ("back.test", _) => Answer::redirect(302, "http://back.test/"),
        ("old.both.test", "/embeds") => Answer::page(
            "<p id=said>asks</p><script>const part = document.createElement('script');
             [part.onload, part.onerror] = [() => said.textContent = 'came', () => said.textContent = 'kept out'];
             part.src = 'http://www.both.test/part.js'; document.body.append(part);</script>",
        ),
        (_, "/moves") => Answer::page(
            "<p>leaves<script>location.replace('http://' + location.host + '/moved')</script><img src=/slow.js>",
        ),
        (_, "/mixed") => Answer::page(mixed),
        (_, "/insists") => Answer::page("<p>here").with("Strict-Transport-Security", "max-age=9000; includeSubDomains"),
        (_, path) if path.ends_with(".js") => Answer::typed("text/javascript", Vec::new()),
        _ => Answer::page("<title>t</title><p>here"),
    })
}

fn scene() -> Scene {
    drop(own_network());
    let authority = Authority::new("test authority");
    let (certificate, key) = authority.issue(&["both.test", "www.both.test", "back.test", SERVER_NAME], |_| {});
    let (here, there) = (Ipv4Addr::new(93, 184, 216, 1), Ipv4Addr::new(93, 184, 217, 1));
    let known = [
        ("both.test", here),
        ("www.both.test", here),
        ("back.test", here),
        ("old.both.test", there),
        ("wrong.test", here),
        ("plain.test", there),
    ];
    let names = NameServer::start(&known, &[], &certificate, &key);
    let secure = Site::serve_on([93, 184, 216], 443, Some((&certificate, &key)), answer);
    let plain = Site::serve_on([93, 184, 216], 80, None, answer);
    let alone = Site::serve_on([93, 184, 217], 80, None, answer);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let browser = Browser::with_options(&["--headless", "--extra-ca", file.to_str().unwrap()]);
    browser.regen(&["dns", "set", &format!("udp://{SERVER}")]).unwrap();
    Scene { plain, secure, alone, browser, _names: names, _folder: folder }
}

impl Scene {
    fn open(&self, url: &str) -> Value {
        self.browser.json(&["tab", "open", url, "--wait"])
    }

    fn insecure(&self, url: &str, why: &str) -> String {
        let tab = self.open(url);
        assert_eq!((&tab["state"], &tab["url"]), (&"insecure".into(), &url.into()), "{tab}");
        assert!(tab["reason"].as_str().unwrap().contains(why), "{tab}");
        tab["id"].to_string()
    }
}

#[test]
fn without_encryption_nothing_is_sent_until_its_user_agrees() {
    let scene = scene();
    let Scene { browser, plain, secure, alone, .. } = &scene;
    // Control: without HTTPS-only mode, plain pages load.
    assert_eq!(scene.open("http://both.test/control")["url"], "http://both.test/control");
    assert_eq!(plain.requests("/control").len(), 1);
    let shown = browser.json(&["https-only", "on"]);
    assert_eq!(shown["on"], true);
    let tab = scene.open("http://both.test/page?x#y");
    assert_eq!((&tab["state"], &tab["url"]), (&"ready".into(), &"https://both.test/page?x#y".into()), "{tab}");
    assert_eq!((secure.requests("/page").len(), plain.requests("/page").len()), (1, 0));
    // A page without TLS, with a wrong certificate, or that redirects back to HTTP is not loaded.
    let tab = scene.insecure("http://plain.test/secret", "There is no encrypted connection");
    drop(scene.insecure("http://wrong.test/", "another host"));
    drop(scene.insecure("http://back.test/", "redirects encrypted connections"));
    assert!(alone.take_requests().is_empty(), "a request was sent");
    browser.regen(&["tab", "reload", &tab]).unwrap();
    browser.wait_for_state(tab.parse().unwrap(), "insecure");
    browser.quit();
    browser.start();
    assert!(browser.json(&["https-only"])["on"] == true, "the setting was lost in the restart");
    let tab = scene.insecure("http://plain.test/secret", "There is no encrypted connection");
    assert!(alone.take_requests().is_empty());
    browser.regen(&["tab", "allow-insecure", &tab]).unwrap();
    browser.wait_for_url(tab.parse().unwrap(), "http://plain.test/secret");
    assert_eq!(alone.requests("/secret").len(), 1);
    // The permission holds for the whole site, and for no other.
    assert_eq!(scene.open("http://plain.test/more")["state"], "ready");
    drop(scene.insecure("http://wrong.test/", "another host"));
    browser.regen(&["https-only", "off", "--site", "https://both.test/"]).unwrap();
    assert_eq!(scene.open("http://both.test/chosen")["url"], "http://both.test/chosen");
    browser.regen(&["https-only", "default", "--site", "https://both.test/"]).unwrap();
    assert_eq!(scene.open("http://both.test/again")["url"], "https://both.test/again");
    assert_eq!(browser.regen(&["https-only", "perhaps"]).unwrap_err().code, 2);
}

#[test]
fn a_page_that_moves_to_plain_http_while_it_loads_is_taken_there_encrypted() {
    let scene = scene();
    let Scene { browser, plain, secure, .. } = &scene;
    // Control: without HTTPS-only mode, the page moves to plain HTTP.
    let tab = browser.open("https://both.test/moves");
    browser.wait_for_url(tab, "http://both.test/moved");
    assert_eq!(plain.requests("/moved").len(), 1);
    browser.regen(&["https-only", "on"]).unwrap();
    let tab = browser.open("https://both.test/moves");
    browser.wait_for_url(tab, "https://both.test/moved");
    browser.wait_for_text(tab, "here");
    assert_eq!(browser.wait_for_state(tab, "ready")["reason"], "");
    assert_eq!((secure.requests("/moved").len(), plain.requests("/moved").len()), (1, 1));
}

#[test]
fn what_an_encrypted_page_embeds_comes_encrypted_or_not_at_all() {
    let scene = scene();
    let tab = scene.browser.open("https://both.test/mixed");
    scene.browser.wait_for_text(tab, "script:kept out fetch:kept out");
    assert!(scene.alone.take_requests().is_empty(), "a subresource or the frame was requested");
    // Control: an unencrypted page may embed them.
    let tab = scene.browser.open("http://both.test/mixed");
    scene.browser.wait_for_text(tab, "script:came fetch:came");
}

#[test]
fn a_host_that_insists_on_encryption_is_never_asked_without_where_it_said_so() {
    let scene = scene();
    let Scene { browser, plain, secure, .. } = &scene;
    // Control: an HSTS header over plain HTTP has no effect.
    assert_eq!(scene.open("http://both.test/insists")["url"], "http://both.test/insists");
    assert_eq!(scene.open("http://both.test/before")["url"], "http://both.test/before");
    browser.open("https://both.test/insists");
    let tab = scene.open("http://both.test/after");
    assert_eq!(tab["url"], "https://both.test/after", "{tab}");
    assert_eq!(scene.open("http://www.both.test/below")["url"], "https://www.both.test/below");
    browser.quit();
    browser.start();
    assert_eq!(scene.open("http://both.test/later")["url"], "https://both.test/later");
    assert!(["/after", "/below", "/later"].into_iter().all(|path| plain.requests(path).is_empty()));
    assert_eq!(secure.requests("/later").len(), 1);
    // Another workspace does not share HSTS state.
    let other = browser.json(&["tab", "open", "http://both.test/elsewhere", "--workspace", "other", "--wait"]);
    assert_eq!(other["url"], "http://both.test/elsewhere", "{other}");
}

#[test]
fn parts_of_a_plain_page_come_encrypted_from_a_host_that_insists() {
    let scene = scene();
    let Scene { browser, plain, secure, .. } = &scene;
    let embed = || {
        let tab = scene.open("http://old.both.test/embeds")["id"].as_u64().unwrap();
        browser.wait_for_text(tab, "came");
        (plain.requests("/part.js").len(), secure.requests("/part.js").len())
    };
    // Control: no HSTS header has been received yet.
    assert_eq!(embed(), (1, 0));
    assert_eq!(scene.open("https://www.both.test/insists")["state"], "ready");
    assert_eq!(embed(), (1, 1));
    // A restarted net-daemon knows the host as well.
    regen_tests::process::signal(browser.daemon("net-daemon"), rustix::process::Signal::KILL);
    assert_eq!(embed(), (1, 2));
    browser.quit();
    browser.start();
    assert_eq!(embed(), (1, 3));
}
