//! Injection of each fault into the real processes, from outside.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use prost::Message;
use regen_proto::kernel::v1::{Heartbeat, ToBroker, to_broker};
use regen_proto::kernel_channel::{self, ChannelError, MAX_MESSAGE};
use regen_proto::role::Role;
use regen_proto::version;
use regen_sandbox::{spawn, verify};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, Signal};

use super::plan::{Fault, Step, Target, word};
use super::testbed::{Before, Injected, RECOVERY_TIMEOUT, Testbed};
use super::{clock, invariants, store, test_page};
use crate::client::Failure;

/// Duration of a pause that every process must survive.
const PAUSE: Duration = Duration::from_millis(300);
/// Time for which a process has no free descriptor.
const EXHAUSTED: Duration = Duration::from_millis(500);
/// Time for which every processor is busy.
const BUSY: Duration = Duration::from_millis(700);
/// Time within which a fatal signal ends a process.
const ENDS: Duration = Duration::from_millis(100);
/// Time within which a process may die of descriptor exhaustion.
const DIES_OF_IT: Duration = Duration::from_secs(1);
/// Time for which the test server does not answer.
const STALL: Duration = Duration::from_secs(2);
/// Time for which every process is stopped: longer than the hang timeout.
const SUSPENDED: Duration = Duration::from_secs(3);
/// Time for which name lookups stay unanswered.
const SILENCE: Duration = Duration::from_secs(3);
/// Time for which the broker alone is stopped: longer than the hang timeout.
const OVERSLEPT: Duration = Duration::from_millis(2500);
/// Number of additional tabs of one site.
const CROWD: usize = 60;
/// Number of messages in a flood: more than any child may send.
const FLOOD: usize = 400;

/// Process with a pidfd, which cannot come to mean another process.
struct Process {
    pid: i32,
    handle: OwnedFd,
}

