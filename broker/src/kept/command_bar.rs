//! The command bar: tabs, visited pages, bookmarks, commands, settings and workspaces in one list. A prefix narrows it to one kind.

use regen_places::{Fuzzy, Suggestion};
use regen_session::TabId;
use regen_session::workspaces::Workspace;
use regen_settings::commands::{COMMANDS, CommandId};
use regen_settings::{Kind, Settings, table};

use crate::kept::bookmark_shelf::BookmarkShelf;
use crate::kept::visit_log::{OpenTab, VisitLog};

/// Maximum number of entries.
const MAX_ENTRIES: usize = 12;
/// Maximum length of a text of an entry, in characters.
const MAX_SHOWN: usize = 300;
/// Maximum length of an address of an entry, in bytes.
const MAX_URL: usize = 2048;

/// Kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Tabs,
    Visits,
    Bookmarks,
    Commands,
    Settings,
    Workspaces,
}

/// Prefixes that narrow the list, as in other programs with such a bar.
const PREFIXES: [(char, Group); 6] = [
    ('%', Group::Tabs),
    ('^', Group::Visits),
    ('*', Group::Bookmarks),
    ('>', Group::Commands),
    (':', Group::Settings),
    ('@', Group::Workspaces),
];

/// Target of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A tab to switch to.
    Tab(TabId),
    /// A visited page.
    Visit(String),
    /// Address of a bookmark.
    Bookmark(String),
    /// A command to run.
    Command(CommandId),
    /// A setting to change.
    Setting(&'static str),
    /// A workspace to turn to.
    Workspace(String),
}

/// Entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Title.
    pub title: String,
    /// Address, keys or name.
    pub detail: String,
    /// Target.
    pub target: Target,
    /// Characters of the title that match, counted from 0.
    pub matched: Vec<u32>,
    score: u32,
}

/// Everything that the bar searches.
#[derive(Debug)]
pub struct Sources<'a> {
    /// Open tabs but the one in front.
    pub tabs: Vec<OpenTab<'a>>,
    /// History.
    pub visits: &'a VisitLog,
    /// Bookmarks.
    pub bookmarks: &'a BookmarkShelf,
    /// Settings, with the keys of commands.
    pub settings: &'a Settings,
    /// Workspaces but the one that is shown.
    pub workspaces: Vec<&'a Workspace>,
}

