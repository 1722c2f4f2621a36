//! Other processes: finding, signalling, tracing and reading them, and descriptors that were left open by mistake.

use std::fs;
use std::io;

use libc::syscall;

use super::{Attempt, Here, apart, attempt, call, denied, knock, number};

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("find a process that is not its own", other_process),
    attempt("find a descriptor that was left open", inherited_descriptor),
    attempt("list its parent's descriptors", |_| fs::read_dir(format!("/proc/{}/fd", parent())).map(drop)),
    attempt("read its parent's environment", |_| fs::read(format!("/proc/{}/environ", parent())).map(drop)),
    attempt("signal its parent", |_| call(|| unsafe { syscall(libc::SYS_kill, parent(), 0) })),
    attempt("signal everybody", |_| call(|| unsafe { syscall(libc::SYS_kill, -1, 0) })),
    attempt("signal its parent by a descriptor", |_| {
        let pidfd = number(|| unsafe { syscall(libc::SYS_pidfd_open, parent(), 0) })?;
        call(|| unsafe { syscall(libc::SYS_pidfd_send_signal, pidfd, 0, std::ptr::null::<u8>(), 0) })
    }),
    attempt("trace its parent", |_| {
        call(|| unsafe { syscall(libc::SYS_ptrace, libc::PTRACE_SEIZE, parent(), 0, 0) })?;
        Ok(())
    }),
    attempt("let itself be traced", |_| {
        apart(|| call(|| unsafe { syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0) }))
    }),
    attempt("read its parent's memory", |_| parents_memory(libc::SYS_process_vm_readv)),
    attempt("write its parent's memory", |_| parents_memory(libc::SYS_process_vm_writev)),
    attempt("take its parent's descriptors", |_| {
        let pidfd = number(|| unsafe { syscall(libc::SYS_pidfd_open, parent(), 0) })?;
        call(|| unsafe { syscall(libc::SYS_pidfd_getfd, pidfd, 2, 0) })
    }),
    attempt("compare kernel objects", |_| {
        let own = std::process::id();
        call(|| unsafe { syscall(libc::SYS_kcmp, own, own, 0, 0, 0) })
    }),
    attempt("become root", |_| call(|| unsafe { syscall(libc::SYS_setresuid, 0, 0, 0) })),
    attempt("join a group", |_| {
        let group = 0_u32;
        call(|| unsafe { syscall(libc::SYS_setgroups, 1, &raw const group) })
    }),
    attempt("take a capability", take_capability),
    attempt("raise its limits", raise_limit),
    attempt("go before others", |_| apart(|| call(|| unsafe { syscall(libc::SYS_setpriority, 0, 0, -10) }))),
    attempt("change who goes when memory runs out", |_| apart(|| fs::write("/proc/self/oom_score_adj", "999"))),
    attempt("pin all of its memory", |_| apart(|| call(|| unsafe { syscall(libc::SYS_mlockall, libc::MCL_FUTURE) }))),
    attempt("type into its terminal", type_into_terminal),
    attempt("name the machine", |_| call(|| unsafe { syscall(libc::SYS_sethostname, c"probe".as_ptr(), 5) })),
    attempt("read the kernel's ring buffer", |_| {
        let mut line = [0_u8; 64];
        knock(|| unsafe { syscall(libc::SYS_syslog, 3, line.as_mut_ptr(), line.len()) })
    }),
];

/// Returns the id of the parent process; if it may not ask, that of the first process of its namespace.
pub(super) fn parent() -> u32 {
    number(|| unsafe { syscall(libc::SYS_getppid) }).map_or(1, i32::cast_unsigned)
}

/// Looks for a process other than this one, its parent and the first one.
fn other_process(_: &Here) -> io::Result<()> {
    let known = [std::process::id(), parent(), 1];
    let mut others = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    if others.any(|pid| !known.contains(&pid)) { Ok(()) } else { Err(denied(libc::ESRCH)) }
}

/// Looks for descriptors other than the standard streams and the channel. The command that runs the probe leaves one
/// open.
fn inherited_descriptor(_: &Here) -> io::Result<()> {
    let open = |number: i32| unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
    if (4..1024).any(open) { Ok(()) } else { Err(denied(libc::EBADF)) }
}

fn parents_memory(with: libc::c_long) -> io::Result<()> {
    // Any address will do, because a refusal precedes any access.
    let maps = fs::read_to_string(format!("/proc/{}/maps", parent()))?;
    let writable = maps.lines().find(|line| line.contains(" rw-p ")).unwrap_or_default();
    let first = writable.split('-').next().and_then(|start| usize::from_str_radix(start, 16).ok()).unwrap_or(0);
    let mut byte = [0_u8; 1];
    let local = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(first), iov_len: 1 };
    // Writes back the byte that was read, so that the control does no harm.
    if with == libc::SYS_process_vm_writev {
        let read = libc::SYS_process_vm_readv;
        call(|| unsafe { syscall(read, parent(), &raw const local, 1_usize, &raw const remote, 1_usize, 0_usize) })?;
    }
    call(|| unsafe { syscall(with, parent(), &raw const local, 1_usize, &raw const remote, 1_usize, 0_usize) })
}

fn take_capability(_: &Here) -> io::Result<()> {
    // Version 3, this process; CAP_SYS_ADMIN in all three sets.
    let header = [0x2008_0522_u32, 0];
    let data = [1_u32 << 21, 1 << 21, 1 << 21, 0, 0, 0];
    apart(|| call(|| unsafe { syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }))
}

fn raise_limit(_: &Here) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    call(|| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }.into())?;
    let more = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // Setting a limit to its present value is still setting it.
    call(|| unsafe {
        syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &raw const more, std::ptr::null_mut::<u8>())
    })
}

/// Pushes a character into a terminal's input, as if its user had typed it.
fn type_into_terminal(_: &Here) -> io::Result<()> {
    let mut terminal = unsafe { libc::open(c"/dev/ptmx".as_ptr(), libc::O_RDWR | libc::O_NOCTTY) };
    if terminal < 0 {
        // Without a terminal of its own it uses its standard input.
        terminal = 0;
    }
    let letter = b'x';
    call(|| unsafe { syscall(libc::SYS_ioctl, terminal, libc::TIOCSTI, &raw const letter) })
}
