//! What of shields is the user's own: rules, and lists beyond those of this machine. Kept in the daemon's folder.

mod lists;
mod rules;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

pub(super) use lists::{OwnLists, OwnListsError, Source, check, name_of_new};
pub(super) use rules::{OwnRules, OwnRulesError};

use super::lists::List;

/// Both.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) rules: OwnRules,
    pub(super) lists: OwnLists,
}

impl Own {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { rules: OwnRules::in_folder(folder), lists: OwnLists::in_folder(folder) }
    }

    /// As lists like any other, and what is wrong with some.
    pub(super) fn read(&self) -> (Vec<List>, Vec<String>) {
        let (mut lists, mut errors) = self.lists.read();
        match self.rules.list() {
            Ok(list) => lists.extend((!list.text.is_empty()).then_some(list)),
            Err(error) => errors.push(error),
        }
        (lists, errors)
    }
}

/// Puts a file in the place of what is there: on disk when it returns.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = folder.join(format!("{name}.new"));
    let mut file = fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, folder.join(name))
}

/// An error with what caused it.
fn words(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", words(cause)))
}
