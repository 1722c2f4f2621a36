//! Events and actions of the window component.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use regen_desktop::file_dialog::DialogError;
use regen_net_config::settings::permissions::{KeptPermission, PermissionKind};
use regen_session::{Event as SessionEvent, HostKey, TabId};

use super::commands::{PageCommand, Question, SessionAnswer, SiteOrder, VpnAnswer};
use super::downloads::{DownloadView, HostDownload, Source};
use super::file_choosers::ChooserSource;
use crate::health::HealthLine;
use crate::message::ChildId;
use crate::permissions::UserAnswer;
use crate::site_report::SiteReport;
use crate::workspaces;

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
    /// A setting was not written.
    NotSaved { text: String },
    /// The report on a site that the window asked for.
    SiteReported { request: u64, report: SiteReport },
    /// The report on the browser's health that the window asked for.
    HealthReported { request: u64, lines: Vec<HealthLine> },
    /// The user clicked a page's notification.
    NotificationClicked { child: ChildId, tab: TabId, number: u64 },
    /// Something that the user ordered for a site is done, or not.
    SiteChanged { text: String },
}

/// News that the component has for the window.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// State of a download.
    Download(DownloadView),
    /// A download is listed no longer.
    DownloadGone(u64),
    /// Question whether a site may save so many files; 0: it has been answered.
    DownloadQuestion { host: HostKey, files: usize },
    /// Question before the end, which would interrupt so many downloads and pages.
    QuitQuestion { downloads: u32, pages: u32 },
    /// Question whether another program may open an address for a page of this site.
    OutsideQuestion { site: String, url: String },
    /// Number of matches of a search in a tab's page, and the position of the selected one, from 1; 0: unknown.
    FindResult { tab: TabId, matches: u32, position: u32 },
    /// Bookmarks have changed.
    BookmarksChanged,
    /// A tab is closed.
    TabClosed(TabId),
    /// Report on the browser's health.
    Health { request: u64, lines: Vec<HealthLine> },
    /// Report on a site.
    Site { request: u64, report: Box<SiteReport> },
    /// Text for the user, with `info`, `warning` or `error` as its level.
    Notice { level: &'static str, text: String },
}

/// Message for a host.
#[derive(Debug)]
pub enum HostMessage {
    /// The files that the user chose, by their names below the host's folder for them; none: cancelled.
    FilesChosen { from: ChooserSource, names: Vec<String> },
    /// The file that a download goes to.
    WriteDownload { to: HostDownload, file: OwnedFd },
    /// A download is not wanted, or no longer.
    StopDownload(HostDownload),
    /// Fetch the rest of a file, from this byte on. The file's position is where the rest goes.
    GoOnDownload { to: HostDownload, url: String, source: Source, from: u64, total: u64, file: OwnedFd },
}

/// Action for the rest of the broker.
#[derive(Debug)]
pub enum Action {
    /// Tell the window.
    Tell(News),
    /// Tell a host.
    Send(HostMessage),
    /// Tell the host that shows a tab.
    Command { tab: TabId, command: PageCommand },
    /// Change the session.
    Session(SessionEvent),
    /// Open an empty tab.
    OpenEmpty { background: bool },
    /// Report on the browser's health; [`Event::HealthReported`] follows.
    Health(u64),
    /// Answer a question about a right of a site.
    AnswerPermission { question: u64, answer: UserAnswer },
    /// Keep a choice about a right of a tab's site.
    ChoosePermission { tab: TabId, kind: PermissionKind, kept: Option<KeptPermission> },
    /// Show the tab whose notification the user clicked, and tell its page.
    NotificationClicked { child: ChildId, tab: TabId, number: u64 },
    /// Carry out an order about workspaces.
    Workspaces(workspaces::Order),
    /// Open what the user entered in a new tab.
    Open { input: String, background: bool },
    /// Open what the user entered in a tab.
    Navigate { tab: TabId, input: String },
    /// Ask the pages that their user has used whether they object to the end: [`Event::PagesAnswered`] follows.
    AskPages,
    /// End the browser.
    Quit,
    /// Restore or dismiss an earlier session.
    AnswerSession(SessionAnswer),
    /// Offer the newest earlier session once more.
    OfferSession,
    /// Answer a question of the window.
    Ask { request: u64, question: Question },
    /// Carry out an order about the site of a tab; [`Event::SiteReported`] or [`Event::SiteChanged`] follows.
    Site(SiteOrder),
    /// Answer a question about a VPN.
    AnswerVpn(VpnAnswer),
}