impl Sources<'_> {
    /// Returns the entries for what is typed, the likeliest first.
    #[must_use]
    pub fn find(&self, typed: &str) -> Vec<Entry> {
        let typed = typed.trim_start();
        let narrowed = PREFIXES.iter().find_map(|(prefix, group)| Some((*group, typed.strip_prefix(*prefix)?)));
        let (only, words) = narrowed.map_or((None, typed), |(group, rest)| (Some(group), rest.trim_start()));
        let is_searched = |group: Group| only.is_none_or(|only| only == group);
        let mut fuzzy = Fuzzy::new(words);
        let mut entries = Vec::new();
        if is_searched(Group::Tabs) {
            entries.extend(self.tabs(fuzzy.as_mut(), words));
        }
        if is_searched(Group::Commands) {
            entries.extend(self.commands(fuzzy.as_mut(), words));
        }
        if is_searched(Group::Workspaces) && (only.is_some() || fuzzy.is_some()) {
            entries.extend(self.workspaces(fuzzy.as_mut(), words));
        }
        if is_searched(Group::Settings) && (only.is_some() || fuzzy.is_some()) {
            entries.extend(self.settings(fuzzy.as_mut(), words));
        }
        if fuzzy.is_some() {
            if is_searched(Group::Bookmarks) {
                let pages = self.bookmarks.find(words, MAX_ENTRIES);
                entries.extend(pages.into_iter().map(|(score, page)| of_page(score + 20, page, Target::Bookmark)));
            }
            if is_searched(Group::Visits) {
                let pages = self.visits.find(words, MAX_ENTRIES);
                entries.extend(pages.into_iter().map(|(score, page)| of_page(score, page, Target::Visit)));
            }
        }
        // Of equal ones, the shorter has less beside what is typed.
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.score), entry.title.len()));
        without_repeated_pages(&mut entries);
        let least = entries.first().map_or(0, |best| best.score / 2);
        entries.retain(|entry| entry.score >= least);
        entries.truncate(MAX_ENTRIES);
        if let Some(fuzzy) = &mut fuzzy {
            entries.iter_mut().for_each(|entry| entry.matched = fuzzy.matched(&entry.title));
        }
        entries
    }

    fn tabs(&self, mut fuzzy: Option<&mut Fuzzy>, words: &str) -> Vec<Entry> {
        let entry = |tab: &OpenTab<'_>| {
            let score = score(fuzzy.as_deref_mut(), words, &format!("{}\n{}", tab.title, tab.url))? + 40;
            let page = Suggestion { url: tab.url.to_owned(), title: tab.title.to_owned() };
            Some(of_page(score, page, |_| Target::Tab(tab.id)))
        };
        self.tabs.iter().filter_map(entry).collect()
    }

    fn commands(&self, mut fuzzy: Option<&mut Fuzzy>, words: &str) -> Vec<Entry> {
        let shortcuts = self.settings.shortcuts();
        let entry = |command: &regen_settings::commands::Command| {
            let by_words = score(fuzzy.as_deref_mut(), words, command.words).map(|score| score + 30);
            let by_others = || score(fuzzy.as_deref_mut(), words, command.synonyms).filter(|_| !words.is_empty());
            Some(Entry {
                title: command.words.to_owned(),
                detail: shortcuts.keys(command.id).first().map(ToString::to_string).unwrap_or_default(),
                target: Target::Command(command.id),
                matched: Vec::new(),
                score: by_words.or_else(by_others)?,
            })
        };
        COMMANDS.iter().filter(|command| command.id != CommandId::CommandBar).filter_map(entry).collect()
    }

    fn workspaces(&self, mut fuzzy: Option<&mut Fuzzy>, words: &str) -> Vec<Entry> {
        let entry = |workspace: &&Workspace| {
            let by_name = score(fuzzy.as_deref_mut(), words, &workspace.name);
            let score = by_name.or_else(|| score(fuzzy.as_deref_mut(), words, "switch to workspace"))? + 35;
            let (title, detail) = (workspace.name.clone(), "Switch to workspace".to_owned());
            Some(Entry { title, detail, target: Target::Workspace(workspace.id.clone()), matched: Vec::new(), score })
        };
        self.workspaces.iter().filter_map(entry).collect()
    }

    fn settings(&self, mut fuzzy: Option<&mut Fuzzy>, words: &str) -> Vec<Entry> {
        // Keys are listed beside their commands.
        let rows = table().iter().filter(|setting| !matches!(setting.kind, Kind::Keys(_)));
        let entry = |setting: &'static regen_settings::Setting| {
            let by_words = score(fuzzy.as_deref_mut(), words, setting.words).map(|score| score + 10);
            Some(Entry {
                title: setting.words.to_owned(),
                detail: self.settings.value(setting).texts().join(", ").chars().take(MAX_SHOWN).collect(),
                target: Target::Setting(&setting.name),
                matched: Vec::new(),
                score: by_words.or_else(|| score(fuzzy.as_deref_mut(), words, &setting.name))?,
            })
        };
        rows.filter_map(entry).collect()
    }
}

/// Returns how well a text matches; everything does while nothing is typed.
fn score(fuzzy: Option<&mut Fuzzy>, words: &str, text: &str) -> Option<u32> {
    match fuzzy {
        Some(fuzzy) => fuzzy.score(text),
        None => words.is_empty().then_some(0),
    }
}

fn of_page(score: u32, page: Suggestion, target: impl FnOnce(String) -> Target) -> Entry {
    let shown = |text: &str| text.chars().take(MAX_SHOWN).collect::<String>();
    let title = if page.title.trim().is_empty() { shown(&page.url) } else { shown(&page.title) };
    Entry { title, detail: shown(&page.url), target: target(page.url), matched: Vec::new(), score }
}