impl Process {
    fn open(pid: i32) -> Result<Self, Failure> {
        let handle = Pid::from_raw(pid)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()));
        let handle = handle.map_err(|error| Failure::Other(format!("cannot open process {pid}: {error}")))?;
        Ok(Self { pid, handle })
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        match rustix::process::pidfd_send_signal(&self.handle, signal) {
            // The process may have ended already.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(Failure::Other(format!("cannot signal process {}: {error}", self.pid))),
        }
    }

    fn is_alive(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut polled = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut polled, Some(&now)).is_ok_and(|ended| ended == 0)
    }

    async fn ends_within(&self, time: Duration) -> bool {
        let start = Instant::now();
        while self.is_alive() {
            if start.elapsed() > time {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    /// Sends a signal until the process has ended: the engine's own handler may catch it the first time.
    async fn insist(&self, signal: Signal) -> Result<(), Failure> {
        for _ in 0..20 {
            self.signal(signal)?;
            if self.ends_within(ENDS).await {
                return Ok(());
            }
        }
        Err(Failure::Other(format!("process {} did not die of signal {}", self.pid, signal.as_raw())))
    }

    /// Duplicates the process's end of the kernel channel, to send messages in its place.
    fn channel(&self) -> Result<OwnedFd, Failure> {
        rustix::process::pidfd_getfd(&self.handle, spawn::CHANNEL, PidfdGetfdFlags::empty())
            .map_err(|error| Failure::Other(format!("cannot copy the channel of process {}: {error}", self.pid)))
    }
}

/// Injects a fault. Returns what the fault is expected to end.
pub(super) async fn inject(testbed: &Testbed, step: &Step, before: &Before) -> Result<Injected, Failure> {
    tokio::time::sleep(Duration::from_millis(step.after_ms)).await;
    let process = Process::open(find(testbed, step, before)?)?;
    let ends = Ends::of(step, process.pid);
    let at = Instant::now();
    let mut injected = ends.injected(at);
    match step.fault {
        Fault::Kill => process.signal(Signal::KILL)?,
        Fault::Segv => process.insist(Signal::SEGV).await?,
        Fault::Abort => process.insist(Signal::ABORT).await?,
        Fault::Stop => process.signal(Signal::STOP)?,
        Fault::Pause => {
            process.signal(Signal::STOP)?;
            tokio::time::sleep(PAUSE).await;
            process.signal(Signal::CONT)?;
            injected = Ends::Nothing.injected(at);
        }
        Fault::Exit => exit(&process).await?,
        Fault::Descriptors => {
            exhaust_descriptors(&process).await?;
            // The process may die or survive.
            if !process.ends_within(DIES_OF_IT).await {
                injected = Ends::Nothing.injected(at);
            }
        }
        Fault::Balloon => testbed.server.order_balloon(step.site),
        Fault::KillTwice => {
            process.signal(Signal::KILL)?;
            // After too many deaths there is no successor, but a sad tab.
            if let Some(successor) = successor(testbed, step, &process).await? {
                successor.signal(Signal::KILL)?;
                injected.deaths = 2;
            }
        }
        Fault::Starve => {
            starve()?;
            process.signal(Signal::KILL)?;
        }
        Fault::Garbage => send(&process.channel()?, &[0xff; 100], 0)?,
        Fault::Truncated => {
            let hello = hello(version::hello(role(step)));
            send(&process.channel()?, hello.get(..hello.len() / 2).unwrap_or_default(), 0)?;
        }
        Fault::Oversize => send(&process.channel()?, &vec![0; MAX_MESSAGE + 1], 0)?,
        Fault::Version => {
            let mut unknown = version::hello(role(step));
            (unknown.min_protocol, unknown.max_protocol) = (9_000, 9_001);
            send(&process.channel()?, &hello(unknown), 0)?;
        }
        Fault::Flood => {
            let (channel, beat) = (process.channel()?, heartbeat());
            for _ in 0..FLOOD {
                send(&channel, &beat, 0)?;
            }
        }
        Fault::StrayDescriptors => send(&process.channel()?, &heartbeat(), 4)?,
        Fault::KillSaving => {
            let saving = tokio::spawn(testbed.save());
            tokio::time::sleep(Duration::from_millis(step.after_ms % 50)).await;
            process.signal(Signal::KILL)?;
            // Saving may fail, because the process died.
            let _ = saving.await;
        }
        Fault::KillRestoring => {
            process.signal(Signal::KILL)?;
            if let Some(successor) = successor(testbed, step, &process).await? {
                // A varying delay hits the engine's start, the page load, or the form being filled in.
                tokio::time::sleep(Duration::from_millis(step.after_ms * 4)).await;
                successor.signal(Signal::KILL)?;
                injected.deaths = 2;
            }
        }
        Fault::KillTaking => {
            let host = Process::open(find(testbed, &Step { role: Target::TabHost, ..step.clone() }, before)?)?;
            let broker = Process::open(find(testbed, &Step { role: Target::Broker, ..step.clone() }, before)?)?;
            host.signal(Signal::KILL)?;
            // The spare takes over within milliseconds: a varying delay hits different moments.
            tokio::time::sleep(Duration::from_micros(step.after_ms * 50)).await;
            broker.signal(Signal::KILL)?;
        }
        Fault::KillBoth | Fault::KillMeanwhile => {
            let net = Process::open(find(testbed, &Step { role: Target::NetDaemon, ..step.clone() }, before)?)?;
            net.signal(Signal::KILL)?;
            if step.fault == Fault::KillMeanwhile {
                tokio::time::sleep(Duration::from_millis(step.after_ms)).await;
            }
            process.signal(Signal::KILL)?;
            injected.daemon = Some((word(&Target::NetDaemon), net.pid));
        }
        Fault::LargeState => {
            testbed.keep_state(step.site).await?;
            injected.at = Instant::now();
            process.signal(Signal::KILL)?;
        }
        Fault::ManyTabs => {
            injected.guests = testbed.crowd(step.site, CROWD).await?;
            injected.at = Instant::now();
            process.signal(Signal::KILL)?;
        }
        Fault::SilentNames => {
            // The server receives every query and answers none.
            let silent = test_page::silent_name_server().await?;
            let former = testbed.ask_names_of(format!("udp://{}", silent.local_addr()?)).await?;
            testbed.server.order_names(step.site);
            let mut question = [0; 512];
            let heard = tokio::time::timeout(RECOVERY_TIMEOUT, silent.recv(&mut question)).await;
            tokio::time::sleep(SILENCE).await;
            testbed.ask_names_of(former).await?;
            heard.map_err(|_| Failure::Timeout("the page looked up no name".to_owned()))??;
            injected = Ends::Nothing.injected(at);
        }
        Fault::Oversleep => {
            process.signal(Signal::STOP)?;
            tokio::time::sleep(OVERSLEPT).await;
            process.signal(Signal::CONT)?;
            injected = Ends::Nothing.injected(at);
        }
        Fault::KillDownloading => {
            testbed.download(step.site).await?;
            process.signal(Signal::KILL)?;
        }
        Fault::Stall => {
            testbed.server.stall(STALL);
            tokio::time::sleep(STALL).await;
            injected = Ends::Nothing.injected(at);
        }
        Fault::Suspend => {
            suspend(process.pid, SUSPENDED).await?;
            injected = Ends::Nothing.injected(at);
        }
        Fault::ClockJump => {
            process.signal(Signal::KILL)?;
            testbed.gone().await?;
            clock::jump(testbed, step).await?;
            // Recovery is measured from the last death, inside `jump`.
            injected.at = Instant::now();
        }
        Fault::NoSpace | Fault::IoError => {
            let error = if step.fault == Fault::NoSpace { "ENOSPC" } else { "EIO" };
            store::disk_fails(process.pid, error, testbed.cannot_save()).await?;
            testbed.saves_again().await?;
            injected = Ends::Nothing.injected(at);
        }
        Fault::TornRecord | Fault::FlippedBit | Fault::ForeignVersion | Fault::OldVersion => {
            process.signal(Signal::KILL)?;
            testbed.gone().await?;
            store::damage(testbed.profile(), step)?;
            if step.fault == Fault::OldVersion {
                testbed.start_and_kill(Duration::from_millis(step.after_ms)).await?;
            }
        }
    }
    Ok(injected)
}

/// Processes that a fault is expected to end.
enum Ends {
    Nothing,
    Site(usize),
    Daemon(String, i32),
    Browser,
}

impl Ends {
    fn of(step: &Step, pid: i32) -> Self {
        match step.role {
            Target::Spare if step.fault == Fault::KillTaking => Self::Browser,
            Target::TabHost | Target::WebProcess | Target::NetworkProcess | Target::Jail => Self::Site(step.site),
            Target::NetDaemon | Target::AgentDaemon | Target::UiShell | Target::Spare => {
                Self::Daemon(word(&step.role), pid)
            }
            Target::Launcher | Target::Broker | Target::Store | Target::Machine => Self::Browser,
        }
    }

    fn injected(self, at: Instant) -> Injected {
        let (mut sites, mut daemon, mut browser) = (BTreeSet::new(), None, false);
        match self {
            Self::Nothing => {}
            Self::Site(site) => drop(sites.insert(site)),
            Self::Daemon(role, pid) => daemon = Some((role, pid)),
            Self::Browser => browser = true,
        }
        Injected { at, sites, daemon, browser, deaths: 1, guests: Vec::new() }
    }
}

/// Returns the process that a step targets.
fn find(testbed: &Testbed, step: &Step, before: &Before) -> Result<i32, Failure> {
    let missing = || Failure::Other(format!("no {} is running", word(&step.role)));
    let broker = before.status.broker.as_ref().map_or(0, |broker| broker.pid);
    let tab = testbed.expected.get(step.site).map_or(0, |expected| expected.tab);
    let host = before.status.tabs.iter().find(|info| info.id == tab).map(|info| info.pid);
    let process = before.status.processes.iter().find(|process| Some(process.pid) == host);
    let helper =
        |name: &str| process?.helpers.iter().find(|helper| helper.name.contains(name)).map(|helper| helper.pid);
    let daemon =
        |name: &str| before.status.processes.iter().find(|process| process.role == name).map(|found| found.pid);
    let found = match step.role {
        Target::TabHost => host,
        Target::Spare => before.status.processes.iter().find(|process| is_spare(process)).map(|found| found.pid),
        Target::WebProcess => helper("WebKitWeb"),
        Target::NetworkProcess => helper("WebKitNet"),
        Target::NetDaemon => daemon("net-daemon"),
        Target::AgentDaemon => daemon("agent-daemon"),
        Target::UiShell => daemon("ui-shell"),
        Target::Jail => host.map(verify::jail_of).transpose()?,
        Target::Launcher => verify::launcher_of(broker)?,
        Target::Broker | Target::Store | Target::Machine => Some(broker),
    };
    found.filter(|pid| *pid > 0).ok_or_else(missing)
}

/// Returns whether a process is a spare: a tab-host without a site, ready or not.
fn is_spare(process: &regen_proto::control::v1::Process) -> bool {
    process.role == "tab-host" && process.site.is_empty()
}

/// Waits for the successor of a process that died, ready or not. Returns `None` if the tab became a sad tab.
async fn successor(testbed: &Testbed, step: &Step, former: &Process) -> Result<Option<Process>, Failure> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let tab = testbed.expected.get(step.site).map_or(0, |expected| expected.tab);
    while Instant::now() < deadline {
        let status = testbed.status().await?;
        let site = status.tabs.iter().find(|info| info.id == tab).map(|info| info.site.clone()).unwrap_or_default();
        let is_site = step.role == Target::TabHost;
        let is_it = |process: &&regen_proto::control::v1::Process| {
            if step.role == Target::Spare {
                return is_spare(process);
            }
            process.role == word(&step.role) && (!is_site || process.site == site)
        };
        let found = status.processes.iter().find(is_it).map(|process| process.pid);
        if let Some(pid) = found.filter(|pid| *pid > 0 && *pid != former.pid) {
            return Process::open(pid).map(Some);
        }
        if is_site && status.tabs.iter().any(|info| info.id == tab && info.state == "sad") {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(Failure::Timeout("the process was not restarted".to_owned()))
}

fn role(step: &Step) -> Role {
    match step.role {
        Target::NetDaemon => Role::NetDaemon,
        Target::AgentDaemon => Role::AgentDaemon,
        Target::UiShell => Role::UiShell,
        Target::TabHost
        | Target::Spare
        | Target::WebProcess
        | Target::NetworkProcess
        | Target::Jail
        | Target::Launcher
        | Target::Broker
        | Target::Store
        | Target::Machine => Role::TabHost,
    }
}

fn hello(hello: regen_proto::kernel::v1::Hello) -> Vec<u8> {
    ToBroker { body: Some(to_broker::Body::Hello(hello)) }.encode_to_vec()
}

fn heartbeat() -> Vec<u8> {
    ToBroker { body: Some(to_broker::Body::Heartbeat(Heartbeat {})) }.encode_to_vec()
}

/// Sends bytes on a process's channel, with this number of descriptors.
fn send(channel: &OwnedFd, bytes: &[u8], descriptors: usize) -> Result<(), Failure> {
    let null = std::fs::File::open("/dev/null")?;
    let descriptors = vec![null.as_fd(); descriptors];
    if bytes.len() > MAX_MESSAGE {
        // The library refuses to send this much, but an attacker does not need the library.
        return match rustix::net::send(channel, bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(_) | Err(rustix::io::Errno::PIPE) => Ok(()),
            Err(error) => Err(Failure::from(io::Error::from(error))),
        };
    }
    match kernel_channel::send_now(channel.as_fd(), bytes, &descriptors) {
        // The broker has closed the channel or reads more slowly: the flood has reached it.
        Ok(()) | Err(ChannelError::Closed | ChannelError::Io(_)) => Ok(()),
        Err(error) => Err(Failure::Other(error.to_string())),
    }
}

async fn exhaust_descriptors(process: &Process) -> Result<(), Failure> {
    let pid = Pid::from_raw(process.pid);
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.pid))?.count() as u64;
    let limit = |current: Option<u64>, maximum| {
        rustix::process::prlimit(pid, Resource::Nofile, Rlimit { current, maximum }).map_err(io::Error::from)
    };
    // Keep the hard limit, so that the soft limit can be restored.
    let text = std::fs::read_to_string(format!("/proc/{}/limits", process.pid))?;
    let row = text.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    let hard: Option<u64> = row.split_whitespace().nth(4).and_then(|field| field.parse().ok());
    let former = limit(Some(open), hard)?;
    tokio::time::sleep(EXHAUSTED).await;
    match limit(former.current, former.maximum) {
        Err(error) if process.is_alive() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Stops all processes of the browser, and continues them, the broker first, which then finds every heartbeat overdue.
async fn suspend(broker: i32, time: Duration) -> Result<(), Failure> {
    let below = invariants::descendants(broker).into_iter().map(|(pid, _)| pid);
    let all: Vec<Process> = std::iter::once(broker).chain(below).filter_map(|pid| Process::open(pid).ok()).collect();
    for process in all.iter().rev() {
        process.signal(Signal::STOP)?;
    }
    tokio::time::sleep(time).await;
    all.iter().try_for_each(|process| process.signal(Signal::CONT))
}

/// Keeps every processor busy for a while.
fn starve() -> Result<(), Failure> {
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    for _ in 0..processors * 2 {
        std::thread::Builder::new().spawn(|| {
            let start = Instant::now();
            while start.elapsed() < BUSY {
                std::hint::spin_loop();
            }
        })?;
    }
    Ok(())
}

/// Makes a process exit by itself: its first thread calls `exit_group(0)` in place of its current system call.
#[cfg(target_arch = "x86_64")]
async fn exit(process: &Process) -> Result<(), Failure> {
    use nix::sys::{ptrace, wait};
    const EXIT_GROUP: u64 = 231;
    /// Encoding of the `syscall` instruction, as read from memory.
    const INSTRUCTION: i64 = 0x050f;
    let pid = nix::unistd::Pid::from_raw(process.pid);
    let failed = |error: nix::errno::Errno| Failure::Other(format!("cannot trace process {pid}: {error}"));
    for _ in 0..200 {
        ptrace::attach(pid).map_err(failed)?;
        wait::waitpid(pid, Some(wait::WaitPidFlag::__WALL)).map_err(failed)?;
        let mut registers = ptrace::getregs(pid).map_err(failed)?;
        let instruction = registers.rip.wrapping_sub(2);
        let word = ptrace::read(pid, std::ptr::without_provenance_mut(usize::try_from(instruction).unwrap_or(0)));
        if word.is_ok_and(|word| word & 0xffff == INSTRUCTION) {
            registers.rip = instruction;
            registers.rax = EXIT_GROUP;
            registers.orig_rax = u64::MAX;
            registers.rdi = 0;
            ptrace::setregs(pid, registers).map_err(failed)?;
            return ptrace::detach(pid, None).map_err(failed);
        }
        // The thread was not in a system call: try again.
        ptrace::detach(pid, None).map_err(failed)?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(Failure::Other(format!("process {pid} was never in a system call")))
}

#[cfg(not(target_arch = "x86_64"))]
async fn exit(process: &Process) -> Result<(), Failure> {
    process.insist(Signal::TERM).await
}
