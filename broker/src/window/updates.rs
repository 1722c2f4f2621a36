//! Updates for ui-shell, made of the broker's own state.

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{
    Download, DownloadState, Notice, Tab as WireTab, TabFavicon, TabOrder, TabState, shell_update,
};

use super::downloads::{Progress, Shown};
use crate::children::ChildId;
use crate::session::{Dialog, Phase, Session, Tab, TabId};

/// Maximum number of tab ids in one message: about what a datagram holds.
const MAX_IDS: usize = 4000;

/// Facts that the window shows of a tab beside the session's own state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TabContext {
    /// The process that shows the tab.
    pub child: Option<ChildId>,
    /// The tab's route; empty without a site.
    pub route: String,
    /// Reason of the tab's state, or what its page waits for.
    pub reason: String,
}

/// Returns the update for a tab that is new or changed.
#[must_use]
pub fn tab(tab: &Tab, context: TabContext) -> shell_update::Body {
    let host = tab.host();
    let state = match tab.phase {
        Phase::Blank | Phase::Lazy => TabState::Lazy,
        Phase::Loading => TabState::Loading,
        Phase::Ready => TabState::Ready,
        Phase::Failed(_) | Phase::Refused(_) => TabState::Failed,
        Phase::Recovering => TabState::Recovering,
        Phase::Insecure(_) => TabState::Insecure,
        Phase::Private(_) => TabState::Private,
        Phase::Sad(_) => TabState::Sad,
    };
    shell_update::Body::Tab(WireTab {
        id: tab.id,
        url: tab.address().to_owned(),
        title: tab.segment().title.clone(),
        site: host.map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
        workspace: tab.workspace.clone(),
        state: state.into(),
        can_go_back: tab.can_go_back(),
        can_go_forward: tab.can_go_forward(),
        tls: tab.tls.into(),
        progress: tab.progress,
        reason: context.reason,
        host: context.child.filter(|_| tab.view).unwrap_or(0),
        zoom: tab.zoom,
        muted: tab.muted,
        audible: tab.audible,
        pinned: tab.pinned,
        opener_host: tab.opener_host.is_some(),
        unresponsive: tab.unresponsive,
        full_screen: tab.full_screen,
        blocked: tab.blocked,
        route: context.route,
        dialog: tab.dialog.as_ref().map(Dialog::to_wire),
        keeps_picture: tab.before_commit.is_some(),
        domain: Site::of(tab.address()).map(|site| site.host().to_owned()).unwrap_or_default(),
    })
}

/// Returns the updates for the order of the tabs and the one in front.
#[must_use]
pub fn order(session: &Session) -> Vec<shell_update::Body> {
    let active = session.active.unwrap_or(0);
    let part = |(index, tabs): (usize, &[TabId])| {
        shell_update::Body::Order(TabOrder { tabs: tabs.to_vec(), active, first: index == 0 })
    };
    session.order.chunks(MAX_IDS).enumerate().map(part).collect()
}

/// Returns the update for the icon of a tab.
#[must_use]
pub fn favicon(session: &Session, tab: TabId) -> shell_update::Body {
    let favicon = session.tabs.get(&tab).and_then(|tab| tab.favicon.clone());
    shell_update::Body::Favicon(TabFavicon { tab, favicon })
}

/// Returns the update for a line of text for the user.
#[must_use]
pub fn notice(level: &str, text: &str) -> shell_update::Body {
    shell_update::Body::Notice(Notice { level: level.to_owned(), text: text.to_owned() })
}

/// Returns the update for a download.
pub(super) fn download(shown: Shown) -> shell_update::Body {
    let Shown { id, url, name, received, total, progress, error } = shown;
    let state = match progress {
        Progress::Running => DownloadState::Running,
        Progress::Interrupted => DownloadState::Interrupted,
        Progress::Done => DownloadState::Done,
        Progress::Failed => DownloadState::Failed,
        Progress::Cancelled => DownloadState::Cancelled,
    };
    shell_update::Body::Download(Download {
        download: id,
        url,
        suggested_name: name,
        received,
        total,
        state: state.into(),
        error,
        ..Download::default()
    })
}
