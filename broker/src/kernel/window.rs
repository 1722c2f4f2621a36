//! The window: what ui-shell is told, and what the user asks for through it. It can be killed and rebuilt from here.

use std::time::{Duration, Instant};

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{
    Empty, HostCommand, Notice, OutsideQuestion, QueryKind, QuitQuestion, Role, ShellUpdate, Tab as WireTab,
    TabFavicon, TabOrder, TabState, UserCommand, WindowSize, host_command, page_event, shell_update, user_command,
};
use regen_proto::validate::BrokerToChild;

use super::child::Attachment;
use super::{Input, Kernel};
use crate::outside;
use crate::quitting;
use crate::session::{Dialog, Event, HostKey, PageLoad, Phase, Tab, TabId, address};
use crate::window_size::Size;

/// Pages that are asked whether they object to the end have this long to say so.
const PAGES_OBJECT: Duration = Duration::from_millis(800);

impl Kernel {
    pub(super) fn tell_window(&mut self, body: shell_update::Body, attachments: Vec<Attachment>) {
        if let Some(window) = self.ready_child_of_role(Role::UiShell) {
            self.send(window, BrokerToChild::Update(ShellUpdate { body: Some(body) }), attachments);
        }
    }

    /// A new window learns everything, and gets the pages of every host.
    pub(super) fn window_ready(&mut self) {
        let tabs: Vec<TabId> = self.session.order.clone();
        for tab in tabs {
            self.tab_changed(tab);
            self.favicon_changed(tab);
        }
        self.order_changed();
        for host in self.ready_hosts() {
            self.grant_page(host);
        }
        for text in self.warnings.iter().cloned().chain(self.audit_trouble()).collect::<Vec<_>>() {
            self.notice("warning", &text);
        }
        for name in self.vpn_questions.clone() {
            self.ask_about_vpn(&name);
        }
        self.tell_downloads();
        self.tell_offer();
    }

    /// A line for the user.
    pub(super) fn notice(&mut self, level: &str, text: &str) {
        let notice = Notice { level: level.to_owned(), text: text.to_owned() };
        self.tell_window(shell_update::Body::Notice(notice), Vec::new());
    }

    pub(super) fn tab_changed(&mut self, id: TabId) {
        if let Some(tab) = self.session.tabs.get(&id) {
            let wire = self.wire_tab(tab);
            self.tell_window(shell_update::Body::Tab(wire), Vec::new());
        }
    }

    pub(super) fn tab_closed(&mut self, id: TabId) {
        self.downloads.tab_closed(id);
        let closed = self.file_choosers.left(id);
        self.do_with_choosers(closed);
        self.tell_window(shell_update::Body::TabClosed(id), Vec::new());
    }

    pub(super) fn order_changed(&mut self) {
        // A datagram holds about this many ids.
        for (index, tabs) in self.session.order.clone().chunks(4000).enumerate() {
            let order = TabOrder { tabs: tabs.to_vec(), active: self.session.active.unwrap_or(0), first: index == 0 };
            self.tell_window(shell_update::Body::Order(order), Vec::new());
        }
    }

    pub(super) fn favicon_changed(&mut self, id: TabId) {
        let favicon = self.session.tabs.get(&id).and_then(|tab| tab.favicon.clone());
        self.tell_window(shell_update::Body::Favicon(TabFavicon { tab: id, favicon }), Vec::new());
    }

    fn wire_tab(&self, tab: &Tab) -> WireTab {
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
        WireTab {
            id: tab.id,
            url: tab.address().to_owned(),
            title: tab.segment().title.clone(),
            site: host.as_ref().map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
            workspace: tab.workspace.clone(),
            state: state.into(),
            can_go_back: tab.can_go_back(),
            can_go_forward: tab.can_go_forward(),
            tls: tab.tls.into(),
            progress: tab.progress,
            reason: self.reason(tab),
            host: host.filter(|_| tab.view).and_then(|host| self.child_of_host(&host)).unwrap_or(0),
            zoom: tab.zoom,
            muted: tab.muted,
            audible: tab.audible,
            pinned: tab.pinned,
            opener_host: tab.opener_host.is_some(),
            unresponsive: tab.unresponsive,
            full_screen: tab.full_screen,
            blocked: tab.blocked,
            route: self.route_of(tab),
            dialog: tab.dialog.as_ref().map(Dialog::to_wire),
            keeps_picture: tab.before_commit.is_some(),
            domain: Site::of(tab.address()).map(|site| site.host().to_owned()).unwrap_or_default(),
        }
    }

