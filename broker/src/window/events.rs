//! Events and actions of the window component.

use std::path::PathBuf;

use regen_proto::kernel::v1::{AnswerSession, AnswerVpn, host_command, shell_update};

use super::file_choosers::ChooserSource;
use super::file_dialog::DialogError;
use crate::children::Outgoing;
use crate::session::{Event as SessionEvent, TabId};

/// Event of work that was done for the window.
#[derive(Debug)]
pub enum Event {
    /// The user picked files for a page, or none.
    FilesPicked { request: u64, picked: Result<Vec<PathBuf>, DialogError> },
    /// Picked files were copied to where their page can read them.
    FilesPlaced { from: ChooserSource, names: Vec<String>, failed: Vec<String> },
    /// A download that was broken off may be tried again.
    TryDownload(u64),
    /// Pages were asked whether they object to the end.
    PagesAnswered { objecting: usize },
    /// The desktop did not open an address.
    NotOpened { text: String },
}

/// Action for the rest of the broker.
#[derive(Debug)]
pub enum Action {
    /// Tell the window.
    Update(shell_update::Body),
    /// Tell a child.
    Send(Outgoing),
    /// Tell the host that shows a tab.
    Command { tab: TabId, body: host_command::Body },
    /// Change the session.
    Session(SessionEvent),
    /// Open an address that the user entered in a new tab.
    Open { url: String, background: bool },
    /// Ask the pages that their user has used whether they object to the end: [`Event::PagesAnswered`] follows.
    AskPages,
    /// End the browser.
    Quit,
    /// Restore or dismiss an earlier session.
    AnswerSession(AnswerSession),
    /// Set whether the last session comes back by itself.
    SetRestores(bool),
    /// Offer the newest earlier session once more.
    OfferSession,
    /// Answer a question about a VPN.
    AnswerVpn(AnswerVpn),
}
