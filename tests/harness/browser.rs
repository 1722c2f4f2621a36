//! A browser in a fresh profile, driven through its command line as a user or CI job would drive it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{DEADLINE, eventually, process, programs, within};

/// A `regen` command that failed.
#[derive(Debug)]
pub struct Failed {
    /// Exit code of the command.
    pub code: i32,
    /// Standard error of the command.
    pub message: String,
}

/// A browser in its own profile. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    home: TempDir,
    programs: PathBuf,
    display: Option<String>,
    options: Vec<String>,
    variables: Vec<(String, String)>,
    names_profile: bool,
}

impl Default for Browser {
    fn default() -> Self {
        Self::headless()
    }
}

impl Browser {
    /// Starts a headless browser in a fresh profile.
    #[must_use]
    pub fn headless() -> Self {
        Self::with_options(&["--headless"])
    }

    /// Starts a browser with these options in a fresh profile.
    #[must_use]
    pub fn with_options(options: &[&str]) -> Self {
        let browser = Self::not_started(options);
        browser.start();
        browser
    }

    /// Creates a fresh profile without starting its browser.
    #[must_use]
    pub fn not_started(options: &[&str]) -> Self {
        Self {
            home: TempDir::with_prefix("regen-test-").expect("a temporary folder"),
            programs: programs(),
            display: None,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            variables: Vec::new(),
            names_profile: true,
        }
    }

    /// Starts a browser with a window on this X display, in a fresh profile.
    #[must_use]
    pub fn in_window(display: &str, options: &[&str]) -> Self {
        let browser = Self::not_started_in_window(display, options);
        browser.start();
        browser
    }

    /// Creates a fresh profile whose browser will have a window on this X display, without starting it.
    #[must_use]
    pub fn not_started_in_window(display: &str, options: &[&str]) -> Self {
        let mut browser = Self::not_started(options);
        browser.display = Some(display.to_owned());
        browser
    }

    /// Adds an environment variable to all commands.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves `REGEN_PROFILE` unset, for commands that make profiles of their own.
    #[must_use]
    pub fn without_profile(mut self) -> Self {
        self.names_profile = false;
        self
    }

    /// Uses the programs in another folder.
    #[must_use]
    pub fn with_programs(mut self, programs: &Path) -> Self {
        self.programs = programs.to_path_buf();
        self
    }

    /// Starts the browser, detached.
    pub fn start(&self) {
        self.try_start().expect("the browser starts");
    }

    /// Tries to start the browser.
    ///
    /// # Errors
    /// The exit code and standard error of the command.
    pub fn try_start(&self) -> Result<String, Failed> {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        self.regen(&[&["--detach"], options.as_slice()].concat())
    }

    /// Returns the profile's folder.
    #[must_use]
    pub fn profile(&self) -> PathBuf {
        self.home.path().join("profile")
    }

