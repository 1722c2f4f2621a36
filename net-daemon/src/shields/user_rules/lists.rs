//! Lists that the user has added, from a file or from a URL that is checked for updates. A text that is no filter list
//! is refused, and the previous one stays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use adblock::lists::{ParseOptions, parse_filter};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::kept_parameters::turned_round;
use super::super::lists::{List, MAX_LIST, as_rules, built_in, includes};
use super::{replace, words};

const INDEX: &str = "lists.json";
/// Maximum length of a list's name.
const MAX_NAME: usize = 40;
/// Maximum number of lists.
const MAX_LISTS: usize = 50;
/// Maximum length of a line, in bytes.
const MAX_LINE: usize = 128 * 1024;
/// Maximum depth of parentheses. Deeper ones would overflow the stack of the selector parser.
pub(super) const DEEPEST: usize = 32;
/// Minimum number of valid rules per invalid line. Some lines are for other blockers.
const UNREADABLE: usize = 10;
/// Update interval of a list that does not specify one.
const USUAL: Duration = Duration::from_hours(4 * 24);
const SOONEST: Duration = Duration::from_hours(1);
const LATEST: Duration = Duration::from_hours(30 * 24);

/// Origin and version of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Source {
    pub(in super::super) name: String,
    /// URL for updates; `None` for a list from a file.
    pub(in super::super) url: Option<String>,
    /// `ETag` of this version.
    pub(in super::super) etag: String,
    /// SHA-256 of the text, in hexadecimal.
    pub(in super::super) sha256: String,
    /// Refuses texts with another hash.
    pub(in super::super) pinned: bool,
    /// Time at which the list was last known to be current, in seconds since 1970.
    pub(in super::super) checked_s: u64,
    /// Update interval that the list specifies, in seconds.
    pub(in super::super) expires_s: u64,
}

/// Error of a change to the user's lists.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum OwnListsError {
    #[error("“{0}” is not a valid list name: use up to {MAX_NAME} letters, digits, “-”, “_” and “.” (--name)")]
    Name(String),
    #[error("a list “{0}” exists already: choose another name with --name")]
    Exists(String),
    #[error("you have not added a list “{0}”: `regen shields lists` shows your lists")]
    NotThere(String),
    #[error("too many lists (limit {MAX_LISTS}): remove one first")]
    TooMany,
    #[error("list “{name}” was refused: {why}")]
    Broken { name: String, why: String },
    #[error("your lists cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// Storage of the user's lists.
#[derive(Debug)]
pub(in super::super) struct OwnLists {
    folder: PathBuf,
}

