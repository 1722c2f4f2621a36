//! The audit log: a record of starts, grants, refusals, orders and losses, in append-only files of the profile.
//!
//! A line is `SHA-256(previous hash + JSON) JSON`. The newest hash and the number of lines, the *head*, are also in the
//! store.
//!
//! Threat model. A change by somebody who can write the files but not the store is detected: an edited, truncated,
//! emptied, deleted or replaced log does not end in the head that the store has. The next start records the break as a
//! line of the log before it goes on, and no later start removes that line. Somebody who can write both, as every
//! program of the user can, rewrites history undetected: against that, keep the output of `regen audit anchor`
//! elsewhere, and check it with `regen audit verify --anchor`.

mod budget;
mod log;
mod verify;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use budget::Budgets;
pub use log::AuditLog;
pub use verify::{Break, Chain, Entry, TamperError, Verification, parse, verify};

/// Maximum size of a log file in bytes; over it, the chain continues in another file.
const ROTATE: u64 = 16 << 20;
/// Number of closed logs that are kept.
const KEPT: usize = 8;
/// Event of the first line of a log that continues the chain of a closed one.
const CONTINUES: &str = "continues";
/// Event of a line that records a break: the lines before it were changed or lost.
const BROKEN: &str = "log_broken";

/// Head of the log: the number of lines and the last one's hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of lines, counted from the first log.
    pub length: u64,
    /// Hash of the last line in hexadecimal; empty for an empty log.
    pub hash: String,
}

/// The log, opened for writing.
#[derive(Debug)]
pub struct Audit {
    profile: PathBuf,
    file: File,
    head: Head,
    /// Size up to the end of the last whole line, in bytes.
    size: u64,
    /// Set after a failed write that was reported.
    failing: bool,
    budgets: Budgets,
    /// Number of breaks that the log records.
    breaks: u64,
}

fn hash(former: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(former);
    hash.update(text);
    format!("{:x}", hash.finalize())
}

/// Returns the path of a profile's log.
#[must_use]
pub fn path(profile: &Path) -> PathBuf {
    profile.join("audit.log")
}

/// Returns a profile's logs, oldest first: the closed ones, then the current one.
///
/// # Errors
/// Returns an error if the profile cannot be read.
pub fn files(profile: &Path) -> io::Result<Vec<PathBuf>> {
    let mut closed = closed(profile)?;
    closed.push(path(profile));
    Ok(closed)
}

fn closed(profile: &Path) -> io::Result<Vec<PathBuf>> {
    let mut closed = Vec::new();
    for entry in fs::read_dir(profile)? {
        let entry = entry?;
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".log")?.parse::<u64>().ok());
        closed.extend(number.map(|number| (number, entry.path())));
    }
    closed.sort_unstable();
    Ok(closed.into_iter().map(|(_, path)| path).collect())
}

fn open_file(profile: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path(profile))
}

impl Audit {
    /// Opens a profile's log, or creates it. `known` is the head that the store has, if any. If the log does not match
    /// it, or is not a valid chain, a line records the break.
    ///
    /// # Errors
    /// Returns an error if the log cannot be read or written.
    pub fn open(profile: &Path, known: Option<&Head>) -> io::Result<Self> {
        let mut file = open_file(profile)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // An unfinished line was being written when the machine stopped: it never was part of the log.
        let size = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(size as u64)?;
        let text = String::from_utf8_lossy(text.get(..size).unwrap_or_default());
        let nothing = Head::default();
        let found = verify(&text, known.unwrap_or(&nothing));
        let (head, breaks) = verify::end(&text);
        let mut audit = Self {
            profile: profile.to_path_buf(),
            file,
            head,
            size: size as u64,
            failing: false,
            budgets: Budgets::default(),
            breaks,
        };
        match (found, known) {
            (Err(why), known) => audit.begin_anew(&why.to_string(), known.unwrap_or(&nothing))?,
            (Ok(verified), None) if verified.lines > 0 => {
                audit.record_break("the store has no head of the log: lines may be missing at its end");
            }
            (Ok(_), _) => {}
        }
        Ok(audit)
    }

    fn record_break(&mut self, why: &str) {
        tracing::error!("the audit log was tampered with: {why}");
        self.breaks += 1;
        self.write(BROKEN, serde_json::json!({ "why": why }));
    }

