//! The table.

use self::CommandId as Id;

/// Maximum number of key combinations of one command.
pub const MAX_KEYS: usize = 8;

/// Identity of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the table has the words of each")]
pub enum CommandId {
    NewTab,
    ReopenTab,
    CloseTab,
    CloseOtherTabs,
    NextTab,
    PreviousTab,
    /// Tab at this place, counted from 1.
    TabAt(u8),
    LastTab,
    MoveTabLeft,
    MoveTabRight,
    DuplicateTab,
    PinTab,
    MuteTab,
    SearchTabs,
    Address,
    Home,
    Back,
    Forward,
    Reload,
    ReloadWithoutCache,
    StopLoading,
    Find,
    FindNext,
    FindPrevious,
    ZoomIn,
    ZoomOut,
    ActualSize,
    Print,
    SavePage,
    Screenshot,
    ScreenshotOfArea,
    ScreenshotOfPage,
    Inspector,
    Reader,
    ViewSource,
    CaretBrowsing,
    BookmarkPage,
    SiteInformation,
    CommandBar,
    History,
    Bookmarks,
    BookmarksBar,
    Downloads,
    Settings,
    PreviousSession,
    Status,
    Workspaces,
    NewThrowAway,
    NextWorkspace,
    PreviousWorkspace,
    FullScreen,
    Menu,
    Quit,
}

/// Place where a command does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// Everywhere.
    Always,
    /// In a tab that shows a page of a site.
    Page,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// Identity.
    pub id: CommandId,
    /// Name for `regen command` and for settings, such as `close-tab`.
    pub name: &'static str,
    /// Words in menus and in the command bar.
    pub words: &'static str,
    /// Other words that people search for.
    pub synonyms: &'static str,
    /// Default keys; the first is shown in menus.
    pub keys: &'static [&'static str],
    /// Place where it does something.
    pub applies: Applies,
    /// A page cannot take its keys: no page may prevent its user from opening, closing or switching tabs or windows, or
    /// from quitting.
    pub is_kept_from_pages: bool,
}

impl Command {
    const fn new(id: CommandId, name: &'static str, words: &'static str, keys: &'static [&'static str]) -> Self {
        Self { id, name, words, synonyms: "", keys, applies: Applies::Always, is_kept_from_pages: false }
    }

    const fn also(self, synonyms: &'static str) -> Self {
        Self { synonyms, ..self }
    }

    const fn in_pages(self) -> Self {
        Self { applies: Applies::Page, ..self }
    }

    const fn kept_from_pages(self) -> Self {
        Self { is_kept_from_pages: true, ..self }
    }

    /// Returns the command with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name)
    }
}

impl CommandId {
    /// Returns the command's row of the table.
    ///
    /// # Panics
    /// Never: a test finds a row for every identity.
    #[must_use]
    pub fn command(self) -> &'static Command {
        COMMANDS.iter().find(|command| command.id == self).unwrap_or(&COMMANDS[0])
    }
}

