//! The host: owns all views of one site, on the GTK thread.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{HostCommand, Ready, host_command};
use regen_proto::net::v1::CommonRules;
use regen_proto::validate::ChildToBroker;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use wry::WebContext;

use crate::broker_channel::Link;
use crate::cookies::SessionJar;
use crate::display::{DisplayCommand, DisplayHandleTo, ViewId};
use crate::downloads::Downloads;
use crate::events::{MainEvent, alive};
use crate::filter::Filter;
use crate::fingerprinting::ReportedDevice;
use crate::helpers::Helpers;
use crate::sender::BrokerSender;
use crate::shields::ShieldsClient;
use crate::surface;
use crate::tunnel::TunnelPort;
use crate::view::View;

/// Mount point of the site's bucket (its storage) inside the sandbox.
pub(crate) const BUCKET: &str = "/bucket/site";
/// Poll interval for new helper processes, in addition to the checks while pages load.
const HELPER_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Interval at which all views with unsaved changes are saved.
const SNAPSHOT: Duration = Duration::from_secs(30);

/// State of the GTK thread.
pub(crate) struct Host {
    pub(crate) site: Site,
    pub(crate) sender: BrokerSender,
    pub(crate) display: DisplayHandleTo,
    pub(crate) tunnel: TunnelPort,
    pub(crate) asker: (Handle, ShieldsClient),
    pub(crate) machine: ReportedDevice,
    /// Languages that the user prefers.
    pub(crate) languages: Vec<String>,
    pub(crate) size: (u32, u32),
    /// Generic rules, as last received from the net-daemon.
    pub(crate) common: RefCell<CommonRules>,
    pub(crate) filter: Filter,
    pub(crate) context: RefCell<WebContext>,
    /// Set once the engine uses [`Host::tunnel`] as its proxy.
    pub(crate) has_proxy: Cell<bool>,
    pub(crate) views: RefCell<HashMap<ViewId, Rc<View>>>,
    /// Popups by token, until the broker has assigned them a tab.
    pub(crate) popups: RefCell<HashMap<u64, Rc<View>>>,
    /// Time at which a net-daemon last became available again.
    pub(crate) network_back: Cell<Option<Instant>>,
    pub(crate) helpers: RefCell<Helpers>,
    pub(crate) cookies: Rc<SessionJar>,
    pub(crate) downloads: Rc<Downloads>,
    pub(crate) to_main: mpsc::UnboundedSender<MainEvent>,
}

/// Runs the main loop until the broker shuts this host down.
pub(crate) fn run(site: Site, machine: ReportedDevice, link: Link, display: DisplayHandleTo) -> anyhow::Result<()> {
    let to_main = link.to_main();
    let Link { configure, sender, mut inbox, tunnel, asker, .. } = link;
    let host = Rc::new(Host {
        site,
        display,
        tunnel,
        asker,
        size: machine.size(configure.width, configure.height),
        common: RefCell::default(),
        filter: Filter::default(),
        context: RefCell::new(WebContext::new(Some(PathBuf::from(BUCKET)))),
        has_proxy: Cell::default(),
        machine,
        languages: configure.languages,
        views: RefCell::default(),
        popups: RefCell::default(),
        network_back: Cell::default(),
        helpers: RefCell::new(Helpers::new(sender.clone())),
        cookies: SessionJar::new(sender.clone()),
        downloads: Downloads::new(sender.clone()),
        sender,
        to_main,
    });
    host.ask_common();
    let receiving = Rc::clone(&host);
    glib::MainContext::default().spawn_local(async move {
        let mut waiting = VecDeque::new();
        while let Some(message) = next(&mut inbox, &mut waiting).await {
            receiving.handle(message);
            // Yield after each message, so that opening sixty tabs at once does not block the engine's main loop.
            turn().await;
        }
    });
    let looking = Rc::downgrade(&host);
    glib::timeout_add_local(HELPER_POLL_INTERVAL, move || {
        let Some(host) = looking.upgrade() else { return glib::ControlFlow::Break };
        host.helpers.borrow_mut().look();
        glib::ControlFlow::Continue
    });
    let saving = Rc::downgrade(&host);
    glib::timeout_add_local(SNAPSHOT, move || {
        let Some(host) = saving.upgrade() else { return glib::ControlFlow::Break };
        host.views.borrow().values().for_each(|view| view.snapshot_if_changed());
        glib::ControlFlow::Continue
    });
    host.sender.send(ChildToBroker::Ready(Ready {}));
    gtk::main();
    Ok(())
}

/// Returns the next message for the main thread. Heartbeats go first, so that a long queue is not taken for a hang.
async fn next(inbox: &mut mpsc::UnboundedReceiver<MainEvent>, waiting: &mut VecDeque<MainEvent>) -> Option<MainEvent> {
    let mut come = |message: MainEvent| {
        if matches!(message, MainEvent::Heartbeat(_)) {
            waiting.push_front(message)
        } else {
            waiting.push_back(message)
        }
    };
    while let Ok(message) = inbox.try_recv() {
        come(message);
    }
    match waiting.pop_front() {
        Some(message) => Some(message),
        None => inbox.recv().await,
    }
}

