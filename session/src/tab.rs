//! A tab: its history, its state and its pending load.

use regen_net_config::site::Site;

use super::dialog::Dialog;
use super::https::HttpsUpgrade;
use super::ids::{HostKey, TabId};
use super::load::Load;
use super::page_event::{Favicon, TlsState};
use super::saved::SavedSnapshot;

/// State of what a tab shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The start page, drawn by the window.
    Blank,
    /// A tab that loads only when the user activates it.
    Lazy,
    /// A navigation is under way.
    Loading,
    /// The page has loaded.
    Ready,
    /// Loading failed, for this reason; an error page is shown.
    Failed(String),
    /// Regen refuses to open the address, for this reason; the window shows it.
    Refused(String),
    /// The page would load without encryption, which the user has not allowed; the window asks.
    Insecure(String),
    /// A page from the internet opened an address in the private network; the window asks.
    Private(String),
    /// The host died and is being restarted.
    Recovering,
    /// The host died too often, or the user ended the page's script; the tab waits for a reload.
    Sad(String),
}

impl Phase {
    /// Returns the phase's name in the control API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Lazy => "lazy",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
            Self::Insecure(_) => "insecure",
            Self::Private(_) => "private",
            Self::Recovering => "recovering",
            Self::Sad(_) => "sad",
        }
    }

    /// Returns the reason of the phase, or an empty string.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Failed(reason)
            | Self::Refused(reason)
            | Self::Insecure(reason)
            | Self::Private(reason)
            | Self::Sad(reason) => reason,
            Self::Blank | Self::Lazy | Self::Loading | Self::Ready | Self::Recovering => "",
        }
    }

    /// Returns whether the tab neither loads nor recovers.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Loading | Self::Recovering)
    }
}

/// A segment of a tab's history, on one site. The engine keeps the steps inside it; the broker keeps the segments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// Site of the segment; `None` for a page that Regen draws itself.
    pub site: Option<Site>,
    /// Address of the page.
    pub url: String,
    /// Title that the page set.
    pub title: String,
    /// Snapshot from which the page is restored.
    pub snapshot: SavedSnapshot,
    /// Set if the engine can step back within this segment.
    pub can_go_back: bool,
    /// Set if the engine can step forward within this segment.
    pub can_go_forward: bool,
    /// Set if the page went on to another site without user input; a step back skips it.
    pub is_passage: bool,
}

/// A tab.
#[derive(Debug, Clone)]
pub struct Tab {
    /// Identifier.
    pub id: TabId,
    /// Workspace.
    pub workspace: String,
    /// History, oldest segment first; never empty.
    pub segments: Vec<Segment>,
    /// Index of the segment that is shown.
    pub current: usize,
    /// Index of the segment that was shown before. Its host's last snapshot may still arrive.
    pub left: usize,
    /// State of what the tab shows.
    pub phase: Phase,
    /// Set if the host has a view for the tab.
    pub view: bool,
    /// Set until the view reports something: its web process may still be starting.
    pub is_starting: bool,
    /// Host of the opener, for a popup that keeps its opener. The popup stays there whatever its address.
    pub opener_host: Option<HostKey>,
    /// Tab whose page opened this one.
    pub opened_from: Option<TabId>,
    /// Load to start as soon as there is a view; kept until it commits.
    pub pending: Option<PageLoad>,
    /// Address to show while a navigation that a page or server began is not committed.
    pub before_commit: Option<String>,
    /// Set while a load was upgraded to HTTPS: the address it was requested for.
    pub upgraded: Option<HttpsUpgrade>,
    /// Size of the history's saved state, in bytes.
    pub state_size: usize,
    /// Order in which tabs were last activated: higher is more recent.
    pub looked_at: u64,
    /// Progress of the load, from 0 to 1.
    pub progress: f64,
    /// State of the connection's encryption as the host reports it; the host may lie. `None`: unknown.
    pub tls: Option<TlsState>,
    /// Zoom factor; 1 is 100 %. For a page of a site it is the site's, from the moment that its view opens.
    pub zoom: f64,
    /// Set if the tab's sound is off.
    pub muted: bool,
    /// Set while the page plays sound, as reported by the host.
    pub audible: bool,
    /// Set while a script of the page does not end, as reported by the host.
    pub unresponsive: bool,
    /// Set while an element of the page fills the screen, as reported by the host.
    pub full_screen: bool,
    /// Number of the page's requests that shields blocked, as reported by the host.
    pub blocked: u32,
    /// Set if the tab is pinned.
    pub pinned: bool,
    /// Icon of the page, checked for size.
    pub favicon: Option<Favicon>,
    /// Set while the page is asked whether the tab may be closed.
    pub closing: bool,
    /// Destination of the tab if its page agrees to be left.
    pub leaving: Option<Destination>,
    /// Dialog whose answer the page waits for.
    pub dialog: Option<Dialog>,
    /// Set until something commits in the current segment; a load that replaces it leaves no trace of it.
    pub is_fresh: bool,
    /// Number of redirects to other sites during this load.
    pub redirects: u32,
    /// Set while the page goes on to another site without user input.
    pub goes_by_itself: bool,
    /// Set if the user has clicked or typed since the page was committed.
    pub is_used: bool,
}

