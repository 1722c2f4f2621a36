//! Sandbox policies (`*.toml` beside this crate): the rights of each process, with a reason for every rule.
//!
//! [`policy`] reads the files, [`seccomp`] and [`landlock`] turn them into rules for the kernel, and [`spawn`] starts a
//! child in new namespaces. The program `regen-jail` (in `jail/`) builds the file view, drops all privileges, and stays
//! as the first process of the child's PID namespace. Nothing here depends on what a role does with its rights.

pub mod coverage;
pub mod landlock;
pub mod lock_down;
pub mod policy;
pub mod probe_cases;
pub mod seccomp;
pub mod spawn;
pub mod sys;
pub mod verify;

/// Folder of this machine's libraries, under `/usr/lib`.
pub const MULTIARCH: &str = if cfg!(target_arch = "aarch64") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };

/// Device nodes of a `devices` mount; none gives access to hardware.
pub const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Folder of Debian's uBlock Origin package, which contains the filter lists.
pub const UBLOCK: &str = "/usr/share/mozilla/extensions/{ec8030f7-c20a-464f-9b0e-13a3a9e97384}/uBlock0@raymondhill.net";

/// Folder in the file view for the socket of the user's display, in roles that are granted the display.
pub const DISPLAY_FOLDER: &str = "/regen/display";

/// Returns a policy path with `{multiarch}` and `{ublock}` replaced for this machine.
#[must_use]
pub fn filled(path: &str) -> String {
    path.replace("{multiarch}", MULTIARCH).replace("{ublock}", UBLOCK)
}
