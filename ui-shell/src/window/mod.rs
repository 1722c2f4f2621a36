//! The window: a drawing area with the active tab's picture, and over the whole window the chrome as one transparent
//! web view. The chrome's input shape is what it covers; all other input goes to the page. A host must never affect
//! other hosts' tabs.

mod chrome;
mod full_screen;
mod picture;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use gtk::gdk;
use gtk::prelude::*;
use regen_proto::kernel::v1::user_command::Body as Command;
use regen_proto::kernel::v1::{Empty, ShellUpdate, Tab, UiShellConfiguration, shell_update};
use regen_proto::page::v1::{BufferReleased, Focus, FromPage, Geometry, from_page, to_page};
use regen_proto::workspaces::v1::Workspace;
use webkit2gtk::{HitTestResultExt, WebViewExt};
use wry::{WebViewBuilder, WebViewBuilderExtUnix, WebViewExtUnix};

use crate::assets;
use crate::bridge::{Rect, ToChrome};
use crate::broker_channel::Sender;
use crate::clipboard;
use crate::drawn_chrome::{self, DrawnChrome};
use crate::events::{HostId, MainEvent};
use crate::frames::Frames;
use crate::input::Input;
use crate::size;
use crate::surfaces::Surfaces;

/// Scheme of the pages that the chrome draws.
const BUILTIN_SCHEME: &str = "regen:";

/// The window and its state.
pub(crate) struct Window {
    pub(crate) gtk: gtk::Window,
    pub(crate) area: gtk::DrawingArea,
    chrome_box: gtk::Box,
    chrome: RefCell<Option<wry::WebView>>,
    sender: Sender,
    surfaces: Surfaces,
    frames: RefCell<Frames>,
    tabs: RefCell<BTreeMap<u64, Tab>>,
    order: RefCell<Vec<u64>>,
    workspaces: RefCell<Vec<Workspace>>,
    active: Cell<u64>,
    /// Position of the page in the window.
    page: Cell<Rect>,
    /// Parts of the window in which the chrome shows something.
    drawn: RefCell<DrawnChrome>,
    pub(crate) page_focused: Cell<bool>,
    /// Tabs to be activated with focus in the bars, because the user left them while typing an address.
    in_bars: RefCell<HashSet<u64>>,
    /// True while the window has keyboard focus.
    is_active: Cell<bool>,
    /// True if the user asked for full screen (F11).
    fullscreen: Cell<bool>,
    /// Full screen as applied: the window is in full screen, and the active tab's page asked for it.
    fills_screen: Cell<(bool, bool)>,
    /// Tab whose page asks for full screen although the user has left it; 0 if none.
    screen_refused: Cell<u64>,
    pub(crate) chrome_ready: Cell<bool>,
    unsent: RefCell<Vec<ToChrome>>,
    pub(crate) input: Input,
}

impl Window {
    /// Builds and shows the window.
    pub(crate) fn open(
        sender: Sender,
        surfaces: Surfaces,
        configuration: &UiShellConfiguration,
    ) -> anyhow::Result<Rc<Self>> {
        let gtk = gtk::Window::new(gtk::WindowType::Toplevel);
        gtk.set_title("Regen");
        size::restore(&gtk, configuration);
        let overlay = gtk::Overlay::new();
        let area = gtk::DrawingArea::new();
        area.set_can_focus(true);
        overlay.add(&area);
        let chrome_box = gtk::Box::new(gtk::Orientation::Vertical, 0);
        overlay.add_overlay(&chrome_box);
        gtk.add(&overlay);

        let window = Rc::new(Self {
            gtk,
            area,
            chrome_box,
            chrome: RefCell::default(),
            sender,
            surfaces,
            frames: RefCell::default(),
            tabs: RefCell::default(),
            order: RefCell::default(),
            workspaces: RefCell::default(),
            active: Cell::default(),
            page: Cell::default(),
            drawn: RefCell::default(),
            page_focused: Cell::default(),
            in_bars: RefCell::default(),
            is_active: Cell::new(true),
            fullscreen: Cell::default(),
            fills_screen: Cell::default(),
            screen_refused: Cell::default(),
            chrome_ready: Cell::default(),
            unsent: RefCell::default(),
            input: Input::new(),
        });
        window.build_chrome()?;
        window.connect();
        window.gtk.show_all();
        Ok(window)
    }

