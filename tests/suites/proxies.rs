//! Routes through real upstream proxies: all traffic uses them, their identity is verified, and nothing leaves another
//! way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::date_time_ymd;
use regen_tests::network::{Packets, own_network};
use regen_tests::proxy::NAME;
use regen_tests::site::{Answer, arrived_whole, large_both_ways};
use regen_tests::tls::{Authority, pin_of};
use regen_tests::{Browser, Site, UpstreamProxy};

/// Address that proxies connect from.
const PROXY: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 9);
const SITE: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 1);

struct Scene {
    packets: Packets,
    site: Site,
}

fn scene() -> Scene {
    let packets = own_network();
    let site = Site::serve_in([93, 184, 216], |request| {
        Some(match request.path.as_str() {
            "/inside" => Answer::page(
                "<p id=said>asks</p><script>
                const ask = host => fetch(`http://${host}:${location.port}/`, { mode: 'no-cors' }).then(() => 'reached', () => 'kept out');
                Promise.all([ask('127.0.0.1'), ask('localhost')]).then(all => said.textContent = all.join(', '));</script>",
            ),
            _ => return large_both_ways(request).or_else(|| Some(Answer::page("<title>t</title><p>here"))),
        })
    });
    Scene { packets, site }
}

impl Scene {
    /// Counts packets to the site that the proxy did not send, and packets to DNS servers.
    fn leaked(&self) -> usize {
        let is_leak = |port, from| port == 53 || (port == self.site.port() && from != PROXY);
        self.packets.all().into_iter().filter(|packet| is_leak(packet.port, packet.from)).count()
    }

    fn named(&self, path: &str) -> String {
        format!("http://{NAME}:{}{path}", self.site.port())
    }

    fn failure(&self, browser: &Browser, route: &str) -> String {
        browser.regen(&["route", "set", route]).unwrap();
        let tab = browser.json(&["tab", "open", &self.site.url(1, "/refused"), "--wait"]);
        assert_eq!(tab["state"], "failed", "{route}: {tab}");
        assert!(self.site.requests("/refused").is_empty());
        tab["reason"].as_str().unwrap().to_owned()
    }
}

/// Asserts what holds for every proxy: all requests go through it, and none to its own machine.
fn everything_takes_it(scene: &Scene, browser: &Browser, route: &str) {
    browser.regen(&["route", "set", route]).unwrap();
    let tab = browser.open(&scene.site.url(1, "/sends"));
    browser.wait_for_text(tab, &arrived_whole());
    // Only the proxy can resolve this name.
    browser.open(&scene.named("/named"));
    let requests = scene.site.take_requests();
    assert!(!requests.is_empty() && requests.iter().all(|request| request.from == PROXY), "{requests:?}");
    // Pages from outside cannot reach the proxy's own machine.
    let tab = browser.open(&scene.site.url(1, "/inside"));
    browser.wait_for_text(tab, "kept out, kept out");
    let refused = browser.json(&["tab", "open", "http://93.184.216.1:9/", "--wait"]);
    assert_eq!(refused["state"], "failed", "{refused}");
    assert_eq!(scene.leaked(), 0);
    assert_eq!(browser.status()["refused_messages"]["system_calls"], 0, "a system call was refused");
}

#[test]
fn pages_take_a_socks_proxy_and_nothing_leaves_another_way() {
    let scene = scene();
    let mut proxy = UpstreamProxy::socks(PROXY, SITE);
    let browser = Browser::headless();
    let route = format!("socks5://127.0.0.1:{}", proxy.port());
    everything_takes_it(&scene, &browser, &route);
    assert_eq!(browser.json(&["route", "show"])["route"], format!("{route} → block"));
    browser.quit();
    browser.start();
    browser.open(&scene.site.url(1, "/later"));
    proxy.kill();
    let reason = scene.failure(&browser, &route);
    assert!(reason.contains("does not work"), "{reason}");
    assert_eq!(scene.leaked(), 0);
    // Control: a route with a direct fallback uses it, and the packets are seen.
    browser.regen(&["route", "set", &format!("{route} → direct")]).unwrap();
    browser.open(&scene.site.url(1, "/direct"));
    assert!(scene.leaked() > 0);
}

#[test]
fn an_https_proxy_must_be_who_it_says_it_is() {
    let scene = scene();
    let authority = Authority::new("test authority");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let browser = Browser::with_options(&["--headless", "--extra-ca", file.to_str().unwrap()]);
    let (certificate, key) = authority.issue(&["127.0.0.1"], |_| {});
    let proxy = UpstreamProxy::https(PROXY, SITE, &certificate, &key);
    everything_takes_it(&scene, &browser, &format!("https://127.0.0.1:{}", proxy.port()));
    // Certificates that must be refused.
    let expired = authority.issue(&["127.0.0.1"], |certificate| {
        (certificate.not_before, certificate.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    let self_made = Authority::new("somebody else").issue(&["127.0.0.1"], |_| {});
    for (what, word, (certificate, key)) in [
        ("expired", "expired", expired),
        ("for another host", "not valid for name", authority.issue(&["other.test"], |_| {})),
        ("from an unknown authority", "UnknownIssuer", self_made),
    ] {
        let other = UpstreamProxy::https(PROXY, SITE, &certificate, &key);
        let reason = scene.failure(&browser, &format!("https://127.0.0.1:{}", other.port()));
        assert!(reason.contains("not secure"), "{what}: {reason}");
        assert!(reason.contains(word), "{what}: {reason}");
    }
    assert_eq!(scene.leaked(), 0);
}

#[test]
fn a_pinned_proxy_has_that_key_and_no_other() {
    let scene = scene();
    let (certificate, key) = Authority::new("nobody knows it").issue(&["whatever.test"], |_| {});
    let proxy = UpstreamProxy::https(PROXY, SITE, &certificate, &key);
    let browser = Browser::headless();
    let route = |pin: [u8; 32]| format!("https://127.0.0.1:{}#sha256/{}", proxy.port(), STANDARD.encode(pin));
    let pin = pin_of(&key);
    everything_takes_it(&scene, &browser, &route(pin));
    let mut other = pin;
    other[0] ^= 1;
    let reason = scene.failure(&browser, &route(other));
    assert!(reason.contains("another key"), "{reason}");
    let reason = scene.failure(&browser, &format!("https://127.0.0.1:{}", proxy.port()));
    assert!(reason.contains("not secure"), "accepted without its pin: {reason}");
    assert_eq!(scene.leaked(), 0);
    for wrong in ["https://a.test#sha256/AAAA", "http://a.test:80", "socks5://u:p@a.test"] {
        assert_eq!(browser.regen(&["route", "set", wrong]).unwrap_err().code, 2, "{wrong}");
    }
}
