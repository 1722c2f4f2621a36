//! The audit log: what was started, granted, refused, ordered and lost, in order, in files of the profile that only grow.
//!
//! A line is `SHA-256(former hash + JSON) JSON`. The newest hash and the number of lines, the *head*, are also in the store.
//!
//! Threat model. Somebody who can write the files but not the store is noticed: an edit, a cut, an emptied, deleted or replaced
//! log does not end in the head that the store knows. The next start records the break as a line of the log, for ever, before
//! it goes on. Somebody who can write both, as every program of the user can, rewrites history unnoticed: against that, keep
//! what `regen audit anchor` prints elsewhere, and check it with `regen audit verify --anchor`.

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
pub use verify::{Break, Chain, Entry, Tampered, Verified, parse, verify};

/// A log over this size is closed, and another one goes on with its chain.
const ROTATE: u64 = 16 << 20;
/// Closed logs that are kept.
const KEPT: usize = 8;
/// Event of the first line of a log that goes on with the chain of a closed one.
const CONTINUES: &str = "continues";
/// Event of a line that says that what is before it is not what was written.
const BROKEN: &str = "log_broken";

/// The end of the log: how many lines, and the last one's hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Lines, from the first log on.
    pub length: u64,
    /// In hexadecimal; empty for an empty log.
    pub hash: String,
}

/// The log, open for writing.
#[derive(Debug)]
pub struct Audit {
    profile: PathBuf,
    file: File,
    head: Head,
    /// Where the last whole line ends.
    size: u64,
    /// The disk refused a line, and it was said.
    failing: bool,
    budgets: Budgets,
    /// Breaks that the log knows of.
    breaks: u64,
}

fn hash(former: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(former);
    hash.update(text);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a profile's log is.
#[must_use]
pub fn path(profile: &Path) -> PathBuf {
    profile.join("audit.log")
}

/// A profile's logs, oldest first: the closed ones, then the one that is written.
///
/// # Errors
/// When the profile cannot be read.
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
    /// Opens a profile's log, or makes one. `known` is its head as the store has it; nothing where the store has none. A log that
    /// does not agree with it, or in itself, goes on with a line that says so.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(profile: &Path, known: Option<&Head>) -> io::Result<Self> {
        let mut file = open_file(profile)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // A line without an end was being written when the machine stopped: it never was part of the log.
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
                audit.record_break("the store does not know where it ended: a part of it may be missing");
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

    /// Moves a log that is not what was written aside, and begins another one where the lost one should have ended.
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

    /// Number of breaks that the log knows of.
    #[must_use]
    pub fn breaks(&self) -> u64 {
        self.breaks
    }

    /// Writes an event with its details, an object.
    pub fn record(&mut self, event: &str, details: Value) {
        if self.size > ROTATE {
            self.rotate();
        }
        self.write(event, details);
    }

    /// Writes an event that a child can bring about as often as it likes: beyond a child's budget it is counted, and the count
    /// is part of the next line about that child.
    pub fn record_of(&mut self, child: u64, event: &str, mut details: Value) {
        let Some(left_out) = self.budgets.take(child, Instant::now()) else { return };
        if let (Some(fields), true) = (details.as_object_mut(), left_out > 0) {
            fields.insert("left_out".to_owned(), left_out.into());
        }
        self.record(event, details);
    }

    /// Forgets the budget of a child that is gone. Returns how many lines about it were left out since the last one.
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
                // A full disk takes half a line: the next one must not follow it.
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

    /// Closes the log, and goes on in another one with the same chain.
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
                tracing::error!("the audit log grows beyond {} MB: {error}", ROTATE >> 20);
            }
        }
    }

    /// Looks whether the file is still the one that is written. One that was replaced, removed or cut while it was open is put
    /// right, and the break recorded. Returns whether there was one.
    ///
    /// # Errors
    /// When the log cannot be put right.
    pub fn check_file(&mut self) -> io::Result<bool> {
        let own = self.file.metadata()?;
        let why = match fs::symlink_metadata(path(&self.profile)) {
            Ok(there) if (there.dev(), there.ino()) != (own.dev(), own.ino()) => {
                "the file was replaced while it was open"
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => "the file was removed while it was open",
            Ok(there) if there.len() < self.size => {
                let head = self.head.clone();
                self.begin_anew("the file was cut while it was open", &head)?;
                return Ok(true);
            }
            Ok(_) => return Ok(false),
            Err(error) => return Err(error),
        };
        // All that was written is still in the file that is open.
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

    /// Its end.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }
}

#[cfg(test)]
mod tests;
