//! Files: the machine's, the user's and another site's, and tricks with paths.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use libc::syscall;

use super::{Attempt, Here, attempt, call, denied, text};

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("read the password hashes", |_| read("/etc/shadow")),
    attempt("read the user list", |_| read("/etc/passwd")),
    attempt("read the machine's identity", |_| read("/etc/machine-id")),
    attempt("read the user's keys", |here| read(here.folder.join("home/.ssh/id_ed25519"))),
    attempt("list root's home", |_| list("/root")),
    attempt("list the homes", |_| list("/home")),
    attempt("list the profile", |here| list(here.folder.join("profile"))),
    attempt("read another site's bucket", |here| read(here.folder.join("other-bucket/secret"))),
    attempt("leave the bucket through ..", |here| read(here.scratch.join("../other-bucket/secret"))),
    attempt("leave the bucket through a symbolic link", through_a_link),
    attempt("bring a file into the bucket by a hard link", hard_link),
    attempt("move the bucket's files out", move_out),
    attempt("reach files through its parent's root", |_| {
        read(format!("/proc/{}/root/etc/passwd", super::processes::parent()))
    }),
    attempt("list the kernel's objects", |_| list("/sys/kernel")),
    attempt("list the block devices", |_| list("/sys/block")),
    attempt("read the processors' layout", |_| list("/sys/devices/system/cpu")),
    attempt("read the kernel's version", |_| read("/proc/version")),
    attempt("read the kernel's command line", |_| read("/proc/cmdline")),
    attempt("read the kernel's symbols", |_| read("/proc/kallsyms")),
    attempt("read the machine's memory figures", |_| read("/proc/meminfo")),
    attempt("read the machine's uptime", |_| read("/proc/uptime")),
    attempt("read a kernel setting", |_| read("/proc/sys/kernel/osrelease")),
    attempt("read the boot's identity", |_| read("/proc/sys/kernel/random/boot_id")),
    attempt("learn the machine's name", host_name),
    attempt("open the kernel's log", |_| open("/dev/kmsg", libc::O_RDONLY)),
    attempt("open a tunnel device", |_| open("/dev/net/tun", libc::O_RDWR)),
    attempt("open a terminal", |_| open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY)),
    attempt("open the machine's memory", |_| open("/dev/mem", libc::O_RDONLY)),
    attempt("make a device node", make_device),
    attempt("write to the system's libraries", |_| create("/usr/lib/regen-probe")),
    attempt("write to the root folder", |_| create("/regen-probe")),
    attempt("write to the system's configuration", |_| create("/etc/regen-probe")),
    attempt("write to its own program", |_| open("/proc/self/exe", libc::O_RDWR).or_else(busy)),
    attempt("open a read-only file again for writing", reopen),
    attempt("name a file by its handle", by_handle),
    attempt("watch every file", |_| call(|| unsafe { syscall(libc::SYS_fanotify_init, 0, 0) })),
];

fn read(path: impl AsRef<Path>) -> io::Result<()> {
    let mut byte = [0; 1];
    fs::File::open(path)?.read(&mut byte).map(drop)
}

fn list(path: impl AsRef<Path>) -> io::Result<()> {
    fs::read_dir(path).map(drop)
}

fn create(path: &str) -> io::Result<()> {
    fs::write(path, "probe")?;
    fs::remove_file(path)
}

pub(super) fn open(path: &str, flags: i32) -> io::Result<()> {
    let path = text(Path::new(path))?;
    call(|| unsafe { syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Treats ETXTBSY as success: nobody can write to a running program, but the attempt got as far as that.
fn busy(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ETXTBSY) { Ok(()) } else { Err(error) }
}

fn through_a_link(here: &Here) -> io::Result<()> {
    let link = here.scratch.join("regen-probe-link");
    symlink(here.folder.join("other-bucket/secret"), &link)?;
    let outcome = read(&link);
    fs::remove_file(link)?;
    outcome
}

fn hard_link(here: &Here) -> io::Result<()> {
    let link = here.scratch.join("regen-probe-hard-link");
    fs::hard_link(here.folder.join("other-bucket/secret"), &link)?;
    fs::remove_file(link)
}

fn move_out(here: &Here) -> io::Result<()> {
    let (from, to) = (here.scratch.join("regen-probe-moved"), here.scratch.join("../regen-probe-moved"));
    fs::write(&from, "probe")?;
    let outcome = fs::rename(&from, &to);
    // The file is in one of the two places.
    let _ = fs::remove_file(if outcome.is_ok() { to } else { from });
    outcome
}

fn host_name(_: &Here) -> io::Result<()> {
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    call(|| unsafe { libc::uname(&raw mut name) }.into())?;
    let node: Vec<u8> = name.nodename.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    // Host name of every sandbox.
    if node == b"regen" { Err(denied(libc::ENOENT)) } else { Ok(()) }
}

fn make_device(here: &Here) -> io::Result<()> {
    let place = here.scratch.join("regen-probe-node");
    let path = text(&place)?;
    call(|| unsafe { syscall(libc::SYS_mknodat, libc::AT_FDCWD, path.as_ptr(), libc::S_IFCHR | 0o600, 0x103) })?;
    fs::remove_file(place)
}

/// Opens a read-only descriptor again for writing, by its number.
fn reopen(_: &Here) -> io::Result<()> {
    let file = fs::File::open("/etc/ld.so.cache")?;
    open(&format!("/proc/self/fd/{}", file.as_raw_fd()), libc::O_RDWR)
}

/// Asks for the handle of a file. Handles can be guessed, and open any file of a file system.
fn by_handle(_: &Here) -> io::Result<()> {
    // Size of the handle, then its type and contents.
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let mut mount = 0;
    call(|| unsafe {
        syscall(libc::SYS_name_to_handle_at, libc::AT_FDCWD, c"/tmp".as_ptr(), handle.as_mut_ptr(), &raw mut mount, 0)
    })
}

/// Looks for programs that run as another user or group.
pub(super) fn setuid_files(_: &Here) -> io::Result<()> {
    for folder in ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/regen"] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let special = |entry: fs::DirEntry| entry.metadata().is_ok_and(|data| data.mode() & 0o6000 != 0);
        if entries.flatten().any(special) {
            return Ok(());
        }
    }
    Err(denied(libc::ENOENT))
}
