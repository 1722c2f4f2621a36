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
pub(super) const MAX_LIST: u64 = 32 << 20;

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
        let is_short = fs::metadata(&path).is_ok_and(|about| about.len() <= MAX_LIST);
        match fs::read_to_string(&path) {
            Ok(text) if is_short => lists.push(List {
                name: name.to_owned(),
                text: as_rules(&text),
                is_trusted: name.starts_with(UBLOCKS_OWN),
            }),
            Ok(_) => missing.push(format!("{name} is not read: it is longer than {} MB", MAX_LIST >> 20)),
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
            match host_of_hosts_file(line).or_else(|| is_host(line).then_some(line)) {
                Some("") => {}
                Some(host) => rules.extend(["||", host, "^"]),
                None => rules.push_str(line),
            }
        }
        // What was left out still counts as a line: the log names lines.
        rules.push('\n');
    }
    rules
}

fn is_host(line: &str) -> bool {
    line.contains('.') && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

/// Finds the host that a line of a hosts file blocks: `0.0.0.0 ads.test # a remark`. Empty for this machine's own names, which every such file has.
fn host_of_hosts_file(line: &str) -> Option<&str> {
    const NOWHERE: [&str; 5] = ["0.0.0.0", "127.0.0.1", "::", "::1", "255.255.255.255"];
    let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
    words.next().filter(|address| NOWHERE.contains(address))?;
    let host = words.next()?;
    let is_own = NOWHERE.contains(&host) || host.ends_with(".localdomain") || !is_host(host);
    Some(if is_own { "" } else { host })
}

/// Lines that would fetch another list. None of them is followed: where a list comes from is its user's choice.
pub(super) fn includes(text: &str) -> Vec<usize> {
    let numbered = (1..).zip(text.lines());
    numbered.filter(|(_, line)| line.trim_start().starts_with("!#include ")).map(|(number, _)| number).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_blocks_its_hosts_line_by_line() {
        let text = "# mine\n127.0.0.1 localhost\n::1 ip6-localhost\n0.0.0.0 0.0.0.0\n0.0.0.0 ads3.test # theirs\n\t0.0.0.0\tx.test\nads.test\n";
        assert_eq!(as_rules(text), "# mine\n\n\n\n||ads3.test^\n||x.test^\n||ads.test^\n");
        // A rule that happens to begin with an address stays one.
        assert_eq!(as_rules("127.0.0.1/ads/*$image\n"), "127.0.0.1/ads/*$image\n");
    }

    #[test]
    fn a_list_that_includes_another_is_told_by_its_lines() {
        assert_eq!(includes("||a.test^\n!#include more.txt\n! #include\n"), [2]);
    }
}
