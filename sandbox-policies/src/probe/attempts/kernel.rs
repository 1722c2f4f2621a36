//! Kernel interfaces: namespaces, mounts, and features that no sandbox needs.

use std::io;

use libc::{c_int, syscall};

use super::{Attempt, Here, apart, attempt, call, knock, number};

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("make a user namespace", |_| unshare(libc::CLONE_NEWUSER)),
    attempt("make a mount namespace", |_| unshare(libc::CLONE_NEWNS)),
    attempt("make a network namespace", |_| unshare(libc::CLONE_NEWNET)),
    attempt("make a PID namespace", |_| unshare(libc::CLONE_NEWPID)),
    attempt("make an IPC namespace", |_| unshare(libc::CLONE_NEWIPC)),
    attempt("make a host name namespace", |_| unshare(libc::CLONE_NEWUTS)),
    attempt("make a cgroup namespace", |_| unshare(libc::CLONE_NEWCGROUP)),
    attempt("make a time namespace", |_| unshare(0x80)),
    attempt("clone into a user namespace", |_| clone_into(libc::CLONE_NEWUSER)),
    attempt("clone into a network namespace", |_| clone_into(libc::CLONE_NEWNET)),
    attempt("clone3 into a user namespace", clone3_into),
    attempt("enter a namespace", |_| {
        let namespace = number(|| unsafe { libc::open(c"/proc/self/ns/uts".as_ptr(), libc::O_RDONLY) }.into())?;
        call(|| unsafe { syscall(libc::SYS_setns, namespace, 0) })
    }),
    attempt("mount a file system", |_| mount(c"tmpfs", 0)),
    attempt("mount the process list", |_| mount(c"proc", 0)),
    attempt("make the root writable", |_| mount(c"none", libc::MS_REMOUNT | libc::MS_BIND)),
    attempt("unmount the process list", |_| {
        call(|| unsafe { syscall(libc::SYS_umount2, c"/proc".as_ptr(), libc::MNT_DETACH) })
    }),
    attempt("open a file system", |_| call(|| unsafe { syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0) })),
    attempt("pick a file system", |_| {
        call(|| unsafe { syscall(libc::SYS_fspick, libc::AT_FDCWD, c"/proc".as_ptr(), 0) })
    }),
    attempt("clone a mount", |_| call(|| unsafe { syscall(libc::SYS_open_tree, libc::AT_FDCWD, c"/".as_ptr(), 1) })),
    attempt("change a mount's flags", |_| {
        // Clears nosuid and noexec of `/proc`.
        let attributes = [0_u64, 0x2 | 0x8, 0, 0];
        call(|| unsafe {
            syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, c"/proc".as_ptr(), 0, attributes.as_ptr(), 32)
        })
    }),
    attempt("change the root", |_| apart(|| call(|| unsafe { syscall(libc::SYS_chroot, c"/".as_ptr()) }))),
    attempt("replace the root", |_| {
        knock(|| unsafe { syscall(libc::SYS_pivot_root, c"/proc".as_ptr(), c"/proc".as_ptr()) })
    }),
    attempt("use a keyring", |_| {
        call(|| unsafe { syscall(libc::SYS_add_key, c"user".as_ptr(), c"probe".as_ptr(), c"x".as_ptr(), 1, -2) })
    }),
    attempt("read a keyring", |_| call(|| unsafe { syscall(libc::SYS_keyctl, 0, -3, 1, 0, 0) })),
    attempt("load a BPF map", bpf_map),
    attempt("count events of the processor", perf_event),
    attempt("handle page faults", |_| call(|| unsafe { syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) })),
    attempt("set up io_uring", |_| {
        let mut parameters = [0_u32; 30];
        call(|| unsafe { syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) })
    }),
    attempt("hide memory from the kernel", |_| call(|| unsafe { syscall(libc::SYS_memfd_secret, 0) })),
    attempt("load another kernel", |_| {
        call(|| unsafe { syscall(libc::SYS_kexec_load, 0, 0, std::ptr::null::<u8>(), 0) })
    }),
    attempt("load a module", |_| {
        knock(|| unsafe { syscall(libc::SYS_init_module, c"probe".as_ptr(), 5, c"".as_ptr()) })
    }),
    attempt("remove a module", |_| knock(|| unsafe { syscall(libc::SYS_delete_module, c"regen_probe".as_ptr(), 0) })),
    attempt("restart the machine", |_| knock(|| unsafe { syscall(libc::SYS_reboot, 1, 2, 3, 0) })),
    attempt("add swap space", |_| knock(|| unsafe { syscall(libc::SYS_swapon, c"/regen-probe".as_ptr(), 0) })),
    attempt("set up accounting", |_| knock(|| unsafe { syscall(libc::SYS_acct, c"/regen-probe".as_ptr()) })),
    attempt("set quotas", |_| {
        knock(|| unsafe { syscall(libc::SYS_quotactl, 0x0080_0002, c"/regen-probe".as_ptr(), 0, 0) })
    }),
    attempt("reach the machine's ports", |_| apart(|| call(|| unsafe { syscall(IOPERM, 0x80, 1, 1) }))),
];

#[cfg(target_arch = "x86_64")]
const IOPERM: libc::c_long = libc::SYS_ioperm;
/// I/O ports exist on x86 only; other architectures have no such call.
#[cfg(not(target_arch = "x86_64"))]
const IOPERM: libc::c_long = -1;

/// Calls `unshare` in a child, because success moves the caller into other namespaces.
fn unshare(flags: c_int) -> io::Result<()> {
    apart(|| call(|| unsafe { syscall(libc::SYS_unshare, flags) }))
}

fn clone_into(flags: c_int) -> io::Result<()> {
    ended(number(|| unsafe { syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) })?)
}

fn clone3_into(_: &Here) -> io::Result<()> {
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    arguments.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    ended(number(|| unsafe { syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) })?)
}

fn ended(pid: c_int) -> io::Result<()> {
    if pid == 0 {
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    call(|| unsafe { libc::waitpid(pid, &raw mut status, 0) }.into())
}

fn mount(kind: &std::ffi::CStr, flags: libc::c_ulong) -> io::Result<()> {
    let place = if flags == 0 { c"/tmp" } else { c"/" };
    call(|| unsafe {
        syscall(libc::SYS_mount, c"none".as_ptr(), place.as_ptr(), kind.as_ptr(), flags, std::ptr::null::<u8>())
    })
}

fn bpf_map(_: &Here) -> io::Result<()> {
    // BPF_MAP_CREATE of an array with one entry of eight bytes.
    let attributes = [2_u32, 4, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    call(|| unsafe { syscall(libc::SYS_bpf, 0, attributes.as_ptr(), size_of_val(&attributes)) })
}

fn perf_event(_: &Here) -> io::Result<()> {
    // PERF_TYPE_SOFTWARE, size 64, PERF_COUNT_SW_CPU_CLOCK.
    let mut attributes = [0_u32; 32];
    attributes[0] = 1;
    attributes[1] = 64;
    call(|| unsafe { syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0) })
}
