//! Routes and Tor, on a Tor network of real tor processes: what takes it, what shares a circuit, and that nothing ever leaves
//! another way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use regen_tests::network::{Packets, own_network};
use regen_tests::site::Answer;
use regen_tests::{Browser, Site, TorNetwork, eventually};

/// In a network of its own: three relays, a site, and a browser that knows the relays and takes Tor.
struct Scene {
    packets: Packets,
    tor: TorNetwork,
    site: Site,
    browser: Browser,
}

fn scene() -> Scene {
    let packets = own_network();
    let site = Site::serve_in([10, 80, 0], |_| Some(Answer::page("<title>t</title><p>here")));
    let tor = TorNetwork::start(3);
    let config = tor.config();
    let browser = Browser::with_options(&["--headless", "--tor-config", config.to_str().unwrap()]);
    Scene { packets, tor, site, browser }
}

impl Scene {
    /// Packets to the site that no exit sent.
    fn leaked(&self) -> usize {
        let to_site = |port| port == self.site.port();
        self.packets.all().into_iter().filter(|packet| to_site(packet.port) && !self.tor.is_exit(packet.from)).count()
    }
}

#[test]
fn a_page_takes_tor_and_nothing_leaves_another_way() {
    let scene = scene();
    let Scene { browser, site, tor, .. } = &scene;
    assert_eq!(browser.json(&["tor", "status"])["state"], "off", "nothing has asked for it");
    browser.regen(&["route", "set", "tor"]).unwrap();
    let tab = browser.open(&site.url(1, "/"));
    assert!(browser.text(tab).contains("here"));
    let requests = site.requests("/");
    assert!(!requests.is_empty() && requests.iter().all(|request| tor.is_exit(request.from)), "{requests:?}");
    assert_eq!(scene.leaked(), 0);
    eventually("Tor to be ready", || (browser.json(&["tor", "status"])["state"] == "ready").then_some(()));
    // The control: without Tor there are such packets, and they are seen.
    browser.regen(&["route", "set", "direct"]).unwrap();
    browser.open(&site.url(1, "/other"));
    assert!(scene.leaked() > 0);
    assert!(site.requests("/other").iter().all(|request| !tor.is_exit(request.from)));
}