    pub(super) fn forward_to_window(&mut self, host: &HostKey, tab: TabId, event: page_event::Body) {
        match event {
            page_event::Body::FileChooser(chooser) => self.file_chooser(host, tab, chooser),
            page_event::Body::FindResult(mut result) => {
                result.tab = tab;
                self.tell_window(shell_update::Body::FindResult(result), Vec::new());
            }
            page_event::Body::Outside(url) => self.asks_for_outside(host, url),
            page_event::Body::Download(_)
            | page_event::Body::LoadAbandoned(_)
            | page_event::Body::Dialog(_)
            | page_event::Body::FullScreen(_)
            | page_event::Body::LoadStarted(_)
            | page_event::Body::Committed(_)
            | page_event::Body::LoadFinished(_)
            | page_event::Body::LoadFailed(_)
            | page_event::Body::Title(_)
            | page_event::Body::Favicon(_)
            | page_event::Body::Progress(_)
            | page_event::Body::Handover(_)
            | page_event::Body::NewTab(_)
            | page_event::Body::PopupOpened(_)
            | page_event::Body::CloseRequested(_)
            | page_event::Body::Audible(_)
            | page_event::Body::Unresponsive(_)
            | page_event::Body::Blocked(_) => {}
        }
    }

    pub(super) fn user_command(&mut self, command: UserCommand) {
        use user_command::Body;
        let Some(body) = command.body else { return };
        match body {
            Body::OpenTab(open) => {
                if open.input.is_empty() {
                    let workspace = String::new();
                    self.apply(Event::Open { load: None, workspace, background: open.background, opener: None });
                } else {
                    self.open_by_user(address::to_url(&open.input), open.background, String::new());
                }
            }
            Body::CloseTab(tab) => {
                self.apply(Event::Close { tab, ask: true });
            }
            Body::ActivateTab(tab) => self.apply(Event::Activate(tab)),
            Body::MoveTab(to) => {
                let index = usize::try_from(to.index).unwrap_or(usize::MAX);
                self.apply(Event::Move { tab: to.tab, index });
            }
            Body::ReopenClosed(_) => self.apply(Event::ReopenClosed),
            Body::Navigate(to) => {
                self.user_loads.insert(to.tab, Instant::now());
                let load = PageLoad::by_user(address::to_url(&to.input));
                self.apply(Event::Navigate { tab: to.tab, load });
            }
            Body::History(step) => self.apply(Event::History { tab: step.tab, delta: step.delta }),
            Body::Reload(reload) => {
                self.apply(Event::Reload { tab: reload.tab, bypass_cache: reload.bypass_cache });
            }
            Body::Stop(tab) => self.apply(Event::Stop(tab)),
            Body::StopScript(tab) => self.apply(Event::StopScript(tab)),
            Body::AllowInsecure(tab) => self.apply(Event::AllowInsecure(tab)),
            Body::AllowPrivate(tab) => self.apply(Event::AllowPrivate(tab)),
            Body::AnswerDialog(answered) => {
                if let Some(answer) = answered.answer {
                    self.apply(Event::AnswerDialog { tab: answered.tab, answer });
                }
            }
            Body::Zoom(zoom) => self.apply(Event::Zoom { tab: zoom.tab, zoom: zoom.zoom }),
            Body::Find(find) => {
                if let Some(what) = find.find {
                    self.command_host(find.tab, host_command::Body::Find(what), Vec::new());
                }
            }
            Body::Quit(_) if self.quit_wishes.insists(Instant::now()) => self.quit_by_user(),
            Body::Quit(_) => self.weigh_quit(),
            Body::QuitAnyway(_) => self.quit_by_user(),
            Body::AnswerSession(answer) => {
                self.answer_session(&answer);
            }
            Body::AnswerDownloads(answer) => {
                if let Ok(site) = Site::parse(&answer.site) {
                    let host = HostKey { site, workspace: answer.workspace };
                    self.answer_downloads(&host, answer.allow);
                }
            }
            Body::AnswerVpn(answer) => {
                let details = serde_json::json!({ "profile": answer.name, "allow": answer.allow });
                let entry = serde_json::json!({ "what": "vpn", "details": details, "by": "the window" });
                self.audit.record("ordered", entry);
                self.answer_about_vpn(answer);
            }
            Body::Restores(restores) => self.set_restores(restores),
            Body::OfferSession(_) => self.offer_again(),
            Body::CancelDownload(download) => {
                let actions = self.downloads.cancel(download);
                self.do_with_downloads(actions);
            }
            Body::Mute(mute) => self.apply(Event::Mute { tab: mute.tab, muted: mute.muted }),
            Body::Pin(pin) => self.apply(Event::Pin { tab: pin.tab, pinned: pin.pinned }),
            Body::DuplicateTab(tab) => self.apply(Event::Duplicate(tab)),
            Body::OpenOutside(url) => self.open_outside(url),
            Body::Print(tab) => {
                self.gesture(tab);
                self.command_host(tab, host_command::Body::Print(Empty {}), Vec::new());
            }
            Body::WindowSize(WindowSize { width, height, maximized }) => {
                if let Some(write) = self.window_size.changed(Size { width, height, maximized }) {
                    tokio::task::spawn_blocking(write);
                }
            }
            Body::Gesture(tab) => self.gesture(tab),
        }
    }

