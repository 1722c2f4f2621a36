//! Exhaustion: attempts to take as much of a resource as possible. An attempt that gets more than any role's policy
//! allows has escaped. One that is stopped reports it and holds what it has, while a neighbour in another sandbox of
//! the same role shows that it is unharmed.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

use super::{Attempt, attempt, call, number};

/// Number of processes or threads that exceeds every policy.
const PROCESSES: usize = 2600;
/// Number of descriptors that exceeds every policy.
const DESCRIPTORS: usize = 17_000;
/// Amount of memory that exceeds every policy: 16 GiB. It is mapped, but not touched.
const MEMORY: usize = 16 << 30;
/// Amount of scratch space that exceeds every policy's `/tmp` and `/dev/shm`: 800 MiB.
const SCRATCH: usize = 800 << 20;

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("start processes without end", |_| processes()),
    attempt("start threads without end", |_| threads()),
    attempt("open descriptors without end", |_| descriptors()),
    attempt("take memory without end", |_| memory()),
    attempt("fill the scratch space", |_| scratch_space()),
];

/// Reports that the limit is reached, and holds the resources until the channel ends.
fn hold(error: io::Error) -> io::Result<()> {
    let error = match error.raw_os_error() {
        // An error number alone needs neither memory nor a descriptor, of which none may be left.
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => error,
    };
    let mut log = io::stderr();
    log.write_all(b"HOLDING\n")?;
    let mut channel = std::mem::ManuallyDrop::new(fs::File::from(unsafe { OwnedFd::from_raw_fd(3) }));
    // A message and a closed channel both end the wait.
    let _ = channel.read(&mut [0; 16]);
    Err(error)
}

fn processes() -> io::Result<()> {
    let mut children = Vec::new();
    let mut outcome = Ok(());
    while children.len() < PROCESSES {
        match number(|| unsafe { libc::fork() }.into()) {
            Ok(0) => loop {
                unsafe { libc::poll(std::ptr::null_mut(), 0, -1) };
            },
            Ok(pid) => children.push(pid),
            Err(error) => {
                outcome = hold(error);
                break;
            }
        }
    }
    for pid in children {
        unsafe { libc::kill(pid, libc::SIGKILL) };
        let mut status = 0;
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
    }
    outcome
}

fn threads() -> io::Result<()> {
    for _ in 0..PROCESSES {
        let thread = std::thread::Builder::new().stack_size(16 << 10).spawn(|| {
            loop {
                std::thread::park();
            }
        });
        if let Err(error) = thread {
            return hold(error);
        }
    }
    Ok(())
}

fn descriptors() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    call(|| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }.into())?;
    limit.rlim_cur = limit.rlim_max;
    // The attempt goes on even if the soft limit cannot be raised.
    let _ = call(|| unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }.into());
    for _ in 0..DESCRIPTORS {
        if let Err(error) = call(|| unsafe { libc::fcntl(2, libc::F_DUPFD, 0) }.into()) {
            return hold(error);
        }
    }
    Ok(())
}

fn memory() -> io::Result<()> {
    const PIECE: usize = 64 << 20;
    for _ in 0..MEMORY / PIECE {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), PIECE, protection, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return hold(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn scratch_space() -> io::Result<()> {
    let piece = vec![0x5a; 4 << 20];
    for folder in ["/dev/shm", "/tmp"] {
        let place = format!("{folder}/regen-probe-space");
        let fill = || -> io::Result<()> {
            let mut file = fs::File::create(&place)?;
            for _ in 0..SCRATCH / piece.len() {
                file.write_all(&piece)?;
            }
            Ok(())
        };
        let outcome = fill();
        let outcome = match outcome {
            Err(error) => hold(error),
            full => full,
        };
        // The file is missing if it could not be created.
        let _ = fs::remove_file(&place);
        if outcome.is_ok() || folder == "/tmp" {
            return outcome;
        }
    }
    Ok(())
}

/// Uses a little of every resource that the role may use, to show that another sandbox's exhaustion does not affect it.
pub(crate) fn neighbour() -> io::Result<()> {
    let work = std::thread::Builder::new().spawn(|| {
        let memory = vec![1_u8; 32 << 20];
        memory.iter().step_by(4096).map(|byte| u64::from(*byte)).sum::<u64>()
    })?;
    if work.join().map_err(|_| io::Error::other("the thread ended"))? == 0 {
        return Err(io::Error::other("memory has an unexpected value"));
    }
    for _ in 0..32 {
        call(|| unsafe { libc::fcntl(2, libc::F_DUPFD, 0) }.into())?;
    }
    for place in ["/tmp/regen-probe-neighbour", "/bucket/regen-probe-neighbour"] {
        match fs::write(place, vec![1; 1 << 20]) {
            Ok(()) => fs::remove_file(place)?,
            // The role has no such folder.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
