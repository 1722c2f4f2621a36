//! The host: owns all views of one site, on the GTK thread.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{HostCommand, Ready, host_command};
use regen_proto::net::v1::CommonRules;
use regen_proto::validate::ChildToBroker;
use tokio::sync::mpsc;
use webkit2gtk::UserContentManagerExt;
use wry::WebContext;

use crate::broker_channel::Link;
use crate::cookies::SessionJar;
use crate::display::{DisplayCommand, DisplayHandleTo, ViewId};
use crate::downloads::Downloads;
use crate::events::{MainEvent, alive};
use crate::filter::{Compiled, Filter, FilterStore, Replaced};
use crate::fingerprinting::ReportedDevice;
use crate::helpers::Helpers;
use crate::permissions::Permissions;
use crate::site_context::{BUCKET, SiteContext};
use crate::surface;
use crate::view::{View, ViewHost};

/// Poll interval for new helper processes, in addition to the checks while pages load.
const HELPER_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Interval at which all views with unsaved changes are saved.
const SNAPSHOT: Duration = Duration::from_secs(30);

/// State of the GTK thread.
pub(crate) struct Host {
    site: Rc<SiteContext>,
    views: RefCell<HashMap<ViewId, Rc<View>>>,
    /// Popups by token, until the broker has assigned them a tab.
    popups: RefCell<HashMap<u64, Rc<View>>>,
    downloads: Rc<Downloads>,
    filter_store: FilterStore,
}

/// Runs the main loop until the broker shuts this host down.
pub(crate) fn run(site: Site, device: ReportedDevice, link: Link, display: DisplayHandleTo) -> anyhow::Result<()> {
    let to_main = link.to_main();
    let Link { configuration, sender, mut inbox, tunnel, asker, .. } = link;
    let site = Rc::new(SiteContext {
        site,
        display,
        tunnel,
        shields: asker,
        size: device.size(configuration.width, configuration.height),
        generic_rules: RefCell::default(),
        filter: Filter::default(),
        permissions: Permissions::default(),
        web_context: RefCell::new(WebContext::new(Some(PathBuf::from(BUCKET)))),
        has_proxy: Cell::default(),
        device,
        languages: configuration.languages,
        network_back: Cell::default(),
        helpers: RefCell::new(Helpers::new(sender.clone())),
        cookies: SessionJar::new(sender.clone()),
        sender: sender.clone(),
        to_main,
    });
    let host = Rc::new_cyclic(|weak: &Weak<Host>| Host {
        site,
        views: RefCell::default(),
        popups: RefCell::default(),
        downloads: Downloads::new(sender, {
            let weak = weak.clone();
            move |web| weak.upgrade()?.views.borrow().values().find_map(|view| view.shows_in(web))
        }),
        filter_store: FilterStore::new({
            let weak = weak.clone();
            move |version, filter| {
                if let Some(host) = weak.upgrade() {
                    host.filter_compiled(version, filter);
                }
            }
        }),
    });
    host.site.ask_generic_rules();
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
        host.site.helpers.borrow_mut().look();
        glib::ControlFlow::Continue
    });
    let saving = Rc::downgrade(&host);
    glib::timeout_add_local(SNAPSHOT, move || {
        let Some(host) = saving.upgrade() else { return glib::ControlFlow::Break };
        host.views.borrow().values().for_each(|view| view.snapshot_if_changed());
        glib::ControlFlow::Continue
    });
    host.site.sender.send(ChildToBroker::Ready(Ready {}));
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
            MainEvent::Heartbeat(beat) => self.site.sender.send(alive(beat)),
            MainEvent::Permissions(permissions) => self.site.permissions.set(&permissions),
            MainEvent::Cookies(cookies) => self.site.cookies.give(&cookies),
            MainEvent::Command(command, descriptors) => self.command(*command, descriptors),
            MainEvent::Blocked(page, more) => {
                let view = self.views.borrow().values().find(|view| view.is_page(page)).cloned();
                view.into_iter().for_each(|view| view.count_blocked(more));
            }
            MainEvent::Common(rules) => self.take_generic_rules(rules.map(|rules| *rules)),
            MainEvent::Site(_) => {
                self.site.sender.exit("the broker sent a second site to a host that has one".to_owned())
            }
            MainEvent::NetworkBack => {
                self.site.network_back.set(Some(Instant::now()));
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
            host_command::Body::Open(open) => {
                match View::open(Rc::clone(self) as Rc<dyn ViewHost>, Rc::clone(&self.site), id, open, descriptors) {
                    Ok(view) => {
                        self.views.borrow_mut().insert(id, view);
                    }
                    Err(error) => self.site.sender.exit(format!("cannot create a view: {error}")),
                }
            }
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
                surface::route(input, &self.site.display, &self.site.to_main);
            }
            host_command::Body::Download(answer) => self.downloads.answered(&answer, descriptors),
            host_command::Body::GoOnDownload(rest) => self.downloads.go_on(&self.site, rest, descriptors),
            other => {
                if let Some(view) = self.view(id) {
                    view.command(other, descriptors);
                }
            }
        }
    }

    /// Applies the rules that the net-daemon answered. Without an answer, the present ones stay, and the next document
    /// asks again.
    fn take_generic_rules(&self, rules: Option<CommonRules>) {
        self.site.filter.end_asking();
        let Some(rules) = rules else { return };
        match self.site.filter.replace_version(&rules) {
            Replaced::Same => {}
            Replaced::Without => self.show_filter(None),
            Replaced::With => self.filter_store.compile(&rules.filter, rules.filter_version),
        }
        self.site.generic_rules.replace(rules);
        for view in self.views.borrow().values().chain(self.popups.borrow().values()) {
            view.hide_common(&self.site.generic_rules.borrow());
        }
    }

    fn filter_compiled(&self, version: u32, filter: Compiled) {
        // Another version may have been requested meanwhile.
        if self.site.filter.version() == version {
            self.show_filter(Some(filter));
        }
    }

    fn show_filter(&self, compiled: Option<Compiled>) {
        self.site.filter.replace(compiled);
        for view in self.views.borrow().values().chain(self.popups.borrow().values()) {
            if let Some(manager) = view.content_manager() {
                manager.remove_all_filters();
            }
            view.add_filter(&self.site.filter);
        }
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
            self.site.display.send(DisplayCommand::Forget(id));
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

impl ViewHost for Host {
    fn keep_popup(&self, token: u64, popup: Rc<View>) {
        self.popups.borrow_mut().insert(token, popup);
    }

    fn view_of_page(&self, page: u64) -> Option<Rc<View>> {
        let (views, popups) = (self.views.borrow(), self.popups.borrow());
        views.values().chain(popups.values()).find(|view| view.shows_page(page)).cloned()
    }

    fn downloads(&self) -> Rc<Downloads> {
        Rc::clone(&self.downloads)
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
