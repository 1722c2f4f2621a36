//! WireGuard in the net-daemon's own stack against wireguard-go with a kernel device, with the same peer and keys.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use regen_tests::network::quiet_network;
use regen_tests::window::Display;
use regen_tests::wireguard::{BEHIND, WireGuardPeer};
use regen_tests::{Browser, MiniBrowser, process};

use regen_tests::bench::{Server, ServerEvent, bound, median, processor_time, ratio, report};

const RUNS: usize = 5;

/// Requests a small file repeatedly, and reports the median time, ms.
const ASKS: &str = "<!doctype html><script>
    onload = async () => {
        const times = [];
        for (let number = 0; number < 300; number++) {
            const start = performance.now();
            for (let once = 0; once < 10; once++) await (await fetch('/small')).text();
            times.push((performance.now() - start) / 10);
        }
        times.sort((a, b) => a - b);
        await fetch(`/said?${times[times.length >> 1]}`);
    };
</script>";

fn page(path: &str) -> Option<(&'static str, String)> {
    (path == "/asks").then(|| ("text/html", ASKS.to_owned()))
}

pub(crate) fn measure() {
    quiet_network();
    let mut peer = WireGuardPeer::start();
    let server = peer.run(|| {
        let [a, b, c] = BEHIND;
        (1..=8).for_each(|number| regen_tests::network::add_address([a, b, c, number].into()));
        Server::with_pages(BEHIND, page)
    });
    let display = Display::start(800, 600);
    let (mut ours, mut theirs, mut our_work, mut their_work) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut our_latency = Vec::new();
    for _ in 0..RUNS {
        peer.kill();
        peer.revive();
        let browser = Browser::headless();
        browser.regen(&["vpn", "import", peer.profile(&[]).to_str().unwrap()]).unwrap();
        browser.regen(&["vpn", "up", "home", "--allow"]).unwrap();
        browser.regen(&["route", "set", "vpn:home"]).unwrap();
        let daemon = browser.daemon("net-daemon");
        server.forget();
        let before = processor_time(daemon);
        browser.regen(&["tab", "open", &server.url(1, "/big")]).unwrap();
        let start = server.wait(ServerEvent::BigStarted);
        ours.push(server.wait(ServerEvent::BigSent) - start);
        our_work.push(Duration::from_secs_f64(processor_time(daemon) - before));
        browser.regen(&["tab", "open", &server.url(1, "/asks")]).unwrap();
        our_latency.push(server.said().parse::<f64>().unwrap());
        drop(browser);

        // The peer restarts, because it refuses a handshake older than the last one, and the two clients' timestamps
        // differ slightly.
        peer.kill();
        peer.revive();
        let device = Device::start(&peer);
        server.forget();
        let before = processor_time(device.pid());
        let mini = MiniBrowser::start(&display, &[&server.url(1, "/big")]);
        let start = server.wait(ServerEvent::BigStarted);
        theirs.push(server.wait(ServerEvent::BigSent) - start);
        their_work.push(Duration::from_secs_f64(processor_time(device.pid()) - before));
        drop(mini);
    }
    // At least 0.6 of the throughput is at most 1/0.6 of the time.
    report("200 MB through WireGuard", median(ours), "wireguard-go", median(theirs), 1.0 / 0.6);
    let seconds = |times| median(times).as_secs_f64();
    ratio("processor time for it, s", seconds(our_work), "wireguard-go", seconds(their_work), 1.5);

    // The same page from a local server, for comparison.
    let near = Server::with_pages([127, 0, 0], page);
    let browser = Browser::headless();
    browser.regen(&["tab", "open", &near.url(1, "/asks")]).unwrap();
    let direct: f64 = near.said().parse().unwrap();
    our_latency.sort_by(f64::total_cmp);
    bound("added latency of a request through WireGuard", our_latency[RUNS / 2] - direct, "ms", 1.0);
}

/// A wireguard-go process as the client, with its device in this network namespace.
struct Device(Option<Child>);

impl Device {
    fn start(peer: &WireGuardPeer) -> Self {
        let mut command = Command::new("wireguard-go");
        command.args(["--foreground", "wgclient"]).env("LOG_LEVEL", "silent").stderr(Stdio::null());
        let device = Self(Some(command.spawn().unwrap()));
        peer.set_up_client("wgclient");
        device
    }

    fn pid(&self) -> i32 {
        self.0.as_ref().map_or(0, |process| i32::try_from(process.id()).unwrap())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        process::kill(&mut self.0);
    }
}