/// A requested navigation whose site is not yet determined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageLoad {
    /// Address, and what its initiator may add.
    pub load: Load,
    /// Host whose page or server began it; `None` for the user.
    pub from: Option<HostKey>,
}

impl PageLoad {
    /// Returns a load that the user typed, chose or passed: without initiator, always allowed.
    #[must_use]
    pub fn by_user(url: impl Into<String>) -> Self {
        Self { load: Load::by_user(url), from: None }
    }
}

/// Load that opens in a new tab of another workspace at the end of the step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Homeward {
    /// Tab in which it was wanted.
    pub(super) opener: TabId,
    /// Workspace of its site.
    pub(super) workspace: String,
    /// The load.
    pub(super) load: PageLoad,
    /// Redirects to other sites so far.
    pub(super) redirects: u32,
    /// The tab in which it was wanted shows nothing else, and is closed.
    pub(super) closes_opener: bool,
}

/// Destination of a tab whose page is asked whether it may be left.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// A load.
    Load(Box<PageLoad>),
    /// A number of history steps, to another site.
    Step(i32),
}

impl Tab {
    /// Returns a tab that shows its first segment once it is looked at.
    #[must_use]
    pub fn new(id: TabId, workspace: String, segments: Vec<Segment>) -> Self {
        Self {
            id,
            workspace,
            segments,
            current: 0,
            left: 0,
            phase: Phase::Lazy,
            view: false,
            is_starting: false,
            opener_host: None,
            opened_from: None,
            pending: None,
            before_commit: None,
            upgraded: None,
            state_size: 0,
            looked_at: 0,
            progress: 0.0,
            tls: None,
            zoom: 1.0,
            muted: false,
            audible: false,
            unresponsive: false,
            full_screen: false,
            blocked: 0,
            pinned: false,
            favicon: None,
            closing: false,
            leaving: None,
            dialog: None,
            is_fresh: false,
            redirects: 0,
            is_used: false,
            goes_by_itself: false,
        }
    }

    /// Returns the segment of history that is shown.
    ///
    /// # Panics
    /// Never: a tab has at least one segment, and `current` is one of them.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a tab is never without its current segment")]
    pub fn segment(&self) -> &Segment {
        &self.segments[self.current]
    }

    #[expect(clippy::indexing_slicing, reason = "a tab is never without its current segment")]
    pub(super) fn segment_mut(&mut self) -> &mut Segment {
        &mut self.segments[self.current]
    }

    /// Returns the host that shows the tab; `None` for pages that Regen draws itself.
    #[must_use]
    pub fn host(&self) -> Option<HostKey> {
        if let Some(host) = &self.opener_host {
            return Some(host.clone());
        }
        let site = self.segment().site.clone()?;
        Some(HostKey { site, workspace: self.workspace.clone() })
    }

    /// Returns whether the tab is saved with the session. A popup that shows another site than its opener is not: its
    /// address is only a claim of the opener's process.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.opener_host.is_none() || self.segment().site.is_some()
    }

    /// Returns the address to show: until a navigation that a page began commits, the previous one.
    #[must_use]
    pub fn address(&self) -> &str {
        self.before_commit.as_deref().unwrap_or(&self.segment().url)
    }

    /// Resets what belongs to the page that the tab leaves.
    pub(super) fn leave_page(&mut self) {
        self.view = false;
        self.pending = None;
        self.before_commit = None;
        self.favicon = None;
        self.tls = None;
        (self.leaving, self.closing) = (None, false);
        self.blocked = 0;
        self.end_document();
    }

    /// Resets what belongs to a document that was replaced or whose process is gone.
    pub(super) fn end_document(&mut self) {
        (self.audible, self.unresponsive, self.full_screen) = (false, false, false);
        self.dialog = None;
    }

    /// Returns the segment that a step back leads to.
    pub(super) fn earlier(&self) -> Option<usize> {
        self.segments.iter().take(self.current).rposition(|segment| !segment.is_passage)
    }

    /// Returns whether “back” would do something.
    #[must_use]
    pub fn can_go_back(&self) -> bool {
        self.segment().can_go_back || self.earlier().is_some()
    }

    /// Returns whether “forward” would do something.
    #[must_use]
    pub fn can_go_forward(&self) -> bool {
        self.segment().can_go_forward || self.current + 1 < self.segments.len()
    }
}
