//! The filter lists of this machine, as Debian's uBlock Origin brings them: they work without a network.

use std::fs;
use std::path::Path;

/// Where the policy puts them.
const FOLDER: &str = "/regen/lists";
/// What each is called, and where it is.
const LISTS: [(&str, &str); 8] = [
    ("easylist", "thirdparties/easylist/easylist.txt"),
    ("easyprivacy", "thirdparties/easylist/easyprivacy.txt"),
    ("ublock-filters", "ublock/filters.min.txt"),
    ("ublock-privacy", "ublock/privacy.min.txt"),
    ("ublock-badware", "ublock/badware.min.txt"),
    ("ublock-quick-fixes", "ublock/quick-fixes.min.txt"),
    ("ublock-unbreak", "ublock/unbreak.min.txt"),
    ("urlhaus", "thirdparties/urlhaus-filter/urlhaus-filter-online.txt"),
];
/// No list is this long, in bytes.
const LONGEST: u64 = 32 << 20;

/// One list as it is on the disk.
#[derive(Debug)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) text: String,
}

/// All that can be read, and what cannot.
pub(super) fn read() -> (Vec<List>, String) {
    read_in(Path::new(FOLDER))
}

fn read_in(folder: &Path) -> (Vec<List>, String) {
    if !folder.exists() {
        let words = "there are no filter lists on this machine: install webext-ublock-origin-firefox";
        return (Vec::new(), words.to_owned());
    }
    let (mut lists, mut missing) = (Vec::new(), Vec::new());
    for (name, file) in LISTS {
        let path = folder.join(file);
        let is_short = fs::metadata(&path).is_ok_and(|about| about.len() <= LONGEST);
        match fs::read_to_string(&path) {
            Ok(text) if is_short => lists.push(List { name: name.to_owned(), text }),
            Ok(_) => missing.push(format!("{name}: it is longer than {} MB", LONGEST >> 20)),
            Err(error) => missing.push(format!("{name}: {error}")),
        }
    }
    let error = if missing.is_empty() { String::new() } else { format!("not read: {}", missing.join("; ")) };
    (lists, error)
}
