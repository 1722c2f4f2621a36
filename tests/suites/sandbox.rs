//! Attacks on the sandbox from inside, and the commands to inspect, verify and probe its policies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts other programs"
)]

use std::process::Command;

use regen_tests::{Browser, Site, eventually, programs};
use tempfile::TempDir;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../sandbox-policies/README.md")).unwrap()
}

#[test]
fn nothing_gets_out_of_any_sandbox_and_every_call_ends_as_the_policies_say() {
    let browser = Browser::not_started(&["--headless"]);
    let junit = browser.profile().join("probes.xml");
    std::fs::create_dir_all(browser.profile()).unwrap();
    let findings = browser.json(&["policy", "probe", "--junit", junit.to_str().unwrap()]);
    assert_eq!(findings["holds"], true, "{findings:#}");
    let roles = findings["roles"].as_array().unwrap();
    assert_eq!(roles.len(), 9);
    let document = readme();
    for role in roles {
        let name = role["role"].as_str().unwrap();
        assert!(role["calls_made"].as_u64().unwrap() > 300, "{name}");
        let attempts = role["findings"].as_array().unwrap();
        if ["broker", "launcher", "jail"].contains(&name) {
            continue;
        }
        let verdict = |wanted: &str| attempts.iter().filter(|finding| finding["verdict"] == wanted).count();
        // Attempts that succeed outside the sandbox and failed inside.
        assert!(verdict("contained") >= 80, "{name}: {} of {}", verdict("contained"), attempts.len());
        assert!(verdict("by-nature") <= 3, "{name}");
        for attempt in attempts {
            let row = format!("| {}: {} |", attempt["area"].as_str().unwrap(), attempt["name"].as_str().unwrap());
            assert!(document.contains(&row), "sandbox-policies/README.md lacks “{row}”: run ./x probes");
        }
    }
    assert!(!document.contains("ESCAPED"));
    let report = std::fs::read_to_string(junit).unwrap();
    assert_eq!(report.matches("<testsuite ").count(), 9);
    assert!(!report.contains("<failure"), "{report}");
}