/// Drops pages that a better entry has already, and those with an address too long for the list.
fn without_repeated_pages(entries: &mut Vec<Entry>) {
    let mut known = std::collections::HashSet::new();
    entries.retain(|entry| match &entry.target {
        Target::Visit(url) | Target::Bookmark(url) => url.len() <= MAX_URL && known.insert(entry.detail.clone()),
        Target::Tab(_) => {
            known.insert(entry.detail.clone());
            true
        }
        Target::Command(_) | Target::Setting(_) | Target::Workspace(_) => true,
    });
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use regen_places::{Bookmark, OTHER, Visit};
    use regen_session::workspaces::Colour;

    use super::*;
    use crate::kept::bookmark_shelf;

    struct Fixture {
        visits: VisitLog,
        bookmarks: BookmarkShelf,
        settings: Settings,
        _folder: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let vault = regen_store::secrets::Vault::of_profile(folder.path()).unwrap();
            let opened = regen_store::open(folder.path(), vault).unwrap();
            let mut visits = VisitLog::new(opened.visits, opened.store.clone(), Instant::now());
            let mut bookmarks = BookmarkShelf::new(opened.bookmarks, opened.store);
            for url in ["https://rust.test/book", "https://rust.test/std", "https://kept.test/rust"] {
                visits.visited(1, Visit { at: 5, url: url.to_owned(), ..Visit::default() }, true);
            }
            let kept = Bookmark {
                parent: OTHER,
                url: Some("https://kept.test/rust".into()),
                title: "Rust kept".into(),
                ..Bookmark::default()
            };
            bookmarks.ask(bookmark_shelf::Query::Add(kept)).unwrap();
            Self { visits, bookmarks, settings: Settings::default(), _folder: folder }
        }

        fn find(&self, typed: &str) -> Vec<Entry> {
            let tabs = vec![OpenTab { id: 7, url: "https://rust.test/std", title: "Rust std" }];
            let shop = Workspace { id: "shop".to_owned(), name: "Shopping".to_owned(), colour: Colour::Red };
            Sources {
                tabs,
                visits: &self.visits,
                bookmarks: &self.bookmarks,
                settings: &self.settings,
                workspaces: vec![&shop],
            }
            .find(typed)
        }
    }

    fn targets(entries: &[Entry]) -> Vec<&Target> {
        entries.iter().map(|entry| &entry.target).collect()
    }

    #[test]
    fn one_list_has_tabs_pages_bookmarks_commands_and_settings_and_each_page_once() {
        let fixture = Fixture::new();
        let found = fixture.find("rust");
        let pages = ["https://rust.test/book".to_owned(), "https://kept.test/rust".to_owned()];
        assert_eq!(found.first().map(|entry| &entry.target), Some(&Target::Tab(7)));
        assert!(targets(&found).contains(&&Target::Visit(pages[0].clone())));
        assert!(targets(&found).contains(&&Target::Bookmark(pages[1].clone())));
        assert!(!targets(&found).contains(&&Target::Visit(pages[1].clone())), "{found:?}");
        assert_eq!(targets(&fixture.find("close tab"))[0], &Target::Command(CommandId::CloseTab));
        assert_eq!(targets(&fixture.find("favourites toolbar"))[0], &Target::Command(CommandId::BookmarksBar));
        assert_eq!(targets(&fixture.find("search engine"))[0], &Target::Setting("search.engine"));
        assert_eq!(fixture.find("close tab")[0].matched.len(), 8);
    }

    #[test]
    fn a_prefix_narrows_the_list_to_one_kind() {
        let fixture = Fixture::new();
        assert_eq!(targets(&fixture.find("%")), [&Target::Tab(7)]);
        assert_eq!(targets(&fixture.find("% std")), [&Target::Tab(7)]);
        assert!(fixture.find("^rust").iter().all(|entry| matches!(entry.target, Target::Visit(_))));
        assert_eq!(fixture.find("^rust").len(), 3);
        assert_eq!(fixture.find("*rust").len(), 1);
        assert!(fixture.find(">").iter().all(|entry| matches!(entry.target, Target::Command(_))));
        assert_eq!(fixture.find(">").len(), MAX_ENTRIES);
        assert!(fixture.find(":").iter().all(|entry| matches!(entry.target, Target::Setting(_))));
        assert_eq!(targets(&fixture.find("@")), [&Target::Workspace("shop".to_owned())]);
        assert_eq!(targets(&fixture.find("shopping"))[0], &Target::Workspace("shop".to_owned()));
        assert_eq!(fixture.find("zzzz qqqq"), []);
        assert_eq!(fixture.find(&"x".repeat(100_000)), []);
    }

    #[test]
    fn before_anything_is_typed_the_list_offers_tabs_and_commands() {
        let found = Fixture::new().find("");
        assert_eq!(found[0].target, Target::Tab(7));
        assert!(found[1..].iter().all(|entry| matches!(entry.target, Target::Command(_))));
    }
}
