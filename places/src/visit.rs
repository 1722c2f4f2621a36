//! Visits, and the chunks in which they are saved.

use serde::{Deserialize, Serialize};

/// Identifier of a visit; later visits have higher ones.
pub type VisitId = u64;

/// Number of visits in a chunk, the unit in which they are saved.
pub const CHUNK: u64 = 256;
/// Maximum length of a page's title, in characters.
const MAX_TITLE: usize = 512;
/// Maximum length of an address that is recorded, in bytes. Longer ones are mostly data.
pub(crate) const MAX_URL: usize = 8192;

/// Returns the number of the chunk that holds a visit.
#[must_use]
pub fn chunk_of(visit: VisitId) -> u64 {
    visit / CHUNK
}

/// A visit that is to be recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visit {
    /// Time, in seconds since 1970.
    pub at: u64,
    /// Address of the page.
    pub url: String,
    /// Workspace of its tab.
    pub workspace: String,
    /// The user entered or chose the address, rather than following a link on a page.
    pub typed: bool,
}

/// A visit as it is saved and listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedVisit {
    /// Identifier.
    pub id: VisitId,
    /// Time, in seconds since 1970.
    pub at: u64,
    /// Address of the page.
    pub url: String,
    /// Last title of the page.
    pub title: String,
    /// Workspace of its tab.
    pub workspace: String,
    /// The user entered or chose the address.
    pub typed: bool,
}

/// Returns a page's title as it is kept: one line without control characters, and not longer than [`MAX_TITLE`].
pub(crate) fn clean_title(title: &str) -> String {
    let words = title.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut clean = String::new();
    for word in words {
        if clean.chars().count() + word.chars().count() > MAX_TITLE {
            let room = MAX_TITLE.saturating_sub(clean.chars().count() + 1);
            clean.push(' ');
            clean.extend(word.chars().take(room));
            break;
        }
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
    }
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line_of_bounded_length() {
        assert_eq!(clean_title("  two\nlines\u{0}and\ttabs "), "two lines and tabs");
        assert_eq!(clean_title(""), "");
        let long = "word ".repeat(300_000);
        assert!(clean_title(&long).chars().count() <= MAX_TITLE);
        assert_eq!(clean_title(&"ü".repeat(1_000_000)).chars().count(), MAX_TITLE - 1);
    }
}