    fn quit_by_user(&mut self) {
        self.audit.record("ordered", serde_json::json!({ "what": "quit", "by": "the window" }));
        self.quitting = true;
    }

    /// Asks the pages that their user has used whether they object.
    fn weigh_quit(&mut self) {
        let is_used = |tab: &&Tab| tab.view && tab.is_used && !tab.unresponsive && tab.dialog.is_none();
        let used: Vec<TabId> = self.session.tabs.values().filter(is_used).map(|tab| tab.id).collect();
        let asked: Vec<_> = used.into_iter().filter_map(|tab| self.ask(tab, QueryKind::Objects, 0).ok()).collect();
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let deadline = tokio::time::Instant::now() + PAGES_OBJECT;
            let mut pages = 0;
            for answer in asked {
                // Silence is no objection.
                let answer = tokio::time::timeout_at(deadline, answer).await;
                pages += usize::from(answer.is_ok_and(|said| said.is_ok_and(|(reply, _)| reply.text == "true")));
            }
            // The kernel may have ended meanwhile.
            let _ = inbox.send(Input::QuitWeighed { pages }).await;
        });
    }

    pub(super) fn quit_weighed(&mut self, pages: usize) {
        match self.quit_wishes.weighed(self.downloads.unfinished(), pages, Instant::now()) {
            quitting::Action::Quit => self.quit_by_user(),
            quitting::Action::Ask { downloads, pages } => {
                self.tell_window(shell_update::Body::QuitQuestion(QuitQuestion { downloads, pages }), Vec::new());
            }
        }
    }

    /// A page wants another program to open an address.
    fn asks_for_outside(&mut self, host: &HostKey, url: String) {
        match self.outside.ask(&url) {
            Ok(url) => {
                let question = OutsideQuestion { site: host.site.as_str().to_owned(), url };
                self.tell_window(shell_update::Body::OutsideQuestion(question), Vec::new());
            }
            Err(error) => tracing::info!(site = %host.site, "an address is not opened: {error}"),
        }
    }

    fn open_outside(&mut self, url: String) {
        let Some(url) = self.outside.agree(&url) else { return };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            if let Err(error) = outside::open(&url).await {
                let text = error.to_string();
                // The kernel may have ended meanwhile.
                let _ = inbox.send(Input::Notice { text }).await;
            }
        });
    }

    pub(super) fn open_by_user(&mut self, url: String, background: bool, workspace: String) -> Option<TabId> {
        let load = Some(PageLoad::by_user(url));
        self.apply(Event::Open { load, workspace, background, opener: None });
        let opened = self.session.order.last().copied();
        self.user_loads.extend(opened.map(|tab| (tab, Instant::now())));
        opened
    }

    /// A command for the host that shows a tab.
    pub(super) fn command_host(&mut self, tab: TabId, body: host_command::Body, attachments: Vec<Attachment>) -> bool {
        let host = self.session.tabs.get(&tab).filter(|tab| tab.view).and_then(Tab::host);
        let Some(child) = host.and_then(|host| self.child_of_host(&host)) else { return false };
        self.send(child, BrokerToChild::Command(HostCommand { tab, body: Some(body) }), attachments);
        true
    }
}
