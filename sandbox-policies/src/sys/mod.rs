//! System calls that no safe crate offers, such as `clone3`, `mount_setattr` and the seccomp notifications.

#![expect(unsafe_code, reason = "raw system calls")]

mod descriptors;
mod notifications;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::policy::{Namespace, Resource};
pub use descriptors::*;
pub use notifications::*;

/// Side of a [`clone`] on which the caller continues.
#[derive(Debug)]
pub enum Cloned {
    /// The parent, with the child's id in the parent's PID namespace and a pidfd.
    Parent { pid: i32, pidfd: OwnedFd },
    /// The child, as the first process of its new namespaces.
    Child,
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn clone_flag(namespace: Namespace) -> i32 {
    match namespace {
        Namespace::User => libc::CLONE_NEWUSER,
        Namespace::Pid => libc::CLONE_NEWPID,
        Namespace::Net => libc::CLONE_NEWNET,
        Namespace::Mount => libc::CLONE_NEWNS,
        Namespace::Ipc => libc::CLONE_NEWIPC,
        Namespace::Uts => libc::CLONE_NEWUTS,
        Namespace::Cgroup => libc::CLONE_NEWCGROUP,
    }
}

/// Forks into new namespaces. The caller must have no other thread.
///
/// # Errors
/// If the kernel refuses: user namespaces are disabled, or a limit is reached.
pub fn clone(namespaces: &[Namespace]) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    // SAFETY: `clone_args` is plain data; all zeros mean that no option is set.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    let flags = namespaces.iter().fold(libc::CLONE_PIDFD, |all, n| all | clone_flag(*n));
    args.flags = u64::from(flags.cast_unsigned());
    args.pidfd = (&raw mut pidfd).addr() as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: without CLONE_VM this is a fork; `args` outlives the call and `pidfd` is written before it returns. The
    // caller is single-threaded, so no lock is held by a thread that the child does not have.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) })?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: CLONE_PIDFD stored a new descriptor that nothing else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent { pid: i32::try_from(pid).map_err(io::Error::other)?, pidfd })
}

/// Forks. The caller must have no other thread. Returns the child's id, or `None` in the child.
///
/// # Errors
/// If a limit is reached.
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the caller is single-threaded, so the child inherits no lock that another thread holds.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Moves this process into new namespaces.
///
/// # Errors
/// If the caller lacks the capability, or a limit is reached.
pub fn unshare(namespaces: &[Namespace]) -> io::Result<()> {
    let flags = namespaces.iter().fold(0, |all, namespace| all | clone_flag(*namespace));
    // SAFETY: takes a number; neither the file table nor the address space is unshared.
    check(unsafe { libc::unshare(flags) }.into()).map(drop)
}

/// Sends a signal to one thread of a process.
///
/// # Errors
/// If the thread has ended, or this process may not signal it.
pub fn signal_thread(process: i32, thread: i32, signal: u32) -> io::Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) }).map(drop)
}

/// Sets mount attributes on a whole mount tree.
///
/// # Errors
/// If the kernel refuses.
pub fn mount_setattr(tree: BorrowedFd<'_>, set: u64) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string, and `attributes` outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(result).map(drop)
}

/// Returns the Landlock ABI version of the kernel; 0 if Landlock is missing or switched off.
#[must_use]
pub fn landlock_version() -> u8 {
    const VERSION: u32 = 1;
    // SAFETY: with a null ruleset and this flag, the call only returns the version.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, VERSION) };
    u8::try_from(version).unwrap_or(0)
}

