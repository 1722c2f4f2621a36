//! Reading the log back, and whether it is whole.

use serde_json::Value;

use super::{BROKEN, CONTINUES, Head, hash};

/// One line, read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its hash.
    pub hash: String,
    /// Its content.
    pub entry: Value,
}

/// Why a log is not what was written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Tampered {
    /// A line that does not follow from the one before.
    #[error("line {0} is not what was written: its hash does not follow from the line before")]
    Edited(u64),
    /// Lines are missing at the end.
    #[error("the log has {found} lines, and {known} are known: its end was cut off")]
    Cut { found: u64, known: u64 },
    /// The whole log was written anew.
    #[error("line {0} is another one than the one that is known: the log was rewritten")]
    Rewritten(u64),
    /// Lines are missing between two files.
    #[error("line {0} does not go on where the log before it ends")]
    Gap(u64),
}

/// A break that the log itself tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Number of the line that tells of it.
    pub line: u64,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// The reason, in words.
    pub why: String,
}

/// A log of which every line follows from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of its last line, from the first log on.
    pub lines: u64,
    /// Breaks that were found at an earlier start.
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
    /// Takes in the next file of the chain. `known` lists heads that it must go through.
    ///
    /// # Errors
    /// With the first line that is wrong.
    pub fn take(&mut self, text: &str, known: &[&Head]) -> Result<(), Tampered> {
        for (index, line) in text.lines().enumerate() {
            let entry = parse(line);
            if index == 0
                && let Some(base) = entry.as_ref().and_then(base)
            {
                // A line that tells of a break tells of the gap as well.
                if self.is_begun && base.head != self.head && !base.is_break {
                    return Err(Tampered::Gap(base.head.length + 1));
                }
                if !self.is_begun && base.breaks > 0 {
                    let why = format!("{} earlier breaks are told of in logs that are not kept any more", base.breaks);
                    self.breaks.push(Break { line: base.head.length, time_ms: 0, why });
                }
                self.head = base.head;
            }
            self.is_begun = true;
            self.head.length += 1;
            let follows = line.split_once(' ').filter(|(claimed, text)| *claimed == hash(&self.head.hash, text));
            let (Some((hash, _)), Some(entry)) = (follows, entry) else {
                return Err(Tampered::Edited(self.head.length));
            };
            hash.clone_into(&mut self.head.hash);
            self.breaks.extend(as_break(&entry, self.head.length));
            if known.iter().any(|known| known.length == self.head.length && known.hash != self.head.hash) {
                return Err(Tampered::Rewritten(self.head.length));
            }
        }
        Ok(())
    }

    /// Ends the verification: the chain reaches every head that is known.
    ///
    /// # Errors
    /// When its end is missing.
    pub fn finish(self, known: &[&Head]) -> Result<Verified, Tampered> {
        match known.iter().map(|known| known.length).max().filter(|known| *known > self.head.length) {
            Some(known) => Err(Tampered::Cut { found: self.head.length, known }),
            None => Ok(Verified { lines: self.head.length, breaks: self.breaks }),
        }
    }
}

/// Checks that every line of a log follows from the one before, and that its end is the one that is known.
///
/// # Errors
/// With the first line that is wrong.
pub fn verify(text: &str, known: &Head) -> Result<Verified, Tampered> {
    let mut chain = Chain::default();
    chain.take(text, &[known])?;
    chain.finish(&[known])
}

/// Reads one line.
#[must_use]
pub fn parse(line: &str) -> Option<Entry> {
    let (hash, text) = line.split_once(' ')?;
    Some(Entry { hash: hash.to_owned(), entry: serde_json::from_str(text).ok()? })
}

/// The end that a log says it has, and how many breaks it tells of.
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

/// Where a log goes on from.
struct Base {
    head: Head,
    /// Breaks that earlier logs tell of.
    breaks: u64,
    is_break: bool,
}

/// Where a log goes on from, by its first line; nothing for the first log.
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
