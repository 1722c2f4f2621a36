//! The crash signal handler. It must only make async-signal-safe calls.

#![expect(unsafe_code, reason = "signal handlers")]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crash_context::CrashContext;

/// Signals that a process raises by a fault or an abort of its own.
const SIGNALS: [libc::c_int; 6] =
    [libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGTRAP];
/// Time that the dumper has to write the minidump and resend the signal, ms. Then the process ends without a minidump.
const DUMP_TIMEOUT_MS: libc::c_int = 3000;

static DUMPER: AtomicI32 = AtomicI32::new(-1);
static IS_TOLD: AtomicBool = AtomicBool::new(false);
static EARLIER: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

/// The crash context. It is static because a signal handler's stack is too small for it: the registers that the kernel
/// saves there fill half of it on some processors.
static PLACE: Place = Place(UnsafeCell::new(MaybeUninit::zeroed()));

struct Place(UnsafeCell<MaybeUninit<CrashContext>>);

// SAFETY: only one thread accesses the cell: the one that changed `IS_TOLD` from false to true.
unsafe impl Sync for Place {}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs the handler for all [`SIGNALS`]. A handler that was installed before is called first on each signal.
pub(super) fn install(dumper: OwnedFd) {
    if DUMPER.swap(dumper.into_raw_fd(), Ordering::SeqCst) >= 0 {
        return;
    }
    // SAFETY: sigaction is plain data; all zero is the default disposition.
    let mut earlier: [libc::sigaction; SIGNALS.len()] = unsafe { std::mem::zeroed() };
    for (signal, earlier) in SIGNALS.iter().zip(&mut earlier) {
        // SAFETY: a null action changes nothing; `earlier` is a valid place for the present disposition.
        unsafe { libc::sigaction(*signal, std::ptr::null(), earlier) };
    }
    // Set before the handler is installed, because the handler reads it.
    let _ = EARLIER.set(earlier);
    // SAFETY: sigaction is plain data; all zero is the default disposition.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_crash as *const () as usize;
    // SA_NODEFER: the signal that the dumper sends must be delivered while this handler runs.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    for signal in SIGNALS {
        // SAFETY: the handler is async-signal-safe and lives as long as the process.
        unsafe { libc::sigaction(signal, &raw const ours, std::ptr::null_mut()) };
    }
}

extern "C" fn on_crash(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // 1. Some faults are expected: the engine's compiled code relies on them, and the Rust runtime reports stack
    // overflows.
    if is_dealt_with(signal, info, context) {
        return;
    }
    // SAFETY: as in `install`.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // 2. Let the next signal of this kind end the process. An outer handler may have blocked the signal.
    // SAFETY: these calls are async-signal-safe, and their arguments are plain data on this stack.
    unsafe {
        let mut this: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut this, signal);
        libc::sigaction(signal, &raw const default, std::ptr::null_mut());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const this, std::ptr::null_mut());
    }
    // 3. Report the crash once, and wait for the dumper to end the process.
    if IS_TOLD.swap(true, Ordering::SeqCst) || show(info, context) {
        // SAFETY: with zero descriptors, poll does not read the null pointer.
        unsafe { libc::poll(std::ptr::null_mut(), 0, DUMP_TIMEOUT_MS) };
    }
    // 4. There is no dumper, or it took too long: end the process.
    // SAFETY: tgkill takes no pointers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal) };
}

/// Calls the handler that was installed before this one, and returns whether it dealt with the signal. A handler that
/// does not restores the default disposition and returns.
fn is_dealt_with(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) -> bool {
    let place = SIGNALS.iter().position(|known| *known == signal);
    let Some(earlier) = EARLIER.get().zip(place).and_then(|(all, place)| all.get(place)) else { return false };
    if earlier.sa_sigaction == libc::SIG_DFL || earlier.sa_sigaction == libc::SIG_IGN {
        return false;
    }
    // SAFETY: `sa_sigaction` is neither SIG_DFL nor SIG_IGN, so it is a function that was registered for this signal;
    // one registered without SA_SIGINFO ignores the other two arguments.
    let handler = unsafe { std::mem::transmute::<usize, Handler>(earlier.sa_sigaction) };
    handler(signal, info, context);
    // SAFETY: as in `install`.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: async-signal-safe; a null action changes nothing, and `now` is a valid place for the disposition.
    unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    now.sa_sigaction == on_crash as *const () as usize
}

/// Sends the crash context of this thread to the dumper. Returns false when the dumper is gone.
fn show(info: *const libc::siginfo_t, context: *const libc::c_void) -> bool {
    // SAFETY: `CrashContext` is plain data, valid when all bits are zero, and only the thread that set `IS_TOLD` gets
    // here.
    let crash = unsafe { (*PLACE.0.get()).assume_init_mut() };
    // SAFETY: the kernel passed both pointers to the handler. A siginfo_t is as large as a signalfd_siginfo and starts
    // with the same fields; the context is a ucontext_t, as `copy_float_state` requires.
    unsafe {
        std::ptr::copy_nonoverlapping(info.cast(), &raw mut crash.siginfo, 1);
        std::ptr::copy_nonoverlapping(context.cast(), &raw mut crash.context, 1);
        copy_float_state(crash);
        crash.pid = libc::getpid();
        crash.tid = libc::gettid();
        // Yama lets only a named tracer attach. Any may: the PID namespace holds only this sandbox's processes.
        libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0);
    }
    let bytes = crash.as_bytes();
    // SAFETY: the pointer and length are those of `bytes`.
    unsafe { libc::write(DUMPER.load(Ordering::SeqCst), bytes.as_ptr().cast(), bytes.len()) > 0 }
}

/// # Safety
/// `crash.context` is a copy of the context that the kernel gave to a signal handler that still runs.
#[cfg(target_arch = "x86_64")]
unsafe fn copy_float_state(crash: &mut CrashContext) {
    let registers = crash.context.uc_mcontext.fpregs;
    if !registers.is_null() {
        // SAFETY: the kernel saved the registers at this address for the handler that runs.
        unsafe { std::ptr::copy_nonoverlapping(registers, &raw mut crash.float_state, 1) };
    }
}

/// # Safety
/// `crash.context` is a copy of the context that the kernel gave to a signal handler that still runs.
#[cfg(target_arch = "aarch64")]
unsafe fn copy_float_state(crash: &mut CrashContext) {
    let registers = crash.context.uc_mcontext.__reserved.as_ptr().cast::<crash_context::fpsimd_context>();
    // SAFETY: the reserved space starts with a record head; the whole record is read only if its magic is that of
    // FPSIMD.
    unsafe {
        if (*registers).head.magic == crash_context::FPSIMD_MAGIC {
            std::ptr::copy_nonoverlapping(registers, &raw mut crash.float_state, 1);
        }
    }
}
