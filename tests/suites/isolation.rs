//! Isolation of the processes, as seen from outside through /proc.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::HashSet;
use std::fs;

use regen_tests::process::{descendants, namespace, status_field};
use regen_tests::{Browser, Site};
use rustix::process::geteuid;

const PAGE: &[(&str, &str)] = &[("/", "<p>page</p>")];

fn sandboxed(browser: &Browser) -> Vec<i32> {
    ["tab-host", "net-daemon", "agent-daemon"].iter().flat_map(|role| browser.pids_of(role)).collect()
}

#[test]
fn every_site_has_a_process_of_its_own() {
    let site = Site::pages(PAGE);
    let browser = Browser::headless();
    let (a, again, b) =
        (browser.open(&site.url(1, "/")), browser.open(&site.url(1, "/")), browser.open(&site.url(2, "/")));
    assert_eq!(browser.pid_of_tab(a), browser.pid_of_tab(again));
    assert_ne!(browser.pid_of_tab(a), browser.pid_of_tab(b));
    let other = browser.json(&["tab", "open", &site.url(1, "/"), "--wait", "--workspace", "work"]);
    assert_ne!(other["pid"], browser.tab(a)["pid"], "two workspaces share a process");
}

#[test]
fn no_sandboxed_process_has_a_right_left() {
    let site = Site::pages(PAGE);
    let browser = Browser::headless();
    browser.open(&site.url(1, "/"));
    let mut looked_at = 0;
    for pid in sandboxed(&browser) {
        let helpers = descendants(pid);
        for pid in helpers.keys().copied().chain([pid]) {
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(status_field(pid, set).unwrap(), "0000000000000000", "{set} of {pid}");
            }
            assert_eq!(status_field(pid, "NoNewPrivs").unwrap(), "1");
            let ids = status_field(pid, "Uid").unwrap();
            assert!(!ids.split_whitespace().any(|id| id == "0"), "{pid} is root outside its user namespace: {ids}");
            looked_at += 1;
        }
    }
    // The net-daemon, the agent-daemon, the tab-host and its two helpers.
    assert!(looked_at >= 5, "{looked_at}");
    // Control: this test's own capabilities are visible.
    if geteuid().is_root() {
        assert_ne!(status_field(i32::try_from(std::process::id()).unwrap(), "CapEff").unwrap(), "0000000000000000");
    }
}

#[test]
fn namespaces_are_new_and_only_the_net_daemon_shares_the_network() {
    let site = Site::pages(PAGE);
    let browser = Browser::headless();
    browser.open(&site.url(1, "/"));
    browser.open(&site.url(2, "/"));
    let broker = browser.broker();
    let net = browser.daemon("net-daemon");
    let mut seen = HashSet::new();
    for pid in sandboxed(&browser) {
        for kind in ["user", "pid", "mnt", "ipc", "uts", "cgroup"] {
            assert_ne!(namespace(pid, kind), namespace(broker, kind), "{kind} of {pid}");
            assert!(seen.insert(namespace(pid, kind)), "two children share a {kind} namespace");
        }
        assert_eq!(namespace(pid, "net") == namespace(broker, "net"), pid == net, "network of {pid}");
    }
}

#[test]
fn a_tab_host_sees_only_the_loopback_of_an_empty_network() {
    let site = Site::pages(PAGE);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let devices = fs::read_to_string(format!("/proc/{}/net/dev", browser.pid_of_tab(tab))).unwrap();
    let names: Vec<&str> = devices.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
    assert_eq!(names, ["lo"]);
}

#[test]
fn a_tab_host_sees_a_small_read_only_file_view_and_only_its_own_bucket() {
    let site = Site::pages(PAGE);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.open(&site.url(2, "/"));
    let root = format!("/proc/{}/root", browser.pid_of_tab(tab));
    for hidden in
        ["home", "root", "etc/passwd", "etc/shadow", "bin", "usr/bin", "sys", "var/lib", "run/dbus", "tmp/.X11-unix"]
    {
        assert!(fs::metadata(format!("{root}/{hidden}")).is_err(), "{hidden} is reachable");
    }
    // Control: a path of the file view is reachable.
    assert!(fs::metadata(format!("{root}/usr/share/fonts")).is_ok());
    let devices: HashSet<String> =
        fs::read_dir(format!("{root}/dev")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let allowed = ["null", "zero", "full", "random", "urandom", "shm"].map(str::to_owned);
    assert_eq!(devices, HashSet::from(allowed));

    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", browser.pid_of_tab(tab))).unwrap();
    let mut writable = Vec::new();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (place, options) = (fields[4], fields[5]);
        assert!(options.contains("nosuid"), "{line}");
        if options.starts_with("rw") {
            assert!(options.contains("noexec") || place.starts_with("/dev/"), "writable and executable: {line}");
            if !place.starts_with("/dev/") || place == "/dev/shm" {
                writable.push(place.to_owned());
            }
        }
    }
    writable.sort();
    assert_eq!(writable, ["/bucket", "/dev/shm", "/proc", "/tmp", "/var/tmp"]);
    assert!(mounts.lines().count() < 40, "{} mounts", mounts.lines().count());
}

#[test]
fn a_child_inherits_its_channel_and_its_dumper_and_nothing_else() {
    let browser = Browser::headless();
    let agent = browser.daemon("agent-daemon");
    let mut kinds: Vec<String> = fs::read_dir(format!("/proc/{agent}/fd"))
        .unwrap()
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
        .map(|target| target.split(':').next().unwrap_or_default().to_owned())
        .collect();
    kinds.sort();
    // stdin and stdout, stderr to the log, the channel, and the runtime's own event descriptors.
    let allowed = ["/dev/null", "anon_inode", "pipe", "socket"];
    assert!(kinds.iter().all(|kind| allowed.contains(&kind.as_str())), "{kinds:?}");
    let sockets = kinds.iter().filter(|kind| *kind == "socket").count();
    // The channel, the dumper's socket, and three for the runtime's signal handling.
    assert!(sockets <= 5, "{kinds:?}");
}

#[test]
fn sites_do_not_share_storage() {
    let page = r#"<p id="out"></p><script>
      out.textContent = "was " + (localStorage.getItem("k") || "empty") + " cookie " + (document.cookie || "none");
      localStorage.setItem("k", location.hostname); document.cookie = "c=" + location.hostname + "; max-age=1000"; </script>"#;
    let site = Site::pages(&[("/", page)]);
    let browser = Browser::headless();
    let a = browser.open(&site.url(1, "/"));
    assert!(browser.text(a).contains("was empty cookie none"));
    let b = browser.open(&site.url(2, "/"));
    assert!(browser.text(b).contains("was empty cookie none"));
    let again = browser.open(&site.url(1, "/"));
    assert!(browser.text(again).contains("was 127.0.0.1 cookie c=127.0.0.1"), "{}", browser.text(again));
    // Buckets are back in the profile when no process uses them.
    browser.quit();
    let buckets: HashSet<String> = fs::read_dir(browser.profile().join("buckets/default"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(buckets, HashSet::from(["http_127.0.0.1".to_owned(), "http_127.0.0.2".to_owned()]));
    browser.start();
    let elsewhere = browser.json(&["tab", "open", &site.url(1, "/"), "--wait", "--workspace", "work"]);
    assert!(browser.text(elsewhere["id"].as_u64().unwrap()).contains("was empty cookie none"));
}
