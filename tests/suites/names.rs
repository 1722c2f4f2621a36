//! DNS servers that the user chooses, with a real BIND: the servers that are asked, and the answers that are accepted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::Ipv4Addr;

use regen_tests::names::{SERVER, SERVER_NAME};
use regen_tests::network::{Packets, own_network};
use regen_tests::site::Answer;
use regen_tests::tls::Authority;
use regen_tests::{Browser, NameServer, Site};

/// A DNS server and a site that its names point to.
struct Scene {
    packets: Packets,
    server: NameServer,
    site: Site,
    folder: tempfile::TempDir,
}

/// Names that have two dead addresses and one that answers.
const SEVERAL: [&str; 8] = [
    "several0.test",
    "several1.test",
    "several2.test",
    "several3.test",
    "several4.test",
    "several5.test",
    "several6.test",
    "several7.test",
];

fn scene() -> Scene {
    let packets = own_network();
    let authority = Authority::new("test authority");
    let (certificate, key) = authority.issue(&[SERVER_NAME], |_| {});
    let at = |last| Ipv4Addr::new(93, 184, 216, last);
    let mut names = vec![
        ("site.test", at(1)),
        ("later.test", at(1)),
        ("site.plain", at(2)),
        ("inside.test", Ipv4Addr::new(10, 82, 0, 53)),
        ("eulerian.net", at(3)),
        ("harmless.test", at(3)),
    ];
    // Dead addresses: packets to 200 and 201 are lost.
    names.extend(SEVERAL.iter().flat_map(|name| [(*name, at(200)), (*name, at(201)), (*name, at(1))]));
    let others = [
        ("metrics.site.test", "hop.site.test"),
        ("hop.site.test", "eulerian.net"),
        ("images.site.test", "harmless.test"),
    ];
    let server = NameServer::start(&names, &others, &certificate, &key);
    let site = Site::serve_in([93, 184, 216], |request| {
        let rebinding = "<p id=said>asks</p><script>
            const inside = `http://inside.test:${location.port}/`;
            fetch(inside, { mode: 'no-cors' }).then(() => said.textContent = 'reached', () => said.textContent = 'kept out');
        </script>";
        let port = request.header("host").rsplit(':').next().unwrap().to_owned();
        let cloaked = format!(
            "<img src='http://metrics.site.test:{port}/cloaked'><img src='http://images.site.test:{port}/picture'>"
        );
        Some(Answer::page(match request.path.as_str() {
            "/rebinding" => rebinding,
            "/cloaking" => &cloaked,
            _ => "<title>t</title><p>here",
        }))
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("authority.pem"), authority.pem()).unwrap();
    std::fs::write(folder.path().join("anchors"), server.anchors()).unwrap();
    Scene { packets, server, site, folder }
}

impl Scene {
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn browser(&self) -> Browser {
        let (authority, anchors) = (self.file("authority.pem"), self.file("anchors"));
        Browser::with_options(&["--headless", "--extra-ca", &authority, "--dns-anchors", &anchors])
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.site.port())
    }

    /// Counts the packets to DNS servers so far: to the test's own on this port, and to any other.
    fn asked(&self, port: u16) -> (usize, usize) {
        let all = self.packets.all();
        let is_own = |to: std::net::IpAddr| to == SERVER;
        let own = all.iter().filter(|packet| is_own(packet.to) && packet.port == port).count();
        (own, all.iter().filter(|packet| !is_own(packet.to) && [53, 853].contains(&packet.port)).count())
    }
}

