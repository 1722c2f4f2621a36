//! `WireGuard` tunnels, with a real peer in its own network namespace: traffic uses the tunnel, and nothing leaves
//! another way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::time::Duration;

use regen_tests::network::{Packets, own_network};
use regen_tests::process::signal;
use regen_tests::site::{Answer, LARGE, arrived_whole, large_both_ways};
use regen_tests::wireguard::{BEHIND, CLIENT, NAME, WireGuardPeer};
use regen_tests::{Browser, Site, eventually, within};
use rustix::process::Signal;

/// Time limit for changes of a tunnel's state; a dead peer is noticed after 15 s.
const DEADLINE: Duration = Duration::from_secs(40);

struct Scene {
    packets: Packets,
    peer: WireGuardPeer,
    site: Site,
    browser: Browser,
}

fn scene() -> Scene {
    let packets = own_network();
    let peer = WireGuardPeer::start();
    let site = peer.run(|| {
        Site::serve_in(BEHIND, |request| {
            Some(match request.path.as_str() {
                "/asks" => Answer::page(
                    "<p id=said></p><script>
                    let answers = 0, lost = 0;
                    setInterval(async () => {
                        await fetch('/answer?' + answers, { cache: 'no-store' }).then(() => answers++, () => lost++);
                        said.textContent = `${answers} answers, ${lost} lost`;
                    }, 500);</script>",
                ),
                _ => return large_both_ways(request).or_else(|| Some(Answer::page("<title>t</title><p>here"))),
            })
        })
    });
    let browser = Browser::headless();
    Scene { packets, peer, site, browser }
}

impl Scene {
    fn bring_up(&self, changes: &[&str]) -> serde_json::Value {
        self.browser.regen(&["vpn", "import", self.peer.profile(changes).to_str().unwrap(), "--replace"]).unwrap();
        let output = self.browser.command(&["--json", "vpn", "up", "home", "--allow"]);
        let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        all[0].clone()
    }

    /// Counts packets outside the tunnel to the site behind it or to a DNS server.
    fn leaked(&self) -> usize {
        let is_outside = |port: u16| port == self.site.port() || port == 53;
        self.packets.all().into_iter().filter(|packet| is_outside(packet.port)).count()
    }

    fn is(&self, state: &str) {
        let now = || self.browser.command(&["--json", "vpn", "list"]).stdout;
        let is = || serde_json::from_slice::<serde_json::Value>(&now()).unwrap()[0]["state"] == state;
        within(DEADLINE, || is().then_some(()))
            .unwrap_or_else(|| panic!("VPN not {state}: {}\n{}", String::from_utf8_lossy(&now()), self.browser.log()));
    }
}

/// Returns whether any file below this folder contains this text.
fn is_somewhere_in(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.path() {
        path if path.is_dir() => is_somewhere_in(&path, text),
        path => std::fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes())),
    })
}

