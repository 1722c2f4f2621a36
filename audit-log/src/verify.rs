//! Reads the log back and verifies its chain.

use serde_json::Value;

use super::{BROKEN, CONTINUES, Head, hash};

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Hash of the line.
    pub hash: String,
    /// Content of the line.
    pub entry: Value,
}

/// Reason that a log fails verification.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TamperError {
    /// A line whose hash does not follow from the line before.
    #[error("line {0} is not what was written: its hash does not follow from the line before")]
    Edited(u64),
    /// A log with fewer lines than are known.
    #[error("the log has {found} of {known} known lines: its end was cut off")]
    Cut { found: u64, known: u64 },
    /// A valid chain that differs from a known head.
    #[error("line {0} differs from the known one: the log was rewritten")]
    Rewritten(u64),
    /// A file that does not continue the one before.
    #[error("line {0} does not continue the log before it: lines are missing between two files")]
    Gap(u64),
}

/// A break that the log records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Number of the line that records it.
    pub line: u64,
    /// Time when it was found, in milliseconds since 1970.
    pub time_ms: u64,
    /// Reason.
    pub why: String,
}

/// A log that passed verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Number of its last line, counted from the first log.
    pub lines: u64,
    /// Breaks that the log records.
    pub breaks: Vec<Break>,
}

/// Verification over several files of one chain.
#[derive(Debug, Default)]
pub struct Chain {
    head: Head,
    breaks: Vec<Break>,
    is_begun: bool,
}

impl Chain {
    /// Verifies the next file of the chain. `known` lists heads that it must match.
    ///
    /// # Errors
    /// Returns the first line that is wrong.
    pub fn take(&mut self, text: &str, known: &[&Head]) -> Result<(), TamperError> {
        for (index, line) in text.lines().enumerate() {
            let entry = parse(line);
            if index == 0
                && let Some(base) = entry.as_ref().and_then(base)
            {
                // A line that records a break covers the gap as well.
                if self.is_begun && base.head != self.head && !base.is_break {
                    return Err(TamperError::Gap(base.head.length + 1));
                }
                if !self.is_begun && base.breaks > 0 {
                    let why = format!("{} earlier breaks were recorded in logs that are no longer kept", base.breaks);
                    self.breaks.push(Break { line: base.head.length, time_ms: 0, why });
                }
                self.head = base.head;
            }
            self.is_begun = true;
            self.head.length += 1;
            let follows = line.split_once(' ').filter(|(claimed, text)| *claimed == hash(&self.head.hash, text));
            let (Some((hash, _)), Some(entry)) = (follows, entry) else {
                return Err(TamperError::Edited(self.head.length));
            };
            hash.clone_into(&mut self.head.hash);
            self.breaks.extend(as_break(&entry, self.head.length));
            if known.iter().any(|known| known.length == self.head.length && known.hash != self.head.hash) {
                return Err(TamperError::Rewritten(self.head.length));
            }
        }
        Ok(())
    }

    /// Ends the verification, and checks that the chain reaches every known head.
    ///
    /// # Errors
    /// Returns an error if lines are missing at the end.
    pub fn finish(self, known: &[&Head]) -> Result<Verification, TamperError> {
        match known.iter().map(|known| known.length).max().filter(|known| *known > self.head.length) {
            Some(known) => Err(TamperError::Cut { found: self.head.length, known }),
            None => Ok(Verification { lines: self.head.length, breaks: self.breaks }),
        }
    }
}

/// Checks that every line of a log follows from the one before, and that the log matches the known head.
///
/// # Errors
/// Returns the first line that is wrong.
pub fn verify(text: &str, known: &Head) -> Result<Verification, TamperError> {
    let mut chain = Chain::default();
    chain.take(text, &[known])?;
    chain.finish(&[known])
}

/// Parses a line.
#[must_use]
pub fn parse(line: &str) -> Option<Entry> {
    let (hash, text) = line.split_once(' ')?;
    Some(Entry { hash: hash.to_owned(), entry: serde_json::from_str(text).ok()? })
}

/// Returns the head that a log claims, and the number of breaks that it records.
pub(super) fn end(text: &str) -> (Head, u64) {
    let first = text.lines().next().and_then(parse);
    let (mut head, mut breaks) = first.as_ref().and_then(base).map(|base| (base.head, base.breaks)).unwrap_or_default();
    for line in text.lines() {
        head.length += 1;
        line.split(' ').next().unwrap_or_default().clone_into(&mut head.hash);
        breaks +=
            u64::from(parse(line).is_some_and(|entry| entry.entry.get("event").is_some_and(|event| event == BROKEN)));
    }
    (head, breaks)
}

/// Head that a log continues from.
struct Base {
    head: Head,
    /// Number of breaks that earlier logs recorded.
    breaks: u64,
    is_break: bool,
}

/// Returns the head that a log continues from, given its first line; `None` for the first log.
fn base(first: &Entry) -> Option<Base> {
    let entry = &first.entry;
    let is_break = entry["event"] == BROKEN;
    let former = entry.get("former").filter(|_| is_break || entry["event"] == CONTINUES)?.as_str()?;
    let head = Head { length: entry["n"].as_u64()?.checked_sub(1)?, hash: former.to_owned() };
    Some(Base { head, breaks: entry["breaks_before"].as_u64().unwrap_or(0), is_break })
}

fn as_break(Entry { entry, .. }: &Entry, line: u64) -> Option<Break> {
    let why = entry.get("why").filter(|_| entry["event"] == BROKEN)?;
    let time_ms = entry["time_ms"].as_u64().unwrap_or(0);
    Some(Break { line, time_ms, why: why.as_str().unwrap_or_default().to_owned() })
}