    /// Moves a changed log aside, and begins another one that continues from the known head.
    fn begin_anew(&mut self, why: &str, known: &Head) -> io::Result<()> {
        tracing::error!("the audit log was tampered with: {why}");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        match fs::rename(path(&self.profile), self.profile.join(format!("audit-broken-{since}.log"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        (self.file, self.size) = (open_file(&self.profile)?, 0);
        let found = std::mem::replace(&mut self.head, known.clone());
        self.breaks += 1;
        let details = serde_json::json!({
            "why": why, "former": known.hash, "found": found, "breaks_before": self.breaks - 1,
        });
        self.write(BROKEN, details);
        Ok(())
    }

    /// Returns the number of breaks that the log records.
    #[must_use]
    pub fn breaks(&self) -> u64 {
        self.breaks
    }

    /// Writes an event with its details, a JSON object.
    pub fn record(&mut self, event: &str, details: Value) {
        if self.size > ROTATE {
            self.rotate();
        }
        self.write(event, details);
    }

    /// Writes an event that a child can cause as often as it likes. Over the child's budget, events are only counted,
    /// and the count is part of the next line about that child.
    pub fn record_of(&mut self, child: u64, event: &str, mut details: Value) {
        let Some(left_out) = self.budgets.take(child, Instant::now()) else { return };
        if let (Some(fields), true) = (details.as_object_mut(), left_out > 0) {
            fields.insert("left_out".to_owned(), left_out.into());
        }
        self.record(event, details);
    }

    /// Forgets the budget of a child that is gone. Returns the number of lines about it that were omitted since the
    /// last one.
    pub fn forget(&mut self, child: u64) -> u64 {
        self.budgets.forget(child)
    }

    fn write(&mut self, event: &str, details: Value) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let mut entry = serde_json::json!({ "n": self.head.length + 1, "time_ms": u64::try_from(time).unwrap_or(0), "event": event });
        if let (Some(entry), Value::Object(details)) = (entry.as_object_mut(), details) {
            entry.extend(details);
        }
        let text = entry.to_string();
        let hash = hash(&self.head.hash, &text);
        let line = format!("{hash} {text}\n");
        match self.file.write_all(line.as_bytes()) {
            Ok(()) => {
                self.head = Head { length: self.head.length + 1, hash };
                self.size += line.len() as u64;
                self.failing = false;
            }
            Err(error) => {
                // A full disk may take half a line; remove it before the next one.
                let mended = self.file.set_len(self.size);
                if !self.failing {
                    tracing::error!(
                        "the audit log cannot be written: {error}{}",
                        mended.err().map_or(String::new(), |error| format!("; {error}"))
                    );
                }
                self.failing = true;
            }
        }
    }

    /// Closes the log, and continues its chain in another file.
    fn rotate(&mut self) {
        let rotated = || -> io::Result<File> {
            fs::rename(path(&self.profile), self.profile.join(format!("audit-{}.log", self.head.length)))?;
            let closed = closed(&self.profile)?;
            for old in closed.iter().take(closed.len().saturating_sub(KEPT)) {
                fs::remove_file(old)?;
            }
            open_file(&self.profile)
        };
        match rotated() {
            Ok(file) => {
                (self.file, self.size) = (file, 0);
                let details = serde_json::json!({ "former": self.head.hash, "breaks_before": self.breaks });
                self.write(CONTINUES, details);
            }
            Err(error) => {
                tracing::error!("the audit log cannot be closed at {} MB and keeps growing: {error}", ROTATE >> 20);
            }
        }
    }

    /// Checks that the file at the log's path is still the one being written. If it was replaced, removed or truncated,
    /// the log is restored and the break recorded. Returns whether there was a break.
    ///
    /// # Errors
    /// Returns an error if the log cannot be restored.
    pub fn check_file(&mut self) -> io::Result<bool> {
        let own = self.file.metadata()?;
        let why = match fs::symlink_metadata(path(&self.profile)) {
            Ok(there) if (there.dev(), there.ino()) != (own.dev(), own.ino()) => {
                "the file was replaced while it was open"
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => "the file was removed while it was open",
            Ok(there) if there.len() < self.size => {
                let head = self.head.clone();
                self.begin_anew("the file was truncated while it was open", &head)?;
                return Ok(true);
            }
            Ok(_) => return Ok(false),
            Err(error) => return Err(error),
        };
        // The open file still has all lines.
        let mut text = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut text)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        match fs::rename(path(&self.profile), self.profile.join(format!("audit-foreign-{since}.log"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = open_file(&self.profile)?;
        file.write_all(&text)?;
        (self.file, self.size) = (file, text.len() as u64);
        self.record_break(why);
        Ok(true)
    }

    /// Returns the head.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }
}

#[cfg(test)]
mod tests;
