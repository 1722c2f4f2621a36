//! Lists that the user has added, from a file or from an address where they are looked for again. What is no list is refused,
//! and the one before stays.

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
/// No name is longer.
const MAX_NAME: usize = 40;
/// The most of them.
const MAX_LISTS: usize = 50;
/// No rule is longer, in bytes.
const MAX_LINE: usize = 128 * 1024;
/// Nothing that is meant is nested deeper: the reader of selectors would run out of stack.
pub(super) const DEEPEST: usize = 32;
/// Of a list's lines, at most one in so many may be for other blockers than this.
const UNREADABLE: usize = 10;
/// How often a list is looked for again that does not say it.
const USUAL: Duration = Duration::from_hours(4 * 24);
const SOONEST: Duration = Duration::from_hours(1);
const LATEST: Duration = Duration::from_hours(30 * 24);

/// Where a list is from, and what of it is here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Source {
    pub(in super::super) name: String,
    /// Where it is looked for again; from a file, it is not.
    pub(in super::super) url: Option<String>,
    /// What the server called this version of it.
    pub(in super::super) etag: String,
    /// Of its text, in hexadecimal.
    pub(in super::super) sha256: String,
    /// No other text is taken.
    pub(in super::super) pinned: bool,
    /// When it was found to be the newest one, seconds since 1970.
    pub(in super::super) checked_s: u64,
    /// How long it says that it is good for, seconds.
    pub(in super::super) expires_s: u64,
}

/// What cannot be done with them.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum OwnListsError {
    #[error("“{0}” is no name for a list: letters, digits and hyphens, at most {MAX_NAME}; choose one with --name")]
    Name(String),
    #[error("there is a list “{0}” already")]
    Exists(String),
    #[error("there is no list “{0}” among your own: `regen shields lists` shows them")]
    NotThere(String),
    #[error("{MAX_LISTS} lists are the most that can be added")]
    TooMany,
    #[error("the list “{name}” is not taken: {why}")]
    Broken { name: String, why: String },
    #[error("your lists cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Where they are kept.
#[derive(Debug)]
pub(in super::super) struct OwnLists {
    folder: PathBuf,
}

impl OwnLists {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// None of them where there is no index yet.
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
            Err(error) => return (Vec::new(), vec![format!("your own lists are not read: {error}")]),
        };
        let (mut lists, mut errors) = (Vec::new(), Vec::new());
        for Source { name, sha256, .. } in sources {
            match fs::read_to_string(self.folder.join(file_of(&sha256))) {
                Ok(text) if hash(&text) == sha256 => {
                    if let Some(line) = includes(&text).first() {
                        errors.push(format!(
                            "{name} is not whole: line {line} includes another list, which is not fetched; add that one by itself"
                        ));
                    }
                    lists.push(List { name, text: as_rules(&text), is_trusted: false });
                }
                Ok(_) => errors.push(format!("{name} is not read: it is damaged on the disk; add it again")),
                Err(error) => errors.push(format!("{name} is not read: {error}")),
            }
        }
        (lists, errors)
    }

    /// One more, or another text of one that is there. On disk when it returns.
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

    /// One that is still the newest.
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

    /// These are all; what belongs to no list any more goes.
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
    /// A list of this name and text. Where its hash is known before, no other text is it.
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
            return Err(broken(format!("its SHA-256 is {sha256}, and was to be {pin}")));
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

    /// Whether it is this very one, and not another that is called so.
    pub(in super::super) fn is_same(&self, other: &Self) -> bool {
        let what = |one: &Self| (one.name.clone(), one.url.clone(), one.sha256.clone(), one.pinned);
        what(self) == what(other)
    }

    /// For how long it need not be looked for.
    pub(in super::super) fn due_in(&self) -> Duration {
        Duration::from_secs((self.checked_s + self.expires_s).saturating_sub(now_s()))
    }
}

/// Whether a new list may be called so.
pub(in super::super) fn name_of_new(name: &str, sources: &[Source]) -> Result<(), OwnListsError> {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_' || char == '.';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        return Err(OwnListsError::Name(name.to_owned()));
    }
    let is_taken = built_in().any(|known| known == name) || sources.iter().any(|source| source.name == name);
    if is_taken || name == regen_proto::OWN_RULES { Err(OwnListsError::Exists(name.to_owned())) } else { Ok(()) }
}

/// Whether this is a list, and if not, what is wrong with it and in which line.
pub(in super::super) fn check(text: &str) -> Result<(), String> {
    if text.len() as u64 > MAX_LIST {
        return Err(format!("it is longer than {} MB", MAX_LIST >> 20));
    }
    let mut branches = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        if line.len() > MAX_LINE {
            return Err(format!("line {number} is longer than {} KB", MAX_LINE >> 10));
        }
        if depth(line) > DEEPEST {
            return Err(format!("line {number} has parentheses in parentheses, more than {DEEPEST} deep"));
        }
        if line.contains(|char: char| char.is_control() && char != '\t') {
            return Err(format!("line {number} has bytes that are no text"));
        }
        if branches.is_empty() && ["<!doctype", "<html", "<?xml"].iter().any(|tag| begins(trimmed, tag)) {
            return Err(format!("line {number} is of a web page, not of a list: {trimmed:.60}"));
        }
        if trimmed.starts_with("!#if ") {
            branches.push(number);
        } else if trimmed == "!#endif" && branches.pop().is_none() {
            return Err(format!("line {number} ends a branch (!#endif) that has not begun"));
        }
    }
    if let Some(number) = branches.first() {
        return Err(format!("line {number} begins a branch (!#if) that never ends"));
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
                first.get_or_insert_with(|| format!("line {number} is no rule ({}): {line:.80}", words(&error)));
            }
        }
    }
    match first {
        Some(first) if unreadable * UNREADABLE > rules => Err(first),
        _ if rules == 0 => Err("there is no rule in it".to_owned()),
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

/// As lists say it in one of their first lines: “! Expires: 4 days”.
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
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
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
            ("||a.test^\n||b.test^$nonsense\n||c.test^$other\n", "line 2 is no rule"),
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
        // A text that is damaged is not taken for the list.
        let file = folder.path().join(file_of(&hash("||b.test^\n")));
        fs::write(&file, "||x.test^\n").unwrap();
        assert_eq!((texts(&lists).len(), lists.read().1.len()), (1, 1));
        lists.remove("two").unwrap();
        assert!(matches!(lists.remove("two"), Err(OwnListsError::NotThere(_))));
        let pinned = Source::of("x", None, "", "||a.test^\n", Some(&"0".repeat(64)));
        assert!(pinned.unwrap_err().to_string().contains("SHA-256"));
    }
}
