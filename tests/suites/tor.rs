//! Routes over Tor, on a network of real tor processes: traffic uses Tor only, partitions do not share circuits, and
//! nothing leaves another way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::HashSet;
use std::io::Write;
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use regen_tests::network::{Packet, Packets, own_network};
use regen_tests::process::{is_alive, signal};
use regen_tests::site::{Answer, Request};
use regen_tests::tor::RESOLVER;
use regen_tests::{Browser, Site, TorNetwork, eventually, within};
use rustix::process::Signal;

/// Time limit for Tor; restarted relays need about a third of it for a new consensus.
const DEADLINE: Duration = Duration::from_secs(60);

/// A page that requests its own site repeatedly, and once a resource that is never answered (a POST, which the engine
/// does not retry by itself).
const ASKS: &str = "<title>t</title><p>here</p><p id=held>held</p><p id=half></p><script>
    const held = document.getElementById('held');
    fetch('/held', { method: 'POST', body: 'x' }).catch(() => held.textContent = 'cut off');
    const ask = () => fetch('/again').catch(() => {}).then(() => setTimeout(ask, 20));
    ask();
    const say = text => document.getElementById('half').textContent = 'half: ' + text;
    if (location.search) fetch('http://10.80.0.3:' + location.search.slice(1)).then(answer => {
        say('under way');
        answer.text().then(() => say('whole'), () => say('torn'));
    });
</script>";

/// A private network namespace with Tor relays, a site, and a browser that is configured with the relays.
struct Scene {
    packets: Packets,
    tor: TorNetwork,
    site: Site,
    browser: Browser,
}

fn scene() -> Scene {
    scene_on(|| TorNetwork::start(3))
}

fn scene_on(start: impl FnOnce() -> TorNetwork) -> Scene {
    let packets = own_network();
    let site = Site::serve_in([10, 80, 0], |request| {
        Some(match request.path.as_str() {
            path if path.starts_with("/asks") => Answer::page(ASKS),
            "/held" => loop {
                std::thread::park();
            },
            path if path.starts_with("/partition") => Answer::page("<p>here").with("Connection", "close"),
            _ => Answer::page("<title>t</title><p>here"),
        })
    });
    let tor = start();
    let browser = browser_of(&tor);
    browser.start();
    Scene { packets, tor, site, browser }
}

fn browser_of(tor: &TorNetwork) -> Browser {
    Browser::not_started(&["--headless", "--tor-config", tor.config().to_str().unwrap()])
}

impl Scene {
    /// Counts packets to the site that no exit sent.
    fn leaked(&self) -> usize {
        let to_site = |port| port == self.site.port();
        self.packets.all().into_iter().filter(|packet| to_site(packet.port) && !self.tor.is_exit(packet.from)).count()
    }

    /// Returns packets to DNS servers other than the exits' own.
    fn asked_for_names(&self) -> Vec<Packet> {
        self.packets.all().into_iter().filter(|packet| packet.port == 53 && packet.to != RESOLVER).collect()
    }

    fn tor_is(&self, state: &str) {
        let is = || self.browser.json(&["route", "show"])["tor"] == state;
        within(DEADLINE, || is().then_some(())).unwrap_or_else(|| {
            panic!("Tor is not {state}: {}\n{}", self.browser.json(&["route", "show"]), self.browser.log());
        });
    }

    /// Removes all requests so far, and returns the exits that requested this path.
    fn exits_of(&self, path: &str) -> HashSet<IpAddr> {
        let requests = self.site.take_requests();
        requests.into_iter().filter(|request| request.path == path).map(|request| request.from).collect()
    }
}

