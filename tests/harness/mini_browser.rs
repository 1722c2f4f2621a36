//! MiniBrowser, WebKitGTK's own test browser: the same engine without Regen. Tests compare a page's behaviour with it,
//! and benchmarks its speed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process;
use crate::window::Display;

/// A running MiniBrowser with its own profile. It ends when this is dropped.
#[derive(Debug)]
pub struct MiniBrowser {
    process: Child,
    _profile: tempfile::TempDir,
}

impl MiniBrowser {
    /// Starts MiniBrowser on this display with these arguments.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a test starts the program it compares with")]
    pub fn start(display: &Display, arguments: &[&str]) -> Self {
        let program = Path::new("/usr/lib")
            .join(format!("{}-linux-gnu", std::env::consts::ARCH))
            .join("webkit2gtk-4.1/MiniBrowser");
        let profile = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(profile.path().join("Downloads")).expect("a folder for downloads");
        let process = Command::new(program)
            .args(arguments)
            .env("DISPLAY", display.name())
            .env("HOME", profile.path())
            .env("XDG_CACHE_HOME", profile.path().join("cache"))
            .env("XDG_DATA_HOME", profile.path().join("data"))
            .env("XDG_CONFIG_HOME", profile.path().join("config"))
            .env("GDK_BACKEND", "x11")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("MiniBrowser is installed by libwebkit2gtk-4.1-0");
        Self { process, _profile: profile }
    }
}

impl Drop for MiniBrowser {
    fn drop(&mut self) {
        let helpers = process::descendants(i32::try_from(self.process.id()).unwrap_or(i32::MAX));
        // The process may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        for pid in helpers.keys() {
            process::signal(*pid, rustix::process::Signal::KILL);
        }
    }
}
