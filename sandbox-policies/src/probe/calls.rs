//! Makes the system calls of a plan from `regen_sandbox::probe_cases` one by one, and prints the result of each.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use regen_sandbox::{lock_down, probe_cases, seccomp};

use crate::USAGE;

/// Mark in the last argument, if a case leaves it free. With the call's index added, it identifies the call in the
/// broker's notification.
const MARK: u64 = 0x5052_0000;
/// Exit code after all calls, which shows that `exit_group` works.
const DONE: i32 = 77;
/// Time within which a thread ends that is allowed to.
const ENDED: Duration = Duration::from_millis(100);

/// Makes every call of a plan, and ends with `exit_group`.
pub(crate) fn make(plan: &str) -> ExitCode {
    make_after(plan, || Ok(()))
}

/// Makes every call of a plan under the filter of a role that has no sandbox.
pub(crate) fn make_locked(role: &str, plan: &str) -> ExitCode {
    make_after(plan, || lock_down::enter(role).map_err(io::Error::other))
}

fn make_after(plan: &str, prepare: impl FnOnce() -> io::Result<()>) -> ExitCode {
    // Created before the filter can refuse it. A write to this end, which has no reader, raises SIGPIPE.
    let broken = UnixStream::pair().and_then(|(broken, _)| handle_broken_pipes().map(|()| broken));
    let (calls, broken) = match (probe_cases::read(plan), broken, prepare()) {
        (Some(calls), Ok(broken), Ok(())) => (calls, broken),
        (calls, broken, prepared) => {
            eprintln!("regen-probe: cannot start: plan {:?}, {broken:?}, {prepared:?}", calls.map(|calls| calls.len()));
            return ExitCode::from(USAGE);
        }
    };
    for (index, (number, arguments)) in calls.into_iter().enumerate() {
        let outcome = one(index, number, arguments, &broken);
        eprintln!("CALL {index} {}", outcome.raw_os_error().unwrap_or(0));
    }
    unsafe { libc::syscall(libc::SYS_exit_group, DONE) };
    ExitCode::from(USAGE)
}

/// Makes one call and returns its error; the error's number is 0 on success.
fn one(index: usize, number: i32, arguments: [u64; 6], broken: &UnixStream) -> io::Error {
    let [a, b, c, d, e, f] = arguments;
    let marked = if f == u64::MAX { MARK + index as u64 } else { f };
    let call = move || match unsafe { libc::syscall(number.into(), a, b, c, d, e, marked) } {
        -1 => io::Error::last_os_error(),
        _ => io::Error::from_raw_os_error(0),
    };
    match seccomp::name_of(number).as_str() {
        // The child returns on the parent's stack, which only the C library's wrapper supports.
        "vfork" =>
        {
            #[expect(deprecated, reason = "the child exits at once")]
            match unsafe { libc::vfork() } {
                0 => unsafe { libc::_exit(0) },
                -1 => io::Error::last_os_error(),
                _ => io::Error::from_raw_os_error(0),
            }
        }
        // `exit` ends a thread, so another thread makes it.
        "exit" => {
            let (told, result) = mpsc::channel();
            let thread = std::thread::Builder::new().spawn(move || told.send(call()));
            if thread.is_err() {
                // Without threads, only the end of the program tests it.
                return io::Error::from_raw_os_error(0);
            }
            result.recv_timeout(ENDED).unwrap_or_else(|_| io::Error::from_raw_os_error(0))
        }
        // The kernel makes this call when a signal handler returns.
        "rt_sigreturn" => return_from_signal(broken),
        _ => call(),
    }
}

extern "C" fn handler(_: libc::c_int) {}

fn handle_broken_pipes() -> io::Result<()> {
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int) = handler;
    action.sa_sigaction = handler as usize;
    if unsafe { libc::sigaction(libc::SIGPIPE, &raw const action, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn return_from_signal(broken: &UnixStream) -> io::Error {
    let byte = 0_u8;
    unsafe { libc::write(broken.as_raw_fd(), (&raw const byte).cast(), 1) };
    // Reached only if the handler has returned.
    io::Error::from_raw_os_error(0)
}
