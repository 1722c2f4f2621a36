//! The test harness: browsers in fresh profiles, sites and servers, and tools to look at processes. It must never mock
//! the product: the binaries, the engine and the kills are real.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test harness")]
#![expect(clippy::missing_panics_doc, reason = "a harness fails by panicking")]

pub mod bench;
pub mod browser;
pub mod desktop;
pub mod foreign_peer;
pub mod mini_browser;
pub mod modules;
pub mod names;
pub mod network;
pub mod process;
pub mod proxy;
pub mod site;
pub mod tls;
pub mod tor;
pub mod traces;
pub mod window;
pub mod wireguard;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use browser::{Browser, Failed};
pub use desktop::SessionBus;
pub use foreign_peer::ForeignPeer;
pub use mini_browser::MiniBrowser;
pub use names::NameServer;
pub use proxy::UpstreamProxy;
pub use site::Site;
pub use tor::TorNetwork;

/// Default limit for waiting. An event that takes longer is a failure.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Returns the folder of the built programs.
#[must_use]
pub fn programs() -> PathBuf {
    let own = std::env::current_exe().expect("the test's own path");
    let deps = own.parent().expect("a folder");
    if deps.ends_with("deps") { deps.parent().expect("a folder").to_path_buf() } else { deps.to_path_buf() }
}

/// Copies the product's programs into a folder, with `program` in place of a role's.
#[must_use]
pub fn programs_with(role: &str, program: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hostile = format!("regen-{role}");
    for name in PROGRAMS {
        // The broker looks for its programs beside its own file, so it must be a copy, not a link.
        let target = folder.path().join(name);
        if name == hostile {
            std::fs::write(&target, program).expect("the replacement is written");
            std::fs::set_permissions(&target, Permissions::from_mode(0o755)).expect("its permissions");
        } else {
            std::fs::copy(programs().join(name), &target).expect("a program is copied");
        }
    }
    // The sandbox's user must be able to reach the programs.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("the folder's permissions");
    folder
}

const PROGRAMS: [&str; 9] = [
    "regen",
    "regen-broker",
    "regen-jail",
    "regen-tab-host",
    "regen-net-daemon",
    "regen-agent-daemon",
    "regen-ui-shell",
    "libregen_page_agent.so",
    "libregen_crash_agent.so",
];

/// Waits until `look` finds something, and returns it. Panics with `what` after [`DEADLINE`].
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, look).unwrap_or_else(|| panic!("waited {DEADLINE:?} for: {what}"))
}

/// Waits until `look` finds something, and returns it; `None` after this time.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() >= limit {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
