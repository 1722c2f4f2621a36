//! Updates of the broker, as the chrome is told of them.

use regen_proto::kernel::v1::{
    Dialog, DialogKind, Download, DownloadState, OfferedTab, SessionOffer, ShellUpdate, Tab, TabFavicon, TabState,
    TlsState, shell_update,
};

use crate::shown_host::{shown_address, shown_host, shown_server};

use super::{ChromeChoice, ChromeDialog, ChromeDownload, ChromeTab, ToChrome, places, settings, site, workspaces};
use super::{health, permissions};

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
            server: shown_server(&dialog.server),
            again: dialog.again,
        }
    }
}

impl From<&Tab> for ChromeTab {
    fn from(tab: &Tab) -> Self {
        Self {
            id: tab.id,
            url: tab.url.clone(),
            address: shown_address(&tab.url),
            title: tab.title.clone(),
            site: tab.site.clone(),
            workspace: tab.workspace.clone(),
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
            domain: shown_host(&tab.domain),
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
            shell_update::Body::Favicon(icon) => favicon(icon),
            shell_update::Body::FindResult(result) => {
                Self::FindResult { tab: result.tab, matches: result.matches, position: result.position }
            }
            shell_update::Body::Download(one) => Self::Download { download: one.into() },
            shell_update::Body::DownloadGone(download) => Self::DownloadGone { download: *download },
            shell_update::Body::SessionOffer(offer) => session_offer(offer),
            shell_update::Body::VpnQuestion(question) => {
                Self::VpnQuestion { name: question.name.clone(), peer: question.peer.clone(), asked: question.asked }
            }
            shell_update::Body::OutsideQuestion(question) => {
                Self::OutsideQuestion { site: question.site.clone(), url: question.url.clone() }
            }
            shell_update::Body::QuitQuestion(question) => {
                Self::QuitQuestion { downloads: question.downloads, pages: question.pages }
            }
            shell_update::Body::Notice(notice) => {
                Self::Notice { level: notice.level.clone(), text: notice.text.clone() }
            }
            shell_update::Body::DownloadQuestion(question) => Self::DownloadQuestion {
                site: question.site.clone(),
                workspace: question.workspace.clone(),
                files: question.files,
            },
            shell_update::Body::Visits(answer) => places::visits(answer),
            shell_update::Body::Bookmarks(answer) => places::bookmarks(answer),
            shell_update::Body::BookmarksChanged(_) => Self::BookmarksChanged,
            shell_update::Body::Completions(found) => places::completions(found),
            shell_update::Body::Settings(answer) => settings::answer(answer),
            shell_update::Body::WindowSettings(followed) => settings::followed(followed),
            shell_update::Body::Site(found) => site::answer(found),
            shell_update::Body::Health(answer) => health::report(answer),
            shell_update::Body::PermissionQuestion(asked) => permissions::question(asked),
            shell_update::Body::Workspaces(reply) => workspaces::all(reply),
            shell_update::Body::Found(found) => settings::found(found),
            // The window acts on these itself.
            shell_update::Body::Raise(_) | shell_update::Body::RunCommand(_) => return None,
        })
    }
}

fn favicon(favicon: &TabFavicon) -> ToChrome {
    // No favicon: the tab has lost it, which the chrome sees as width 0.
    let icon = favicon.favicon.clone().unwrap_or_default();
    ToChrome::Favicon { tab: favicon.tab, width: icon.width, height: icon.height, rgba: icon.rgba }
}

fn session_offer(offer: &SessionOffer) -> ToChrome {
    let choice =
        |choice: &OfferedTab| ChromeChoice { tab: choice.tab, title: choice.title.clone(), url: choice.url.clone() };
    ToChrome::SessionOffer {
        session: offer.session,
        tabs: offer.tabs,
        saved_at: offer.saved_at,
        choices: offer.choices.iter().map(choice).collect(),
    }
}

impl From<&Download> for ChromeDownload {
    fn from(download: &Download) -> Self {
        Self {
            id: download.download,
            name: download.suggested_name.clone(),
            received: download.received,
            total: download.total,
            state: match download.state() {
                DownloadState::Done => "done",
                DownloadState::Failed => "failed",
                DownloadState::Cancelled => "cancelled",
                DownloadState::Interrupted => "interrupted",
                DownloadState::Queued => "queued",
                DownloadState::Paused => "paused",
                DownloadState::Wanted | DownloadState::Running | DownloadState::Unspecified => "running",
            },
            error: download.error.clone(),
            can_resume: download.can_go_on,
            url: download.url.clone(),
            ended_at: download.ended_at,
        }
    }
}