#[test]
fn a_page_takes_the_tunnel_and_nothing_leaves_another_way() {
    let scene = scene();
    let Scene { browser, site, peer, .. } = &scene;
    let profile = peer.profile(&[]);
    browser.regen(&["vpn", "import", profile.to_str().unwrap()]).unwrap();
    browser.regen(&["route", "set", "vpn:home"]).unwrap();
    // A VPN is not used before its user has allowed it.
    let refused = browser.regen(&["vpn", "up", "home"]).unwrap_err();
    assert!(refused.message.contains("--allow"), "{refused:?}");
    let tab = browser.json(&["tab", "open", &site.url(1, "/")])["id"].as_u64().unwrap();
    let failed = browser.wait_for_state(tab, "failed");
    assert!(failed["reason"].as_str().unwrap().contains("is down"), "{failed}");
    let up = browser.json(&["vpn", "up", "home", "--allow"])[0].clone();
    assert_eq!((&up["state"], &up["mtu"]), (&"up".into(), &1420.into()), "{up}");
    let tab = browser.open(&site.url(1, "/sends"));
    browser.wait_for_text(tab, &arrived_whole());
    assert!(site.take_requests().iter().all(|request| request.from == CLIENT));
    // Names are resolved by the peer's DNS server, through the tunnel.
    let tab = browser.open(&format!("http://{NAME}:{}/named", site.port()));
    assert!(browser.text(tab).contains("here"));
    assert_eq!(site.wait_for_request("/named").from, CLIENT);
    let nobody = browser.json(&["tab", "open", "http://nobody.invalid/"])["id"].as_u64().unwrap();
    let nobody = browser.wait_for_state(nobody, "failed");
    assert!(nobody["reason"].as_str().unwrap().contains("name server"), "{nobody}");
    let closed = browser.json(&["tab", "open", "http://10.92.0.1:9999/"])["id"].as_u64().unwrap();
    let closed = browser.wait_for_state(closed, "failed");
    assert!(closed["reason"].as_str().unwrap().contains("refused"), "{closed}");
    let now = browser.json(&["vpn", "list"])[0].clone();
    assert!(now["received"].as_u64().unwrap() > LARGE as u64 && now["handshake_s"].is_u64(), "{now}");
    // The VPN is up again after a restart, and its keys are in no file in plain text.
    browser.quit();
    let text = std::fs::read_to_string(&profile).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("PrivateKey = ")).unwrap().to_owned();
    assert!(!is_somewhere_in(&browser.profile(), &key));
    assert!(is_somewhere_in(&browser.profile(), "10.92.0.1"), "control: an address that is no secret is not found");
    browser.start();
    browser.open(&site.url(2, "/later"));
    assert_eq!(scene.leaked(), 0);
    // Control: without the tunnel there are such packets, and they are seen.
    browser.regen(&["route", "set", "direct"]).unwrap();
    browser.regen(&["tab", "open", &site.url(3, "/direct")]).unwrap();
    eventually("a packet outside", || (scene.leaked() > 0).then_some(()));
    assert!(site.requests("/direct").is_empty(), "a request outside the tunnel reached the site");
}

#[test]
fn a_dead_tunnel_is_a_stop_and_a_living_one_goes_on() {
    let mut scene = scene();
    assert_eq!(scene.bring_up(&[])["state"], "up");
    let Scene { browser, site, .. } = &scene;
    browser.regen(&["route", "set", "vpn:home"]).unwrap();
    let tab = browser.open(&site.url(1, "/"));
    scene.peer.kill();
    scene.browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    scene.is("failing");
    let ended = within(DEADLINE, || Some(scene.browser.tab(tab)).filter(|tab| tab["state"] == "failed")).unwrap();
    assert!(ended["reason"].as_str().unwrap().contains("does not answer"), "{ended}");
    // While the tunnel is dead, further pages fail at once.
    let other = scene.browser.json(&["tab", "open", &scene.site.url(2, "/")])["id"].as_u64().unwrap();
    scene.browser.wait_for_state(other, "failed");
    assert_eq!(scene.leaked(), 0);
    scene.peer.revive();
    scene.is("up");
    scene.browser.regen(&["tab", "goto", &tab.to_string(), &scene.site.url(1, "/"), "--wait"]).unwrap();
    assert!(scene.browser.text(tab).contains("here"));
    // The peer moves to another port, and the browser follows it when it sends something.
    let asking = scene.browser.open(&scene.site.url(3, "/asks"));
    scene.peer.roam(40_000);
    within(DEADLINE, || {
        let now = scene.browser.command(&["--json", "vpn", "list"]).stdout;
        String::from_utf8_lossy(&now).contains(":40000").then_some(())
    })
    .expect("the new endpoint");
    scene.browser.regen(&["tab", "close", &asking.to_string()]).unwrap();
    scene.browser.regen(&["tab", "goto", &tab.to_string(), &scene.site.url(1, "/"), "--wait"]).unwrap();
    assert_eq!(scene.leaked(), 0);
    // Taking the VPN down ends open connections, and nothing leaves.
    scene.browser.regen(&["vpn", "down", "home"]).unwrap();
    scene.browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    assert!(scene.browser.wait_for_state(tab, "failed")["reason"].as_str().unwrap().contains("is down"));
    assert_eq!(scene.leaked(), 0);
    scene.browser.regen(&["route", "set", "vpn:home → direct"]).unwrap();
    scene.browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    eventually("a packet on the direct fallback", || (scene.leaked() > 0).then_some(()));
}