impl OwnLists {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Returns all lists; none if there is no index yet.
    pub(in super::super) fn sources(&self) -> io::Result<Vec<Source>> {
        match fs::read(self.folder.join(INDEX)) {
            Ok(index) => Ok(serde_json::from_slice(&index)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn read(&self) -> (Vec<List>, Vec<String>) {
        let sources = match self.sources() {
            Ok(sources) => sources,
            Err(error) => return (Vec::new(), vec![format!("your lists were not loaded: {error}")]),
        };
        let (mut lists, mut errors) = (Vec::new(), Vec::new());
        for Source { name, sha256, .. } in sources {
            match fs::read_to_string(self.folder.join(file_of(&sha256))) {
                Ok(text) if hash(&text) == sha256 => {
                    if let Some(line) = includes(&text).first() {
                        errors.push(format!(
                            "{name} is incomplete: line {line} includes another list, which is not fetched; add that list separately"
                        ));
                    }
                    lists.push(List { name, text: as_rules(&text), is_trusted: false });
                }
                Ok(_) => errors.push(format!("{name} was not loaded: its file is damaged; add it again")),
                Err(error) => errors.push(format!("{name} was not loaded: {error}")),
            }
        }
        (lists, errors)
    }

    /// Adds a list, or replaces one of that name. The list is on disk when this returns.
    pub(in super::super) fn put(&self, new: &Source, text: &str) -> Result<(), OwnListsError> {
        let mut sources = self.sources()?;
        let old = sources.iter().position(|one| one.name == new.name);
        if old.is_none() && sources.len() >= MAX_LISTS {
            return Err(OwnListsError::TooMany);
        }
        replace(&self.folder, &file_of(&new.sha256), text.as_bytes())?;
        match old.and_then(|at| sources.get_mut(at)) {
            Some(old) => *old = new.clone(),
            None => sources.push(new.clone()),
        }
        self.keep(&sources)
    }

    /// Records that a list is still current.
    pub(in super::super) fn is_fresh(&self, known: &Source) -> Result<(), OwnListsError> {
        let mut sources = self.sources()?;
        for source in sources.iter_mut().filter(|source| source.is_same(known)) {
            source.checked_s = now_s();
        }
        self.keep(&sources)
    }

    pub(in super::super) fn remove(&self, name: &str) -> Result<(), OwnListsError> {
        let mut sources = self.sources()?;
        let at = sources.iter().position(|one| one.name == name);
        sources.remove(at.ok_or_else(|| OwnListsError::NotThere(name.to_owned()))?);
        self.keep(&sources)
    }

    /// Writes the index, and deletes texts that belong to no list.
    fn keep(&self, sources: &[Source]) -> Result<(), OwnListsError> {
        let index = serde_json::to_vec_pretty(sources).map_err(io::Error::other)?;
        replace(&self.folder, INDEX, &index)?;
        let wanted: Vec<String> = sources.iter().map(|source| file_of(&source.sha256)).collect();
        for file in fs::read_dir(&self.folder)?.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if is_file_of_a_list(&name) && !wanted.contains(&name) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

impl Source {
    /// Creates a list from its name and text. With a pin, a text with another hash is refused.
    pub(in super::super) fn of(
        name: &str,
        url: Option<&str>,
        etag: &str,
        text: &str,
        pin: Option<&str>,
    ) -> Result<Self, OwnListsError> {
        let broken = |why: String| OwnListsError::Broken { name: name.to_owned(), why };
        let sha256 = hash(text);
        if let Some(pin) = pin.filter(|pin| !pin.eq_ignore_ascii_case(&sha256)) {
            return Err(broken(format!("its SHA-256 is {sha256}, not {pin}")));
        }
        check(text).map_err(broken)?;
        Ok(Self {
            name: name.to_owned(),
            url: url.map(str::to_owned),
            etag: etag.to_owned(),
            sha256,
            pinned: pin.is_some(),
            checked_s: now_s(),
            expires_s: expires(text).as_secs(),
        })
    }

    /// Returns whether both are the same list, and not just of the same name.
    pub(in super::super) fn is_same(&self, other: &Self) -> bool {
        let what = |one: &Self| (one.name.clone(), one.url.clone(), one.sha256.clone(), one.pinned);
        what(self) == what(other)
    }

    /// Returns the time until the next update is due.
    pub(in super::super) fn due_in(&self) -> Duration {
        Duration::from_secs((self.checked_s + self.expires_s).saturating_sub(now_s()))
    }
}

/// Checks that a new list may have this name.
pub(in super::super) fn name_of_new(name: &str, sources: &[Source]) -> Result<(), OwnListsError> {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_' || char == '.';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        return Err(OwnListsError::Name(name.to_owned()));
    }
    let is_taken = built_in().any(|known| known == name) || sources.iter().any(|source| source.name == name);
    if is_taken || name == regen_proto::OWN_RULES { Err(OwnListsError::Exists(name.to_owned())) } else { Ok(()) }
}

/// Checks that a text is a filter list. The error names the line.
pub(in super::super) fn check(text: &str) -> Result<(), String> {
    if text.len() as u64 > MAX_LIST {
        return Err(format!("it is larger than {} MB", MAX_LIST >> 20));
    }
    let mut branches = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        if line.len() > MAX_LINE {
            return Err(format!("line {number} is longer than {} KB", MAX_LINE >> 10));
        }
        if depth(line) > DEEPEST {
            return Err(format!("line {number} has parentheses nested more than {DEEPEST} deep"));
        }
        if line.contains(|char: char| char.is_control() && char != '\t') {
            return Err(format!("line {number} has bytes that are not text"));
        }
        if branches.is_empty() && ["<!doctype", "<html", "<?xml"].iter().any(|tag| begins(trimmed, tag)) {
            return Err(format!("line {number} is of a web page, not of a filter list: {trimmed:.60}"));
        }
        if trimmed.starts_with("!#if ") {
            branches.push(number);
        } else if trimmed == "!#endif" && branches.pop().is_none() {
            return Err(format!("line {number} ends a branch (!#endif) that was not begun"));
        }
    }
    if let Some(number) = branches.first() {
        return Err(format!("line {number} begins a branch (!#if) without an end (!#endif)"));
    }
    let (mut rules, mut unreadable, mut first) = (0_usize, 0_usize, None);
    for (number, line) in (1..).zip(as_rules(text).lines()) {
        let is_remark = line.is_empty() || line.starts_with('!') || line.starts_with('[') || line.starts_with("# ");
        if is_remark || line == "#" {
            continue;
        }
        let known = turned_round(line);
        match parse_filter(known.as_deref().unwrap_or(line), false, ParseOptions::default()) {
            Ok(_) => rules += 1,
            Err(error) => {
                unreadable += 1;
                first.get_or_insert_with(|| format!("line {number} is not a rule ({}): {line:.80}", words(&error)));
            }
        }
    }
    match first {
        Some(first) if unreadable * UNREADABLE > rules => Err(first),
        _ if rules == 0 => Err("it contains no rules".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn depth(line: &str) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    for byte in line.bytes() {
        match byte {
            b'(' | b'[' => now += 1,
            b')' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

fn begins(line: &str, tag: &str) -> bool {
    line.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
}

/// Returns the update interval that a list specifies in its first lines, as in “! Expires: 4 days”.
fn expires(text: &str) -> Duration {
    let said = text.lines().take(50).find_map(|line| line.strip_prefix('!')?.trim().strip_prefix("Expires:"));
    let mut words = said.unwrap_or_default().split_whitespace();
    let number = words.next().and_then(|number| number.parse::<u32>().ok());
    let hours = match words.next().unwrap_or_default() {
        unit if unit.starts_with("hour") => 1,
        unit if unit.starts_with("day") => 24,
        _ => 0,
    };
    let said = number.filter(|_| hours > 0).map(|number| Duration::from_hours(u64::from(number) * hours));
    said.map_or(USUAL, |said| said.clamp(SOONEST, LATEST))
}

fn hash(text: &str) -> String {
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

fn file_of(sha256: &str) -> String {
    format!("{sha256}.txt")
}

fn is_file_of_a_list(name: &str) -> bool {
    name.strip_suffix(".txt").is_some_and(|hash| hash.len() == 64)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_is_refused_with_its_line() {
        assert_eq!(check("[Adblock Plus 2.0]\n! Title: t\n||a.test^\nb.test##.ad\n# remark\nads.example\n"), Ok(()));
        for (text, word) in [
            ("", "no rule"),
            ("! only\n! remarks\n", "no rule"),
            ("\n<!DOCTYPE html>\n<title>Not found</title>", "line 2 is of a web page"),
            ("||a.test^\n||b\u{0}.test^\n", "line 2 has bytes"),
            ("||a.test^\n!#if ext_ublock\n||b.test^\n", "line 2 begins a branch"),
            ("||a.test^\n!#endif\n", "line 2 ends a branch"),
            ("||a.test^\n||b.test^$nonsense\n||c.test^$other\n", "line 2 is not a rule"),
        ] {
            assert!(check(text).unwrap_err().contains(word), "{text:?}: {:?}", check(text));
        }
        let deep = format!("||a.test^\na.test##{}x{}\n", ":not(".repeat(10_000), ")".repeat(10_000));
        assert!(check(&deep).unwrap_err().contains("line 2 has parentheses"));
        let long = format!("||a.test^\n{}\n", "x".repeat(MAX_LINE + 1));
        assert!(check(&long).unwrap_err().contains("line 2 is longer"));
        let few = format!("{}||b.test^$nonsense\n", "||a.test^\n".repeat(UNREADABLE));
        assert_eq!(check(&few), Ok(()), "some rules are for other blockers");
    }

    #[test]
    fn a_list_says_for_how_long_it_is_good() {
        for (text, hours) in [
            ("! Expires: 12 hours", 12),
            ("! Title: t\n! Expires: 2 days (update frequency)", 48),
            ("! Expires: 5 minutes", 96),
            ("! Expires: 0 hours", 1),
            ("! Expires: 9999 days", 30 * 24),
            ("||a.test^", 96),
        ] {
            assert_eq!(expires(text), Duration::from_hours(hours), "{text}");
        }
    }

    #[test]
    fn lists_are_kept_with_their_texts_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let lists = OwnLists::in_folder(folder.path());
        let texts = |lists: &OwnLists| lists.read().0.into_iter().map(|list| list.text).collect::<Vec<_>>();
        let source = |name: &str, text: &str| Source::of(name, None, "", text, None).unwrap();
        lists.put(&source("one", "||a.test^\n"), "||a.test^\n").unwrap();
        lists.put(&source("two", "||b.test^\n"), "||b.test^\n").unwrap();
        lists.put(&source("one", "||c.test^\n"), "||c.test^\n").unwrap();
        assert_eq!(texts(&lists), ["||c.test^\n", "||b.test^\n"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "the index, and a text for each");
        assert!(matches!(name_of_new("two", &lists.sources().unwrap()), Err(OwnListsError::Exists(_))));
        assert!(matches!(name_of_new("easylist", &[]), Err(OwnListsError::Exists(_))));
        assert!(matches!(name_of_new("a b", &[]), Err(OwnListsError::Name(_))));
        // A damaged text is not loaded.
        let file = folder.path().join(file_of(&hash("||b.test^\n")));
        fs::write(&file, "||x.test^\n").unwrap();
        assert_eq!((texts(&lists).len(), lists.read().1.len()), (1, 1));
        lists.remove("two").unwrap();
        assert!(matches!(lists.remove("two"), Err(OwnListsError::NotThere(_))));
        let pinned = Source::of("x", None, "", "||a.test^\n", Some(&"0".repeat(64)));
        assert!(pinned.unwrap_err().to_string().contains("SHA-256"));
    }
}
