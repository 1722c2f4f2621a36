//! `regen-probe`: tries to escape from a sandbox. `regen policy probe` runs it in the sandbox of every role, one
//! process for each attempt, and outside, where an attempt must succeed or it proves nothing.
//!
//! `list` prints the attempts. `attempt NAME PORT FOLDER` makes one. `control NAME PORT FOLDER` makes one outside, in
//! temporary namespaces. `neighbour` uses a little of every resource while another sandbox is being exhausted.
//! `calls PLAN` makes system calls one by one. `locked ROLE PLAN` and `locked-attempt ROLE NAME PORT FOLDER` work under
//! the filter of a role without a sandbox.
#![expect(unsafe_code, reason = "an attacker makes raw system calls")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the results are printed")]
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "every block is one system call on plain numbers or live buffers"
)]

mod attempts;
mod calls;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use attempts::{ATTEMPTS, Attempt, Here};
use regen_sandbox::lock_down;

/// Exit code if the attempt succeeded.
const GOT: u8 = 0;
/// Exit code if the attempt was contained.
const CONTAINED: u8 = 1;
/// Exit code for invalid arguments.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => {
            for (area, attempts) in ATTEMPTS {
                for attempt in *attempts {
                    let by_nature: Vec<String> =
                        attempt.by_nature.iter().map(|(role, why)| format!("{role}={why}")).collect();
                    println!("{area}\t{}\t{}", attempt.name, by_nature.join("|"));
                }
            }
            ExitCode::SUCCESS
        }
        ["attempt", name, port, folder] => with(name, port, folder, |attempt, here| report((attempt.make)(here))),
        ["control", name, port, folder] => with(name, port, folder, outside),
        ["locked-attempt", role, name, port, folder] => match lock_down::enter(role) {
            Ok(()) => with(name, port, folder, |attempt, here| report((attempt.make)(here))),
            Err(error) => {
                eprintln!("regen-probe: {error}");
                ExitCode::from(USAGE)
            }
        },
        ["neighbour"] => ExitCode::from(report(attempts::neighbour())),
        ["calls", plan] => calls::make(plan),
        ["locked", role, plan] => calls::make_locked(role, plan),
        _ => {
            eprintln!("regen-probe: unknown arguments; run `regen policy probe` instead");
            ExitCode::from(USAGE)
        }
    }
}

fn with(name: &str, port: &str, folder: &str, act: impl FnOnce(&Attempt, &Here) -> u8) -> ExitCode {
    let attempt = ATTEMPTS.iter().flat_map(|(_, attempts)| attempts.iter()).find(|attempt| attempt.name == name);
    let (Some(attempt), Ok(port)) = (attempt, port.parse()) else {
        eprintln!("regen-probe: unknown attempt “{name}” or invalid port “{port}”; see `regen-probe list`");
        return ExitCode::from(USAGE);
    };
    let folder = PathBuf::from(folder);
    ExitCode::from(act(attempt, &Here { port, scratch: scratch(&folder), folder }))
}

/// Returns a folder that this process may be able to write to; `/` if there is none.
fn scratch(folder: &Path) -> PathBuf {
    let places = [folder.join("bucket"), PathBuf::from("/bucket"), PathBuf::from("/tmp")];
    places.into_iter().find(|place| place.is_dir()).unwrap_or_else(|| PathBuf::from("/"))
}

fn report(outcome: io::Result<()>) -> u8 {
    match outcome {
        Ok(()) => {
            eprintln!("OUTCOME got");
            GOT
        }
        Err(error) => {
            eprintln!("OUTCOME contained {error}");
            CONTAINED
        }
    }
}

/// Makes an attempt in temporary namespaces, where success does no harm. It runs in a child, because some attempts
/// target their parent.
fn outside(attempt: &Attempt, here: &Here) -> u8 {
    let own = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    // Without root, a user namespace gives capabilities. Attempts for which they do not suffice stay unproven.
    let user = if unsafe { libc::geteuid() } == 0 { 0 } else { libc::CLONE_NEWUSER };
    let outcome = attempts::call(|| unsafe { libc::unshare(own | user) }.into()).and_then(|()| {
        let null = std::ptr::null();
        attempts::call(|| unsafe {
            libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, null.cast()).into()
        })?;
        attempts::in_child(|| report((attempt.make)(here)))
    });
    match outcome {
        Ok(code) => u8::try_from(code).unwrap_or(CONTAINED),
        Err(error) => report(Err(error)),
    }
}