/// Returns whether a seccomp filter can notify another process of a call.
#[must_use]
pub fn has_seccomp_notifications() -> bool {
    let action = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: the kernel reads one number, which outlives the call.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// Creates a user namespace in a child, to test whether that is allowed. The caller must have no other thread.
///
/// # Errors
/// If the user namespace cannot be created.
pub fn try_user_namespace() -> io::Result<()> {
    let Some(child) = fork()? else {
        // SAFETY: takes a number; this process ends right after.
        let result = unsafe { libc::unshare(libc::CLONE_NEWUSER) };
        let errno = if result == 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(1) };
        exit_now(errno);
    };
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    check(unsafe { libc::waitpid(child, &raw mut status, 0) }.into())?;
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Restores the default action of SIGPIPE, which Rust ignores: this process then ends when the reader of its output,
/// such as `head`, closes the pipe.
pub fn end_on_broken_pipe() {
    // SAFETY: sets a signal disposition, while there is no other thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Returns the size of a memory page, in bytes.
#[must_use]
pub fn page_size() -> u64 {
    // SAFETY: the call takes a number and touches no memory of the caller's.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Executes a program in place of this one. Returns only on failure.
#[must_use]
pub fn exec(program: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer and, like their strings, outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Ends this process without running destructors or exit handlers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Sets the real, effective and saved user and group ids, and clears the supplementary groups if `drop_groups` is set.
///
/// # Errors
/// If the ids are not mapped in this user namespace, or the caller lacks the capability.
pub fn become_user(id: u32, drop_groups: bool) -> io::Result<()> {
    if drop_groups {
        // SAFETY: with a length of zero the null pointer is not read.
        check(unsafe { libc::setgroups(0, std::ptr::null()) }.into())?;
    }
    // SAFETY: takes numbers.
    check(unsafe { libc::setresgid(id, id, id) }.into())?;
    // SAFETY: takes numbers.
    check(unsafe { libc::setresuid(id, id, id) }.into()).map(drop)
}

/// Sets `no_new_privs`, so that no program executed from here on gains privileges.
///
/// # Errors
/// Never on a kernel that Regen supports.
pub fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Sets a soft and hard resource limit to the value, or to the current hard limit if that is lower.
///
/// # Errors
/// If the kernel refuses.
pub fn set_limit(resource: Resource, value: u64) -> io::Result<()> {
    let which = match resource {
        Resource::Nofile => libc::RLIMIT_NOFILE,
        Resource::Nproc => libc::RLIMIT_NPROC,
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Fsize => libc::RLIMIT_FSIZE,
        Resource::Data => libc::RLIMIT_DATA,
    };
    // SAFETY: `rlimit` is plain data; all zeros are valid.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::getrlimit(which, &raw mut limit) }.into())?;
    let value = value.min(limit.rlim_max);
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(which, &raw const limit) }.into()).map(drop)
}

/// Brings up the loopback interface of this network namespace.
///
/// # Errors
/// If the caller may not configure the network.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: takes numbers.
    let socket = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }.into())?;
    let socket = inherit(RawFd::try_from(socket).map_err(io::Error::other)?);
    // SAFETY: `ifreq` is plain data; all zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which `request` is; it outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into()).map(drop)
}

/// Waits for any child. Returns its id and raw wait status.
///
/// # Errors
/// If there is no child.
pub fn wait_any() -> io::Result<(i32, i32)> {
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if pid > 0 {
            return Ok((pid, status));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Reaps a child if it has ended. Returns its raw wait status, or `None` if it is still running.
///
/// # Errors
/// If it is not a child of this process.
pub fn reap(pid: i32) -> io::Result<Option<i32>> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
        0 => Ok(None),
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(Some(status)),
    }
}

/// Describes a raw wait status in one line, and returns whether it is a clean exit.
#[must_use]
pub fn describe(status: i32) -> (String, bool) {
    if libc::WIFEXITED(status) {
        let code = libc::WEXITSTATUS(status);
        return (format!("exit code {code}"), code == 0);
    }
    let signal = libc::WTERMSIG(status);
    let name = match signal {
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGFPE => "SIGFPE",
        libc::SIGPIPE => "SIGPIPE",
        _ => "",
    };
    (if name.is_empty() { format!("signal {signal}") } else { format!("signal {signal} ({name})") }, false)
}
