//! Updates for ui-shell, made of the broker's own state.

use regen_net_config::site::Site;
use regen_proto::kernel::v1::shell_update::Body;
use regen_proto::kernel::v1::{
    DownloadQuestion, Empty, Favicon, FindResult, Notice, OfferedTab, OutsideQuestion, QuitQuestion,
    SessionOffer as WireOffer, ShellUpdate, Tab as WireTab, TabFavicon, TabOrder, TabState,
    VpnQuestion as WireVpnQuestion,
};
use regen_proto::validate::BrokerToChild;
use regen_session::{Phase, Session, Tab, TabId};

use super::{downloads, health, page, site};
use crate::message::{ChildId, Outgoing};
use crate::network::events::VpnQuestion;
use crate::persistence::earlier::SessionOffer;
use crate::window::events::News;
use crate::workspaces::WorkspaceView;

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
pub fn tab(window: ChildId, tab: &Tab, context: TabContext) -> Outgoing {
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
    let body = Body::Tab(WireTab {
        id: tab.id,
        url: tab.address().to_owned(),
        title: tab.segment().title.clone(),
        site: host.map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
        workspace: tab.workspace.clone(),
        state: state.into(),
        can_go_back: tab.can_go_back(),
        can_go_forward: tab.can_go_forward(),
        tls: page::wire_tls(tab.tls).into(),
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
        dialog: tab.dialog.as_ref().map(page::wire_dialog),
        keeps_picture: tab.before_commit.is_some(),
        domain: Site::of(tab.address()).map(|site| site.host().to_owned()).unwrap_or_default(),
    });
    update(window, body)
}

/// Returns the updates for the order of the tabs and the one in front.
#[must_use]
pub fn order(window: ChildId, session: &Session) -> Vec<Outgoing> {
    let active = session.active.unwrap_or(0);
    let part = |(index, tabs): (usize, &[TabId])| {
        update(window, Body::Order(TabOrder { tabs: tabs.to_vec(), active, first: index == 0 }))
    };
    session.order.chunks(MAX_IDS).enumerate().map(part).collect()
}

/// Returns the update for the icon of a tab.
#[must_use]
pub fn favicon(window: ChildId, session: &Session, tab: TabId) -> Outgoing {
    let favicon = session.tabs.get(&tab).and_then(|tab| tab.favicon.as_ref()).map(|icon| Favicon {
        width: icon.width,
        height: icon.height,
        rgba: icon.rgba.clone(),
    });
    update(window, Body::Favicon(TabFavicon { tab, favicon }))
}

/// Returns the update for news of the window's component.
#[must_use]
pub fn news(window: ChildId, news: News) -> Outgoing {
    let body = match news {
        News::Download(shown) => Body::Download(downloads::shown(shown)),
        News::DownloadGone(id) => Body::DownloadGone(id),
        News::DownloadQuestion { host, files } => Body::DownloadQuestion(DownloadQuestion {
            site: host.site.as_str().to_owned(),
            workspace: host.workspace,
            files: u32::try_from(files).unwrap_or(u32::MAX),
        }),
        News::QuitQuestion { downloads, pages } => Body::QuitQuestion(QuitQuestion { downloads, pages }),
        News::OutsideQuestion { site, url } => Body::OutsideQuestion(OutsideQuestion { site, url }),
        News::FindResult { tab, matches, position } => Body::FindResult(FindResult { tab, matches, position }),
        News::BookmarksChanged => Body::BookmarksChanged(Empty {}),
        News::Health { request, lines } => health::answer(request, lines),
        News::Site { request, report } => site::answer(request, *report),
        News::TabClosed(tab) => Body::TabClosed(tab),
        News::Notice { level, text } => Body::Notice(Notice { level: level.to_owned(), text }),
    };
    update(window, body)
}

/// Returns the update for the question whether pages may use a VPN.
#[must_use]
pub fn vpn_question(window: ChildId, question: VpnQuestion) -> Outgoing {
    let VpnQuestion { name, peer, asked } = question;
    update(window, Body::VpnQuestion(WireVpnQuestion { name, peer, asked }))
}

/// Returns the update for the offer of an earlier session; `None`: there is nothing to offer.
#[must_use]
pub fn session_offer(window: ChildId, offer: Option<SessionOffer>) -> Outgoing {
    let offer = offer.map(|SessionOffer { tabs, saved_at, clean, session, choices }| WireOffer {
        tabs,
        saved_at,
        clean,
        session,
        choices: choices.into_iter().map(|(tab, title, url)| OfferedTab { tab, title, url }).collect(),
    });
    update(window, Body::SessionOffer(offer.unwrap_or_default()))
}

/// Returns the update for all workspaces.
#[must_use]
pub fn workspaces(window: ChildId, all: Vec<WorkspaceView>) -> Outgoing {
    update(window, Body::Workspaces(super::workspaces::for_window(all)))
}

/// Returns the update that runs a command of the browser.
#[must_use]
pub fn run_command(window: ChildId, name: String) -> Outgoing {
    update(window, Body::RunCommand(name))
}

/// Returns the update that presents the window to the user.
#[must_use]
pub fn raise(window: ChildId) -> Outgoing {
    update(window, Body::Raise(Empty {}))
}

/// Returns an update.
pub(super) fn update(window: ChildId, body: Body) -> Outgoing {
    Outgoing::new(window, BrokerToChild::Update(ShellUpdate { body: Some(body) }))
}