#[test]
fn a_killed_net_daemon_lets_nothing_out_while_it_comes_back() {
    // Few by default, because the retry delay grows with each death.
    let kills = std::env::var("REGEN_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let scene = scene();
    assert_eq!(scene.bring_up(&[])["state"], "up");
    let Scene { browser, site, .. } = &scene;
    browser.regen(&["route", "set", "vpn:home"]).unwrap();
    let tab = browser.open(&site.url(1, "/"));
    for _ in 0..kills {
        browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
        let pids = browser.pids_of("net-daemon");
        pids.iter().filter(|pid| **pid != 0).for_each(|pid| signal(*pid, Signal::KILL));
        within(DEADLINE, || {
            browser.pids_of("net-daemon").iter().any(|pid| *pid != 0 && !pids.contains(pid)).then_some(())
        })
        .expect("another net-daemon");
    }
    within(DEADLINE, || {
        browser.regen(&["tab", "goto", &tab.to_string(), &site.url(1, "/"), "--wait"]).ok()?;
        browser.text(tab).contains("here").then_some(())
    })
    .expect("the page");
    assert_eq!(scene.leaked(), 0);
}

/// Takes two minutes, the age at which keys are replaced; nearly all of it is waiting.
#[test]
fn new_keys_are_made_while_a_page_is_at_it() {
    let scene = scene();
    assert_eq!(scene.bring_up(&[])["state"], "up");
    let Scene { browser, site, .. } = &scene;
    browser.regen(&["route", "set", "vpn:home"]).unwrap();
    let tab = browser.open(&site.url(1, "/asks"));
    let mut oldest = 0;
    let now = || browser.json(&["vpn", "list"])[0].clone();
    within(Duration::from_secs(180), || {
        let age = now()["handshake_s"].as_u64().unwrap();
        oldest = oldest.max(age);
        (oldest > 100 && age < 10).then_some(())
    })
    .unwrap_or_else(|| panic!("{}", now()));
    eventually("answers with the new keys", || {
        let said = browser.text(tab);
        assert!(said.contains(", 0 lost"), "{said}");
        let answers: u64 = said.split(" answers").next()?.split_whitespace().last()?.parse().ok()?;
        (answers > 200).then_some(())
    });
    assert_eq!(scene.leaked(), 0);
}

#[test]
fn a_profile_that_cannot_work_says_why() {
    let scene = scene();
    let Scene { browser, site, peer, .. } = &scene;
    let import = |changes: &[&str]| {
        browser.regen(&["vpn", "import", peer.profile(changes).to_str().unwrap(), "--replace"]).unwrap_err().message
    };
    assert!(import(&["MTU = 12"]).contains("line 5"));
    assert!(import(&["PublicKey = x"]).contains("line 7: invalid key"));
    // Wrong key: the peer does not answer, and the message says so.
    let wrong = scene.bring_up(&["PublicKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="]);
    assert_eq!(wrong["state"], "failing", "{wrong}");
    assert!(wrong["message"].as_str().unwrap().contains("keys"), "{wrong}");
    // Small MTU, and an IPv6 endpoint.
    let small = scene.bring_up(&["MTU = 1280", "Endpoint = [fd90::2]:51820"]);
    assert_eq!((&small["state"], &small["mtu"]), (&"up".into(), &1280.into()), "{small}");
    browser.regen(&["route", "set", "vpn:home"]).unwrap();
    let tab = browser.open(&site.url(1, "/sends"));
    browser.wait_for_text(tab, &arrived_whole());
    // An address outside AllowedIPs is not reached, even with a fallback: a page must not be able to choose the route.
    scene.bring_up(&["AllowedIPs = 10.91.0.0/24, 10.92.0.1/32"]);
    browser.regen(&["route", "set", "vpn:home → direct"]).unwrap();
    browser.open(&site.url(1, "/"));
    let other = browser.json(&["tab", "open", &site.url(2, "/")])["id"].as_u64().unwrap();
    let other = browser.wait_for_state(other, "failed");
    assert!(other["reason"].as_str().unwrap().contains("carries"), "{other}");
    assert_eq!(scene.leaked(), 0);
    browser.regen(&["route", "set", "vpn:home"]).unwrap();
    // A profile without a DNS server: names fail, addresses work.
    let silent = scene.bring_up(&["DNS = search.test"]);
    assert_eq!(silent["state"], "up", "{silent}");
    let named = browser.json(&["tab", "open", &format!("http://{NAME}:{}/", site.port())])["id"].as_u64().unwrap();
    let named = browser.wait_for_state(named, "failed");
    assert!(named["reason"].as_str().unwrap().contains("sets no DNS"), "{named}");
    browser.open(&site.url(2, "/"));
    assert_eq!(scene.leaked(), 0);
}
