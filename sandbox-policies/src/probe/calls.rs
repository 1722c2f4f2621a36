//! System calls made one by one, as a plan of `regen_sandbox::probe_cases` lists them, and what came of each.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use regen_sandbox::{lock_down, probe_cases, seccomp};

use crate::USAGE;

/// In the last argument of every call that has room for it: which call of the plan this is, for whoever is told of it.
const MARK: u64 = 0x5052_0000;
/// How the program ends when it has made every call, so that `exit_group` is seen to work.
const DONE: i32 = 77;
/// A thread that was allowed to end has ended by then.
const ENDED: Duration = Duration::from_millis(100);

/// Makes every call of the plan, and ends by `exit_group`.
pub(crate) fn make(plan: &str) -> ExitCode {
    make_after(plan, || Ok(()))
}

/// The same under the filter of a role that has no sandbox.
pub(crate) fn make_locked(role: &str, plan: &str) -> ExitCode {
    make_after(plan, || lock_down::enter(role).map_err(io::Error::other))
}

fn make_after(plan: &str, prepare: impl FnOnce() -> io::Result<()>) -> ExitCode {
    // Made before it is refused: a write to the end that has no reader is answered with a signal.
    let broken = UnixStream::pair().and_then(|(broken, _)| handle_broken_pipes().map(|()| broken));
    let (calls, broken) = match (probe_cases::read(plan), broken, prepare()) {
        (Some(calls), Ok(broken), Ok(())) => (calls, broken),
        (calls, broken, prepared) => {
            eprintln!("regen-probe: a plan of {:?} calls, {broken:?}, {prepared:?}", calls.map(|calls| calls.len()));
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

/// Makes one call; the error's number is 0 where there was none.
fn one(index: usize, number: i32, arguments: [u64; 6], broken: &UnixStream) -> io::Error {
    let [a, b, c, d, e, f] = arguments;
    let marked = if f == u64::MAX { MARK + index as u64 } else { f };
    let call = move || match unsafe { libc::syscall(number.into(), a, b, c, d, e, marked) } {
        -1 => io::Error::last_os_error(),
        _ => io::Error::from_raw_os_error(0),
    };
    match seccomp::name_of(number).as_str() {
        // Its child comes back on the same stack: only the C library's own wrapper is made for that.
        "vfork" =>
        {
            #[expect(deprecated, reason = "that it is dangerous is known; the child ends at once")]
            match unsafe { libc::vfork() } {
                0 => unsafe { libc::_exit(0) },
                -1 => io::Error::last_os_error(),
                _ => io::Error::from_raw_os_error(0),
            }
        }
        // It ends a thread: another one than this.
        "exit" => {
            let (told, result) = mpsc::channel();
            let thread = std::thread::Builder::new().spawn(move || told.send(call()));
            if thread.is_err() {
                // Without threads it is tried by the end of the program.
                return io::Error::from_raw_os_error(0);
            }
            result.recv_timeout(ENDED).unwrap_or_else(|_| io::Error::from_raw_os_error(0))
        }
        // The kernel calls it when a signal's handler returns.
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
    // Whoever gets here has come back from the handler.
    io::Error::from_raw_os_error(0)
}