    fn build_chrome(self: &Rc<Self>) -> anyhow::Result<()> {
        let weak = Rc::downgrade(self);
        let chrome = WebViewBuilder::new()
            .with_transparent(true)
            .with_incognito(true)
            .with_custom_protocol("regen".to_owned(), |_, request| assets::serve(&request))
            .with_navigation_handler(|url| url.starts_with("regen://shell/"))
            .with_ipc_handler(move |request| {
                let Some(window) = weak.upgrade() else { return };
                match serde_json::from_str(request.body()) {
                    Ok(message) => window.from_chrome(message),
                    Err(error) => tracing::error!("bridge: a message from the chrome was refused: {error}"),
                }
            })
            .with_url(assets::START)
            .build_gtk(&self.chrome_box)?;
        let web = chrome.webview();
        self.chrome_box.set_child_packing(&web, true, true, 0, gtk::PackType::Start);
        let weak = Rc::downgrade(self);
        web.connect_button_press_event(move |_, _| {
            // The web view consumes the press, so no parent widget receives it.
            if let Some(window) = weak.upgrade() {
                window.focus_page(false);
            }
            glib::Propagation::Proceed
        });
        web.connect_context_menu(|_, _, _, hit| !hit.context_is_editable());
        web.connect_web_process_terminated(|_, why| {
            // The broker restarts the window; this process holds no session state.
            tracing::error!("the chrome's web process ended ({why:?}): the window restarts");
            std::process::exit(1);
        });
        self.chrome.replace(Some(chrome));
        Ok(())
    }

    fn connect(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        self.area.connect_draw(move |_, painter| {
            if let Some(window) = weak.upgrade()
                && let Err(error) = window.draw(painter)
            {
                tracing::warn!("cannot draw the page: {error}");
            }
            glib::Propagation::Stop
        });
        // The engine overwrites what lies below its transparent parts, so the chrome is drawn into a surface of its
        // own. It is skipped where it shows nothing, so that the page is drawn to the display only once.
        let weak = Rc::downgrade(self);
        self.chrome_box.connect_draw(move |chrome_box, painter| {
            if weak.upgrade().is_some_and(|window| !window.drawn.borrow().is_in(painter)) {
                return glib::Propagation::Stop;
            }
            if let Err(error) = drawn_chrome::draw_apart(chrome_box, painter) {
                tracing::warn!("cannot draw the chrome: {error}");
            }
            glib::Propagation::Stop
        });
        let weak = Rc::downgrade(self);
        self.gtk.connect_delete_event(move |_, _| {
            if let Some(window) = weak.upgrade() {
                window.sender.command(Command::Quit(Empty {}));
            }
            glib::Propagation::Stop
        });
        let weak = Rc::downgrade(self);
        self.gtk.connect_scale_factor_notify(move |_| {
            if let Some(window) = weak.upgrade() {
                window.send_geometry();
            }
        });
        size::connect(&self.gtk, self.sender.clone());
    }

    /// Tells the broker that the window is ready.
    pub(crate) fn ready(&self) {
        self.sender.ready();
    }

    /// Handles an event from the broker or a host.
    pub(crate) fn receive(self: &Rc<Self>, message: MainEvent) {
        match message {
            MainEvent::Heartbeat(beat) => self.sender.alive(beat),
            MainEvent::Update(update) => self.update(&update),
            MainEvent::Page(host, message, memory, _room) => self.from_page(host, message, memory),
            MainEvent::Attached(host) => {
                if self.active_host() == Some(host) {
                    self.send_geometry();
                    self.send_focus();
                }
            }
            MainEvent::Detached(host) => self.frames.borrow_mut().host_gone(host),
            MainEvent::Shutdown => gtk::main_quit(),
        }
    }

    fn update(self: &Rc<Self>, update: &ShellUpdate) {
        match &update.body {
            Some(shell_update::Body::Tab(tab)) => self.tab_changed(tab),
            Some(shell_update::Body::Raise(_)) => self.gtk.present(),
            Some(shell_update::Body::WindowSettings(settings)) => self.follow(settings),
            Some(shell_update::Body::Workspaces(all)) => self.workspaces.replace(all.workspaces.clone()).clear(),
            Some(shell_update::Body::RunCommand(name)) => self.run_named(name),
            Some(shell_update::Body::TabClosed(tab)) => {
                self.tabs.borrow_mut().remove(tab);
                self.frames.borrow_mut().pictures.forget(*tab);
                self.in_bars.borrow_mut().remove(tab);
            }
            Some(shell_update::Body::Order(order)) => {
                let mut tabs = self.order.borrow_mut();
                if order.first {
                    tabs.clear();
                }
                tabs.extend(&order.tabs);
            }
            _ => {}
        }
        if let Some(message) = ToChrome::from_update(update) {
            self.tell_chrome(message);
        }
        if let Some(shell_update::Body::Order(order)) = &update.body {
            // The chrome must learn of the order before it is told about focus.
            self.activate(order.active);
        }
    }