#[test]
fn a_page_takes_tor_and_nothing_leaves_another_way() {
    let scene = scene();
    let Scene { browser, site, tor, .. } = &scene;
    assert_eq!(browser.json(&["tor", "status"])["state"], "off", "Tor was started although no route uses it");
    browser.regen(&["route", "set", "tor"]).unwrap();
    let tab = browser.open(&site.url(1, "/"));
    assert!(browser.text(tab).contains("here"));
    let requests = site.requests("/");
    assert!(!requests.is_empty() && requests.iter().all(|request| tor.is_exit(request.from)), "{requests:?}");
    scene.tor_is("ready");
    // The route is remembered.
    browser.quit();
    browser.start();
    browser.open(&site.url(2, "/later"));
    assert_eq!(scene.leaked(), 0);
    // Control: without Tor there are such packets, and they are seen.
    browser.regen(&["route", "set", "direct", "--site", &site.url(3, "/")]).unwrap();
    browser.open(&site.url(3, "/direct"));
    assert!(scene.leaked() > 0);
    assert!(site.requests("/direct").iter().all(|request| !tor.is_exit(request.from)));
    let routes = browser.json(&["route", "show"]);
    assert_eq!((&routes["route"], &routes["sites"]["10.80.0.3"]), (&"tor → block".into(), &"direct → block".into()));
    // A workspace has its own default route.
    browser.regen(&["route", "set", "block", "--workspace", "shut"]).unwrap();
    let opened = browser.json(&["tab", "open", &site.url(1, "/shut"), "--workspace", "shut"]);
    let shut = browser.wait_for_state(opened["id"].as_u64().unwrap(), "failed");
    assert!(shut["reason"].as_str().unwrap().contains("blocks all traffic"), "{shut}");
    assert!(site.requests("/shut").is_empty());
    // Without Tor, an onion service's name is never sent to a DNS server.
    let name = "http://duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion/";
    browser.regen(&["route", "set", "direct", "--site", name]).unwrap();
    let onion = browser.json(&["tab", "open", name]);
    let onion = browser.wait_for_state(onion["id"].as_u64().unwrap(), "failed");
    assert!(onion["reason"].as_str().unwrap().contains("only Tor reaches"), "{onion}");
    assert!(scene.asked_for_names().is_empty(), "{:?}", scene.asked_for_names());
    // Other names are resolved by the exits.
    browser.regen(&["route", "set", "tor"]).unwrap();
    let named = browser.json(&["tab", "open", "http://nobody.test/"])["id"].as_u64().unwrap();
    within(DEADLINE, || (browser.tab(named)["state"] == "failed").then_some(())).expect("an end");
    assert!(scene.packets.all().iter().any(|packet| packet.to == RESOLVER), "no exit asked its DNS server");
    assert!(scene.asked_for_names().is_empty(), "{:?}", scene.asked_for_names());
    // Control: without Tor the system's own DNS servers are asked, and the packets are seen.
    browser.regen(&["route", "set", "direct", "--site", "http://nobody.test/"]).unwrap();
    browser.regen(&["tab", "goto", &named.to_string(), "http://nobody.test/"]).unwrap();
    within(DEADLINE, || (!scene.asked_for_names().is_empty()).then_some(())).expect("a DNS query");
}

