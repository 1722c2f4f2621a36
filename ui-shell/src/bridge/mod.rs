//! The bridge between the chrome's scripts and this process: every message that may cross, by name and type. A message
//! that is not listed here must be refused and logged.
//!
//! `web/src/bridge.js` is the other side, and `web/src/bindings.ts` its types, which are made of these. `tests/chrome-ui`
//! runs the chrome against messages made by [`ToChrome`].

mod from_update;
mod health;
pub(crate) mod permissions;
mod places;
mod settings;
mod site;
#[cfg(test)]
mod tests;
mod workspaces;

use serde::{Deserialize, Serialize};

pub(crate) use health::ChromeHealth;
pub(crate) use permissions::{ChromePermission, ChromePermissionAnswer, ChromePermissionKind, ChromePermissionState};
pub(crate) use places::{ChromeBookmark, ChromeBookmarkAction, ChromeSuggestion, ChromeVisit, ChromeVisitAction};
pub(crate) use settings::{ChromeCommand, ChromeFound, ChromeSetting, ChromeSettingAction};
pub(crate) use site::{ChromeLevel, ChromeSite};
pub(crate) use workspaces::{ChromeWorkspace, ChromeWorkspaceAction};

/// A rectangle in the window, in logical pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Messages that the chrome may send.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum FromChrome {
    /// The chrome has loaded; queued messages may be sent to it.
    Ready,
    /// Position of the page, and the parts of the window that the chrome covers.
    Layout {
        page: Rect,
        /// Parts of the chrome that take clicks.
        covers: Vec<Rect>,
        /// Parts of the chrome that are visible: `covers`, bubbles that let clicks through, and the shadows of both.
        shown: Vec<Rect>,
    },
    OpenTab {
        input: String,
        background: bool,
    },
    CloseTab {
        tab: u64,
    },
    ActivateTab {
        tab: u64,
    },
    MoveTab {
        tab: u64,
        index: u32,
    },
    DuplicateTab {
        tab: u64,
    },
    PinTab {
        tab: u64,
        pinned: bool,
    },
    MuteTab {
        tab: u64,
        muted: bool,
    },
    Navigate {
        tab: u64,
        input: String,
    },
    History {
        tab: u64,
        delta: i32,
    },
    Reload {
        tab: u64,
        bypass_cache: bool,
    },
    Stop {
        tab: u64,
    },
    StopScript {
        tab: u64,
    },
    AllowInsecure {
        tab: u64,
    },
    AllowPrivate {
        tab: u64,
    },
    Zoom {
        tab: u64,
        zoom: f64,
    },
    Find {
        tab: u64,
        text: String,
        forward: bool,
        next: bool,
    },
    FocusPage,
    /// The chrome needs keyboard focus, for example for a dialog.
    FocusChrome,
    /// Keyboard focus to restore when this tab is activated again: the bars or the page.
    KeepKeyboard {
        tab: u64,
        in_bars: bool,
    },
    /// `tabs` empty: all tabs.
    AnswerSession {
        session: u64,
        restore: bool,
        tabs: Vec<u64>,
    },
    AnswerVpn {
        name: String,
        allow: bool,
    },
    AnswerDownloads {
        site: String,
        workspace: String,
        allow: bool,
    },
    OpenOutside {
        url: String,
    },
    AnswerDialog {
        tab: u64,
        dialog: u64,
        accept: bool,
        text: String,
        password: String,
        stop: bool,
    },
    OfferSession,
    /// Takes a picture of an area of the page, in pixels of its view.
    Screenshot {
        tab: u64,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
    },
    Download {
        action: ChromeDownloadAction,
        /// 0 for an order about all that have ended.
        download: u64,
    },
    /// Lists, deletes or brings back visits. `request` comes back with the answer.
    Visits {
        request: u64,
        action: ChromeVisitAction,
        words: String,
        /// Registrable domain; empty: every site.
        domain: String,
        since: Option<u64>,
        until: Option<u64>,
        visits: Vec<u64>,
        /// Last visit of the list so far; 0: begin with the newest.
        after: u64,
    },
    /// Completes what is typed in the address bar. `request` comes back with the answer.
    Complete {
        request: u64,
        typed: String,
    },
    /// Asks about the bookmarks, or changes them. `request` comes back with the answer.
    Bookmarks {
        request: u64,
        action: ChromeBookmarkAction,
    },
    /// Asks about the settings, or changes one. `request` comes back with the answer.
    Settings {
        request: u64,
        action: ChromeSettingAction,
    },
    /// Finds anything that may be meant by what is typed in the command bar. `request` comes back with the answer.
    FindAnything {
        request: u64,
        typed: String,
    },
    /// Asks for a report on the site of a tab. `request` comes back with it.
    Site {
        request: u64,
        tab: u64,
    },
    /// Clears the data of a tab's site.
    ClearSite {
        tab: u64,
    },
    /// Chooses the level of the shields for a tab's site.
    SiteLevel {
        tab: u64,
        level: ChromeLevel,
    },
    /// Lets the pages of a tab's site load an address that shields stopped.
    AllowHere {
        tab: u64,
        url: String,
    },
    /// Asks for a report on the browser's health. `request` comes back with it.
    Health {
        request: u64,
    },
    /// Answers a question about a right of a site.
    AnswerPermission {
        question: u64,
        answer: ChromePermissionAnswer,
    },
    /// Chooses about a right of a tab's site.
    ChoosePermission {
        tab: u64,
        kind: ChromePermissionKind,
        state: ChromePermissionState,
    },
    /// Changes workspaces.
    Workspaces {
        action: ChromeWorkspaceAction,
    },
    /// Runs a command of the browser, by its name.
    Run {
        command: String,
    },
    QuitAnyway,
}

