//! Architecture rules, checked on the real dependency graph and the real sources.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

#[expect(clippy::disallowed_methods, reason = "asks cargo")]
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the names of all packages that a package links, without those that only its tests or build scripts use.
fn links(metadata: &Value, package: &str) -> BTreeSet<String> {
    let mut names = BTreeMap::new();
    for entry in metadata["packages"].as_array().unwrap() {
        names.insert(entry["id"].as_str().unwrap(), entry["name"].as_str().unwrap());
    }
    let nodes: BTreeMap<&str, &Value> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|n| (n["id"].as_str().unwrap(), n)).collect();
    let start = names.iter().find(|(_, name)| **name == package).map(|(id, _)| *id).unwrap();
    let (mut seen, mut todo) = (BTreeSet::new(), vec![start]);
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            if dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null()) {
                todo.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

const ROLES: [&str; 5] = ["regen-broker", "regen-tab-host", "regen-net-daemon", "regen-agent-daemon", "regen-ui-shell"];

#[test]
fn no_role_depends_on_another() {
    let metadata = metadata();
    for role in ROLES {
        let linked = links(&metadata, role);
        for other in ROLES.iter().filter(|other| **other != role) {
            assert!(!linked.contains(*other), "{role} links {other}");
        }
    }
}

#[test]
fn the_broker_links_no_engine_no_toolkit_and_no_tls() {
    let metadata = metadata();
    let forbidden = [
        "gtk",
        "webkit2gtk",
        "wry",
        "smithay",
        "rustls",
        "native-tls",
        "openssl",
        "arti-client",
        "adblock",
        "hickory-resolver",
        "html5ever",
        "ring",
    ];
    let linked = links(&metadata, "regen-broker");
    for name in forbidden {
        assert!(!linked.contains(name), "the broker links {name}");
    }
    // Control: the same search finds the engine in the tab-host.
    assert!(links(&metadata, "regen-tab-host").contains("webkit2gtk"));
}

/// Direct dependencies of the broker and of the crates that only it is made of.
const DEPENDENCIES: [(&str, &[&str]); 10] = [
    (
        "regen-broker",
        &[
            "clap",
            "governor",
            "hdrhistogram",
            "interprocess",
            "prost",
            "regen-audit-log",
            "regen-crash-reports",
            "regen-desktop",
            "regen-net-config",
            "regen-places",
            "regen-proto",
            "regen-runtime",
            "regen-sandbox",
            "regen-session",
            "regen-settings",
            "regen-store",
            "regen-supervisor",
            "rustix",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tokio-stream",
            "tonic",
            "tracing",
            "tracing-subscriber",
        ],
    ),
    ("regen-places", &["memchr", "nucleo-matcher", "regen-net-config", "serde", "slab", "thiserror"]),
    ("regen-commands", &["thiserror"]),
    ("regen-settings", &["regen-commands", "strsim", "thiserror", "toml_edit", "url"]),
    ("regen-session", &["bytes", "regen-net-config", "serde", "thiserror", "url"]),
    ("regen-supervisor", &["fastrand", "regen-net-config", "regen-proto", "regen-session", "tracing"]),
    (
        "regen-store",
        &[
            "bincode",
            "chacha20poly1305",
            "crc32fast",
            "regen-audit-log",
            "regen-net-config",
            "regen-places",
            "regen-session",
            "secret-service",
            "serde",
            "serde_json",
            "sha2",
            "sled",
            "thiserror",
            "tokio",
            "tracing",
            "zbus",
        ],
    ),
    ("regen-audit-log", &["serde", "serde_json", "sha2", "thiserror", "tokio", "tracing"]),
    ("regen-crash-reports", &["humantime", "regen-runtime", "regen-sandbox", "rustix", "serde", "serde_json"]),
    ("regen-desktop", &["fastrand", "regen-net-config", "thiserror", "tokio", "tokio-stream", "url", "zbus"]),
];

/// The broker is the most trusted program: a new dependency is a decision, and must be added to this list.
#[test]
fn the_brokers_dependencies_are_these() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    for (name, expected) in DEPENDENCIES {
        let package = packages.iter().find(|package| package["name"] == name).unwrap();
        let own = package["dependencies"].as_array().unwrap().iter().filter(|one| one["kind"].is_null());
        let own: BTreeSet<&str> = own.map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(own, expected.iter().copied().collect(), "{name}");
    }
}

#[test]
fn only_the_tab_host_and_the_window_link_the_engine() {
    let metadata = metadata();
    for role in ["regen-net-daemon", "regen-agent-daemon", "regen-sandbox", "regen-runtime", "regen-proto"] {
        assert!(!links(&metadata, role).contains("webkit2gtk"), "{role} links the engine");
    }
}

