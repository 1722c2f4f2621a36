//! The filter lists of this machine, as Debian's uBlock Origin brings them: they work without a network.

use std::fs;
use std::path::Path;

/// Where the policy puts them.
pub(super) const UBLOCK: &str = "/regen/ublock";
/// What each is called, and where it is below that.
const LISTS: [(&str, &str); 8] = [
    ("easylist", "assets/thirdparties/easylist/easylist.txt"),
    ("easyprivacy", "assets/thirdparties/easylist/easyprivacy.txt"),
    ("ublock-filters", "assets/ublock/filters.min.txt"),
    ("ublock-privacy", "assets/ublock/privacy.min.txt"),
    ("ublock-badware", "assets/ublock/badware.min.txt"),
    ("ublock-quick-fixes", "assets/ublock/quick-fixes.min.txt"),
    ("ublock-unbreak", "assets/ublock/unbreak.min.txt"),
    ("urlhaus", "assets/thirdparties/urlhaus-filter/urlhaus-filter-online.txt"),
];
/// How those of uBlock Origin's own begin.
const UBLOCKS_OWN: &str = "ublock-";
/// No list is this long, in bytes.
pub(super) const LONGEST: u64 = 32 << 20;

/// One list as it is on the disk.
#[derive(Debug)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) text: String,
    /// Whether it may use the scriptlets that can do most.
    pub(super) is_trusted: bool,
}

/// What the lists of this machine are called.
pub(super) fn built_in() -> impl Iterator<Item = &'static str> {
    LISTS.into_iter().map(|(name, _)| name)
}

/// All that can be read, and what cannot.
pub(super) fn read() -> (Vec<List>, Vec<String>) {
    let folder = Path::new(UBLOCK);
    if !folder.exists() {
        let words = "there are no filter lists on this machine: install webext-ublock-origin-firefox";
        return (Vec::new(), vec![words.to_owned()]);
    }
    let (mut lists, mut missing) = (Vec::new(), Vec::new());
    for (name, file) in LISTS {
        let path = folder.join(file);
        let is_short = fs::metadata(&path).is_ok_and(|about| about.len() <= LONGEST);
        match fs::read_to_string(&path) {
            Ok(text) if is_short => lists.push(List {
                name: name.to_owned(),
                text: as_rules(&text),
                is_trusted: name.starts_with(UBLOCKS_OWN),
            }),
            Ok(_) => missing.push(format!("{name} is not read: it is longer than {} MB", LONGEST >> 20)),
            Err(error) => missing.push(format!("{name} is not read: {error}")),
        }
    }
    (lists, missing)
}

/// As the engine reads it: without the branches that are for other blockers, and with a line that is only a host for that host,
/// not for whatever contains it.
pub(super) fn as_rules(text: &str) -> String {
    let mut rules = String::with_capacity(text.len());
    // Of each `!#if` around a line: whether it holds.
    let mut branches: Vec<bool> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(condition) = line.strip_prefix("!#if ") {
            branches.push(holds(condition));
        } else if line == "!#else" {
            branches.last_mut().into_iter().for_each(|holds| *holds = !*holds);
        } else if line == "!#endif" {
            branches.pop();
        } else if branches.iter().all(|holds| *holds) {
            let is_host =
                line.contains('.') && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
            rules.push_str(if is_host { "||" } else { "" });
            rules.push_str(line);
            rules.push_str(if is_host { "^" } else { "" });
        }
        // What was left out still counts as a line: the log names lines.
        rules.push('\n');
    }
    rules
}

/// A condition of uBlock's: names, `!`, `&&` and `||`. This is a blocker like it, in no browser that it knows.
fn holds(condition: &str) -> bool {
    let all = |part: &str| {
        part.split("&&").all(|name| {
            let name = name.trim();
            let (name, is_negated) = name.strip_prefix('!').map_or((name, false), |name| (name.trim(), true));
            ["ext_ublock", "true"].contains(&name) != is_negated
        })
    };
    condition.split("||").any(all)
}
