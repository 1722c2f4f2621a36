//! Events that a host reports about the page of a tab. All of them are claims of an attacker.

use super::dialog::Dialog;
use super::load::Load;

/// Event of a page.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each name says it")]
pub enum PageEvent {
    LoadStarted,
    Committed(Committed),
    LoadFinished,
    LoadFailed(LoadFailed),
    /// The load is no page but a download, or empty; the previous page stays.
    LoadAbandoned,
    Title(String),
    Favicon(Favicon),
    /// Progress of the load, from 0 to 1.
    Progress(f64),
    /// The page's script does not end (`true`), or has ended after all.
    Unresponsive(bool),
    /// An element of the page fills the screen (`true`), or no longer.
    FullScreen(bool),
    /// Number of the page's requests that shields blocked.
    Blocked(u32),
    Audible(bool),
    /// The main frame navigates to another site.
    Handover(Load),
    NewTab(NewTab),
    PopupOpened(PopupOpened),
    CloseRequested,
    /// A dialog whose answer the page waits for; `None` if there is none any more.
    Dialog(Option<Dialog>),
}

/// A document that was committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Address.
    pub url: String,
    /// The engine can step back within this site.
    pub can_go_back: bool,
    /// The engine can step forward within this site.
    pub can_go_forward: bool,
    /// State of the connection's encryption; `None` if the host does not say.
    pub tls: Option<TlsState>,
    /// The document is the one from before; only its address changed.
    pub same_document: bool,
    /// `Strict-Transport-Security` header.
    pub transport_security: Option<String>,
}

/// State of a connection's encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsState {
    /// Not encrypted.
    None,
    /// Encrypted, with a certificate for this host.
    Valid,
    /// Encrypted, with a certificate that is not for this host or not trusted.
    Broken,
}

/// A load that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadFailed {
    /// Address.
    pub url: String,
    /// Reason for the user.
    pub reason: String,
    /// The server caused it (no answer, or an invalid one), not the route or a rule.
    pub is_its_own: bool,
}

/// Icon of a page: rows of RGBA pixels, 4 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Favicon {
    /// Width, in pixels.
    pub width: u32,
    /// Height, in pixels.
    pub height: u32,
    /// `4 * width * height` bytes.
    pub rgba: Vec<u8>,
}

/// A tab that a page opens, without a connection to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewTab {
    /// Load of the tab.
    pub load: Load,
    /// The tab does not come to the front.
    pub background: bool,
    /// A click or a key of the user caused it.
    pub user_gesture: bool,
}

/// A popup that keeps its opener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PopupOpened {
    /// Number that the host gave it.
    pub token: u64,
    /// Address.
    pub url: String,
    /// A click or a key of the user caused it.
    pub user_gesture: bool,
}
