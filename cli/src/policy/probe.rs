//! `regen policy probe`: makes every escape attempt in every role's sandbox and outside it, and every system call.

use std::fs;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use super::findings::{Attempt, BESIDE, Finding, RoleFindings};
use super::sandboxes::{Order, Sandboxes};
use super::{probe_report, role_policy};
use crate::arguments::Output;
use crate::client::Failure;
use crate::launch;
use regen_broker::children::refused_calls::NotifyPolicy;
use regen_broker::launcher::LauncherProcess;
use regen_sandbox::policy::{Guest, Mode, Policy, ROLES};
use regen_sandbox::probe_cases::{self, Expected, ProbeCase};

/// Maximum duration of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Base of the marker in a call's last argument, which identifies the call in the plan.
const MARK: u64 = 0x5052_0000;
/// Exit code of a program that has made every call.
const DONE: i32 = 77;

/// Areas in which a system call filter alone contains a process, without mounts and namespaces of its own.
const AREAS_OF_A_FILTER: [&str; 3] = ["code", "kernel", "network"];

pub(super) async fn run(
    launchers: Vec<LauncherProcess>,
    only: Option<&str>,
    junit: Option<&Path>,
    markdown: bool,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut policies = Vec::new();
    for role in ROLES.iter().filter(|role| only.is_none_or(|only| only == **role)) {
        policies.push(role_policy(role, Mode::Jit)?);
    }
    if let (Some(only), true) = (only, policies.is_empty()) {
        role_policy(only, Mode::Jit)?;
    }
    let mut launchers = launchers.into_iter().enumerate().map(|(number, forked)| Sandboxes::new(forked, number));
    let (Some(first), Some(second)) = (launchers.next(), launchers.next()) else {
        return Err(Failure::Other("there is no launcher".to_owned()));
    };
    let mut laboratory =
        Laboratory { sandboxes: first?, neighbours: second?, program: program()?, outside: Outside::new()? };
    let mut attempts = laboratory.list()?;
    for attempt in &mut attempts {
        attempt.proven = laboratory.control(attempt)?;
    }
    let mut all = Vec::new();
    for policy in &policies {
        let findings = if policy.is_jailed() {
            laboratory.jailed(policy, &attempts).await?
        } else {
            laboratory.locked(policy, &attempts).await?
        };
        if output == Output::Text && !markdown {
            probe_report::text(&findings);
        }
        all.push(findings);
    }
    if let Some(path) = junit {
        fs::write(path, probe_report::junit(&all)?)?;
    }
    if output == Output::Text && !markdown {
        probe_report::summary(&all);
    }
    if markdown {
        probe_report::markdown(&all);
    } else if output == Output::Json {
        crate::render::print_json(&serde_json::json!({ "holds": all.iter().all(RoleFindings::holds), "roles": all }));
    }
    Ok(ExitCode::from(u8::from(!all.iter().all(RoleFindings::holds))))
}

fn program() -> Result<PathBuf, Failure> {
    let program = launch::programs()?.join("regen-probe");
    let missing =
        || Failure::Other(format!("{} is missing: install all of Regen's programs in one folder", program.display()));
    if program.is_file() { Ok(program.clone()) } else { Err(missing()) }
}

/// Targets outside the sandbox that the probe tries to reach.
#[derive(Debug)]
struct Outside {
    folder: PathBuf,
    port: u16,
    _tcp: TcpListener,
    _name: UnixListener,
    _display: UnixListener,
    /// Descriptor that is inherited on purpose, as if left open by mistake.
    _forgotten: fs::File,
}

impl Outside {
    fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("regen-probe-{}", std::process::id()));
        for part in ["profile", "other-bucket", "bucket", "home/.ssh"] {
            fs::create_dir_all(folder.join(part))?;
        }
        for secret in ["other-bucket/secret", "home/.ssh/id_ed25519", "profile/store"] {
            fs::write(folder.join(secret), "what nobody may read")?;
        }
        let tcp = TcpListener::bind(("127.0.0.1", 0))?;
        let port = tcp.local_addr()?.port();
        let datagrams = UdpSocket::bind(("127.0.0.1", port))?;
        std::thread::Builder::new().spawn(move || answer(&datagrams))?;
        let name = UnixListener::bind_addr(&SocketAddr::from_abstract_name(format!("regen-probe-{port}"))?)?;
        let display = UnixListener::bind(folder.join("wayland-0"))?;
        let forgotten = fs::File::open("/dev/null")?;
        rustix::io::fcntl_setfd(&forgotten, rustix::io::FdFlags::empty()).map_err(io::Error::from)?;
        Ok(Self { folder, port, _tcp: tcp, _name: name, _display: display, _forgotten: forgotten })
    }
}

