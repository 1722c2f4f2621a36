//! User rules, one per line, in the daemon's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use adblock::lists::{ParseOptions, parse_filter};

use regen_proto::OWN_RULES;

use super::super::kept_parameters::turned_round;
use super::super::lists::{List, MAX_LIST, as_rules};
use super::lists::{DEEPEST, depth};
use super::{replace, words};

const FILE: &str = "rules.txt";

/// Storage of the user rules.
#[derive(Debug)]
pub(in super::super) struct OwnRules {
    folder: PathBuf,
}

/// Error of a change to the user rules.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum OwnRulesError {
    #[error("{rule:?} is not a valid filter rule: {why}")]
    NotARule { rule: String, why: String },
    #[error("you have no rule {0:?}: `regen shields rules` shows your rules")]
    NotThere(String),
    #[error("your rules would be larger than {} MB: remove some first", MAX_LIST >> 20)]
    TooLong,
    #[error("your rules cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl OwnRules {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Returns all rules; none if there is no file yet.
    pub(in super::super) fn read(&self) -> io::Result<Vec<String>> {
        match fs::read_to_string(self.folder.join(FILE)) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Adds and removes rules, all or none of them. The rules are on disk when this returns.
    pub(in super::super) fn change(&self, add: &[String], remove: &[String]) -> Result<Vec<String>, OwnRulesError> {
        let mut rules = self.read()?;
        for rule in remove {
            let place = rules.iter().position(|one| one == rule.trim());
            rules.remove(place.ok_or_else(|| OwnRulesError::NotThere(rule.clone()))?);
        }
        for rule in add.iter().map(|rule| rule.trim()) {
            let no_rule = |why: String| OwnRulesError::NotARule { rule: rule.to_owned(), why };
            if rule.contains(['\n', '\r']) {
                return Err(no_rule("it has more than one line".to_owned()));
            }
            if depth(rule) > DEEPEST {
                return Err(no_rule(format!("it has parentheses nested more than {DEEPEST} deep")));
            }
            let known = turned_round(rule).unwrap_or_else(|| rule.to_owned());
            parse_filter(&known, true, ParseOptions::default()).map_err(|error| no_rule(words(&error)))?;
            if !rules.iter().any(|one| one == rule) {
                rules.push(rule.to_owned());
            }
        }
        let text: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
        if text.len() as u64 > MAX_LIST {
            return Err(OwnRulesError::TooLong);
        }
        replace(&self.folder, FILE, text.as_bytes())?;
        Ok(rules)
    }

    /// Returns the user rules as a filter list.
    pub(super) fn list(&self) -> Result<List, String> {
        let rules = self.read().map_err(|error| format!("your rules were not loaded: {error}"))?;
        Ok(List { name: OWN_RULES.to_owned(), text: as_rules(&rules.join("\n")), is_trusted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_rules_are_kept_and_what_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let own = OwnRules::in_folder(&folder.path().join("shields"));
        let rules = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert!(own.read().unwrap().is_empty());
        own.change(&rules(&[" ||ads.test^ ", "a.test##.ad", "||ads.test^"]), &[]).unwrap();
        assert_eq!(OwnRules::in_folder(&folder.path().join("shields")).read().unwrap(), ["||ads.test^", "a.test##.ad"]);
        for wrong in ["", "||ads.test^$nonsense", "a.test##.ad{", "||a.test^\n||b.test^", "! a comment"] {
            let refused = own.change(&rules(&["||new.test^", wrong]), &[]).unwrap_err();
            assert!(matches!(refused, OwnRulesError::NotARule { .. }), "{wrong}: {refused}");
        }
        assert!(matches!(own.change(&[], &rules(&["||new.test^"])), Err(OwnRulesError::NotThere(_))));
        assert_eq!(
            own.change(&rules(&["||new.test^"]), &rules(&["||ads.test^"])).unwrap(),
            ["a.test##.ad", "||new.test^"]
        );
        assert!(own.list().unwrap().text.contains("||new.test^"));
    }
}