/// Opens a page, asserts that it fails, and returns the reason.
fn failure(browser: &Browser, url: &str) -> String {
    assert!(browser.daemon("net-daemon") > 0);
    let tab = browser.json(&["tab", "open", url, "--wait"]);
    assert_eq!(tab["state"], "failed", "{tab}");
    tab["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_name_whose_first_addresses_are_dead_is_reached_at_another_one() {
    let scene = scene();
    let browser = scene.browser();
    browser.regen(&["dns", "set", &format!("udp://{SERVER}")]).unwrap();
    // The system's own connect timeout is two minutes.
    let tries = |address: u8| {
        let to = std::net::IpAddr::from(Ipv4Addr::new(93, 184, 216, address));
        scene.packets.all().iter().filter(|packet| packet.to == to && packet.port == scene.site.port()).count()
    };
    // The order of a name's addresses varies: with one name in three, the first address is not a dead one.
    let name = SEVERAL.iter().find(|name| {
        let opened = browser.json(&["tab", "open", &scene.url(name, "/"), "--wait", "--timeout", "10"]);
        assert_eq!(opened["state"], "ready", "{opened}");
        tries(200) + tries(201) > 0
    });
    let name = name.expect("control: no dead address was tried");
    // Dead addresses are not tried first again.
    for n in 0..3 {
        browser.regen(&["tab", "open", &scene.url(name, &format!("/{n}")), "--wait", "--timeout", "10"]).unwrap();
    }
    let (first, second) = (tries(200), tries(201));
    assert!(first <= 4 && second <= 4, "dead addresses were tried again: {first} and {second} packets");
}

#[test]
fn the_servers_that_the_user_chose_are_asked_and_nobody_else() {
    let scene = scene();
    let browser = scene.browser();
    let ways = [
        (53, format!("udp://{SERVER}")),
        (853, format!("tls://{SERVER}#{SERVER_NAME}")),
        (443, format!("https://{SERVER}/dns-query#{SERVER_NAME}")),
    ];
    for (port, servers) in ways {
        let (before, _) = scene.asked(port);
        let shown = browser.json(&["dns", "set", &servers]);
        assert_eq!((&shown["servers"], &shown["dnssec"]), (&servers.as_str().into(), &false.into()));
        let tab = browser.open(&scene.url("site.test", "/"));
        assert!(browser.text(tab).contains("here"));
        let (own, others) = scene.asked(port);
        assert!(own > before, "{servers} was not asked");
        assert_eq!(others, 0, "{servers}: another DNS server was asked as well");
        // The next choice of servers clears the cache, and closing the tab ends its page.
        browser.regen(&["tab", "close", &tab.to_string()]).unwrap();
    }
    let answer = browser.json(&["dns", "query", "site.test"]);
    assert_eq!(
        (&answer["records"][0]["data"], &answer["records"][0]["signed"]),
        (&"93.184.216.1".into(), &false.into())
    );
    assert!(answer["by"].as_str().unwrap().contains("https://10.82.0.53"), "{answer}");
    // A restarted net-daemon and a restarted browser remember the choice.
    browser.regen(&["kill", "net-daemon"]).unwrap();
    browser.open(&scene.url("later.test", "/"));
    browser.quit();
    browser.start();
    assert!(browser.json(&["dns", "show"])["servers"].as_str().unwrap().starts_with("https://"));
    browser.open(&scene.url("site.test", "/again"));
    assert_eq!(scene.asked(443).1, 0);
    assert_eq!(browser.status()["refused_messages"]["system_calls"], 0, "a system call was refused");
    // DNS rebinding: a public page cannot reach a name that resolves to a private address.
    let tab = browser.open(&scene.url("site.test", "/rebinding"));
    browser.wait_for_text(tab, "kept out");
    // With `block`, no DNS server may be asked.
    browser.regen(&["dns", "set", "block"]).unwrap();
    let reason = failure(&browser, &scene.url("later.test", "/"));
    assert!(reason.to_lowercase().contains("name servers are blocked"), "{reason}");
    // Control: the system's own DNS servers are others.
    browser.regen(&["dns", "set", "system"]).unwrap();
    drop(failure(&browser, &scene.url("later.test", "/")));
    assert!(scene.asked(53).1 > 0, "control: the system's DNS servers were not asked");
    for wrong in ["", "quad9", "tls://9.9.9.9/path", "udp://dns.quad9.net"] {
        assert_eq!(browser.regen(&["dns", "set", wrong]).unwrap_err().code, 2, "{wrong}");
    }
}

#[test]
fn a_server_that_is_somebody_else_or_gone_is_not_believed_and_has_no_successor() {
    let mut scene = scene();
    let trusting = scene.browser();
    trusting.regen(&["dns", "set", &format!("tls://{SERVER}#other.test")]).unwrap();
    let reason = failure(&trusting, &scene.url("site.test", "/"));
    assert!(reason.contains("did not answer"), "{reason}");
    trusting.quit();
    // The server's authority is not trusted in this profile.
    let browser = Browser::headless();
    browser.regen(&["dns", "set", &format!("https://{SERVER}/dns-query#{SERVER_NAME}")]).unwrap();
    drop(failure(&browser, &scene.url("site.test", "/")));
    assert!(scene.site.requests("/").is_empty());
    browser.regen(&["dns", "set", &format!("udp://{SERVER}")]).unwrap();
    browser.open(&scene.url("site.test", "/"));
    scene.server.kill();
    let reason = failure(&browser, &scene.url("later.test", "/"));
    assert!(reason.contains("did not answer"), "{reason}");
    assert_eq!(scene.asked(53).1, 0, "another DNS server was asked instead");
}

#[test]
fn answers_that_are_not_signed_as_they_should_be_are_none() {
    let scene = scene();
    let browser = scene.browser();
    browser.regen(&["dns", "set", &format!("udp://{SERVER}"), "--dnssec", "on"]).unwrap();
    assert!(browser.text(browser.open(&scene.url("site.test", "/"))).contains("here"));
    let answer = browser.json(&["dns", "query", "site.test"]);
    assert_eq!(answer["records"][0]["signed"], true, "{answer}");
    // The zone is provably unsigned.
    browser.open(&scene.url("site.plain", "/"));
    assert_eq!(browser.json(&["dns", "query", "site.plain"])["records"][0]["signed"], false);
    assert_eq!(browser.regen(&["dns", "query", "nothing.test"]).unwrap_err().code, 1);
    browser.quit();
    // Signatures by another key than the trust anchor are invalid.
    let anchors = std::fs::read_to_string(scene.file("anchors")).unwrap();
    let key = anchors.lines().last().unwrap();
    let (start, end) = key.split_at(key.len() - 20);
    let other = if end.starts_with('A') { "B" } else { "A" };
    std::fs::write(scene.file("anchors"), format!("{start}{other}{}\n", &end[1..])).unwrap();
    let browser = scene.browser();
    browser.regen(&["dns", "set", &format!("udp://{SERVER}"), "--dnssec", "on"]).unwrap();
    let reason = failure(&browser, &scene.url("site.test", "/forged"));
    assert!(reason.contains("DNSSEC"), "{reason}");
    assert!(scene.site.requests("/forged").is_empty());
    // Control: without DNSSEC the page loads.
    browser.regen(&["dns", "set", "--dnssec", "off"]).unwrap();
    browser.open(&scene.url("site.test", "/forged"));
    browser.quit();
    std::fs::write(scene.file("anchors"), "no key\n").unwrap();
    let browser = scene.browser();
    browser.regen(&["dns", "set", &format!("udp://{SERVER}"), "--dnssec", "on"]).unwrap();
    let reason = failure(&browser, &scene.url("site.test", "/"));
    assert!(reason.contains("--dns-anchors"), "{reason}");
}

#[test]
fn what_one_partition_has_asked_for_no_other_finds_out() {
    let scene = scene();
    let browser = scene.browser();
    browser.regen(&["dns", "set", &format!("udp://{SERVER}")]).unwrap();
    let opened = |workspace: &str| {
        let (before, _) = scene.asked(53);
        let tab = browser.json(&["tab", "open", &scene.url("site.test", "/"), "--workspace", workspace, "--wait"]);
        assert_eq!(tab["state"], "ready", "{tab}");
        browser.regen(&["tab", "close", &tab["id"].to_string()]).unwrap();
        scene.asked(53).0 - before
    };
    assert!(opened("one") > 0);
    assert_eq!(opened("one"), 0, "the partition's cache was not used");
    assert!(opened("two") > 0, "another partition's cache was used");
}

/// CNAME cloaking: a name of the page's own site is an alias of a tracker's.
#[test]
fn a_tracker_does_not_hide_behind_another_name() {
    let scene = scene();
    let browser = scene.browser();
    browser.regen(&["dns", "set", &format!("udp://{SERVER}")]).unwrap();
    let tab = browser.open(&scene.url("site.test", "/cloaking"));
    let _ = scene.site.wait_for_request("/picture");
    let log = browser.json(&["shields", "log"]);
    let entry = &log[0];
    assert!(entry["url"].as_str().unwrap().contains("eulerian.net"), "{log}");
    assert!(scene.site.requests("/cloaked").is_empty());
    // The user may still open the page itself.
    browser.open(&scene.url("metrics.site.test", "/cloaked"));
    browser.regen(&["tab", "close", &tab.to_string()]).unwrap();
    let _ = scene.site.take_requests();
    // Control: without shields the tracker is reached.
    browser.regen(&["shields", "level", "off"]).unwrap();
    browser.open(&scene.url("site.test", "/cloaking"));
    let _ = scene.site.wait_for_request("/cloaked");
    assert_eq!(browser.status()["refused_messages"]["system_calls"], 0, "a system call was refused");
}
