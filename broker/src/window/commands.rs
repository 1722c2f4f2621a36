//! Commands of the user from the window.

use regen_net_config::settings::permissions::{KeptPermission, PermissionKind};
use regen_net_config::settings::shields::Level;
use regen_session::{Event as SessionEvent, HostKey, TabId};

use super::downloads::Order;
use super::window_size::Size;
use crate::kept::{bookmark_shelf, preferences, visit_log};
use crate::permissions::UserAnswer;
use crate::workspaces;

/// Command of the user.
#[derive(Debug)]
pub enum UserCommand {
    /// Change the session.
    Session(SessionEvent),
    /// Open what was typed, or nothing, in a new tab.
    OpenTab { input: String, background: bool },
    /// Open what was typed in a tab.
    Navigate { tab: TabId, input: String },
    /// A click or a key in the page of a tab.
    Gesture(TabId),
    /// Command for the page of a tab.
    Page { tab: TabId, command: PageCommand },
    /// Use a tool on the page of a tab.
    Tool { tab: TabId, tool: PageTool },
    /// End the browser.
    Quit,
    /// End the browser, although that interrupts something.
    QuitAnyway,
    /// Restore or dismiss an earlier session.
    AnswerSession(SessionAnswer),
    /// Offer the newest earlier session once more.
    OfferSession,
    /// Allow a site to save files, or refuse it.
    AnswerDownloads { host: HostKey, allow: bool },
    /// Answer to a question about a VPN.
    AnswerVpn(VpnAnswer),
    /// Answer a question. The number comes back with the answer.
    Ask { request: u64, question: Question },
    /// Order about the site of a tab.
    Site(SiteOrder),
    /// Order about a download.
    Download(Order),
    /// Something that has no meaning, with the reason for the user.
    Refused(String),
    /// Report on the browser's health. The number comes back with the report.
    Health(u64),
    /// Answer to a question about a right of a site.
    AnswerPermission { question: u64, answer: UserAnswer },
    /// Choice about a right of a tab's site; `None`: ask again.
    ChoosePermission { tab: TabId, kind: PermissionKind, kept: Option<KeptPermission> },
    /// Order about workspaces.
    Workspaces(workspaces::Order),
    /// Open this address with another program.
    OpenOutside(String),
    /// The user changed the window's size.
    Resized(Size),
}

/// Question of the window, or a change that is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// About the history, or a change of it.
    Visits(visit_log::Query),
    /// About the bookmarks, or a change of them.
    Bookmarks(bookmark_shelf::Query),
    /// About the settings, or a change of one.
    Settings(preferences::Query),
    /// Pages that may be meant by what is typed in the address bar.
    Complete(String),
    /// Anything that may be meant by what is typed in the command bar.
    Anything(String),
}

/// Order about the site of a tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteOrder {
    /// Report on it. The number comes back with the report.
    Report { request: u64, tab: TabId },
    /// Clear its data.
    Clear(TabId),
    /// Choose the level of its shields; `None`: the default again.
    SetLevel { tab: TabId, level: Option<Level> },
    /// Let its pages load an address that shields stopped.
    Allow { tab: TabId, url: String },
}

impl SiteOrder {
    /// Returns whether the order changes what is kept of the site.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        match self {
            Self::SetLevel { .. } | Self::Allow { .. } => true,
            Self::Report { .. } | Self::Clear(_) => false,
        }
    }

    /// Returns the tab.
    #[must_use]
    pub fn tab(&self) -> TabId {
        match self {
            Self::Clear(tab) | Self::Report { tab, .. } | Self::SetLevel { tab, .. } | Self::Allow { tab, .. } => *tab,
        }
    }
}

/// Command for the page of a tab.
#[derive(Debug, Clone, PartialEq)]
pub enum PageCommand {
    /// Search in the page. An empty text ends the search.
    Find { text: String, forward: bool, next: bool },
    /// Use a tool on the page.
    Tool(PageTool),
}

/// Tool for a page. What it makes becomes a download.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PageTool {
    /// Print it as a PDF.
    Print,
    /// Save it with its pictures and styles, as MHTML.
    Save,
    /// Take a picture of what is visible, or of an area.
    Picture(Option<PageArea>),
    /// Take a picture of the whole page.
    WholePicture,
    /// Open the inspector, or close it.
    Inspect,
    /// Show the article alone, or the page again.
    Reader,
    /// Show the source of the page, or the page again.
    Source,
    /// Move a caret through the page with the arrow keys, or no longer.
    Caret,
}

impl PageTool {
    /// Returns whether the tool makes a file, which the user then wants to be saved.
    #[must_use]
    pub fn makes_file(self) -> bool {
        match self {
            Self::Print | Self::Save | Self::Picture(_) | Self::WholePicture => true,
            Self::Inspect | Self::Reader | Self::Source | Self::Caret => false,
        }
    }
}

/// Area of a page's view, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageArea {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// Answer to the offer of an earlier session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAnswer {
    /// The session.
    pub session: u64,
    /// Restore it; otherwise it is dismissed.
    pub restore: bool,
    /// Tabs to restore; none means all of them.
    pub tabs: Vec<TabId>,
}

/// Answer to the question whether pages may use a VPN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpnAnswer {
    /// Name of the VPN.
    pub name: String,
    /// Pages may use it.
    pub allow: bool,
}