/// Yields to the main loop once.
async fn turn() {
    let mut has_waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Host {
    fn handle(self: &Rc<Self>, message: MainEvent) {
        match message {
            MainEvent::Heartbeat(beat) => self.sender.send(alive(beat)),
            MainEvent::Cookies(cookies) => self.cookies.give(&cookies),
            MainEvent::Command(command, descriptors) => self.command(*command, descriptors),
            MainEvent::Blocked(page, more) => {
                let view = self.views.borrow().values().find(|view| view.is_page(page)).cloned();
                view.into_iter().for_each(|view| view.count_blocked(more));
            }
            MainEvent::Common(rules) => self.take_common(rules.map(|rules| *rules)),
            MainEvent::Site(_) => self.sender.exit("the broker sent a second site to a host that has one".to_owned()),
            MainEvent::NetworkBack => {
                self.network_back.set(Some(Instant::now()));
                let views: Vec<Rc<View>> = self.views.borrow().values().cloned().collect();
                views.iter().for_each(|view| view.try_again());
            }
            MainEvent::Shutdown => self.shut_down(),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the view handles every other command and lists them all")]
    fn command(self: &Rc<Self>, command: HostCommand, descriptors: Vec<OwnedFd>) {
        let id = command.tab;
        let Some(body) = command.body else { return };
        match body {
            host_command::Body::Open(open) => match View::open(self, id, open, descriptors) {
                Ok(view) => {
                    self.views.borrow_mut().insert(id, view);
                }
                Err(error) => self.sender.exit(format!("cannot create a view: {error}")),
            },
            host_command::Body::AdoptPopup(adopt) => self.adopt_popup(id, adopt.token, adopt.refused),
            host_command::Body::Close(close) => {
                let view = self.views.borrow().get(&id).cloned();
                match view {
                    Some(view) if close.ask_before_unload => view.try_close(),
                    Some(_) => self.close(id),
                    None => {}
                }
            }
            host_command::Body::Input(input) => {
                if let Some(view) = self.view(id)
                    && view.edit(&input)
                {
                    return;
                }
                surface::route(input, &self.display, &self.to_main);
            }
            host_command::Body::Download(answer) => self.downloads.answered(&answer, descriptors),
            host_command::Body::GoOnDownload(rest) => self.downloads.go_on(self, rest, descriptors),
            other => {
                if let Some(view) = self.view(id) {
                    view.command(other, descriptors);
                }
            }
        }
    }

    /// Registers for the engine's downloads.
    pub(crate) fn listen_to_downloads(self: &Rc<Self>, context: &webkit2gtk::WebContext) {
        let weak = Rc::downgrade(self);
        self.downloads.connect(context, move |web| weak.upgrade()?.tab_of(web));
    }

    /// Returns the tab that shows a web view.
    pub(crate) fn tab_of(&self, web: &webkit2gtk::WebView) -> Option<ViewId> {
        self.views.borrow().values().find_map(|view| view.shows_in(web))
    }

    /// Returns the view of a page by the engine's page ID, including popups that have no tab yet.
    pub(crate) fn view_of_page(&self, page: u64) -> Option<Rc<View>> {
        let (views, popups) = (self.views.borrow(), self.popups.borrow());
        views.values().chain(popups.values()).find(|view| view.shows_page(page)).cloned()
    }

    fn view(&self, id: ViewId) -> Option<Rc<View>> {
        self.views.borrow().get(&id).cloned()
    }

    fn adopt_popup(&self, id: ViewId, token: u64, refused: bool) {
        let Some(view) = self.popups.borrow_mut().remove(&token) else { return };
        if refused {
            view.destroy();
            return;
        }
        view.adopt(id);
        self.views.borrow_mut().insert(id, view);
    }

    /// Takes a last snapshot and closes a view.
    pub(crate) fn close(&self, id: ViewId) {
        let view = self.views.borrow_mut().remove(&id);
        if let Some(view) = view {
            view.snapshot();
            view.destroy();
            self.display.send(DisplayCommand::Forget(id));
        }
    }

    fn shut_down(&self) {
        let ids: Vec<ViewId> = self.views.borrow().keys().copied().collect();
        for id in ids {
            self.close(id);
        }
        // The network process writes its databases when the web context is destroyed, after the main loop has quit.
        glib::timeout_add_local_once(Duration::from_millis(150), gtk::main_quit);
    }
}

#[cfg(test)]
mod tests {
    use regen_proto::kernel::v1::Heartbeat;

    use super::*;

    #[tokio::test]
    async fn a_sign_of_life_does_not_wait_behind_commands() {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let mut waiting = VecDeque::new();
        let command = |tab| MainEvent::Command(Box::new(HostCommand { tab, body: None }), Vec::new());
        (1..=2).for_each(|tab| sender.send(command(tab)).unwrap());
        let first = next(&mut inbox, &mut waiting).await.unwrap();
        // More messages arrive while the first is handled.
        sender.send(command(3)).unwrap();
        sender.send(MainEvent::Heartbeat(Heartbeat {})).unwrap();
        drop(sender);
        let mut order = vec![first];
        while let Some(message) = next(&mut inbox, &mut waiting).await {
            order.push(message);
        }
        assert!(matches!(order[1], MainEvent::Heartbeat(Heartbeat {})), "{order:?}");
        let tabs: Vec<u64> = order
            .iter()
            .filter_map(|one| if let MainEvent::Command(command, _) = one { Some(command.tab) } else { None })
            .collect();
        assert_eq!(tabs, [1, 2, 3], "commands keep their order");
    }
}
