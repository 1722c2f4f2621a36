//! Crash reports: one file for each child that died without having been asked to, in the profile, and nowhere else. They are
//! never sent anywhere, and the oldest go first.

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fs, io};

use regen_runtime::read_sealed;
use serde::{Deserialize, Serialize};

/// So many are kept.
const KEPT: usize = 100;
/// Of those, so many with their minidumps, which are a thousand times as large.
const KEPT_MINIDUMPS: usize = 20;
/// What a minidump may have, in bytes; the dumper makes smaller ones.
const MAX_MINIDUMP: u64 = 16 << 20;
/// Lines of a child's own log that go into its report: a panic's backtrace is long.
const LINES: usize = 200;

/// What is known of one death.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Crash {
    /// Its name: time, role and child.
    pub id: String,
    /// When, in RFC 3339.
    pub time: String,
    /// Whose.
    pub role: String,
    /// Which site, of a tab-host.
    pub site: Option<String>,
    /// Which process.
    pub pid: i32,
    /// Why, in one line: what the broker had against it, and how it ended.
    pub reason: String,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its exit code, where it ended by itself.
    pub exit_code: Option<i32>,
    /// The last system call that it was refused, if that was just before.
    pub refused_call: Option<String>,
    /// The state it was in, such as `ready`.
    pub state: String,
    /// How often this site or daemon had died before.
    pub crashes_before: u32,
    /// How long it lived, in seconds.
    pub lived_s: f64,
    /// Resources of its processes, as they were last looked at.
    pub resources: Resources,
    /// The last lines that it said.
    pub log: Vec<String>,
    /// The name of its minidump beside the report, or `none: ` and why.
    pub minidump: String,
    /// What died.
    pub build: String,
}

/// Resources of a child, its helpers included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Memory in KB.
    pub resident_kb: u64,
    /// Helper processes.
    pub helpers: usize,
    /// Threads of its own process.
    pub threads: u64,
    /// Open descriptors of its own process.
    pub descriptors: u64,
}

/// The last lines that a child said.
#[derive(Debug, Clone, Default)]
pub struct LogTail(Arc<Mutex<VecDeque<String>>>);

impl LogTail {
    /// One more.
    pub fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line.to_owned());
        if lines.len() > LINES {
            lines.pop_front();
        }
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Where a profile's reports are.
#[must_use]
pub fn folder(profile: &Path) -> PathBuf {
    profile.join("crashes")
}

impl Crash {
    /// A report of now.
    #[must_use]
    pub fn now(role: &str, child: u64) -> Self {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let id = format!("{}-{role}-{child}", time.replace(':', ""));
        Self { id, time, role: role.to_owned(), ..Self::default() }
    }

    /// How it ended, as `wait` has it.
    #[must_use]
    pub fn ended(mut self, status: Option<i32>) -> Self {
        if let Some(status) = status {
            let signal = status & 0x7f;
            self.signal = (signal != 0).then_some(signal);
            self.exit_code = (signal == 0).then_some((status >> 8) & 0xff);
        }
        self
    }

    /// Takes what the child's dumper has left, if it has.
    #[must_use]
    pub fn dumped(&mut self, dumper: Option<&OwnedFd>) -> Option<Vec<u8>> {
        let left = dumper.and_then(|dumper| regen_sandbox::sys::receive_descriptor(dumper).ok().flatten());
        let Some(memory) = left else {
            self.minidump = match (self.signal, self.exit_code) {
                (Some(9), _) => "none: a process that is killed has no time for one",
                (Some(_), _) => "none: its dumper has left none, see its last words",
                (None, Some(_)) => "none: no process of it said that it crashes",
                (None, None) => "none: it never ran",
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

    /// Puts it on disk, and lets the oldest go.
    ///
    /// # Errors
    /// When the disk refuses.
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

/// For its owner's eyes only: it has what pages and programs said.
fn create(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Files of one kind by name, oldest first.
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

/// All reports of a profile, oldest first. One that cannot be read is left out, and said.
///
/// # Errors
/// When the folder cannot be read.
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