/// Echoes every datagram until this command exits.
fn answer(socket: &UdpSocket) {
    let mut datagram = [0; 16];
    while let Ok((size, from)) = socket.recv_from(&mut datagram) {
        let said = datagram.get(..size).unwrap_or_default();
        if socket.send_to(said, from).is_err() {
            return;
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("regen: cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// Sandboxes and targets with which attempts are made.
struct Laboratory {
    sandboxes: Sandboxes,
    /// Launcher of neighbours, which run while an attempt exhausts resources.
    neighbours: Sandboxes,
    program: PathBuf,
    outside: Outside,
}

impl Laboratory {
    #[expect(clippy::disallowed_methods, reason = "the probe outside every sandbox, for comparison")]
    fn outside(&self, arguments: &[&str]) -> Result<std::process::Output, Failure> {
        Command::new(&self.program).args(arguments).output().map_err(Failure::from)
    }

    fn list(&self) -> Result<Vec<Attempt>, Failure> {
        let listed = self.outside(&["list"])?.stdout;
        let attempt = |line: &str| {
            let mut fields = line.split('\t');
            let (area, name, by_nature) = (fields.next()?, fields.next()?, fields.next()?);
            let by_nature = by_nature.split('|').filter_map(|pair| pair.split_once('='));
            Some(Attempt {
                area: area.to_owned(),
                name: name.to_owned(),
                by_nature: by_nature.map(|(role, why)| (role.to_owned(), why.to_owned())).collect(),
                proven: false,
            })
        };
        Ok(String::from_utf8_lossy(&listed).lines().filter_map(attempt).collect())
    }

    /// Makes the attempt outside a sandbox, in temporary namespaces. Returns whether it succeeded.
    fn control(&self, attempt: &Attempt) -> Result<bool, Failure> {
        let (port, folder) = (self.outside.port.to_string(), self.outside.folder.to_string_lossy());
        let output = self.outside(&["control", &attempt.name, &port, &folder])?;
        Ok(output.status.success())
    }

    fn order(&self, role: &str, arguments: &[&str]) -> Order {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let guest = Guest { program: self.program.clone(), arguments, files: Vec::new(), as_dumper: false };
        Order { role: role.to_owned(), mode: Mode::Jit, guest, notify_policy: NotifyPolicy::AtOnce, bucket: None }
    }

    async fn jailed(&mut self, policy: &Policy, attempts: &[Attempt]) -> Result<RoleFindings, Failure> {
        let mut findings = Vec::new();
        for attempt in attempts {
            findings.push(self.attempt(&policy.role, attempt).await?);
        }
        let cases = probe_cases::cases(policy);
        let order = self.order(&policy.role, &["calls", &probe_cases::plan(&cases)]);
        let outcome = self.sandboxes.captured(&order, ATTEMPT_TIMEOUT, std::future::ready(())).await?;
        let told = |index: usize, case: &ProbeCase| {
            let mark = MARK + index as u64;
            outcome.refused.iter().any(|call| {
                let [.., last] = call.arguments;
                // Calls without arguments have arbitrary register values.
                let is_marked = last == mark || call.arguments == case.arguments || case.call == "vfork";
                call.call == case.call && is_marked
            })
        };
        let mut wrong = Vec::new();
        let said = said(&outcome.said);
        for (index, case) in cases.iter().enumerate() {
            let right = |errno: i32| match case.expected {
                Expected::Allowed => !told(index, case),
                Expected::Refused(wanted) => errno == wanted && !told(index, case),
                Expected::Notified => errno == EPERM && told(index, case),
            };
            judge(case, said.get(&index).copied(), right, &mut wrong);
        }
        end(outcome.end.status, &mut wrong);
        Ok(RoleFindings { role: policy.role.clone(), findings, calls_made: cases.len(), calls_wrong: wrong })
    }

    async fn attempt(&mut self, role: &str, attempt: &Attempt) -> Result<Finding, Failure> {
        let (port, folder) = (self.outside.port.to_string(), self.outside.folder.to_string_lossy().into_owned());
        let arguments = [&attempt.name, &port, &folder].map(String::as_str);
        let (order, beside) = if role == DUMPER {
            let mut order = self.order(BESIDE, &[&["locked-attempt", role], arguments.as_slice()].concat());
            order.guest.as_dumper = true;
            (order, BESIDE)
        } else {
            (self.order(role, &[&["attempt"], arguments.as_slice()].concat()), role)
        };
        let neighbour = self.order(beside, &["neighbour"]);
        let mut harmed = None;
        let neighbours = &mut self.neighbours;
        let meanwhile = async {
            let outcome = neighbours.captured(&neighbour, ATTEMPT_TIMEOUT, std::future::ready(())).await;
            harmed = match outcome {
                Ok(outcome) if outcome.said.contains("OUTCOME got") => None,
                Ok(outcome) => Some(format!("a neighbour was affected: {} {}", outcome.end.cause, outcome.said.trim())),
                Err(failure) => Some(format!("no neighbour could be started: {failure}")),
            };
        };
        let outcome = self.sandboxes.captured(&order, ATTEMPT_TIMEOUT, meanwhile).await?;
        let found = contained(&outcome.said, outcome.late, outcome.end.status.unwrap_or(0));
        Ok(attempt.found(role, harmed.map_or(found, |harm| (false, harm))))
    }

    /// Probes a role without a sandbox of its own: its filter only, except for the dumper, which runs in another role's
    /// sandbox.
    async fn locked(&mut self, policy: &Policy, attempts: &[Attempt]) -> Result<RoleFindings, Failure> {
        let mut findings = Vec::new();
        for attempt in attempts {
            match policy.role.as_str() {
                DUMPER => findings.push(self.attempt(DUMPER, attempt).await?),
                BROKER if AREAS_OF_A_FILTER.contains(&attempt.area.as_str()) => {
                    findings.push(self.under_a_filter(&policy.role, attempt)?);
                }
                // The launcher must be able to create sandboxes, and the jail only waits.
                _ => {}
            }
        }
        let cases = probe_cases::cases(policy);
        let output = self.outside(&["locked", &policy.role, &probe_cases::plan(&cases)])?;
        let refused = if policy.role == "launcher" { ENOSYS } else { EPERM };
        let mut wrong = Vec::new();
        let said = said(&String::from_utf8_lossy(&output.stderr));
        for (index, case) in cases.iter().enumerate() {
            let right = |errno: i32| match case.expected {
                Expected::Allowed => errno != refused,
                Expected::Refused(wanted) => errno == wanted,
                Expected::Notified => errno == refused,
            };
            judge(case, said.get(&index).copied(), right, &mut wrong);
        }
        end(output.status.code().map(|code| code << 8), &mut wrong);
        let role = policy.role.clone();
        Ok(RoleFindings { role, findings, calls_made: cases.len(), calls_wrong: wrong })
    }

    fn under_a_filter(&self, role: &str, attempt: &Attempt) -> Result<Finding, Failure> {
        let (port, folder) = (self.outside.port.to_string(), self.outside.folder.to_string_lossy());
        let output = self.outside(&["locked-attempt", role, &attempt.name, &port, &folder])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(attempt.found(role, contained(&said, false, output.status.into_raw())))
    }
}

const BROKER: &str = "broker";
pub(super) const DUMPER: &str = "dumper";
const EPERM: i32 = rustix::io::Errno::PERM.raw_os_error();
const ENOSYS: i32 = rustix::io::Errno::NOSYS.raw_os_error();

/// Returns whether the attempt was contained, and the detail to report.
fn contained(said: &str, is_late: bool, status: i32) -> (bool, String) {
    let line = said.lines().find_map(|line| line.strip_prefix("OUTCOME "));
    match line.and_then(|line| line.strip_prefix("contained ")) {
        Some(words) => (true, words.to_owned()),
        None if is_late => (false, "it did not end in time".to_owned()),
        // The kernel ended it before it could report a result.
        None if line.is_none() && status & 0x7f != 0 => (true, format!("ended by signal {}", status & 0x7f)),
        None => (false, line.map_or_else(|| format!("no outcome was reported: {}", said.trim()), str::to_owned)),
    }
}

/// Parses the errno of each call, by its index in the plan.
fn said(text: &str) -> std::collections::HashMap<usize, i32> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("CALL "));
    lines
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(n, errno)| Some((n.parse().ok()?, errno.parse().ok()?)))
        .collect()
}

fn judge(case: &ProbeCase, errno: Option<i32>, right: impl Fn(i32) -> bool, wrong: &mut Vec<String>) {
    let ProbeCase { call, arguments, expected, place, .. } = case;
    match errno {
        Some(errno) if right(errno) => {}
        Some(errno) => {
            let error = io::Error::from_raw_os_error(errno);
            wrong.push(format!("{call}{arguments:x?}: expected {expected:?} {place}, got: {error}"));
        }
        None => wrong.push(format!("{call}{arguments:x?}: expected {expected:?} {place}, got no result")),
    }
}

fn end(status: Option<i32>, wrong: &mut Vec<String>) {
    if status != Some(DONE << 8) {
        wrong.push(format!("exit_group: the program ended with status {status:?}"));
    }
}