/// All commands, in the order in which settings list them.
pub const COMMANDS: [Command; 60] = [
    Command::new(Id::NewTab, "new-tab", "New tab", &["Ctrl+T"]).kept_from_pages(),
    Command::new(Id::ReopenTab, "reopen-tab", "Reopen closed tab", &["Ctrl+Shift+T"])
        .also("undo restore")
        .kept_from_pages(),
    Command::new(Id::CloseTab, "close-tab", "Close tab", &["Ctrl+W", "Ctrl+F4"]).kept_from_pages(),
    Command::new(Id::CloseOtherTabs, "close-other-tabs", "Close other tabs", &[]),
    Command::new(Id::NextTab, "next-tab", "Next tab", &["Ctrl+Tab", "Ctrl+PageDown"]).kept_from_pages(),
    Command::new(Id::PreviousTab, "previous-tab", "Previous tab", &["Ctrl+Shift+Tab", "Ctrl+PageUp"]).kept_from_pages(),
    Command::new(Id::TabAt(1), "tab-1", "Go to tab 1", &["Ctrl+1", "Alt+1"]).kept_from_pages(),
    Command::new(Id::TabAt(2), "tab-2", "Go to tab 2", &["Ctrl+2", "Alt+2"]).kept_from_pages(),
    Command::new(Id::TabAt(3), "tab-3", "Go to tab 3", &["Ctrl+3", "Alt+3"]).kept_from_pages(),
    Command::new(Id::TabAt(4), "tab-4", "Go to tab 4", &["Ctrl+4", "Alt+4"]).kept_from_pages(),
    Command::new(Id::TabAt(5), "tab-5", "Go to tab 5", &["Ctrl+5", "Alt+5"]).kept_from_pages(),
    Command::new(Id::TabAt(6), "tab-6", "Go to tab 6", &["Ctrl+6", "Alt+6"]).kept_from_pages(),
    Command::new(Id::TabAt(7), "tab-7", "Go to tab 7", &["Ctrl+7", "Alt+7"]).kept_from_pages(),
    Command::new(Id::TabAt(8), "tab-8", "Go to tab 8", &["Ctrl+8", "Alt+8"]).kept_from_pages(),
    Command::new(Id::LastTab, "last-tab", "Go to the last tab", &["Ctrl+9", "Alt+9"]).kept_from_pages(),
    Command::new(Id::MoveTabLeft, "move-tab-left", "Move tab to the left", &["Ctrl+Shift+PageUp"]).kept_from_pages(),
    Command::new(Id::MoveTabRight, "move-tab-right", "Move tab to the right", &["Ctrl+Shift+PageDown"])
        .kept_from_pages(),
    Command::new(Id::DuplicateTab, "duplicate-tab", "Duplicate tab", &[]).also("copy clone"),
    Command::new(Id::PinTab, "pin-tab", "Pin or unpin tab", &[]).also("fix keep"),
    Command::new(Id::MuteTab, "mute-tab", "Mute or unmute tab", &["Ctrl+M"]).also("sound silence quiet volume"),
    Command::new(Id::SearchTabs, "search-tabs", "Search tabs", &["Ctrl+Shift+A"])
        .also("find list switch")
        .kept_from_pages(),
    Command::new(Id::Address, "address", "Go to the address bar", &["Ctrl+L", "Alt+D", "F6"]).also("url location"),
    Command::new(Id::Home, "home", "Home", &["Alt+Home"]).also("start page"),
    Command::new(Id::Back, "back", "Back", &["Alt+Left"]),
    Command::new(Id::Forward, "forward", "Forward", &["Alt+Right"]),
    Command::new(Id::Reload, "reload", "Reload", &["Ctrl+R", "F5"]).also("refresh").in_pages(),
    Command::new(
        Id::ReloadWithoutCache,
        "reload-without-cache",
        "Reload without cache",
        &["Ctrl+Shift+R", "Ctrl+F5", "Shift+F5"],
    )
    .also("refresh force")
    .in_pages(),
    Command::new(Id::StopLoading, "stop", "Stop loading", &[]).also("cancel").in_pages(),
    Command::new(Id::Find, "find", "Find in page", &["Ctrl+F"]).also("search text").in_pages(),
    Command::new(Id::FindNext, "find-next", "Find next", &["Ctrl+G", "F3"]).in_pages(),
    Command::new(Id::FindPrevious, "find-previous", "Find previous", &["Ctrl+Shift+G", "Shift+F3"]).in_pages(),
    Command::new(Id::ZoomIn, "zoom-in", "Zoom in", &["Ctrl+Plus"]).also("larger bigger magnify").in_pages(),
    Command::new(Id::ZoomOut, "zoom-out", "Zoom out", &["Ctrl+Minus"]).also("smaller shrink").in_pages(),
    Command::new(Id::ActualSize, "actual-size", "Actual size", &["Ctrl+0"]).also("reset zoom 100 %").in_pages(),
    Command::new(Id::Print, "print", "Save as PDF", &["Ctrl+P"]).also("print paper").in_pages(),
    Command::new(Id::SavePage, "save-page", "Save page", &["Ctrl+S"]).also("download archive mhtml").in_pages(),
    Command::new(Id::Screenshot, "screenshot", "Screenshot of what is visible", &["Ctrl+Shift+S"])
        .also("picture image capture")
        .in_pages(),
    Command::new(Id::ScreenshotOfArea, "screenshot-of-area", "Screenshot of an area", &[])
        .also("picture image capture crop part")
        .in_pages(),
    Command::new(Id::ScreenshotOfPage, "screenshot-of-page", "Screenshot of the whole page", &[])
        .also("picture image capture full")
        .in_pages(),
    Command::new(Id::Inspector, "inspector", "Inspector", &["F12", "Ctrl+Shift+I"])
        .also("developer tools console debug elements")
        .in_pages(),
    Command::new(Id::Reader, "reader", "Reader view", &["Ctrl+Alt+R"]).also("article read text plain").in_pages(),
    Command::new(Id::ViewSource, "view-source", "View source", &["Ctrl+U"]).also("html code markup").in_pages(),
    Command::new(Id::CaretBrowsing, "caret-browsing", "Caret browsing", &["F7"])
        .also("keyboard cursor select text arrow")
        .in_pages(),
    Command::new(Id::BookmarkPage, "bookmark-page", "Bookmark this page", &["Ctrl+D"])
        .also("star favourite")
        .in_pages(),
    Command::new(Id::SiteInformation, "site-information", "Site information", &["Ctrl+I"])
        .also("certificate connection security lock process route shields")
        .in_pages(),
    Command::new(Id::CommandBar, "command-bar", "Command bar", &["Ctrl+K"]).also("palette search anything"),
    Command::new(Id::History, "history", "History", &["Ctrl+H"]).also("visited pages"),
    Command::new(Id::Bookmarks, "bookmarks", "Bookmarks", &["Ctrl+B", "Ctrl+Shift+O"]).also("favourites library"),
    Command::new(Id::BookmarksBar, "bookmarks-bar", "Show or hide the bookmarks bar", &["Ctrl+Shift+B"])
        .also("favourites toolbar"),
    Command::new(Id::Downloads, "downloads", "Downloads", &["Ctrl+J"]).also("files saved"),
    Command::new(Id::Settings, "settings", "Settings", &["Ctrl+Comma"]).also("preferences options configuration"),
    Command::new(Id::PreviousSession, "previous-session", "Previous session", &[]).also("restore tabs"),
    Command::new(Id::Status, "status", "Status of the browser", &[])
        .also("health memory processes tor vpn store uptime task manager"),
    Command::new(Id::Workspaces, "workspaces", "Workspaces", &["Ctrl+Alt+W"])
        .also("container profile identity switch create rename delete")
        .kept_from_pages(),
    Command::new(Id::NewThrowAway, "new-throw-away", "New throw-away workspace", &["Ctrl+Shift+P", "Ctrl+Shift+N"])
        .also("private incognito window forget")
        .kept_from_pages(),
    Command::new(Id::NextWorkspace, "next-workspace", "Next workspace", &["Ctrl+Alt+PageDown"])
        .also("switch")
        .kept_from_pages(),
    Command::new(Id::PreviousWorkspace, "previous-workspace", "Previous workspace", &["Ctrl+Alt+PageUp"])
        .also("switch")
        .kept_from_pages(),
    Command::new(Id::FullScreen, "full-screen", "Full screen", &["F11"]),
    Command::new(Id::Menu, "menu", "Menu", &["F10"]),
    Command::new(Id::Quit, "quit", "Quit Regen", &["Ctrl+Q", "Ctrl+Shift+Q"]).also("exit end close").kept_from_pages(),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chord::Chord;

    #[test]
    fn names_and_keys_are_there_once() {
        let (mut names, mut ids, mut keys) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for command in &COMMANDS {
            assert!(names.insert(command.name), "{}", command.name);
            assert!(ids.insert(command.id), "{}", command.name);
            assert_eq!(command.id.command(), command);
            assert_eq!(Command::named(command.name), Some(command));
            assert!(command.keys.len() <= MAX_KEYS, "{}", command.name);
            assert!(
                command.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            );
            for text in command.keys {
                let chord: Chord = text.parse().unwrap();
                assert_eq!(chord.to_string(), *text, "{}", command.name);
                assert!(keys.insert(chord), "{text} twice");
            }
        }
    }

    #[test]
    fn pages_cannot_take_what_closes_opens_and_switches_tabs() {
        let kept = |name: &str| Command::named(name).unwrap().is_kept_from_pages;
        for name in ["new-tab", "reopen-tab", "close-tab", "next-tab", "previous-tab", "tab-1", "last-tab", "quit"] {
            assert!(kept(name), "{name}");
        }
        for name in ["find", "reload", "downloads", "address", "zoom-in", "full-screen", "command-bar"] {
            assert!(!kept(name), "{name}");
        }
    }
}