    fn tab_changed(&self, tab: &Tab) {
        let before = self.tabs.borrow_mut().insert(tab.id, tab.clone());
        self.frames.borrow_mut().pictures.tab_changed(tab);
        if tab.id != self.active.get() {
            return;
        }
        self.retitle();
        self.fill_screen();
        // The link that was under the pointer belongs to the page before.
        if before.as_ref().is_some_and(|before| before.url != tab.url) {
            self.tell_chrome(ToChrome::Hover { url: String::new() });
        }
        let moved = before.is_none_or(|before| before.host != tab.host);
        if moved {
            self.send_geometry();
            self.send_focus();
        }
        self.area.queue_draw();
    }

    fn activate(self: &Rc<Self>, tab: u64) {
        let before = self.active.get();
        if before != tab {
            // The tab that is left must not keep held keys pressed: their release goes elsewhere.
            self.to_page(to_page::Body::Focus(Focus { focused: false }));
            self.active.set(tab);
            // The chrome draws built-in pages.
            let is_page = |tab: &Tab| !tab.url.is_empty() && !tab.url.starts_with(BUILTIN_SCHEME);
            let has_page = self.tabs.borrow().get(&tab).is_some_and(is_page);
            self.focus_page(has_page && !self.in_bars.borrow().contains(&tab));
            self.tell_chrome(ToChrome::Hover { url: String::new() });
            self.send_geometry();
            self.send_focus();
        }
        self.retitle();
        self.fill_screen();
        self.area.queue_draw();
        if before != tab {
            self.switched();
        }
    }

    fn retitle(&self) {
        let tabs = self.tabs.borrow();
        let title = tabs.get(&self.active.get()).map(|tab| tab.title.as_str()).filter(|title| !title.is_empty());
        self.gtk.set_title(&title.map_or_else(|| "Regen".to_owned(), |title| format!("{title} — Regen")));
    }

    pub(crate) fn active_tab(&self) -> u64 {
        self.active.get()
    }

    /// Returns whether the active tab has a host that responds, and so can answer a key.
    pub(crate) fn page_answers(&self) -> bool {
        self.tabs.borrow().get(&self.active.get()).is_some_and(|tab| tab.host != 0 && !tab.unresponsive)
    }

    pub(crate) fn active_host(&self) -> Option<HostId> {
        self.tabs.borrow().get(&self.active.get()).map(|tab| tab.host).filter(|host| *host != 0)
    }

    /// Sends a message to the active tab's page; drops it if the tab has no host.
    pub(crate) fn to_page(&self, body: to_page::Body) {
        if let Some(host) = self.active_host() {
            self.surfaces.send(host, self.active.get(), body);
        }
    }

    pub(crate) fn command(&self, command: Command) {
        // Input that is too long is reported to the user: sent to the broker, it would be a protocol violation.
        if let Err(error) = regen_proto::validate::check_user_command(&command) {
            let text = format!("The input was not sent: {error}. Shorten it and try again.");
            self.tell_chrome(ToChrome::Notice { level: "warning".to_owned(), text });
            return;
        }
        self.sender.command(command);
    }

