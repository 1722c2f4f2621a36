//! Code: the machine's programs, the attacker's own programs, and memory that becomes executable.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libc::syscall;

use super::{Attempt, Here, apart, attempt, call, files, number, text};

/// Roles that compile JavaScript.
const ENGINES: &[(&str, &str)] = &[
    ("tab-host", "the engine compiles JavaScript; `--jitless` forbids it"),
    ("ui-shell", "the engine compiles JavaScript; `--jitless` forbids it"),
];

/// Role without a file view of its own.
const SEES_FILES: &[(&str, &str)] = &[("broker", "it opens the files that the user picks, but cannot execute them")];

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt { name: "find a shell", by_nature: SEES_FILES, make: |_| fs::File::open("/bin/sh").map(drop) },
    attempt("run a shell", |_| run(Path::new("/bin/sh"))),
    attempt("run a tool of the system", |_| run(Path::new("/usr/bin/env"))),
    Attempt { name: "find a program that runs as somebody else", by_nature: SEES_FILES, make: files::setuid_files },
    attempt("run a program from memory", run_from_memory),
    attempt("run a program that it wrote", run_written),
    attempt("run a program from shared memory", |_| run_copy(Path::new("/dev/shm/regen-probe-program"), 0o755)),
    attempt("run a program that it wrote, as its owner", |here| {
        run_copy(&here.scratch.join("regen-probe-setuid"), 0o4755)
    }),
    attempt("give a file capabilities", file_capabilities),
    attempt("map a file that it wrote as code", map_written),
    Attempt { name: "make code in memory", by_nature: ENGINES, make: |_| code_in_memory(0) },
    Attempt { name: "make code in shared memory", by_nature: ENGINES, make: |_| code_in_memory(libc::MAP_SHARED) },
    attempt("switch off address randomisation", |_| call(|| unsafe { syscall(libc::SYS_personality, 0x004_0000) })),
    attempt("change a segment table", |_| {
        let entry = [0_u32; 4];
        call(|| unsafe { syscall(libc::SYS_modify_ldt, 1, entry.as_ptr(), 16) })
    }),
];

fn run(path: &Path) -> io::Result<()> {
    let path = text(path)?;
    started(|| {
        let arguments = [path.as_ptr(), c"list".as_ptr(), std::ptr::null()];
        let none = [std::ptr::null::<libc::c_char>()];
        unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), none.as_ptr()) };
    })
}

/// Executes a program in a child. Succeeds if the program was started, even if it then fails.
fn started(execute: impl Fn()) -> io::Result<()> {
    // The started program closes the pipe: reading its end shows that exec succeeded.
    let mut ends = [0; 2];
    let piped = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } == 0;
    if !piped {
        // Without a pipe there is no child either: exec runs in this process, which is gone if it succeeds.
        execute();
        return Err(io::Error::last_os_error());
    }
    let [reader, writer] = ends;
    let pid = number(|| unsafe { libc::fork() }.into());
    if pid.as_ref().is_ok_and(|pid| *pid == 0) {
        let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        for stream in 0..3 {
            unsafe { libc::dup2(null, stream) };
        }
        execute();
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(1).to_ne_bytes();
        unsafe { libc::write(writer, errno.as_ptr().cast(), errno.len()) };
        unsafe { libc::_exit(1) };
    }
    unsafe { libc::close(writer) };
    let pid = pid?;
    let mut errno = [0; 4];
    let said = unsafe { libc::read(reader, errno.as_mut_ptr().cast(), errno.len()) };
    let mut status = 0;
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    unsafe { libc::close(reader) };
    if said == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))) }
}

fn own_program() -> io::Result<Vec<u8>> {
    fs::read("/proc/self/exe")
}

fn run_from_memory(_: &Here) -> io::Result<()> {
    use std::io::Write;
    let raw = number(|| unsafe { libc::memfd_create(c"probe".as_ptr(), 0) }.into())?;
    let mut file = fs::File::from(unsafe { OwnedFd::from_raw_fd(raw) });
    file.write_all(&own_program()?)?;
    started(|| {
        let arguments = [c"probe".as_ptr(), c"list".as_ptr(), std::ptr::null()];
        let none = [std::ptr::null::<libc::c_char>()];
        unsafe {
            let flags = libc::AT_EMPTY_PATH;
            syscall(libc::SYS_execveat, file.as_raw_fd(), c"".as_ptr(), arguments.as_ptr(), none.as_ptr(), flags)
        };
    })
}

fn run_written(here: &Here) -> io::Result<()> {
    run_copy(&here.scratch.join("regen-probe-program"), 0o755)
}

fn run_copy(place: &Path, mode: u32) -> io::Result<()> {
    fs::write(place, own_program()?)?;
    let outcome = fs::set_permissions(place, fs::Permissions::from_mode(mode)).and_then(|()| run(place));
    fs::remove_file(place)?;
    outcome
}

fn file_capabilities(here: &Here) -> io::Result<()> {
    let place = here.scratch.join("regen-probe-capable");
    fs::write(&place, "probe")?;
    let path = text(&place)?;
    // Revision 2: CAP_SYS_ADMIN permitted and effective.
    let data = [0x0200_0001_u32, 1 << 21, 0, 0, 0];
    let outcome = call(|| unsafe {
        let name = c"security.capability".as_ptr();
        syscall(libc::SYS_setxattr, path.as_ptr(), name, data.as_ptr(), size_of_val(&data), 0)
    });
    fs::remove_file(place)?;
    outcome
}

fn map_written(here: &Here) -> io::Result<()> {
    let place = here.scratch.join("regen-probe-code");
    fs::write(&place, [0xc3; 4096])?;
    let file = fs::File::open(&place)?;
    fs::remove_file(&place)?;
    map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE, file.as_raw_fd())
}

fn code_in_memory(shared: i32) -> io::Result<()> {
    let kind = if shared == 0 { libc::MAP_PRIVATE } else { shared };
    apart(|| map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, kind | libc::MAP_ANONYMOUS, -1))
}

fn map(protection: i32, flags: i32, file: i32) -> io::Result<()> {
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, file, 0) };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}
