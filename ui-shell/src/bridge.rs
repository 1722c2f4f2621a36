//! The bridge between the chrome's scripts and this process: every message that may cross, by name and type. A message
//! that is not listed here must be refused and logged.
//!
//! `web/bridge.js` is the other side; `tests/chrome-ui` runs the chrome against messages made by [`ToChrome`].

use regen_proto::kernel::v1::{
    Dialog, DialogKind, DownloadState, OfferedTab, ShellUpdate, Tab, TabState, TlsState, shell_update,
};
use serde::{Deserialize, Serialize};

/// A rectangle in the window, in logical pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Messages that the chrome may send.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    ReopenClosed,
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
    SetRestores {
        restores: bool,
    },
    CancelDownload {
        download: u64,
    },
    ToggleFullscreen,
    Print {
        tab: u64,
    },
    Quit,
    QuitAnyway,
}

/// Messages to the chrome.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    },
    Download {
        download: ChromeDownload,
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
    Restores {
        restores: bool,
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
    /// The user pressed a shortcut that the chrome handles.
    Shortcut {
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
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeTab {
    id: u64,
    url: String,
    title: String,
    site: String,
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
    domain: String,
    has_host: bool,
    dialog: Option<ChromeDialog>,
}

/// A dialog of a tab's page, as the chrome shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeDialog {
    number: u64,
    kind: &'static str,
    text: String,
    preset: String,
    server: String,
    again: bool,
}

impl From<&Dialog> for ChromeDialog {
    fn from(dialog: &Dialog) -> Self {
        Self {
            number: dialog.dialog,
            kind: match dialog.kind() {
                DialogKind::Confirm => "confirm",
                DialogKind::Prompt => "prompt",
                DialogKind::Leave => "leave",
                DialogKind::SignIn => "signIn",
                DialogKind::Alert | DialogKind::Unspecified => "alert",
            },
            text: dialog.text.clone(),
            preset: dialog.preset.clone(),
            server: dialog.server.clone(),
            again: dialog.again,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeDownload {
    id: u64,
    name: String,
    received: u64,
    total: u64,
    state: &'static str,
    error: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeChoice {
    tab: u64,
    title: String,
    url: String,
}

impl From<&Tab> for ChromeTab {
    fn from(tab: &Tab) -> Self {
        Self {
            id: tab.id,
            url: tab.url.clone(),
            title: tab.title.clone(),
            site: tab.site.clone(),
            state: match tab.state() {
                TabState::Lazy | TabState::Unspecified => "lazy",
                TabState::Loading => "loading",
                TabState::Ready => "ready",
                TabState::Failed => "failed",
                TabState::Recovering => "recovering",
                TabState::Sad => "sad",
                TabState::Insecure => "insecure",
                TabState::Private => "private",
            },
            can_go_back: tab.can_go_back,
            can_go_forward: tab.can_go_forward,
            tls: match tab.tls() {
                TlsState::Valid => "valid",
                TlsState::Broken => "broken",
                TlsState::None | TlsState::Unspecified => "none",
            },
            progress: tab.progress,
            reason: tab.reason.clone(),
            zoom: tab.zoom,
            muted: tab.muted,
            audible: tab.audible,
            pinned: tab.pinned,
            opener_host: tab.opener_host,
            unresponsive: tab.unresponsive,
            blocked: tab.blocked,
            route: tab.route.clone(),
            domain: tab.domain.clone(),
            has_host: tab.host != 0,
            dialog: tab.dialog.as_ref().map(Into::into),
        }
    }
}

impl ToChrome {
    /// Converts a broker's update for the chrome; `None` if the chrome does not need it.
    pub(crate) fn from_update(update: &ShellUpdate) -> Option<Self> {
        Some(match update.body.as_ref()? {
            shell_update::Body::Tab(tab) => Self::Tab { tab: Box::new(tab.into()) },
            shell_update::Body::TabClosed(tab) => Self::TabClosed { tab: *tab },
            shell_update::Body::Order(order) => {
                Self::Order { tabs: order.tabs.clone(), active: order.active, first: order.first }
            }
            shell_update::Body::Favicon(favicon) => {
                // No favicon: the tab has lost it, which the chrome sees as width 0.
                let icon = favicon.favicon.clone().unwrap_or_default();
                Self::Favicon { tab: favicon.tab, width: icon.width, height: icon.height, rgba: icon.rgba }
            }
            shell_update::Body::FindResult(result) => Self::FindResult { tab: result.tab, matches: result.matches },
            shell_update::Body::Download(download) => Self::Download {
                download: ChromeDownload {
                    id: download.download,
                    name: download.suggested_name.clone(),
                    received: download.received,
                    total: download.total,
                    state: match download.state() {
                        DownloadState::Done => "done",
                        DownloadState::Failed => "failed",
                        DownloadState::Cancelled => "cancelled",
                        DownloadState::Interrupted => "interrupted",
                        DownloadState::Wanted | DownloadState::Running | DownloadState::Unspecified => "running",
                    },
                    error: download.error.clone(),
                },
            },
            shell_update::Body::SessionOffer(offer) => {
                let choice = |choice: &OfferedTab| ChromeChoice {
                    tab: choice.tab,
                    title: choice.title.clone(),
                    url: choice.url.clone(),
                };
                Self::SessionOffer {
                    session: offer.session,
                    tabs: offer.tabs,
                    saved_at: offer.saved_at,
                    choices: offer.choices.iter().map(choice).collect(),
                }
            }
            shell_update::Body::VpnQuestion(question) => {
                Self::VpnQuestion { name: question.name.clone(), peer: question.peer.clone(), asked: question.asked }
            }
            shell_update::Body::OutsideQuestion(question) => {
                Self::OutsideQuestion { site: question.site.clone(), url: question.url.clone() }
            }
            shell_update::Body::QuitQuestion(question) => {
                Self::QuitQuestion { downloads: question.downloads, pages: question.pages }
            }
            shell_update::Body::Restores(restores) => Self::Restores { restores: *restores },
            shell_update::Body::Notice(notice) => {
                Self::Notice { level: notice.level.clone(), text: notice.text.clone() }
            }
            shell_update::Body::DownloadQuestion(question) => Self::DownloadQuestion {
                site: question.site.clone(),
                workspace: question.workspace.clone(),
                files: question.files,
            },
            shell_update::Body::Raise(_) => {
                return None;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_messages_cross() {
        let ok: FromChrome = serde_json::from_str(r#"{"type":"closeTab","tab":3}"#).unwrap();
        assert_eq!(ok, FromChrome::CloseTab { tab: 3 });
        for bad in [
            r#"{"type":"readFile","path":"/etc/passwd"}"#,
            r#"{"type":"closeTab"}"#,
            r#"{"type":"closeTab","tab":3,"also":1}"#,
            r#"{"type":"closeTab","tab":"3"}"#,
            r"[]",
            "",
        ] {
            assert!(serde_json::from_str::<FromChrome>(bad).is_err(), "{bad}");
        }
    }

    /// The chrome's own tests run on this file, so it must hold exactly what this process sends.
    #[test]
    fn the_contract_file_of_the_chrome_tests_is_current() {
        let tab = |id, title: &str, url: &str, state: TabState| {
            let wire = Tab {
                id,
                url: url.into(),
                title: title.into(),
                site: "https://example.org".into(),
                domain: if url.is_empty() { String::new() } else { "example.org".into() },
                state: state.into(),
                can_go_back: true,
                tls: TlsState::Valid.into(),
                progress: 0.4,
                reason: if state == TabState::Sad { "signal 11 (SIGSEGV)".into() } else { String::new() },
                host: 1,
                zoom: 1.0,
                dialog: (id == 2).then(|| Dialog {
                    dialog: 5,
                    kind: DialogKind::Prompt.into(),
                    text: "Who is there?".into(),
                    preset: "me".into(),
                    again: true,
                    ..Dialog::default()
                }),
                ..Tab::default()
            };
            ToChrome::Tab { tab: Box::new((&wire).into()) }
        };
        let messages = vec![
            tab(1, "Example", "https://example.org/", TabState::Ready),
            tab(2, "Loading", "https://example.org/slow", TabState::Loading),
            tab(3, "Sad", "https://example.org/sad", TabState::Sad),
            tab(4, "", "", TabState::Lazy),
            ToChrome::Order { tabs: vec![1, 2, 3, 4], active: 1, first: true },
            ToChrome::Favicon { tab: 1, width: 1, height: 1, rgba: vec![255, 0, 0, 255] },
            ToChrome::Hover { url: "https://example.org/hover".into() },
            ToChrome::FindResult { tab: 1, matches: 7 },
            ToChrome::Download {
                download: ChromeDownload {
                    id: 1,
                    name: "file.iso".into(),
                    received: 500,
                    total: 1000,
                    state: "running",
                    error: String::new(),
                },
            },
            ToChrome::SessionOffer {
                session: 3,
                tabs: 2,
                saved_at: 1_700_000_000,
                choices: vec![
                    ChromeChoice { tab: 1, title: "Example".into(), url: "https://example.org/".into() },
                    ChromeChoice { tab: 2, title: String::new(), url: "https://example.net/".into() },
                ],
            },
            ToChrome::VpnQuestion { name: "home".into(), peer: "vpn.example.org".into(), asked: true },
            ToChrome::DownloadQuestion { site: "https://example.org".into(), workspace: String::new(), files: 3 },
            ToChrome::OutsideQuestion { site: "https://example.org".into(), url: "mailto:somebody@example.org".into() },
            ToChrome::Restores { restores: false },
            ToChrome::QuitQuestion { downloads: 2, pages: 1 },
            ToChrome::Notice { level: "warning".into(), text: "Something to know.".into() },
            ToChrome::Shortcut { name: "find" },
            ToChrome::Fullscreen { on: true, by_page: true },
        ];
        let current = serde_json::to_string_pretty(&messages).unwrap() + "\n";
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/chrome-ui/contract.json");
        if std::env::var_os("REGEN_UPDATE_CONTRACT").is_some() {
            std::fs::write(&path, &current).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), current, "stale: update it with REGEN_UPDATE_CONTRACT=1");
    }
}
