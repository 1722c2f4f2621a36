//! A desktop's session bus, which starts the services that are installed, such as the portal that shows file dialogs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A private session bus. Its daemon ends when this is dropped.
#[derive(Debug)]
pub struct SessionBus {
    daemon: Child,
    address: String,
}

impl SessionBus {
    /// Starts a bus for a user with this home folder. Services that it starts get these environment variables.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a test starts what a desktop would")]
    pub fn start<V: AsRef<OsStr>>(home: &Path, variables: &[(&str, V)]) -> Self {
        std::fs::create_dir_all(home).expect("a home folder");
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed by ./x setup");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().expect("its output")).read_line(&mut address).expect("its address");
        Self { daemon, address: address.trim().to_owned() }
    }

    /// Returns the value for `DBUS_SESSION_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for SessionBus {
    fn drop(&mut self) {
        // The daemon may have ended by itself.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
