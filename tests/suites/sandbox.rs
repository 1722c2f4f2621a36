//! The sandbox from the attacker's side: every attempt to get out is contained in every role, and works outside, so that it
//! could have failed here; and whoever tries is seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts the probe outside"
)]

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use regen_tests::window::Display;
use regen_tests::{Browser, Site, eventually, programs, programs_with};
use tempfile::TempDir;

/// Attempts whose control cannot succeed on every kernel: they are named, never counted as passed.
const NOT_PROVEN_EVERYWHERE: &[&str] = &["open a crypto socket", "handle page faults", "set up io_uring"];

/// What the probe wants to reach outside.
struct Outside {
    port: TcpListener,
    _name: UnixListener,
}

impl Outside {
    fn listen() -> Self {
        let port = loop {
            // Five digits, which the probe expects.
            let port = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
            if port.local_addr().unwrap().port() >= 10_000 {
                break port;
            }
        };
        let name = format!("regen-escape-probe-{}", port.local_addr().unwrap().port());
        let name = SocketAddr::from_abstract_name(name).expect("a name");
        Self { port, _name: UnixListener::bind_addr(&name).expect("the probe's name") }
    }

    /// The probe, with the port behind it.
    fn probe(&self) -> Vec<u8> {
        let mut program = std::fs::read(programs().join("regen-escape-probe")).unwrap();
        program.extend_from_slice(self.port.local_addr().unwrap().port().to_string().as_bytes());
        program
    }

    fn probe_in_place_of(&self, role: &str) -> TempDir {
        programs_with(role, &self.probe())
    }
}

/// What the probe said of each attempt, from the browser's log.
fn results(browser: &Browser) -> Vec<(String, String)> {
    let log = browser.profile().join("regen.log");
    let lines = eventually("the probe to be done", || {
        let text = std::fs::read_to_string(&log).ok()?;
        text.contains("PROBE done").then_some(text)
    });
    let said = lines.lines().filter_map(|line| line.split_once("PROBE "));
    let said = said.filter_map(|(_, words)| words.split_once(' '));
    said.map(|(verdict, name)| (verdict.to_owned(), name.to_owned())).collect()
}

fn is_contained(role: &str, browser: &Browser) {
    let results = results(browser);
    assert!(results.len() >= 60, "{} attempts were made in the {role}", results.len());
    let escaped: Vec<_> = results.iter().filter(|(verdict, _)| verdict == "escaped").collect();
    assert!(escaped.is_empty(), "{role}: {escaped:?}");
    // Whoever tries is seen: the refused calls are counted, and named in the log with what the policy says.
    let refused = browser.status()["refused_messages"]["system_calls"].as_u64().unwrap();
    assert!(refused > 15, "{refused} refused calls were told");
    let text = std::fs::read_to_string(browser.profile().join("regen.log")).unwrap();
    assert!(text.contains("refused ptrace(") && text.contains(&format!("{role}.toml does not allow it")), "{role}");
}

#[test]
fn every_attempt_works_outside_so_that_being_contained_means_something() {
    assert!(rustix::process::geteuid().is_root(), "the controls need root, in namespaces of their own");
    let outside = Outside::listen();
    let folder = outside.probe_in_place_of("tab-host");
    let probe = folder.path().join("regen-tab-host");
    let names = String::from_utf8(Command::new(&probe).arg("--list").output().unwrap().stderr).unwrap();
    let mut failed = Vec::new();
    for name in names.lines() {
        // Namespaces that are thrown away: a control that mounts or names things does it there.
        let control = Command::new("unshare")
            .args(["--mount", "--uts", "--ipc", "--pid", "--fork", "--propagation", "private"])
            // What is on the parent wants it to have the number that `/proc` has.
            .args(name.contains("parent").then_some("--mount-proc"))
            .arg(&probe)
            .args(["--control", name])
            .output()
            .unwrap();
        if !control.status.success() {
            failed.push((name.to_owned(), String::from_utf8_lossy(&control.stderr).trim().to_owned()));
        }
    }
    let unexpected: Vec<_> =
        failed.iter().filter(|(name, _)| !NOT_PROVEN_EVERYWHERE.contains(&name.as_str())).collect();
    assert!(unexpected.is_empty(), "these attempts prove nothing here: {unexpected:?}");
}

#[test]
fn nothing_gets_out_of_a_tab_host() {
    let outside = Outside::listen();
    let folder = outside.probe_in_place_of("tab-host");
    let browser = Browser::not_started(&["--headless"]).with_programs(folder.path());
    browser.start();
    browser.regen(&["tab", "open", "http://127.0.0.1:1/"]).unwrap();
    is_contained("tab-host", &browser);
}

#[test]
fn nothing_gets_out_of_the_net_daemon() {
    let outside = Outside::listen();
    let folder = outside.probe_in_place_of("net-daemon");
    let browser = Browser::not_started(&["--headless"]).with_programs(folder.path());
    browser.start();
    is_contained("net-daemon", &browser);
}

#[test]
fn nothing_gets_out_of_the_agent_daemon() {
    let outside = Outside::listen();
    let folder = outside.probe_in_place_of("agent-daemon");
    let browser = Browser::not_started(&["--headless"]).with_programs(folder.path());
    browser.start();
    is_contained("agent-daemon", &browser);
}

#[test]
fn nothing_gets_out_of_the_ui_shell() {
    let outside = Outside::listen();
    let folder = outside.probe_in_place_of("ui-shell");
    let display = Display::start(800, 600);
    let browser = Browser::not_started_in_window(&display.name(), &[]).with_programs(folder.path());
    browser.start();
    is_contained("ui-shell", &browser);
}