#[test]
fn a_program_of_the_users_runs_in_a_roles_sandbox() {
    let browser = Browser::not_started(&["--headless"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("note.txt");
    std::fs::write(&file, "what it may read").unwrap();
    let file = file.to_str().unwrap();
    let code = |arguments: &[&str]| {
        let all: Vec<&str> = ["policy", "exec"].iter().chain(arguments).copied().collect();
        browser.regen(&all).map_or_else(|failed| (failed.code, failed.message), |said| (0, said))
    };
    assert_eq!(code(&["tab-host", "--bind", file, "--", "/bin/cat", file]), (0, "what it may read".to_owned()));
    // A file that was not bound is not visible.
    let (status, message) = code(&["tab-host", "--", "/bin/cat", file]);
    assert!(status == 1 && message.contains("No such file"), "{message}");
    let (status, message) = code(&["tab-host", "--", "/bin/ls", "/home"]);
    assert_eq!(status, 2, "{message}");
    assert_eq!(code(&["agent-worker", "--", "/bin/false"]).0, 1);
    let (status, message) = code(&["agent-worker", "--", "there-is-no-such-program"]);
    assert!(status == 127 && message.contains("there is no program"), "{message}");
    assert_eq!(code(&["broker", "--", "/bin/true"]).0, 2);
    assert_eq!(code(&["tabhost", "--", "/bin/true"]).0, 4);
    // Refused calls are reported as they happen.
    let (_, message) = code(&["agent-worker", "--", "/usr/bin/id"]);
    assert!(message.contains("refused geteuid(") && message.contains("agent-worker.toml"), "{message}");
}

#[test]
fn without_a_compiler_no_memory_becomes_code() {
    let browser = Browser::not_started(&["--headless"]);
    let probe = programs().join("regen-probe");
    let attempt = |mode: &[&str]| {
        let command = ["tab-host", "--", probe.to_str().unwrap(), "attempt", "make code in memory", "1", "/"];
        let all: Vec<&str> = ["policy", "exec"].iter().chain(mode).chain(&command).copied().collect();
        browser.regen(&all).map_or_else(|failed| failed.code, |_| 0)
    };
    assert_eq!(attempt(&[]), 0, "control: the engine cannot make code by default");
    assert_eq!(attempt(&["--jitless"]), 1);
    // The engine works without a JIT compiler.
    let page = "<title>page</title><p id=p></p><script>let n=0; for (let i=0;i<3e5;i++) n+=i%7; p.textContent='sum '+n;\
                p.textContent+=' '+/(a+)(b|c)*/.exec('xaabcb')[0]</script>";
    let site = Site::pages(&[("/", page)]);
    let browser = Browser::with_options(&["--headless", "--jitless"]);
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, "sum 899997 aabcb");
    assert_eq!(browser.status()["refused_messages"]["system_calls"], 0, "{}", browser.log());
}

#[test]
fn what_a_role_calls_is_learnt_and_its_unused_rules_are_named() {
    let state = TempDir::new().unwrap();
    let browser = Browser::not_started(&["--headless"]).with_variable("XDG_STATE_HOME", state.path().to_str().unwrap());
    let nothing = browser.json(&["policy", "coverage", "agent-worker"]);
    assert!(nothing[0]["unused"].is_null(), "{nothing}");
    let learnt = browser.json(&["policy", "learn", "agent-worker", "--guest", "--", "/usr/bin/id"]);
    assert!(learnt["proposal"].as_str().unwrap().contains("calls = [\"getuid\"]"), "{learnt}");
    assert_eq!(learnt["exit_code"], 0, "a call was refused while learning");
    // A complete tab-host: its policy lacks no call, and the page loads.
    let site = Site::pages(&[("/", "<title>page</title><p>page</p>")]);
    let regen = programs().join("regen");
    let url = site.url(1, "/");
    let scenario = ["policy", "learn", "tab-host", "--", regen.to_str().unwrap(), "tab", "open", "--wait", &url];
    let learnt = browser.json(&scenario);
    assert_eq!((&learnt["exit_code"], &learnt["wanted"]), (&0.into(), &serde_json::json!({})), "{learnt}");
    assert_eq!(site.requests("/").len(), 1);
    let covered = browser.json(&["policy", "coverage", "tab-host"]);
    let unused = covered[0]["unused"].to_string();
    assert!(unused.contains("shmget") && !unused.contains("\"execve\""), "{unused}");
}

#[test]
fn an_existing_runtime_takes_a_policy_and_runs_its_program() {
    let browser = Browser::not_started(&["--headless"]);
    let bundle = TempDir::new().unwrap();
    let config = browser.regen(&["policy", "show", "net-daemon", "--oci"]).unwrap();
    // The folders of the role are filled in by the one who runs the bundle.
    let own = bundle.path().join("own");
    std::fs::create_dir(&own).unwrap();
    let config = config.replace("{bucket}", own.to_str().unwrap());
    let config = config.replace("{certificates}", "/etc/ssl/certs/ca-certificates.crt");
    std::fs::write(bundle.path().join("config.json"), config).unwrap();
    let root = bundle.path().join("rootfs");
    std::fs::create_dir(&root).unwrap();
    for (link, target) in [("lib", "usr/lib"), ("lib64", "usr/lib64")] {
        std::os::unix::fs::symlink(target, root.join(link)).unwrap();
    }
    // The user namespace's root creates the mount points, so it must own the folder.
    std::os::unix::fs::chown(&root, Some(61_599), None).unwrap();
    std::fs::set_permissions(bundle.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // The runtime needs a mount namespace with cgroup v2 only.
    let script = "umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && \
                  exec crun --cgroup-manager=disabled --root \"$1/state\" run -b \"$1\" regen-test-$$";
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(bundle.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // The program starts, and refuses to run without a broker.
    assert!(said.contains("started by the Regen broker"), "{said}");
}

#[test]
fn an_administrators_looser_policy_stops_the_start() {
    let shipped =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../sandbox-policies/net-daemon.toml")).unwrap();
    let folder = TempDir::new().unwrap();
    let start = |policy: &str| {
        std::fs::write(folder.path().join("net-daemon.toml"), policy).unwrap();
        // An overlay over /etc keeps the machine's own files unchanged.
        let script = "mount -t tmpfs none \"$1\" && mkdir \"$1/u\" \"$1/w\" && \
                      mount -t overlay overlay -o \"lowerdir=/etc,upperdir=$1/u,workdir=$1/w\" /etc && \
                      mkdir -p /etc/regen/sandbox-policies && cp \"$2\" /etc/regen/sandbox-policies/ && \
                      \"$3\" policy list >/dev/null";
        let scratch = TempDir::new().unwrap();
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh"])
            .arg(scratch.path())
            .arg(folder.path().join("net-daemon.toml"))
            .arg(programs().join("regen"))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let stricter = start(&shipped.replace("value = 16384", "value = 1024"));
    assert!(stricter.0, "{}", stricter.1);
    let looser = start(&format!("{shipped}\n[[allow]]\ncalls = [\"ptrace\"]\nreason = \"to look around\"\n"));
    assert!(!looser.0 && looser.1.contains("would allow more") && looser.1.contains("ptrace"), "{}", looser.1);
    let mistaken = start(&shipped.replace("\"connect\"", "\"conect\""));
    assert!(
        !mistaken.0 && mistaken.1.contains("net-daemon.toml:") && mistaken.1.contains("“connect”"),
        "{}",
        mistaken.1
    );
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
    // Control: a process outside the browser matches no policy.
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
    for (role, what, is_allowed) in [
        ("tab-host", "ptrace", false),
        ("tab-host", "read", true),
        ("tab-host", "AF_INET", true),
        ("agent-daemon", "AF_INET", false),
        ("net-daemon", "AF_INET", true),
        ("tab-host", "/home/user/.ssh/id_ed25519", false),
        ("tab-host", "/usr/share/fonts/truetype", true),
        ("tab-host", "tcp:443", false),
        ("net-daemon", "tcp:443", true),
    ] {
        let checked = browser.regen(&["policy", "explain", role, what, "--check"]).map_err(|failed| failed.code);
        assert_eq!(checked.is_ok(), is_allowed, "{role} {what}: {checked:?}");
    }
    let shown = browser.regen(&["policy", "show", "net-daemon"]).unwrap();
    assert!(
        !shown.contains("Some(") && shown.contains("connects to any port") && shown.contains("Landlock"),
        "{shown}"
    );
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
    let site = browser.tab(tab)["site"].clone();
    let named = |event: &str| {
        events.iter().filter(|line| line["entry"]["event"] == event && line["entry"]["site"] == site).count()
    };
    assert_eq!(events[0]["entry"]["event"], "started");
    assert_eq!(events[0]["entry"]["policies"]["tab-host"].as_str().unwrap().len(), 64);
    assert_eq!((named("spawned") + named("spare_taken"), named("ended")), (2, 1), "{printed}");
    assert!(printed.contains("SIGKILL") && printed.contains("\"granted\""), "{printed}");
    // The running policies are those that the command line shows.
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
    // Control: the unchanged log verifies.
    std::fs::write(&path, &whole).unwrap();
    browser.regen(&["audit", "verify"]).unwrap();
}

/// Changes to a running process's namespaces, mounts and tracer, each undone before the next.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test starts processes")]
fn what_others_do_to_a_running_process_shows() {
    use std::process::{Command, Stdio};
    let browser = Browser::headless();
    let victim = browser.daemon("agent-daemon");
    let drift = || {
        let output = browser.command(&["policy", "verify", &victim.to_string()]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, printed) = drift();
    assert_eq!(code, Some(0), "control: the unchanged process does not verify: {printed}");
    // A foreign process in the child's namespaces.
    let mut guest = Command::new("nsenter");
    guest.args(["-t", &victim.to_string(), "--pid", "--net", "sleep", "60"]).stdout(Stdio::null());
    let mut guest = guest.spawn().unwrap();
    eventually("the guest to show", || {
        let (code, printed) = drift();
        (code == Some(1) && printed.contains("(sleep)") && printed.contains("is in its net, pid")).then_some(())
    });
    guest.kill().unwrap();
    guest.wait().unwrap();
    // The process that nsenter started is still in the namespace.
    eventually("the guest to be gone", || {
        let (code, printed) = drift();
        let left = printed.split("process ").skip(1).find(|rest| rest.contains("(sleep)"));
        let pid = left.and_then(|rest| rest.split(' ').next()?.parse::<i32>().ok());
        pid.into_iter().for_each(|pid| regen_tests::process::signal(pid, rustix::process::Signal::KILL));
        (code == Some(0)).then_some(())
    });
    // A mount over one of its mounts.
    let inside = |call: &str| {
        let script = format!(
            "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)\n\
             assert libc.setns(os.open('/proc/{victim}/ns/mnt', os.O_RDONLY), 0) == 0\n\
             assert {call} == 0, os.strerror(ctypes.get_errno())"
        );
        let done = Command::new("python3").args(["-c", &script]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    inside("libc.mount(b'none', b'/proc', b'tmpfs', 0, b'size=1m')");
    let (code, printed) = drift();
    assert!(code == Some(1) && printed.contains("/proc is mounted over"), "{printed}");
    inside("libc.umount2(b'/proc', 2)");
    assert_eq!(drift().0, Some(0));
    // A tracer.
    let mut tracer = Command::new("strace");
    tracer.args(["-p", &victim.to_string(), "-e", "trace=none"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut tracer = tracer.spawn().unwrap();
    eventually("the tracer to show", || {
        let (code, printed) = drift();
        (code == Some(1) && printed.contains("(strace)")).then_some(())
    });
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    eventually("the process to verify again", || (drift().0 == Some(0)).then_some(()));
}