#[test]
fn each_partition_has_circuits_of_its_own_and_a_new_identity_has_others() {
    const FEWEST: usize = 12;
    // With a fixed guard, two of three relays can be the exit: the chance that 20 tries have the same one is one in
    // half a million.
    const MAX_TRIES: usize = 20;
    let scene = scene();
    let Scene { browser, site, .. } = &scene;
    browser.regen(&["route", "set", "tor"]).unwrap();
    // While Tor starts, the first request's circuit may be replaced.
    browser.open(&site.url(3, "/first"));
    let mut seen = HashSet::new();
    for number in 0..MAX_TRIES {
        if number >= FEWEST && seen.len() > 1 {
            break;
        }
        let path = format!("/partition{number}");
        for _ in 0..3 {
            let tab = browser.json(&["tab", "open", &site.url(1, &path), "--workspace", &path[1..], "--wait"]);
            assert_eq!(tab["state"], "ready", "{tab}");
        }
        let exits = scene.exits_of(&path);
        assert_eq!(exits.len(), 1, "a partition's connections used several circuits");
        seen.extend(exits);
    }
    assert!(seen.len() > 1, "all partitions share a circuit: {seen:?}");
    let tab = browser.open(&site.url(2, "/asks"));
    let _ = site.wait_for_request("/held");
    assert!(browser.text(tab).contains("held"));
    let mut seen = HashSet::new();
    for identity in 0..MAX_TRIES {
        if identity >= FEWEST && seen.len() > 1 {
            break;
        }
        eventually("requests", || (!site.requests("/again").is_empty()).then_some(()));
        let ended = browser.json(&["tor", "new-identity"])["ended"].as_u64().unwrap();
        if identity == 0 {
            assert!(ended > 0, "no open connection was ended");
            browser.wait_for_text(tab, "cut off");
        }
        // One request may still have been on its way over the old circuit.
        let _ = site.take_requests();
        eventually("requests", || (site.requests("/again").len() > 1).then_some(()));
        let _ = site.take_requests();
        eventually("requests", || (site.requests("/again").len() > 3).then_some(()));
        let exits = scene.exits_of("/again");
        assert_eq!(exits.len(), 1, "an identity's connections used several circuits");
        seen.extend(exits);
    }
    assert!(seen.len() > 1, "all identities share a circuit: {seen:?}");
    assert_eq!(scene.leaked(), 0);
}

#[test]
fn a_change_of_route_ends_what_took_the_old_one() {
    let scene = scene();
    let Scene { browser, site, tor, .. } = &scene;
    let half = half_an_answer();
    // Two sites, because each has its own connections.
    let tabs = [1, 2].map(|number| browser.open(&site.url(number, &format!("/asks?{half}"))));
    for tab in tabs {
        browser.wait_for_text(tab, "half: under way");
        assert!(!browser.text(tab).contains("cut off"));
    }
    eventually("both pending requests", || (site.requests("/held").len() == 2).then_some(()));
    browser.regen(&["route", "set", "tor → block"]).unwrap();
    for tab in tabs {
        browser.wait_for_text(tab, "cut off");
        browser.wait_for_text(tab, "half: torn");
        assert_eq!(browser.tab(tab)["route"], "tor → block");
    }
    for host in ["10.80.0.1", "10.80.0.2"] {
        let questions =
            || -> Vec<Request> { site.requests("/again").into_iter().filter(|request| request.host == host).collect() };
        eventually("requests over Tor", || questions().iter().any(|one| tor.is_exit(one.from)).then_some(()));
        // No request after the first one over Tor may use the old route.
        let questions = questions();
        let first = questions.iter().position(|one| tor.is_exit(one.from)).unwrap();
        assert!(first > 0 && questions[first..].iter().all(|one| tor.is_exit(one.from)), "{host}");
    }
}

/// Starts a server that sends the first half of a response without a length, and never the rest. Returns its port.
fn half_an_answer() -> u16 {
    let listener = TcpListener::bind("10.80.0.3:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let head = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\nhalf";
            let _ = stream.write_all(head.as_bytes());
            open.push(stream);
        }
    });
    port
}

#[test]
fn relays_that_fall_silent_are_an_outage_too() {
    let scene = scene();
    let Scene { browser, site, tor, .. } = &scene;
    browser.regen(&["route", "set", "tor"]).unwrap();
    let tab = browser.open(&site.url(1, "/"));
    scene.tor_is("ready");
    tor.pause(true);
    // The request uses a connection that is still open, so no new connection fails.
    browser.regen(&["tab", "goto", &tab.to_string(), &site.url(1, "/silent")]).unwrap();
    scene.tor_is("failing");
    eventually("the reason", || browser.tab(tab)["reason"].as_str().unwrap().contains("Tor cannot").then_some(()));
    // A new identity does not prove that Tor works again.
    browser.regen(&["tor", "new-identity"]).unwrap();
    assert_eq!(browser.json(&["route", "show"])["tor"], "failing");
    assert!(site.requests("/silent").is_empty());
    tor.pause(false);
    scene.tor_is("ready");
    assert_eq!(scene.leaked(), 0);
}