/// States of the supervisor's machine. They know each other.
const STATES: [&str; 10] =
    ["backing_off", "crashed", "degraded", "given_up", "machine", "ready", "rules", "starting", "stopped", "stopping"];

/// Modules form layers: what is below does not know what is above. The states of one state machine know each other.
#[test]
fn no_module_imports_one_that_needs_it() {
    let crates = [
        "agent-daemon",
        "audit-log",
        "broker",
        "cli",
        "commands",
        "crash-reports",
        "desktop",
        "net-config",
        "net-daemon",
        "places",
        "proto",
        "runtime",
        "sandbox-policies",
        "session",
        "settings",
        "store",
        "supervisor",
        "tab-host",
        "tab-host/page-agent",
        "ui-shell",
    ];
    for name in crates {
        let mut cycles = regen_tests::modules::cycles(&root().join(name).join("src"));
        let is_state_machine = |cycle: &BTreeSet<String>| {
            name == "supervisor" && cycle.iter().all(|module| STATES.contains(&module.as_str()))
        };
        cycles.retain(|cycle| !is_state_machine(cycle));
        assert!(cycles.is_empty(), "{name}: {cycles:?}");
    }
}

/// Schema types stop at the edges of the broker: after its codecs, no empty text means “none”.
#[test]
fn schema_types_stay_in_the_brokers_codecs_and_its_grpc_services() {
    let edges = ["codec/", "control/", "launcher/", "network/admin.rs"];
    let mut files = Vec::new();
    for folder in ["broker", "commands", "places", "session", "settings", "store", "supervisor", "audit-log"] {
        sources(&root().join(folder).join("src"), &mut files);
    }
    let mut inside = BTreeSet::new();
    let mut at_the_edges = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        // Unit tests may play a child.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let uses = ["kernel", "control", "net", "page", "places", "settings", "launcher"]
            .iter()
            .any(|p| text.contains(&format!("regen_proto::{p}::v1")));
        let relative = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if !uses || relative.ends_with("tests.rs") {
            continue;
        }
        if edges.iter().any(|edge| relative.starts_with(&format!("broker/src/{edge}"))) {
            at_the_edges += 1;
        } else {
            inside.insert(relative);
        }
    }
    assert_eq!(inside, BTreeSet::new());
    assert!(at_the_edges > 8, "the control: {at_the_edges} files at the edges use schema types");
}

/// The pure crates stay pure: a reducer that links a runtime or a toolkit could do more than reduce.
#[test]
fn the_session_and_the_supervisor_start_nothing() {
    let metadata = metadata();
    for package in ["regen-session", "regen-supervisor"] {
        let linked = links(&metadata, package);
        for name in ["regen-runtime", "regen-sandbox", "sled", "zbus"] {
            assert!(!linked.contains(name), "{package} links {name}");
        }
    }
    assert!(!links(&metadata, "regen-session").contains("regen-proto"), "the session knows no schema");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" && name != ".git" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn internet_sockets_are_opened_by_the_net_daemon_alone() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    let mut opening = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let relative = file.strip_prefix(root()).unwrap().to_path_buf();
        // The attack probe, the command that gives it targets, and the servers of chaos campaigns are no roles.
        let attacks = ["sandbox-policies/src/probe", "cli/src/policy/probe.rs", "cli/src/chaos/test_page.rs"];
        if relative.starts_with("tests") || attacks.iter().any(|place| relative.starts_with(place)) {
            continue;
        }
        let calls = [
            "TcpStream::connect",
            "TcpSocket",
            "UdpSocket::bind",
            "lookup_host",
            "TokioRuntimeProvider",
            "TorClient::",
        ];
        if calls.iter().any(|call| text.contains(call)) {
            opening.insert(relative);
        }
    }
    // Modules that connect, in order, to DNS servers, to hosts on direct routes, to Tor relays, and to WireGuard peers.
    let expected = [
        "net-daemon/src/dns/direct.rs",
        "net-daemon/src/egress/direct.rs",
        "net-daemon/src/tor/mod.rs",
        "net-daemon/src/wireguard/tunnel.rs",
    ];
    assert_eq!(opening, expected.into_iter().map(PathBuf::from).collect());
}

#[test]
fn unsafe_code_is_expected_with_a_reason_wherever_it_is() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let blocks = text.matches("unsafe {").count();
        let reasons = text.matches("SAFETY:").count();
        let here = file.strip_prefix(root()).unwrap().display();
        // The attack probe states one reason for all of its system calls, at its top.
        if !text.contains("fn unsafe_code_is_expected") && !here.to_string().contains("src/probe/") {
            assert!(blocks <= reasons, "{here}: {blocks} unsafe blocks, {reasons} SAFETY comments");
        }
    }
}