    fn send_geometry(&self) {
        let page = self.page.get();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; a window is not that large"
        )]
        let (width, height) = (page.width.round() as u32, page.height.round() as u32);
        if width > 0 && height > 0 {
            let scale = u32::try_from(self.gtk.scale_factor()).unwrap_or(1);
            self.to_page(to_page::Body::Geometry(Geometry { width, height, scale }));
        }
    }

    fn send_focus(&self) {
        let focused = self.page_focused.get() && self.is_active.get();
        if !focused {
            self.input.leave_field();
        }
        self.to_page(to_page::Body::Focus(Focus { focused }));
    }

    /// Sets where focus goes when this tab is activated: into the bars or into its page.
    pub(crate) fn keep_keyboard(&self, tab: u64, in_bars: bool) {
        if in_bars {
            self.in_bars.borrow_mut().insert(tab);
        } else {
            self.in_bars.borrow_mut().remove(&tab);
        }
    }

    /// Records that the window has gained or lost keyboard focus.
    pub(crate) fn set_active(&self, active: bool) {
        if self.is_active.replace(active) != active {
            self.tell_chrome(ToChrome::WindowActive { active });
            self.send_focus();
        }
    }

    /// Gives keyboard focus to the page or to the chrome.
    pub(crate) fn focus_page(&self, focused: bool) {
        if self.page_focused.replace(focused) == focused {
            return;
        }
        if focused {
            self.area.grab_focus();
            self.tell_chrome(ToChrome::PageFocused);
        } else if let Some(chrome) = self.chrome.borrow().as_ref() {
            chrome.webview().grab_focus();
        }
        self.send_focus();
    }

    /// Converts a point in the window to the page's coordinates.
    pub(crate) fn in_page(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let page = self.page.get();
        (x - page.x, y - page.y)
    }

    fn from_page(self: &Rc<Self>, host: HostId, message: FromPage, memory: Option<OwnedFd>) {
        let tab = message.tab;
        // A host may only send messages about its own tabs.
        let is_its = self.tabs.borrow().get(&tab).is_some_and(|known| known.host == host);
        let Some(body) = message.body else { return };
        if let from_page::Body::Buffer(announced) = &body {
            // Buffers are kept for tabs that the broker has not named yet: a frame may follow once it has.
            let announced = memory.map(|memory| self.frames.borrow_mut().announce(host, tab, announced, memory));
            if let Some(Err(error)) = announced {
                tracing::error!("a host's buffer was refused: {error}");
            }
            return;
        }
        if !is_its {
            // The broker's update about the tab may still be on its way. The buffer goes back; once the tab is known,
            // its geometry is sent.
            if let from_page::Body::Frame(frame) = body {
                let released = BufferReleased { buffer: frame.buffer };
                self.surfaces.send(host, tab, to_page::Body::BufferReleased(released));
            }
            return;
        }
        let is_active = tab == self.active.get();
        match body {
            from_page::Body::Frame(frame) => self.frame(host, tab, &frame),
            from_page::Body::Cursor(cursor) if is_active => self.show_cursor(&cursor),
            from_page::Body::HoverLink(link) if is_active => self.tell_chrome(ToChrome::Hover { url: link.url }),
            from_page::Body::Clipboard(offer) if is_active && self.input.was_used_just_now() => {
                clipboard::put(&gtk::Clipboard::get(&gdk::SELECTION_CLIPBOARD), &offer);
            }
            from_page::Body::Ime(state) if is_active => self.input.field(self.in_page((0.0, 0.0)), &state),
            from_page::Body::KeyAnswer(answer) => self.key_answer(host, tab, &answer),
            from_page::Body::WheelUnused(wheel) if is_active => self.wheel_was_unused(wheel.down),
            from_page::Body::Buffer(_)
            | from_page::Body::Cursor(_)
            | from_page::Body::WheelUnused(_)
            | from_page::Body::HoverLink(_)
            | from_page::Body::Clipboard(_)
            | from_page::Body::Ime(_) => {}
        }
    }

    /// Returns the tab `steps` places to the right of the active one, wrapping around.
    pub(crate) fn neighbour(&self, steps: isize) -> Option<u64> {
        let order = self.order();
        let count = isize::try_from(order.len()).ok().filter(|count| *count > 0)?;
        let at = isize::try_from(order.iter().position(|tab| *tab == self.active.get())?).ok()?;
        order.get(usize::try_from((at + steps).rem_euclid(count)).ok()?).copied()
    }

    pub(crate) fn nth(&self, index: usize) -> Option<u64> {
        self.order().get(index).copied()
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.order().last().copied()
    }

    /// Returns the tabs of the workspace that is shown, in the order of the strip.
    pub(crate) fn order(&self) -> Vec<u64> {
        let tabs = self.tabs.borrow();
        let workspace = |tab: &u64| tabs.get(tab).map(|tab| tab.workspace.as_str());
        let shown = workspace(&self.active.get());
        self.order.borrow().iter().filter(|tab| workspace(tab) == shown).copied().collect()
    }

    /// Returns the identifier of the workspace that is so many places after the one that is shown.
    pub(crate) fn workspace_beside(&self, steps: isize) -> Option<String> {
        let all = self.workspaces.borrow();
        let count = isize::try_from(all.len()).ok().filter(|count| *count > 1)?;
        let shown = self.tab(self.active.get())?.workspace;
        let at = isize::try_from(all.iter().position(|one| one.id == shown)?).ok()?;
        all.get(usize::try_from((at + steps).rem_euclid(count)).ok()?).map(|one| one.id.clone())
    }

    pub(crate) fn tab(&self, tab: u64) -> Option<Tab> {
        self.tabs.borrow().get(&tab).cloned()
    }
}
