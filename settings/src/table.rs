//! The table of settings.

use std::sync::LazyLock;

use regen_commands::COMMANDS;

use crate::kind::Kind;

/// Time at which a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// At once.
    Now,
    /// At the next start of the browser.
    NextStart,
}

/// A setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Name: a section and a word, such as `tabs.sleep-after`.
    pub name: String,
    /// Words.
    pub words: &'static str,
    /// Explanation; may be empty.
    pub help: &'static str,
    /// Kind, with the default.
    pub kind: Kind,
    /// Time at which a change takes effect.
    pub effect: Effect,
}

impl Setting {
    /// Returns the section of the name.
    #[must_use]
    pub fn section(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

/// Returns all settings, in the order in which they are listed. The last ones are the keys of each command.
#[must_use]
pub fn table() -> &'static [Setting] {
    &TABLE
}

/// Returns the setting with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

static TABLE: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let rows = ROWS.iter().map(|(name, words, help, kind, effect)| Setting {
        name: (*name).to_owned(),
        words,
        help,
        kind: *kind,
        effect: *effect,
    });
    let keys = COMMANDS.iter().map(|command| Setting {
        name: format!("shortcuts.{}", command.name),
        words: command.words,
        help: "",
        kind: Kind::Keys(command.id),
        effect: Effect::Now,
    });
    rows.chain(keys).collect()
});

type Row = (&'static str, &'static str, &'static str, Kind, Effect);

const ROWS: [Row; 19] = [
    (
        "startup.restore-session",
        "Restore the last session at start",
        "Without this, Regen asks. After a crash it asks in any case.",
        Kind::Switch(false),
        Effect::Now,
    ),
    (
        "startup.home",
        "Home page",
        "Address that the Home button opens. Empty: the built-in start page, which loads nothing.",
        Kind::Page,
        Effect::Now,
    ),
    (
        "appearance.color-scheme",
        "Colour scheme of the window and of pages",
        "",
        Kind::Choice(&[("auto", "Same as the desktop"), ("light", "Light"), ("dark", "Dark")]),
        Effect::NextStart,
    ),
    (
        "appearance.bookmarks-bar",
        "Show the bookmarks bar",
        "It takes no room while it is empty.",
        Kind::Switch(true),
        Effect::Now,
    ),
    (
        "search.engine",
        "Search engine",
        "Words in the address bar are sent to it. “!w words” searches Wikipedia, and so on, whatever is chosen here.",
        Kind::Engine("duckduckgo"),
        Effect::Now,
    ),
    (
        "search.engines",
        "Your own search engines",
        "Each as KEYWORD=URL, with %s for the words. “!KEYWORD words” in the address bar searches with it.",
        Kind::Engines,
        Effect::Now,
    ),
    (
        "tabs.sleep-after",
        "End the processes of sites that are not used for",
        "Their tabs come back as they were when you look at them. 0: never. Earlier if memory is tight.",
        Kind::Number { min: 0.0, max: 100_000.0, default: 60.0, unit: "minutes" },
        Effect::Now,
    ),
    ("history.record", "Record visited pages in the history", "", Kind::Switch(true), Effect::Now),
    (
        "history.keep-for",
        "Delete visits that are older than",
        "0: keep them. A change can be taken back for a minute; then older visits are deleted for good.",
        Kind::Number { min: 0.0, max: 36_500.0, default: 0.0, unit: "days" },
        Effect::Now,
    ),
    (
        "downloads.folder",
        "Folder for downloads",
        "Empty: the desktop's download folder.",
        Kind::Path,
        Effect::NextStart,
    ),
    (
        "network.reach-private",
        "Sites that may reach the private network",
        "Sites on the internet whose pages may open addresses of your own network.",
        Kind::Sites,
        Effect::NextStart,
    ),
    (
        "network.extra-ca",
        "Additional certificate authorities",
        "PEM files. Whoever has the key of one can read and change what you send over HTTPS.",
        Kind::Paths,
        Effect::NextStart,
    ),
    (
        "network.dns-anchors",
        "Trust anchors of DNSSEC",
        "File of DNSKEY records in zone file format, instead of the root's keys.",
        Kind::Path,
        Effect::NextStart,
    ),
    (
        "network.tor-config",
        "Configuration of Tor",
        "TOML file of changes to arti's configuration. Empty: tor.toml in the profile, if it is there.",
        Kind::Path,
        Effect::NextStart,
    ),
    (
        "processes.memory-limit",
        "Memory limit of a site",
        "Such as 800M or 2G. Over it, the site's processes are killed and restored. Empty: no limit.",
        Kind::Memory,
        Effect::NextStart,
    ),
    (
        "processes.spare",
        "Keep a prelaunched process for the next site",
        "",
        Kind::Choice(&[("auto", "With at least 4 GB of memory"), ("on", "Always"), ("off", "Never")]),
        Effect::NextStart,
    ),
    (
        "processes.jit",
        "Compile JavaScript",
        "Without a compiler, scripts are slower, and no memory of a page is both writable and executable.",
        Kind::Switch(true),
        Effect::NextStart,
    ),
    ("headless.size", "Size of pages without a window", "In pixels.", Kind::Size("1280x800"), Effect::NextStart),
    ("headless.scale", "Scale factor without a window", "", Kind::Choice(&[("1", "1"), ("2", "2")]), Effect::NextStart),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_setting_has_one_name_and_a_default_that_it_accepts() {
        let mut names = BTreeSet::new();
        for setting in table() {
            assert!(names.insert(&setting.name), "{}", setting.name);
            assert_eq!(setting.name.split('.').count(), 2, "{}", setting.name);
            let default = setting.kind.default();
            assert_eq!(setting.kind.read(&default.texts()), Ok(default.clone()), "{}", setting.name);
            let item = default.to_toml();
            assert_eq!(setting.kind.read_toml(item.as_value().unwrap()), Ok(default), "{}", setting.name);
        }
        assert!(named("shortcuts.close-tab").is_some());
        assert!(named("shortcuts").is_none());
    }
}
