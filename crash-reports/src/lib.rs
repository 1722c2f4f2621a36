//! Crash reports: one file in the profile for each child that ended unexpectedly. They are never sent anywhere, and the
//! oldest are removed first.

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fs, io};

use regen_runtime::read_sealed;
use serde::{Deserialize, Serialize};

/// Number of reports that are kept.
const KEPT: usize = 100;
/// Number of minidumps that are kept; they are a thousand times as large as reports.
const KEPT_MINIDUMPS: usize = 20;
/// Maximum size of a minidump, in bytes; the dumper writes smaller ones.
const MAX_MINIDUMP: u64 = 16 << 20;
/// Maximum number of a child's last log lines in its report; a panic's backtrace is long.
const LINES: usize = 200;

/// Report of one crash.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Crash {
    /// Name: time, role and child.
    pub id: String,
    /// Time in RFC 3339 format.
    pub time: String,
    /// Role of the process.
    pub role: String,
    /// Site of a tab-host.
    pub site: Option<String>,
    /// Process id.
    pub pid: i32,
    /// Reason in one line: the broker's, and the way that the process ended.
    pub reason: String,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// Last refused system call, if it was shortly before.
    pub refused_call: Option<String>,
    /// State of the process in the supervisor, such as `ready`.
    pub state: String,
    /// Number of earlier crashes of this site or daemon.
    pub crashes_before: u32,
    /// Lifetime in seconds.
    pub lived_s: f64,
    /// Resources of its processes when they were last measured.
    pub resources: Resources,
    /// Last lines of its log.
    pub log: Vec<String>,
    /// File name of its minidump beside the report, or `none: ` and the reason.
    pub minidump: String,
    /// Version of the build.
    pub build: String,
}

/// Resources of a child, including its helpers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Resident memory in KB.
    pub resident_kb: u64,
    /// Number of helper processes.
    pub helpers: usize,
    /// Number of threads of its own process.
    pub threads: u64,
    /// Number of open descriptors of its own process.
    pub descriptors: u64,
}

/// Last log lines of a child.
#[derive(Debug, Clone, Default)]
pub struct LogTail(Arc<Mutex<VecDeque<String>>>);

impl LogTail {
    /// Adds a line.
    pub fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line.to_owned());
        if lines.len() > LINES {
            lines.pop_front();
        }
    }

    /// Returns the lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Returns the folder of a profile's reports.
#[must_use]
pub fn folder(profile: &Path) -> PathBuf {
    profile.join("crashes")
}

impl Crash {
    /// Creates a report with the current time.
    #[must_use]
    pub fn now(role: &str, child: u64) -> Self {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let id = format!("{}-{role}-{child}", time.replace(':', ""));
        Self { id, time, role: role.to_owned(), ..Self::default() }
    }

    /// Sets the signal or exit code from a `wait` status.
    #[must_use]
    pub fn ended(mut self, status: Option<i32>) -> Self {
        if let Some(status) = status {
            let signal = status & 0x7f;
            self.signal = (signal != 0).then_some(signal);
            self.exit_code = (signal == 0).then_some((status >> 8) & 0xff);
        }
        self
    }

    /// Takes the minidump that the child's dumper has sent, if any, and sets the report's `minidump` field.
    #[must_use]
    pub fn dumped(&mut self, dumper: Option<&OwnedFd>) -> Option<Vec<u8>> {
        let left = dumper.and_then(|dumper| regen_sandbox::sys::receive_descriptor(dumper).ok().flatten());
        let Some(memory) = left else {
            self.minidump = match (self.signal, self.exit_code) {
                (Some(9), _) => "none: a process that is killed has no time for one",
                (Some(_), _) => "none: its dumper sent none, see the last lines of its log",
                (None, Some(_)) => "none: none of its processes reported a crash",
                (None, None) => "none: it was not started",
            }
            .to_owned();
            return None;
        };
        let size = rustix::fs::fstat(&memory).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
        match read_sealed(&memory, size, MAX_MINIDUMP) {
            Ok(dump) => {
                self.minidump = format!("{}.dmp", self.id);
                Some(dump)
            }
            Err(error) => {
                self.minidump = format!("none: {error}");
                None
            }
        }
    }

    /// Writes the report and removes the oldest ones.
    ///
    /// # Errors
    /// Returns an error if the file system refuses.
    pub fn write(&self, profile: &Path, minidump: Option<&[u8]>) -> io::Result<()> {
        let folder = folder(profile);
        fs::create_dir_all(&folder)?;
        if let Some(minidump) = minidump {
            create(&folder.join(&self.minidump))?.write_all(minidump)?;
        }
        serde_json::to_writer_pretty(create(&folder.join(format!("{}.json", self.id)))?, self)
            .map_err(io::Error::other)?;
        for (extension, kept) in [("json", KEPT), ("dmp", KEPT_MINIDUMPS)] {
            let names = names(&folder, extension)?;
            for old in names.iter().take(names.len().saturating_sub(kept)) {
                fs::remove_file(folder.join(old))?;
            }
        }
        Ok(())
    }
}

/// Creates a file that only the user can read: it may hold text of pages and programs.
fn create(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Returns the names of files with an extension, oldest first.
fn names(folder: &Path, extension: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|its| its == extension));
    names.sort();
    Ok(names)
}

/// Returns all reports of a profile, oldest first, and descriptions of those that cannot be read.
///
/// # Errors
/// Returns an error if the folder cannot be read.
pub fn list(profile: &Path) -> io::Result<(Vec<Crash>, Vec<String>)> {
    let (folder, mut unreadable) = (folder(profile), Vec::new());
    let mut all = Vec::new();
    for name in names(&folder, "json")? {
        let read = fs::read(folder.join(&name))
            .and_then(|bytes| serde_json::from_slice::<Crash>(&bytes).map_err(io::Error::other));
        match read {
            Ok(mut crash) => {
                if !crash.minidump.starts_with("none: ") && !folder.join(&crash.minidump).exists() {
                    crash.minidump = format!("none: only the last {KEPT_MINIDUMPS} are kept");
                }
                all.push(crash);
            }
            Err(error) => unreadable.push(format!("{name}: {error}")),
        }
    }
    Ok((all, unreadable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_back_as_they_were_and_the_oldest_go_first() {
        let profile = tempfile::tempdir().unwrap();
        let tail = LogTail::default();
        (0..LINES + 5).for_each(|n| tail.push(&format!("line {n}")));
        for n in 0..KEPT as u64 + 3 {
            let mut crash = Crash::now("tab-host", n).ended(Some(11));
            crash.id = format!("{n:04}");
            crash.log = tail.lines();
            crash.minidump = format!("{}.dmp", crash.id);
            crash.write(profile.path(), Some(b"MDMP")).unwrap();
        }
        fs::write(folder(profile.path()).join("9999.json"), "{").unwrap();
        let (all, unreadable) = list(profile.path()).unwrap();
        assert_eq!((all.len(), unreadable.len()), (KEPT, 1));
        assert_eq!((all[0].id.as_str(), all[0].signal, all[0].exit_code), ("0003", Some(11), None));
        assert_eq!(all[0].minidump, "none: only the last 20 are kept");
        assert_eq!(all[KEPT - 1].minidump, format!("{}.dmp", all[KEPT - 1].id));
        assert_eq!(names(&folder(profile.path()), "dmp").unwrap().len(), KEPT_MINIDUMPS);
        assert_eq!((all[0].log.len(), all[0].log[0].as_str()), (LINES, "line 5"));
        assert_eq!(Crash::now("x", 1).ended(Some(3 << 8)).exit_code, Some(3));
    }
}
