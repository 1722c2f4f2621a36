//! User rules, and lists that the user has added to those of this machine. Both are kept in the daemon's folder.

mod lists;
mod rules;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

pub(super) use lists::{OwnLists, OwnListsError, Source, check, name_of_new};
pub(super) use rules::{OwnRules, OwnRulesError};

use super::lists::List;

/// User rules and lists.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) rules: OwnRules,
    pub(super) lists: OwnLists,
}

impl Own {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { rules: OwnRules::in_folder(folder), lists: OwnLists::in_folder(folder) }
    }

    /// Returns the lists, with the user rules as another list, and errors about those that cannot be read.
    pub(super) fn read(&self) -> (Vec<List>, Vec<String>) {
        let (mut lists, mut errors) = self.lists.read();
        match self.rules.list() {
            Ok(list) => lists.extend((!list.text.is_empty()).then_some(list)),
            Err(error) => errors.push(error),
        }
        (lists, errors)
    }
}

/// Replaces a file atomically. Its content is on disk when this returns.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = folder.join(format!("{name}.new"));
    let mut file = fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, folder.join(name))?;
    // Otherwise a power failure may bring the former file back.
    fs::File::open(folder)?.sync_all()
}

/// Returns the message of an error with its causes.
fn words(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", words(cause)))
}