#[test]
fn the_kernel_enforces_every_live_process_policy() {
    let site = Site::pages(&[("/", "<title>page</title><p>page</p>")]);
    let browser = Browser::headless();
    browser.open(&site.url(1, "/"));
    let processes = browser.json(&["policy", "verify"]);
    let roles: Vec<&str> =
        processes.as_array().unwrap().iter().map(|entry| entry["process"]["role"].as_str().unwrap()).collect();
    for role in ["broker", "launcher", "jail", "net-daemon", "agent-daemon", "tab-host"] {
        assert!(roles.contains(&role), "{role} in {roles:?}");
    }
    assert!(processes.as_array().unwrap().iter().all(|entry| entry["holds"] == true), "{processes:#}");
    // The control: a process of the machine's is not as any policy has it.
    let pid = i64::from(std::process::id());
    let failed = browser.regen(&["policy", "verify", &pid.to_string()]).unwrap_err();
    assert_eq!(failed.code, 4, "{}", failed.message);
}

#[test]
fn policies_can_be_read_compared_and_asked() {
    let browser = Browser::not_started(&["--headless"]);
    let all = browser.json(&["policy", "list"]);
    for policy in all.as_array().unwrap() {
        let (calls, budget) = (policy["system_calls"].as_u64().unwrap(), policy["budget"].as_u64().unwrap());
        assert!(calls <= budget, "{policy}");
        assert_eq!(policy["sha256"].as_str().unwrap().len(), 64);
    }
    let shown = browser.json(&["policy", "show", "tab-host"]);
    assert!(shown["allow"].as_array().unwrap().iter().all(|rule| !rule["reason"].as_str().unwrap().is_empty()));
    let oci: serde_json::Value =
        serde_json::from_str(&browser.regen(&["policy", "show", "tab-host", "--oci"]).unwrap()).unwrap();
    assert_eq!(oci["process"]["noNewPrivileges"], true);
    let calls = oci["linux"]["seccomp"]["syscalls"].as_array().unwrap();
    let socket: Vec<_> = calls.iter().filter(|rule| rule["names"] == serde_json::json!(["socket"])).collect();
    assert!(
        socket.iter().any(|rule| rule["args"][0]["value"] == 1 && rule["action"] == "SCMP_ACT_ALLOW"),
        "{socket:?}"
    );
    assert!(!oci.to_string().contains("\"ptrace\""));
    let explained = browser.json(&["policy", "explain", "net-daemon", "ptrace"]);
    assert_eq!(explained["verdict"], "notified");
    let socket = browser.regen(&["policy", "explain", "tab-host", "socket"]).unwrap();
    assert!(socket.contains("AF_UNIX") && socket.contains("_engine.toml:"), "{socket}");
    let difference = browser.regen(&["policy", "diff", "agent-worker", "agent-daemon"]).unwrap_err();
    assert_eq!(difference.code, 1);
    let unknown = browser.regen(&["policy", "show", "tabhost"]).unwrap_err();
    assert_eq!(unknown.code, 4);
    assert!(unknown.message.contains("tab-host"), "{}", unknown.message);
    let call = browser.regen(&["policy", "explain", "tab-host", "sockt"]).unwrap_err();
    assert_eq!(call.code, 4);
}

#[test]
fn the_audit_log_shows_what_happened_and_whoever_touched_it() {
    let site = Site::pages(&[("/", "<title>page</title><p>page</p>")]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let first = browser.pid_of_tab(tab);
    regen_tests::process::signal(first, rustix::process::Signal::KILL);
    eventually("another process", || {
        let now = browser.tab(tab);
        (now["state"] == "ready" && now["pid"] != first).then_some(())
    });
    let printed = browser.regen(&["--json", "audit"]).unwrap();
    let events: Vec<serde_json::Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |event: &str, role: &str| {
        events.iter().filter(|line| line["entry"]["event"] == event && line["entry"]["role"] == role).count()
    };
    assert_eq!(events[0]["entry"]["event"], "started");
    assert_eq!(events[0]["entry"]["policies"]["tab-host"].as_str().unwrap().len(), 64);
    assert_eq!((named("spawned", "tab-host"), named("ended", "tab-host")), (2, 1), "{printed}");
    assert!(printed.contains("SIGKILL") && printed.contains("\"granted\""), "{printed}");
    // The policies that run are those that the command line shows.
    let running = browser.status()["policies"].clone();
    let shown = browser.json(&["policy", "list"]);
    for policy in shown.as_array().unwrap() {
        assert_eq!(running[policy["role"].as_str().unwrap()], policy["sha256"]);
    }
    browser.regen(&["audit", "verify"]).unwrap();
    browser.quit();
    browser.regen(&["audit", "verify"]).unwrap();
    let path = browser.profile().join("audit.log");
    let whole = std::fs::read_to_string(&path).unwrap();
    let changed = |text: &str| {
        std::fs::write(&path, text).unwrap();
        browser.regen(&["audit", "verify"]).unwrap_err().message
    };
    let edited = changed(&whole.replacen("tab-host", "ui-shell", 1));
    assert!(edited.contains("line 1 is not what was written"), "{edited}");
    let lines: Vec<&str> = whole.lines().collect();
    let cut = changed(&format!("{}\n", lines[..lines.len() - 1].join("\n")));
    assert!(cut.contains("its end was cut off"), "{cut}");
    // The control: as it was, it is whole again.
    std::fs::write(&path, &whole).unwrap();
    browser.regen(&["audit", "verify"]).unwrap();
}
