//! Filter lists of this machine, from Debian's package of uBlock Origin. They work without a network.

use std::fs;
use std::path::Path;

/// Folder in which the sandbox policy mounts uBlock Origin.
pub(super) const UBLOCK: &str = "/regen/ublock";
/// Names of the lists, and their paths in that folder.
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
/// Prefix of the names of uBlock Origin's own lists.
const UBLOCKS_OWN: &str = "ublock-";
/// Maximum size of a list, in bytes.
pub(super) const MAX_LIST: u64 = 32 << 20;

/// A filter list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) text: String,
    /// Allows scriptlets that require trust.
    pub(super) is_trusted: bool,
}

/// Returns the names of this machine's lists.
pub(super) fn built_in() -> impl Iterator<Item = &'static str> {
    LISTS.into_iter().map(|(name, _)| name)
}

/// Returns the lists of this machine, and errors about those that cannot be read.
pub(super) fn read() -> (Vec<List>, Vec<String>) {
    let folder = Path::new(UBLOCK);
    if !folder.exists() {
        let words = "no filter lists found on this machine: install webext-ublock-origin-firefox";
        return (Vec::new(), vec![words.to_owned()]);
    }
    let (mut lists, mut missing) = (Vec::new(), Vec::new());
    for (name, file) in LISTS {
        let path = folder.join(file);
        let is_short = fs::metadata(&path).is_ok_and(|about| about.len() <= MAX_LIST);
        match fs::read_to_string(&path) {
            Ok(text) if is_short => lists.push(List {
                name: name.to_owned(),
                text: as_rules(&text),
                is_trusted: name.starts_with(UBLOCKS_OWN),
            }),
            Ok(_) => missing.push(format!("{name} was not loaded: it is larger than {} MB", MAX_LIST >> 20)),
            Err(error) => missing.push(format!("{name} was not loaded: {error}")),
        }
    }
    (lists, missing)
}

/// Converts a list for the engine. Branches for other blockers are dropped. A line that is only a host, or of a hosts
/// file, becomes a rule for that host rather than for any URL that contains it.
pub(super) fn as_rules(text: &str) -> String {
    let mut rules = String::with_capacity(text.len());
    // Results of the `!#if` conditions around a line.
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
            match host_of_hosts_file(line).or_else(|| is_host(line).then_some(line)) {
                Some("") => {}
                Some(host) => rules.extend(["||", host, "^"]),
                None => rules.push_str(line),
            }
        }
        // Dropped lines stay as empty ones, since errors name line numbers.
        rules.push('\n');
    }
    rules
}

fn is_host(line: &str) -> bool {
    line.contains('.') && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

/// Returns the host that a line of a hosts file blocks, such as `0.0.0.0 ads.test # a comment`. The host is empty for
/// this machine's own names, which every such file has.
fn host_of_hosts_file(line: &str) -> Option<&str> {
    const NOWHERE: [&str; 5] = ["0.0.0.0", "127.0.0.1", "::", "::1", "255.255.255.255"];
    let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
    words.next().filter(|address| NOWHERE.contains(address))?;
    let host = words.next()?;
    let is_own = NOWHERE.contains(&host) || host.ends_with(".localdomain") || !is_host(host);
    Some(if is_own { "" } else { host })
}

/// Returns the numbers of lines that include another list. They have no effect: the user chooses where lists come from.
pub(super) fn includes(text: &str) -> Vec<usize> {
    let numbered = (1..).zip(text.lines());
    numbered.filter(|(_, line)| line.trim_start().starts_with("!#include ")).map(|(number, _)| number).collect()
}

/// Evaluates a condition of uBlock Origin: names, `!`, `&&` and `||`. Only the names `ext_ublock` and `true` hold.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_blocks_its_hosts_line_by_line() {
        let text = "# mine\n127.0.0.1 localhost\n::1 ip6-localhost\n0.0.0.0 0.0.0.0\n0.0.0.0 ads3.test # theirs\n\t0.0.0.0\tx.test\nads.test\n";
        assert_eq!(as_rules(text), "# mine\n\n\n\n||ads3.test^\n||x.test^\n||ads.test^\n");
        // A rule that begins with an address stays a rule.
        assert_eq!(as_rules("127.0.0.1/ads/*$image\n"), "127.0.0.1/ads/*$image\n");
    }

    #[test]
    fn a_list_that_includes_another_is_told_by_its_lines() {
        assert_eq!(includes("||a.test^\n!#include more.txt\n! #include\n"), [2]);
    }
}