#[test]
fn an_outage_is_an_error_in_words_and_never_another_way_and_it_ends_by_itself() {
    let mut scene = scene();
    scene.browser.regen(&["route", "set", "tor"]).unwrap();
    let tab = scene.browser.open(&scene.site.url(1, "/"));
    scene.tor_is("ready");
    scene.tor.kill();
    let Scene { browser, site, .. } = &scene;
    browser.regen(&["tab", "goto", &tab.to_string(), &site.url(1, "/down")]).unwrap();
    let waits = eventually("a reason while it waits", || Some(browser.tab(tab)).filter(|tab| tab["reason"] != ""));
    assert!(waits["state"] == "loading" && waits["reason"].as_str().unwrap().contains("Tor"), "{waits}");
    let failed = within(DEADLINE, || Some(browser.tab(tab)).filter(|tab| tab["state"] == "failed"));
    let failed = failed.expect("the page to fail");
    assert!(failed["reason"].as_str().unwrap().contains("Tor cannot connect"), "{failed}");
    scene.tor_is("failing");
    let warnings = browser.status()["warnings"].to_string();
    assert!(warnings.contains("Tor cannot connect"), "{warnings}");
    assert_eq!(browser.regen(&["tor", "status"]).unwrap_err().code, 1);
    assert!(site.requests("/down").is_empty() && scene.leaked() == 0);
    // A browser that has never reached Tor shows the progress of the start.
    let other = browser_of(&scene.tor);
    other.start();
    other.regen(&["route", "set", "tor"]).unwrap();
    assert!(other.daemon("net-daemon") > 0);
    let waits = other.json(&["tab", "open", &site.url(1, "/down")])["id"].as_u64().unwrap();
    let said = eventually("the progress to be shown", || Some(other.tab(waits)).filter(|tab| tab["reason"] != ""));
    assert!(said["state"] == "loading" && said["reason"].as_str().unwrap().contains("Tor is starting"), "{said}");
    drop(other);
    // Only a route with a direct fallback uses it.
    browser.regen(&["route", "set", "tor → direct", "--site", &site.url(2, "/")]).unwrap();
    let fails_over = browser.json(&["tab", "open", &site.url(2, "/over")])["id"].as_u64().unwrap();
    within(DEADLINE, || (browser.tab(fails_over)["state"] == "ready").then_some(())).expect("the fallback");
    assert!(scene.leaked() > 0, "control: packets outside Tor are not seen");
    scene.tor.revive();
    scene.tor_is("ready");
    let Scene { browser, site, tor, .. } = &scene;
    browser.regen(&["tab", "goto", &tab.to_string(), &site.url(1, "/up"), "--wait", "--timeout", "60"]).unwrap();
    assert!(site.requests("/up").iter().all(|request| tor.is_exit(request.from)));
    assert_eq!(browser.tab(tab)["state"], "ready");
}

#[test]
fn a_net_daemon_that_dies_again_and_again_lets_nothing_out() {
    const KILLS: usize = 20;
    let scene = scene();
    let Scene { browser, site, .. } = &scene;
    browser.regen(&["route", "set", "tor"]).unwrap();
    let tab = browser.open(&site.url(1, "/asks"));
    for _ in 0..KILLS {
        let daemon = browser.daemon("net-daemon");
        let _ = site.take_requests();
        within(DEADLINE, || (!site.requests("/again").is_empty()).then_some(())).expect("requests over Tor");
        signal(daemon, Signal::KILL);
        eventually("the net-daemon to end", || (!is_alive(daemon)).then_some(()));
    }
    assert_eq!(scene.leaked(), 0);
    assert_eq!(browser.tab(tab)["route"], "tor → block");
}