/// Messages to the chrome.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum ToChrome {
    Tab {
        tab: Box<ChromeTab>,
    },
    TabClosed {
        tab: u64,
    },
    Order {
        tabs: Vec<u64>,
        active: u64,
        first: bool,
    },
    Favicon {
        tab: u64,
        width: u32,
        height: u32,
        rgba: Vec<u8>,
    },
    Hover {
        url: String,
    },
    FindResult {
        tab: u64,
        /// Number of matches; 4294967295 stands for more than can be counted.
        matches: u32,
        /// Position of the selected match, from 1; 0: unknown.
        position: u32,
    },
    Download {
        download: ChromeDownload,
    },
    DownloadGone {
        download: u64,
    },
    SessionOffer {
        session: u64,
        tabs: u32,
        saved_at: u64,
        choices: Vec<ChromeChoice>,
    },
    /// `files` is 0 once the question has been answered.
    DownloadQuestion {
        site: String,
        workspace: String,
        files: u32,
    },
    OutsideQuestion {
        site: String,
        url: String,
    },
    /// `asked` is false once the question has been answered elsewhere.
    VpnQuestion {
        name: String,
        peer: String,
        asked: bool,
    },
    QuitQuestion {
        downloads: u32,
        /// Number of pages that ask to confirm leaving them.
        pages: u32,
    },
    Notice {
        level: String,
        text: String,
    },
    /// Answer to `visits`: the list, or the number of visits that were deleted or brought back.
    Visits {
        request: u64,
        visits: Vec<ChromeVisit>,
        has_more: bool,
        changed: u64,
    },
    /// Answer to `bookmarks`.
    Bookmarks {
        request: u64,
        bookmarks: Vec<ChromeBookmark>,
        has_more: bool,
        /// Number of bookmarks and folders that have changed.
        changed: u64,
        /// The bookmark that was added; 0: none.
        added: u64,
        /// Reason why the change was refused; empty: it was made.
        error: String,
    },
    BookmarksChanged,
    /// Answer to `complete`.
    Completions {
        request: u64,
        suggestions: Vec<ChromeSuggestion>,
        /// Text that completes what is typed to an address; empty: none does.
        inline_rest: String,
        inline_url: String,
    },
    /// Answer to `settings`.
    Settings {
        request: u64,
        settings: Vec<ChromeSetting>,
        /// Mistakes in the files, in words.
        problems: Vec<String>,
        /// Reason why the change was refused; empty: it was made.
        error: String,
    },
    /// Settings that the chrome follows, and all commands.
    Followed {
        /// Address of the Home button; empty: the start page.
        home: String,
        bookmarks_bar: bool,
        restore_session: bool,
        commands: Vec<ChromeCommand>,
    },
    /// Answer to `site`.
    Site {
        request: u64,
        report: Box<ChromeSite>,
    },
    /// Answer to `findAnything`.
    Found {
        request: u64,
        entries: Vec<ChromeFound>,
    },
    /// Answer to `health`.
    Health {
        request: u64,
        lines: Vec<ChromeHealth>,
    },
    /// A page asks for a right, or no longer: then `open` is false and nothing but the number counts.
    PermissionQuestion {
        question: u64,
        tab: u64,
        site: String,
        kind: Option<ChromePermissionKind>,
        /// Embedded site that asks; empty: the page itself.
        asker: String,
        /// The page asked without a click or key.
        quiet: bool,
        open: bool,
    },
    /// The window has the desktop's focus, or has lost it.
    WindowActive {
        active: bool,
    },
    /// All workspaces, when they have changed.
    Workspaces {
        workspaces: Vec<ChromeWorkspace>,
    },
    /// The user ran a command that the chrome carries out.
    Command {
        name: &'static str,
    },
    Fullscreen {
        on: bool,
        /// True if an element of the active tab's page asked for full screen.
        by_page: bool,
    },
    PageFocused,
}

/// A tab, as the chrome shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeTab {
    id: u64,
    url: String,
    /// Address as people read it: a name in another script is decoded, unless it could be taken for another one.
    address: String,
    title: String,
    site: String,
    /// Identifier of its workspace.
    workspace: String,
    state: &'static str,
    can_go_back: bool,
    can_go_forward: bool,
    tls: &'static str,
    progress: f64,
    reason: String,
    zoom: f64,
    muted: bool,
    audible: bool,
    pinned: bool,
    opener_host: bool,
    unresponsive: bool,
    blocked: u32,
    route: String,
    /// Registrable domain, as people read it.
    domain: String,
    has_host: bool,
    dialog: Option<ChromeDialog>,
}

/// A dialog of a tab's page, as the chrome shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeDialog {
    number: u64,
    kind: &'static str,
    text: String,
    preset: String,
    server: String,
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromeDownloadAction {
    Cancel,
    Pause,
    Resume,
    Forget,
    ForgetEnded,
    ShowFolder,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeDownload {
    id: u64,
    name: String,
    received: u64,
    total: u64,
    state: &'static str,
    error: String,
    can_resume: bool,
    /// Address of the file.
    url: String,
    /// Seconds since 1970; 0: it has not ended.
    ended_at: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeChoice {
    tab: u64,
    title: String,
    url: String,
}
