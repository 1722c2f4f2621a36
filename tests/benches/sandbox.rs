//! Cost of the sandbox: starting a child, loading a page, running a script, and withstanding a loop of refused calls.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking, and prints its results"
)]

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use regen_broker::children::refused_calls::{self, NotifyPolicy};
use regen_broker::launcher::{self, FromLauncherBody, Launcher};
use regen_proto::kernel_channel;
use regen_proto::launcher::v1::{Guest as Wish, Spawn};
use regen_sandbox::policy::{Guest, MountKind, Policy};
use regen_tests::bench::{Server, ServerEvent, bound, median, processor_time, report};
use regen_tests::{Browser, eventually, programs, programs_with};

const STARTS: usize = 60;
const LOADS: usize = 31;
const PAGE: &str = "/library/inspect.html";
const SECOND: &str = "/library/functions.html";
const TRUE: &str = "/bin/true";

fn main() {
    // Must come first: a fork copies only the calling thread.
    let forked = launcher::fork(&programs(), launcher::SANDBOXED).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(starts(forked));
    let server = Server::start();
    pages(&server);
    refused_calls();
}

/// Measures `/bin/true` in a role's sandbox, started by a running launcher, against bubblewrap with the same namespaces
/// and mounts.
async fn starts(forked: launcher::LauncherProcess) {
    let launcher = forked.adopt().unwrap();
    let policy = Policy::of("agent-worker").unwrap();
    let guest = Guest { program: TRUE.into(), arguments: Vec::new(), files: Vec::new(), as_dumper: false };
    let policy = Arc::new(policy.with_guest(&guest));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let start = Instant::now();
        jailed(&launcher, &policy).await;
        ours.push(start.elapsed());
        let start = Instant::now();
        assert!(bubblewrap(&policy).status().unwrap().success());
        theirs.push(start.elapsed());
    }
    report("start to end of a jailed /bin/true", median(ours), "bwrap", median(theirs), 1.0);
}

async fn jailed(launcher: &Launcher, policy: &Arc<Policy>) {
    let (_ours, theirs) = kernel_channel::pair().unwrap();
    let log = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    let guest = Some(Wish { program: TRUE.to_owned(), ..Wish::default() });
    let spawn = Spawn { child: 1, role: policy.role.clone(), guest, ..Spawn::default() };
    launcher.spawn(spawn, &[theirs.as_fd(), log.as_fd()]).unwrap();
    loop {
        match launcher.next().await.unwrap() {
            (FromLauncherBody::Spawned(_), descriptors) => {
                let listener = descriptors.into_iter().nth(1).unwrap();
                refused_calls::answer_for(Arc::clone(policy), listener, NotifyPolicy::AtOnce, |_| {});
            }
            (FromLauncherBody::Exited(end), _) => {
                assert!(end.clean, "{}", end.cause);
                return;
            }
            (FromLauncherBody::Failed(failed), _) => panic!("{}", failed.reason),
        }
    }
}

fn bubblewrap(policy: &Policy) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]);
    command.args(["--unshare-cgroup", "--hostname", "regen", "--die-with-parent", "--new-session", "--clearenv"]);
    for mount in &policy.mount {
        let (source, target) = (regen_sandbox::filled(&mount.path), regen_sandbox::filled(mount.target()));
        match mount.kind {
            MountKind::ReadOnly | MountKind::File => command.args(["--ro-bind", &source, &target]),
            MountKind::Symlink => command.args(["--symlink", &source, &target]),
            MountKind::Devices => command.args(["--dev", &target]),
            MountKind::Proc => command.args(["--proc", &target]),
            MountKind::Tmpfs => command.args(["--tmpfs", &target]),
            MountKind::Bucket | MountKind::Chosen | MountKind::CaBundle | MountKind::Display => &mut command,
        };
    }
    command.arg(TRUE).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Folders that the open broker's children mount on. They are removed when this is dropped.
struct Places(Vec<PathBuf>);

impl Places {
    fn make() -> Self {
        let missing = |path: &PathBuf| std::fs::create_dir(path).is_ok();
        Self(["/bucket", "/chosen", "/regen"].map(PathBuf::from).into_iter().filter(missing).collect())
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for place in &self.0 {
            std::fs::remove_dir(place).unwrap();
        }
    }
}

/// Measures the same tab-host with and without its sandbox, in turns.
fn pages(server: &Server) {
    let _places = Places::make();
    let open = std::fs::read(programs().join("regen-open-broker")).unwrap();
    let folder = programs_with("broker", &open);
    // The open broker cannot have prelaunched processes, because its children share one file view; so neither browser
    // has any.
    let sandboxed = Browser::with_options(&["--headless", "--spare", "off"]);
    let bare = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
    bare.start();
    let seccomp = |browser: &Browser, tab| {
        regen_tests::process::status_field(browser.pid_of_tab(tab), "Seccomp").unwrap_or_default()
    };
    let (ours, theirs) = (sandboxed.open(&server.url(1, PAGE)), bare.open(&server.url(1, PAGE)));
    assert_eq!((seccomp(&sandboxed, ours).as_str(), seccomp(&bare, theirs).as_str()), ("2", "0"));
    for (what, path) in [("a page of the same site, in the sandbox", SECOND), ("a script, in the sandbox", "/script")] {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for run in 0..=LOADS {
            let mut turns = [(&sandboxed, ours, &mut inside), (&bare, theirs, &mut outside)];
            // The first in a turn has colder caches, so the order alternates.
            if run % 2 == 1 {
                turns.reverse();
            }
            for (browser, tab, times) in turns {
                std::thread::sleep(Duration::from_millis(300));
                server.forget();
                let start = Instant::now();
                browser.regen(&["tab", "goto", &tab.to_string(), &server.url(1, path)]).unwrap();
                let time = server.wait(ServerEvent::Done) - start;
                if run > 0 {
                    times.push(time);
                }
            }
        }
        report(what, median(inside), "without", median(outside), 1.03);
    }
}

/// Measures how much a process that makes refused system calls in a loop slows the broker and other work.
fn refused_calls() {
    let hostile = std::fs::read(programs().join("regen-hostile-child")).unwrap();
    let folder = programs_with("tab-host", &hostile);
    let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
    browser.start();
    let (mut before, mut during) = (Vec::new(), Vec::new());
    for _ in 0..LOADS {
        before.push(work());
    }
    browser.regen(&["tab", "open", "http://insistent.test/"]).unwrap();
    let calls = || browser.status()["refused_messages"]["system_calls"].as_u64().unwrap();
    eventually("refused calls", || (calls() > 100).then_some(()));
    let (start, cpu) = (Instant::now(), processor_time(browser.broker()));
    for _ in 0..LOADS {
        during.push(work());
    }
    std::thread::sleep(Duration::from_secs(5));
    let used = (processor_time(browser.broker()) - cpu) / start.elapsed().as_secs_f64() * 100.0;
    bound("a loop of refused calls, in the broker", used, "% of a core", 2.0);
    report("a neighbour's work beside that loop", median(during), "alone", median(before), 1.03);
}

/// Runs a fixed computation, and returns its duration.
fn work() -> Duration {
    let start = Instant::now();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..60_000_000_u64 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    assert_ne!(std::hint::black_box(state), 0);
    start.elapsed()
}
