//! One tab: its history, its state, and what it is asked to load.

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{Favicon, Load, TlsState};

use super::dialog::Dialog;
use super::https::Upgraded;
use super::ids::{HostKey, TabId};
use super::saved::SavedSnapshot;

/// What a tab shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The start page, drawn by the window.
    Blank,
    /// Known, but not loaded until somebody looks at it.
    Lazy,
    /// A navigation is under way.
    Loading,
    /// The page has loaded.
    Ready,
    /// The page could not be had; an error page is shown.
    Failed(String),
    /// Regen refuses this address; the window says why.
    Refused(String),
    /// It would come without encryption, which its user has not agreed to; the window asks.
    Insecure(String),
    /// A page from the internet wanted it, and it is in the private network; the window asks.
    Private(String),
    /// Its host died; it is coming back.
    Recovering,
    /// Its host died too often; it waits for Reload.
    Sad(String),
}

impl Phase {
    /// The name in the control API.
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

    /// Why, where there is a why.
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

    /// Nothing more is going to happen by itself.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Loading | Self::Recovering)
    }
}

/// A stretch of a tab's history on one site. The engine keeps the steps inside it; the broker keeps the stretches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// `None`: a page that Regen draws itself.
    pub site: Option<Site>,
    /// What the address bar shows.
    pub url: String,
    /// As the page says.
    pub title: String,
    /// How to bring it back.
    pub snapshot: SavedSnapshot,
    /// The engine can step back within this stretch.
    pub can_go_back: bool,
    /// The engine can step forward within this stretch.
    pub can_go_forward: bool,
    /// Its page went on to another site by itself: a step back goes past it.
    pub is_passage: bool,
}

/// One tab.
#[derive(Debug, Clone)]
pub struct Tab {
    /// Its name.
    pub id: TabId,
    /// Its workspace.
    pub workspace: String,
    /// Its history, oldest first; never empty.
    pub segments: Vec<Segment>,
    /// Which of them is shown.
    pub current: usize,
    /// The stretch that was shown before: its host's last snapshot may still be on its way.
    pub left: usize,
    /// What it shows.
    pub phase: Phase,
    /// The host has a view for it.
    pub view: bool,
    /// Nothing has been heard of this view yet: its process may still be starting.
    pub is_starting: bool,
    /// A popup with an opener lives in its opener's host, whatever its address.
    pub opener_host: Option<HostKey>,
    /// The tab whose page opened it.
    pub opened_from: Option<TabId>,
    /// What to load as soon as there is a view; kept until the load commits.
    pub pending: Option<PageLoad>,
    /// The address for people while a navigation that a page or server began is not committed.
    pub before_commit: Option<String>,
    /// The address without encryption that this load was wanted for.
    pub upgraded: Option<Upgraded>,
    /// Bytes of its history's state.
    pub state_size: usize,
    /// When it was looked at last, as a number that only grows.
    pub looked_at: u64,
    /// 0 to 1.
    pub progress: f64,
    /// As the host says; it may lie.
    pub tls: TlsState,
    /// 1 is 100 %.
    pub zoom: f64,
    /// Sound off.
    pub muted: bool,
    /// As the host says.
    pub audible: bool,
    /// Its script does not end, as the host says.
    pub unresponsive: bool,
    /// An element of its page fills the screen, as the host says.
    pub full_screen: bool,
    /// Requests of its page that shields stopped, as the host says.
    pub blocked: u32,
    /// Small, at the left, not closed by accident.
    pub pinned: bool,
    /// As the page says, checked for size.
    pub favicon: Option<Favicon>,
    /// The user was asked whether to leave, and has not answered yet.
    pub closing: bool,
    /// Destination, once its page agrees to be left.
    pub leaving: Option<Destination>,
    /// Dialog that its page waits with.
    pub dialog: Option<Dialog>,
    /// Nothing was committed in the stretch that is shown: what takes its place leaves no trace of it.
    pub is_fresh: bool,
    /// Hosts that servers sent this load on to.
    pub redirects: u32,
    /// The page goes on to another site, and its user did nothing in it.
    pub goes_by_itself: bool,
    /// The user has clicked or typed since the page was committed.
    pub is_used: bool,
}

/// A navigation before its site is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageLoad {
    /// Where to, and what its initiator may say.
    pub load: Load,
    /// The host whose page or server began it; none: the user.
    pub from: Option<HostKey>,
}

impl PageLoad {
    /// What the user typed, chose or passed: no initiator, always allowed.
    #[must_use]
    pub fn by_user(url: impl Into<String>) -> Self {
        Self { load: Load { url: url.into(), user_gesture: true, ..Load::default() }, from: None }
    }
}

/// Destination of a tab whose page is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// An address.
    Load(Box<PageLoad>),
    /// Steps in its history, to another site.
    Step(i32),
}

impl Tab {
    /// The stretch of history that is shown.
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

    /// Which host shows it, if any does.
    #[must_use]
    pub fn host(&self) -> Option<HostKey> {
        if let Some(host) = &self.opener_host {
            return Some(host.clone());
        }
        let site = self.segment().site.clone()?;
        Some(HostKey { site, workspace: self.workspace.clone() })
    }

    /// Returns whether it is part of a saved session. A window that a page opened onto another site is not: what its process
    /// says of that site is not what its user asked for.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.opener_host.is_none() || self.segment().site.is_some()
    }

    /// Returns the address for people: the committed one until a navigation that a page began commits.
    #[must_use]
    pub fn address(&self) -> &str {
        self.before_commit.as_deref().unwrap_or(&self.segment().url)
    }

    /// Forgets what was known of the page that the tab leaves.
    pub(super) fn leave_page(&mut self) {
        self.view = false;
        self.pending = None;
        self.before_commit = None;
        self.favicon = None;
        self.tls = TlsState::Unspecified;
        (self.leaving, self.closing) = (None, false);
        self.blocked = 0;
        self.end_document();
    }

    /// Forgets what a document did while it was there: another takes its place, or its process is gone.
    pub(super) fn end_document(&mut self) {
        (self.audible, self.unresponsive, self.full_screen) = (false, false, false);
        self.dialog = None;
    }

    /// The stretch that a step back leads to.
    pub(super) fn earlier(&self) -> Option<usize> {
        self.segments.iter().take(self.current).rposition(|segment| !segment.is_passage)
    }

    /// Whether “back” would do something.
    #[must_use]
    pub fn can_go_back(&self) -> bool {
        self.segment().can_go_back || self.earlier().is_some()
    }

    /// Whether “forward” would do something.
    #[must_use]
    pub fn can_go_forward(&self) -> bool {
        self.segment().can_go_forward || self.current + 1 < self.segments.len()
    }
}
