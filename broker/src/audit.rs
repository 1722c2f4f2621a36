//! The audit log: what was started, granted, refused and lost, in order, in a file in the profile that only grows.
//!
//! A line is the hash of the line before and of its own text, and that text: `SHA-256(former hash + JSON) JSON`. The newest
//! hash and the number of lines are also in the store, so that a cut at the end shows as well as an edit in the middle.
//! Whoever can rewrite both the file and the store can rewrite history: keep a copy of the head elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The end of the log: how many lines, and the last one's hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Lines.
    pub length: u64,
    /// In hexadecimal; empty for an empty log.
    pub hash: String,
}

/// The log, open for writing.
#[derive(Debug)]
pub struct Audit {
    file: File,
    head: Head,
    /// Where the last whole line ends.
    size: u64,
    /// The disk refused a line, and it was said.
    failing: bool,
}

/// One line, read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its hash.
    pub hash: String,
    /// What it says.
    pub entry: Value,
}

/// What is wrong with a log.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Tampered {
    /// A line that does not follow from the one before.
    #[error("line {0} is not what was written: its hash does not follow from the line before")]
    Edited(u64),
    /// Lines are missing at the end.
    #[error("the log has {found} lines, and the store knows of {known}: its end was cut off")]
    Cut { found: u64, known: u64 },
    /// The whole log was written anew.
    #[error("line {0} is another one than the store knows: the log was rewritten")]
    Rewritten(u64),
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

impl Audit {
    /// Opens a profile's log, or makes one.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(profile: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path(profile))?;
        let (mut head, mut size) = (Head::default(), 0);
        let mut lines = BufReader::new(&file);
        let mut line = Vec::new();
        // A line without an end was being written when the machine stopped: it never was part of the log.
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            head.length += 1;
            head.hash =
                String::from_utf8_lossy(line.split(|byte| *byte == b' ').next().unwrap_or_default()).into_owned();
            size += line.len() as u64;
            line.clear();
        }
        file.set_len(size)?;
        Ok(Self { file, head, size, failing: false })
    }

    /// Writes an event with its details, an object.
    pub fn record(&mut self, event: &str, details: Value) {
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

    /// Its end.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }
}

/// Reads one line.
#[must_use]
pub fn parse(line: &str) -> Option<Entry> {
    let (hash, text) = line.split_once(' ')?;
    Some(Entry { hash: hash.to_owned(), entry: serde_json::from_str(text).ok()? })
}

/// Whether every line of a log follows from the one before, and its end is what the store knows. Returns the number of lines.
///
/// # Errors
/// With the first line that is wrong.
pub fn verify(text: &str, known: &Head) -> Result<u64, Tampered> {
    let mut head = Head::default();
    for line in text.lines() {
        head.length += 1;
        let follows = line.split_once(' ').filter(|(claimed, text)| *claimed == hash(&head.hash, text));
        let Some((hash, _)) = follows else { return Err(Tampered::Edited(head.length)) };
        hash.clone_into(&mut head.hash);
        if head.length == known.length && head.hash != known.hash {
            return Err(Tampered::Rewritten(head.length));
        }
    }
    if head.length < known.length {
        return Err(Tampered::Cut { found: head.length, known: known.length });
    }
    Ok(head.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (String, Head) {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = Audit::open(folder.path()).unwrap();
        for n in 0..3 {
            audit.record("spawned", serde_json::json!({ "role": "tab-host", "child": n }));
        }
        // A second run goes on where the first one stopped.
        drop(audit);
        let mut audit = Audit::open(folder.path()).unwrap();
        audit.record("ended", serde_json::json!({ "child": 1 }));
        (std::fs::read_to_string(path(folder.path())).unwrap(), audit.head().clone())
    }

    #[test]
    fn a_log_that_nobody_touched_is_whole() {
        let (text, head) = written();
        assert_eq!(verify(&text, &head), Ok(4));
        let entry = parse(text.lines().next().unwrap()).unwrap();
        assert_eq!((entry.entry["event"].as_str(), entry.entry["n"].as_u64()), (Some("spawned"), Some(1)));
        // Lines that the store has not heard of yet are no damage.
        let former = Head { length: 3, hash: parse(text.lines().nth(2).unwrap()).unwrap().hash };
        assert_eq!(verify(&text, &former), Ok(4));
    }

    #[test]
    fn a_line_that_was_cut_short_by_a_crash_is_no_damage() {
        let (text, head) = written();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(path(folder.path()), format!("{text}{}", &text[..40])).unwrap();
        let mut audit = Audit::open(folder.path()).unwrap();
        assert_eq!(*audit.head(), head);
        audit.record("started", serde_json::json!({}));
        assert_eq!(verify(&std::fs::read_to_string(path(folder.path())).unwrap(), audit.head()), Ok(5));
    }

    #[test]
    fn an_edit_a_cut_and_a_rewritten_log_show() {
        let (text, head) = written();
        assert_eq!(verify(&text.replacen("tab-host", "ui-shell", 1), &head), Err(Tampered::Edited(1)));
        let without_second: Vec<&str> =
            text.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, line)| line).collect();
        assert_eq!(verify(&without_second.join("\n"), &head), Err(Tampered::Edited(2)));
        let without_last: Vec<&str> = text.lines().take(3).collect();
        assert_eq!(verify(&without_last.join("\n"), &head), Err(Tampered::Cut { found: 3, known: 4 }));
        let (other, _) = written();
        let rewritten = verify(&other, &Head { length: 4, hash: "0".repeat(64) });
        assert_eq!(rewritten, Err(Tampered::Rewritten(4)));
    }
}
