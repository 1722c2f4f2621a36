//! `regen-probe`: tries to get out of a sandbox. `regen policy probe` runs it in the sandbox of every role, an attempt a process,
//! and outside, where each attempt must succeed, or it proves nothing.
//!
//! `list` names the attempts; `attempt NAME PORT FOLDER` makes one; `control …` makes it outside, in namespaces that are thrown
//! away; `neighbour` does a little of everything while another sandbox is being exhausted; `calls PLAN` makes system calls one
//! by one; `locked ROLE PLAN` and `locked-attempt ROLE …` do so under the filter of a role without a sandbox.
#![expect(unsafe_code, reason = "an attacker makes system calls by hand")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it says is what it is for")]
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

/// It got what it wanted.
const GOT: u8 = 0;
/// It did not.
const CONTAINED: u8 = 1;
/// It was not asked for anything that it knows.
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
            eprintln!("regen-probe: for `regen policy probe`, not for people");
            ExitCode::from(USAGE)
        }
    }
}

fn with(name: &str, port: &str, folder: &str, act: impl FnOnce(&Attempt, &Here) -> u8) -> ExitCode {
    let attempt = ATTEMPTS.iter().flat_map(|(_, attempts)| attempts.iter()).find(|attempt| attempt.name == name);
    let (Some(attempt), Ok(port)) = (attempt, port.parse()) else {
        eprintln!("regen-probe: no attempt “{name}” with the port “{port}”");
        return ExitCode::from(USAGE);
    };
    let folder = PathBuf::from(folder);
    ExitCode::from(act(attempt, &Here { port, scratch: scratch(&folder), folder }))
}

/// Where a process like this one can write, if anywhere.
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

/// In namespaces that are thrown away, so that what works harms nobody. As a child, for some attempts are on the parent.
fn outside(attempt: &Attempt, here: &Here) -> u8 {
    let own = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    // Without root there is a user namespace in which one is root; what that is not enough for is not proven.
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
