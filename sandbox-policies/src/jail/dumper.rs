//! The dumper: a process beside the role, in its user and PID namespaces, that waits for a crash in the sandbox. It
//! then reads the memory of the crashed process, sends the broker a minidump, and ends.
//!
//! The dumper is a fork of the jail, so it needs almost no memory while it waits. It must not keep the role's access: it leaves
//! the role's network and every writable mount, holds no capability, and its filter allows neither new sockets nor
//! exec. It has no Landlock domain, because a process in one cannot trace processes outside it.

use std::ffi::CString;
use std::fs::File;
use std::io::{Cursor, IoSliceMut, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use minidump_writer::CrashContextExt;
use minidump_writer::crash_context::CrashContext;
use minidump_writer::minidump_writer::MinidumpWriterConfig;
use regen_sandbox::policy::{Guest, MountKind, Namespace, Policy};
use regen_sandbox::{lock_down, spawn, sys};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketType};
use rustix::process::Signal;

use crate::file_view::make_read_only;
use crate::{SetupError, Step, drop_rights, guest_command};

/// Maximum size of a minidump, in bytes. The stacks of many threads are cut to fit.
const MAX_MINIDUMP: u64 = 4 << 20;

/// Creates the socket on which crashing processes report to the dumper. The root of the file view must still be
/// writable.
pub(crate) fn listen() -> Result<OwnedFd, SetupError> {
    let address = SocketAddrUnix::new(spawn::DUMPER_PATH).step("the dumper's address")?;
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).step("the dumper's socket")?;
    set_socket_passcred(&socket, true).step("the dumper's socket")?;
    rustix::net::bind(&socket, &address).step("the dumper's socket")?;
    Ok(socket)
}

/// Starts the dumper of a role. Returns the role's connection to it.
pub(crate) fn start(role: &Policy, socket: OwnedFd) -> Result<OwnedFd, SetupError> {
    let connection = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).step("the dumper's socket")?;
    let address = SocketAddrUnix::new(spawn::DUMPER_PATH).step("the dumper's address")?;
    rustix::net::connect(&connection, &address).step("the dumper's socket")?;
    if sys::fork().step("fork the dumper")?.is_some() {
        return Ok(connection);
    }
    drop(connection);
    drop(sys::inherit(spawn::CHANNEL));
    let ready = leave(role).and_then(|()| lock_down::enter("dumper").map_err(std::io::Error::other).step("the filter"));
    let done = ready.map_err(|error| error.to_string()).and_then(|()| {
        let broker = sys::inherit(spawn::LISTENER);
        dump_one(&socket, &broker).map_err(|error| format!("cannot write a minidump: {error}"))
    });
    if let Err(what) = done {
        // The log is the only place left to report this.
        let _ = sys::say(2, &format!("regen-jail: dumper: {what}\n"));
    }
    sys::exit_now(0);
}

/// Starts a guest in the dumper's place, with the role's channel instead of the dumper's socket. The guest enters the
/// dumper's filter itself, because that filter forbids exec. Returns its id in this PID namespace.
pub(crate) fn start_guest(role: &Policy, guest: &Guest) -> Result<i32, SetupError> {
    if let Some(pid) = sys::fork().step("fork the dumper")? {
        return Ok(pid);
    }
    let run = || {
        let (program, arguments) = guest_command(guest).step("the guest")?;
        // The program may be in a folder that `leave` unmounts.
        let program = rustix::fs::open(&*program, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step("the guest")?;
        leave(role)?;
        drop(sys::inherit(spawn::LISTENER));
        let program = CString::new(format!("/proc/self/fd/{}", program.as_raw_fd())).step("the guest")?;
        Err::<(), _>(sys::exec(&program, &arguments, &[])).step("the guest")
    };
    let started: Result<(), SetupError> = run();
    if let Err(error) = started {
        // The log is the only place left to report this.
        let _ = sys::say(2, &format!("regen-jail: dumper: {error}\n"));
    }
    sys::exit_now(126);
}

/// Leaves the role's network and writable mounts, and drops all privileges.
fn leave(role: &Policy) -> Result<(), SetupError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("parent death signal")?;
    drop(sys::inherit(spawn::REPORT));
    sys::unshare(&[Namespace::Mount, Namespace::Net]).step("new namespaces")?;
    for mount in &role.mount {
        if matches!(mount.kind, MountKind::Bucket | MountKind::Chosen | MountKind::Tmpfs | MountKind::Display) {
            match rustix::mount::unmount(mount.target(), UnmountFlags::DETACH) {
                // The folder of a display is not a mount point, only the sockets in it are; the filter allows no new
                // socket to use them.
                Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error).step(mount.target()),
            }
        }
    }
    // With a writable `/proc` the dumper could change its out-of-memory score.
    make_read_only("/proc", MountFlags::NOEXEC)?;
    let own = Policy::of("dumper").map_err(std::io::Error::other).step("the policy")?;
    for limit in &own.limit {
        sys::set_limit(limit.resource, limit.value).step("resource limit")?;
    }
    drop_rights()
}

fn dump_one(socket: &OwnedFd, broker: &OwnedFd) -> Result<(), Box<dyn std::error::Error>> {
    let (context, sender) = next_crash(socket)?;
    let (process, thread, signal) = (sender, context.tid, context.siginfo.ssi_signo);
    let mut config = MinidumpWriterConfig::new(process, thread);
    config.set_crash_context(CrashContextExt { inner: context }).set_minidump_size_limit(MAX_MINIDUMP);
    let written = config.write(&mut Cursor::new(Vec::new()));
    let told = written.map_err(Into::into).and_then(|dump| Ok(sys::send_descriptor(broker, &sealed(&dump)?)?));
    // With or without a minidump, the process may now die of its signal.
    sys::signal_thread(process, thread, signal)?;
    told
}

/// Waits until a process reports a crash. The kernel supplies the id of that process.
fn next_crash(socket: &OwnedFd) -> std::io::Result<(CrashContext, i32)> {
    let mut bytes = vec![0; size_of::<CrashContext>() + 1];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
        let received = match received {
            Err(rustix::io::Errno::INTR) => continue,
            received => received?.bytes,
        };
        let sender = control.drain().find_map(|message| {
            if let RecvAncillaryMessage::ScmCredentials(who) = message {
                return Some(who.pid.as_raw_nonzero().get());
            }
            None
        });
        let context = bytes.get(..received).and_then(CrashContext::from_bytes);
        if let (Some(context), Some(sender)) = (context, sender) {
            return Ok((context, sender));
        }
    }
}

fn sealed(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("minidump", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(memory);
    file.write_all(bytes)?;
    let memory = OwnedFd::from(file);
    rustix::fs::fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(memory)
}