#[test]
fn a_mistake_in_its_configuration_is_named_and_lets_nothing_out() {
    let site = Site::pages(&[("/", "here")]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[circuit_timing]\nrequest_timeout = 'soon'\n").unwrap();
    let browser = Browser::with_options(&["--headless", "--tor-config", file.path().to_str().unwrap()]);
    browser.regen(&["route", "set", "tor"]).unwrap();
    let tab = browser.json(&["tab", "open", &site.url(1, "/")])["id"].as_u64().unwrap();
    let failed = browser.wait_for_state(tab, "failed");
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("Tor cannot be started") && reason.contains("request_timeout"), "{reason}");
    assert!(site.requests("/").is_empty());
    assert!(browser.regen(&["route", "set", "tro"]).unwrap_err().message.contains("unknown hop “tro”"));
    let missing = Browser::not_started(&["--headless", "--tor-config", "/nowhere/tor.toml"]);
    assert!(missing.try_start().unwrap_err().message.contains("/nowhere/tor.toml"));
}

#[test]
fn an_onion_service_is_reached_over_tor_alone() {
    let mut scene = scene_on(|| TorNetwork::with_onions(7));
    let server = std::net::SocketAddr::new(IpAddr::from([10, 80, 0, 1]), scene.site.port());
    let onion = scene.tor.onion(server);
    let (browser, url) = (&scene.browser, format!("http://{onion}/"));
    // An onion service's name is never sent to a DNS server, on any route.
    let refused = browser.json(&["tab", "open", &url, "--wait"]);
    assert!(refused["reason"].as_str().unwrap().contains("only Tor reaches"), "{refused}");
    browser.regen(&["route", "set", "tor → direct"]).unwrap();
    // The service must publish its descriptor first.
    let tab = within(DEADLINE, || {
        let tab = browser.json(&["tab", "open", &url, "--wait"]);
        (tab["state"] == "ready").then(|| tab["id"].as_u64().unwrap())
    });
    let tab = tab.unwrap_or_else(|| panic!("it is not reached: {}\n{}", browser.log(), scene.tor.log_of_others()));
    assert!(browser.text(tab).contains("here"));
    assert_eq!(browser.tab(tab)["url"], url);
    assert!(scene.asked_for_names().is_empty());
    let gone = format!("http://{}/", onion.replace(&onion[..1], if onion.starts_with('a') { "b" } else { "a" }));
    let failed = browser.json(&["tab", "open", &gone, "--wait"]);
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(scene.asked_for_names().is_empty());
}

#[test]
fn with_a_bridge_no_other_relay_is_met() {
    let packets = own_network();
    let site = Site::serve_in([10, 80, 0], |_| Some(Answer::page("<title>t</title><p>here")));
    let mut tor = TorNetwork::start(3);
    let (bridge, config) = tor.bridge();
    // The browser has no address of its own in this network, so its packets have the same source and destination
    // address.
    let met = || {
        let is_own = |packet: &Packet| packet.from == packet.to && tor_port(packet);
        packets.all().into_iter().filter(is_own).map(|packet| packet.to).collect::<HashSet<IpAddr>>()
    };
    let opened = |config: &std::path::Path| {
        let browser = Browser::with_options(&["--headless", "--tor-config", config.to_str().unwrap()]);
        browser.regen(&["route", "set", "tor"]).unwrap();
        within(DEADLINE, || {
            let tab = browser.json(&["tab", "open", &site.url(1, "/"), "--wait"]);
            (tab["state"] == "ready").then_some(())
        })
        .unwrap_or_else(|| panic!("the page does not load: {}\n{}", browser.json(&["tor", "status"]), browser.log()));
    };
    opened(&config);
    assert_eq!(met(), HashSet::from([IpAddr::from(bridge)]));
    // Control: without a bridge, the browser connects to relays, which is seen.
    opened(&tor.config());
    assert!(met().len() > 1);
}

fn tor_port(packet: &Packet) -> bool {
    packet.port == regen_tests::tor::OR_PORT
}