    /// Returns the path of the control API's socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        let folders = std::fs::read_dir(self.home.path().join("regen")).expect("the runtime folder");
        folders
            .flatten()
            .map(|folder| folder.path().join("control.sock"))
            .find(|socket| socket.exists())
            .expect("a socket")
    }

    /// Returns the home folder of this browser's user.
    #[must_use]
    pub fn user_home(&self) -> PathBuf {
        self.home.path().join("home")
    }

    /// Returns the folder for downloads.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.home.path().join("downloads")
    }

    #[expect(clippy::disallowed_methods, reason = "a test starts the product's command line")]
    fn prepare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("regen"));
        command
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.home.path())
            // Tests must not write to the keyring of the user who runs them.
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
            .env("XDG_DOWNLOAD_DIR", self.downloads())
            .env("HOME", self.user_home())
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(display) = &self.display {
            command.env("DISPLAY", display);
        }
        if self.names_profile {
            command.env("REGEN_PROFILE", self.profile());
        }
        command
    }

    /// Runs `regen` with these arguments and without input.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.prepare(arguments).stdin(Stdio::null()).output().expect("the command runs")
    }

    /// Runs `regen` with this text on its standard input.
    #[must_use]
    pub fn command_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.prepare(arguments);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("the command runs");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the command takes its input");
        child.wait_with_output().expect("the command ends")
    }

    #[expect(clippy::print_stderr, reason = "a failed test shows the end of the browser's log")]
    fn print_log(&self) {
        let log = std::fs::read_to_string(self.profile().join("regen.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("the end of the browser's log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
    }

    /// Runs `regen` with these arguments, and returns its standard output.
    ///
    /// # Errors
    /// The exit code and standard error of the command.
    pub fn regen(&self, arguments: &[&str]) -> Result<String, Failed> {
        let output = self.command(arguments);
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failed { code: output.status.code().unwrap_or(-1), message })
        }
    }

    /// Runs `regen --json` with these arguments, and returns its output. A command that waits for a tab prints it even
    /// if it has no page; its exit code must then agree with the tab's state.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[&["--json"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not JSON: {said}"));
        let was_waited_for = arguments.starts_with(&["tab", "wait"])
            || (arguments.first() == Some(&"tab") && arguments.contains(&"--wait"));
        let has_page = !was_waited_for || ["ready", "loading"].contains(&printed["state"].as_str().unwrap_or_default());
        assert_eq!(output.status.code(), Some(i32::from(!has_page)), "{printed}: {said}");
        printed
    }

    /// Returns the output of `regen status --json`.
    #[must_use]
    pub fn status(&self) -> Value {
        self.json(&["status"])
    }

    /// Opens a page, waits until it has loaded, and returns its tab.
    pub fn open(&self, url: &str) -> u64 {
        let tab = self.json(&["tab", "open", url, "--wait"]);
        assert_eq!(tab["state"], "ready", "{tab}");
        tab["id"].as_u64().expect("an id")
    }

    /// Returns a tab as the status shows it; null if there is none.
    #[must_use]
    pub fn tab(&self, tab: u64) -> Value {
        let status = self.status();
        let tabs = status["tabs"].as_array().expect("tabs").clone();
        tabs.into_iter().find(|other| other["id"] == tab).unwrap_or(Value::Null)
    }

    /// Returns the text of a tab's page.
    #[must_use]
    pub fn text(&self, tab: u64) -> String {
        self.regen(&["tab", "text", &tab.to_string()]).expect("the page's text")
    }

    /// Waits until the text of a tab's page contains this.
    pub fn wait_for_text(&self, tab: u64, text: &str) {
        let id = tab.to_string();
        let mut last = String::new();
        let found = within(DEADLINE, || {
            last = self.regen(&["tab", "text", &id]).unwrap_or_else(|failed| failed.message);
            last.contains(text).then_some(())
        });
        assert!(found.is_some(), "tab {tab} never showed “{text}”; it shows: {last}\n{}", self.log());
    }

    /// Waits until a tab is in this state.
    pub fn wait_for_state(&self, tab: u64, state: &str) -> Value {
        let found = within(DEADLINE, || Some(self.tab(tab)).filter(|tab| tab["state"] == state));
        found.unwrap_or_else(|| panic!("tab {tab} never was {state}: {}\n{}", self.tab(tab), self.log()))
    }

    /// Waits until a tab shows this address, loaded.
    pub fn wait_for_url(&self, tab: u64, url: &str) -> Value {
        let found = within(DEADLINE, || Some(self.tab(tab)).filter(|tab| tab["url"] == url && tab["state"] == "ready"));
        found.unwrap_or_else(|| panic!("tab {tab} never showed {url}: {}\n{}", self.tab(tab), self.log()))
    }

    /// Sends input to a tab, for example `["--click", "10,20"]`.
    pub fn input(&self, tab: u64, what: &[&str]) {
        let id = tab.to_string();
        self.regen(&[&["tab", "input", id.as_str()], what].concat()).expect("the input is taken");
    }

    /// Returns the process ids of a role, without prelaunched tab-hosts.
    #[must_use]
    pub fn pids_of(&self, role: &str) -> Vec<i32> {
        let status = self.status();
        let processes = status["processes"].as_array().expect("processes").clone();
        let pid = |process: &Value| i32::try_from(process["pid"].as_i64()?).ok();
        let is_spare = |process: &Value| role == "tab-host" && process["site"] == "";
        let its = processes.iter().filter(|process| process["role"] == role && !is_spare(process));
        its.filter_map(pid).filter(|pid| *pid > 0).collect()
    }

    /// Waits until the first process of a role is ready, and returns its id.
    #[must_use]
    pub fn daemon(&self, role: &str) -> i32 {
        eventually(role, || {
            let status = self.status();
            let daemon = status["processes"].as_array()?.iter().find(|process| process["role"] == role)?.clone();
            (daemon["state"] == "ready").then(|| i32::try_from(daemon["pid"].as_i64()?).ok()).flatten()
        })
    }

    /// Returns the id of the process that shows a tab.
    #[must_use]
    pub fn pid_of_tab(&self, tab: u64) -> i32 {
        self.tab(tab)["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a process")
    }

    /// Returns the broker's process id.
    #[must_use]
    pub fn broker(&self) -> i32 {
        self.pids_of("broker")[0]
    }

    /// Takes a screenshot of a tab: width, height, RGB pixels.
    #[must_use]
    pub fn screenshot(&self, tab: u64) -> (usize, usize, Vec<u8>) {
        let file = self.home.path().join("shot.png");
        let path = file.to_str().expect("a path");
        self.regen(&["tab", "screenshot", &tab.to_string(), "-o", path]).expect("a screenshot");
        let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&file).expect("the file")))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        (info.width as usize, info.height as usize, pixels)
    }

    /// Returns the last 40 lines of the log.
    #[must_use]
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.profile().join("regen.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Quits the browser.
    pub fn quit(&self) {
        self.regen(&["quit"]).expect("the browser ends");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_log();
        }
        let broker = self.regen(&["--json", "status"]).ok().and_then(|status| {
            let status: Value = serde_json::from_str(&status).ok()?;
            i32::try_from(status["broker"]["pid"].as_i64()?).ok()
        });
        let Some(broker) = broker else { return };
        // A browser that does not quit is killed, so that none is left behind.
        if self.regen(&["quit"]).is_err() {
            process::signal(broker, rustix::process::Signal::KILL);
        }
        eventually("the browser to end", || (!process::is_alive(broker)).then_some(()));
    }
}
