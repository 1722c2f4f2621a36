//! The signal handler.

#![expect(unsafe_code, reason = "signal handlers")]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crash_context::CrashContext;

/// What a process dies of by its own doing.
const SIGNALS: [libc::c_int; 6] =
    [libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGTRAP];
/// The dumper sends the signal again when it is done; a process dies without a minidump sooner than it hangs. In ms.
const DUMP_TIMEOUT_MS: libc::c_int = 3000;

static DUMPER: AtomicI32 = AtomicI32::new(-1);
static IS_TOLD: AtomicBool = AtomicBool::new(false);
static EARLIER: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

/// Where the crash is described. A signal handler's stack has no room for it: the kernel puts the registers there, and those of
/// some processors fill half of it.
static PLACE: Place = Place(UnsafeCell::new(MaybeUninit::zeroed()));

struct Place(UnsafeCell<MaybeUninit<CrashContext>>);

// SAFETY: one thread touches it: the one that took `IS_TOLD`.
unsafe impl Sync for Place {}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Takes the signals. Whoever had them before is asked first.
pub(super) fn install(dumper: OwnedFd) {
    if DUMPER.swap(dumper.into_raw_fd(), Ordering::SeqCst) >= 0 {
        return;
    }
    // SAFETY: sigaction is plain data; all zero is the default disposition.
    let mut earlier: [libc::sigaction; SIGNALS.len()] = unsafe { std::mem::zeroed() };
    for (signal, earlier) in SIGNALS.iter().zip(&mut earlier) {
        // SAFETY: only reads the present disposition into a place of that type.
        unsafe { libc::sigaction(*signal, std::ptr::null(), earlier) };
    }
    // The handler must find them.
    let _ = EARLIER.set(earlier);
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_crash as *const () as usize;
    // Not blocked while it is handled: the dumper's signal must get through.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    for signal in SIGNALS {
        // SAFETY: the handler is async-signal-safe and lives as long as the process.
        unsafe { libc::sigaction(signal, &raw const ours, std::ptr::null_mut()) };
    }
}

extern "C" fn on_crash(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // 1. Some faults are none: the engine's compiled code relies on them, and the Rust runtime explains full stacks.
    if is_dealt_with(signal, info, context) {
        return;
    }
    // SAFETY: as in `install`.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // 2. The next signal of this kind ends the process, whoever sends it. A handler above this one may have blocked it.
    // SAFETY: async-signal-safe, on plain data.
    unsafe {
        let mut this: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut this, signal);
        libc::sigaction(signal, &raw const default, std::ptr::null_mut());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const this, std::ptr::null_mut());
    }
    // 3. Show the process, once, and wait to be ended by whoever looks at it.
    if IS_TOLD.swap(true, Ordering::SeqCst) || show(info, context) {
        // SAFETY: waits on nothing.
        unsafe { libc::poll(std::ptr::null_mut(), 0, DUMP_TIMEOUT_MS) };
    }
    // 4. Nobody came.
    // SAFETY: takes numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal) };
}

/// Asks whoever had the signal before. One that does not deal with it goes back to the default disposition and returns.
fn is_dealt_with(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) -> bool {
    let place = SIGNALS.iter().position(|known| *known == signal);
    let Some(earlier) = EARLIER.get().zip(place).and_then(|(all, place)| all.get(place)) else { return false };
    if earlier.sa_sigaction == libc::SIG_DFL || earlier.sa_sigaction == libc::SIG_IGN {
        return false;
    }
    // SAFETY: it is a function that was registered for this signal; one registered without SA_SIGINFO ignores the rest.
    let handler = unsafe { std::mem::transmute::<usize, Handler>(earlier.sa_sigaction) };
    handler(signal, info, context);
    // SAFETY: as in `install`.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: async-signal-safe; only reads.
    unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    now.sa_sigaction == on_crash as *const () as usize
}

/// Tells the dumper where this thread stood. False when there is no dumper any more.
fn show(info: *const libc::siginfo_t, context: *const libc::c_void) -> bool {
    // SAFETY: it is plain data, of which all bits may be zero, and only the one thread that took `IS_TOLD` comes here.
    let crash = unsafe { (*PLACE.0.get()).assume_init_mut() };
    // SAFETY: the kernel gave both to the handler; a siginfo_t is as large as a signalfd_siginfo and begins alike, and the
    // context is a ucontext_t, whose floating point registers are where it says.
    unsafe {
        std::ptr::copy_nonoverlapping(info.cast(), &raw mut crash.siginfo, 1);
        std::ptr::copy_nonoverlapping(context.cast(), &raw mut crash.context, 1);
        copy_float_state(crash);
        crash.pid = libc::getpid();
        crash.tid = libc::gettid();
        // Where Yama is on, only whom a process names may look at it. In its PID namespace there is nobody else.
        libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0);
    }
    let bytes = crash.as_bytes();
    // SAFETY: the pointer and length are those of `bytes`.
    unsafe { libc::write(DUMPER.load(Ordering::SeqCst), bytes.as_ptr().cast(), bytes.len()) > 0 }
}

/// # Safety
/// `crash.context` is what the kernel gave to a signal handler that still runs.
#[cfg(target_arch = "x86_64")]
unsafe fn copy_float_state(crash: &mut CrashContext) {
    let registers = crash.context.uc_mcontext.fpregs;
    if !registers.is_null() {
        // SAFETY: the kernel saved them there for this handler.
        unsafe { std::ptr::copy_nonoverlapping(registers, &raw mut crash.float_state, 1) };
    }
}

/// # Safety
/// As on x86_64.
#[cfg(target_arch = "aarch64")]
unsafe fn copy_float_state(crash: &mut CrashContext) {
    let registers = crash.context.uc_mcontext.__reserved.as_ptr().cast::<crash_context::fpsimd_context>();
    // SAFETY: the first record of the reserved space, which says what it is.
    unsafe {
        if (*registers).head.magic == crash_context::FPSIMD_MAGIC {
            std::ptr::copy_nonoverlapping(registers, &raw mut crash.float_state, 1);
        }
    }
}
