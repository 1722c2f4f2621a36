//! What each process may do, as files with reasons (`*.toml` beside this crate), and the jail that applies them.
//!
//! [`policy`] reads the files, [`seccomp`] and [`landlock`] turn them into what the kernel enforces, [`spawn`] starts a child in new namespaces, and the program `regen-jail` (in `jail/`)
//! builds the file view, drops every right, and stays as the first process of the child's PID namespace.
//! Nothing here knows what a child does with its rights.

pub mod landlock;
pub mod lock_down;
pub mod policy;
pub mod probe_cases;
pub mod seccomp;
pub mod spawn;
pub mod sys;
pub mod verify;

/// The folder of this machine's libraries, under `/usr/lib`.
pub const MULTIARCH: &str = if cfg!(target_arch = "aarch64") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };

/// The five device nodes that give nothing away.
pub const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Where Debian's uBlock Origin has its filter lists.
pub const UBLOCK: &str = "/usr/share/mozilla/extensions/{ec8030f7-c20a-464f-9b0e-13a3a9e97384}/uBlock0@raymondhill.net";

/// The folder of a role's file view that has the socket of the user's display, for a role with one.
pub const DISPLAY_FOLDER: &str = "/regen/display";

/// A path of a policy, as this machine has it.
#[must_use]
pub fn filled(path: &str) -> String {
    path.replace("{multiarch}", MULTIARCH).replace("{ublock}", UBLOCK)
}
