//! The user's input: shortcuts of the browser's first, then the page's or the chrome's, whichever has the keyboard.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use gtk::gdk::{self, EventKey, EventMask, ModifierType, ScrollDirection};
use gtk::prelude::*;
use regen_proto::kernel::v1::user_command::Body as Command;
use regen_proto::kernel::v1::{Empty, History, OpenTab, ReloadTab, ZoomTab};
use regen_proto::page::v1::{
    ImeCommit, ImePreedit, ImeState, Key, KeymapChanged, Paste, PointerAxis, PointerButton, PointerMotion, to_page,
};

use crate::bridge::ToChrome;
use crate::window::Window;

/// CSS pixels of one notch of a wheel, and of one unit of a smooth one.
const NOTCH: f64 = 40.0;
/// The broker learns of gestures at most this often.
const GESTURE: Duration = Duration::from_millis(500);
const ZOOM_STEPS: [f64; 15] = [0.25, 0.33, 0.5, 0.67, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 5.0];

/// The input method and what it is composing.
pub(crate) struct Input {
    method: gtk::IMMulticontext,
    /// What the method committed while a key was filtered.
    committed: RefCell<Option<String>>,
    filtering: Cell<bool>,
    composing: Cell<bool>,
    last_gesture: Cell<Option<Instant>>,
    /// How often the display's keyboard layout has changed.
    layout_changes: Cell<u32>,
    told_layout: Cell<Option<Layout>>,
    /// The last key press that the chrome had: its time and key.
    chrome_press: Cell<Option<(u32, u16)>>,
}

/// What a page's keyboard layout depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    tab: u64,
    group: u8,
    changes: u32,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self {
            method: gtk::IMMulticontext::new(),
            committed: RefCell::default(),
            filtering: Cell::default(),
            composing: Cell::default(),
            last_gesture: Cell::default(),
            layout_changes: Cell::default(),
            told_layout: Cell::default(),
            chrome_press: Cell::default(),
        }
    }

    /// The user has clicked or typed in the page a moment ago.
    pub(crate) fn was_used_just_now(&self) -> bool {
        const MOMENT: Duration = Duration::from_secs(2);
        self.last_gesture.get().is_some_and(|last| last.elapsed() < MOMENT)
    }

    /// A field of the page wants text, or no longer.
    pub(crate) fn field(&self, window: &Window, state: &ImeState) {
        if state.enabled {
            let (left, top) = window.in_page((0.0, 0.0));
            #[expect(clippy::cast_possible_truncation, reason = "saturates; a window is not that large")]
            let at = gdk::Rectangle::new(
                state.x.saturating_sub(left as i32),
                state.y.saturating_sub(top as i32),
                state.width.max(1),
                state.height.max(1),
            );
            self.method.set_cursor_location(&at);
            self.method.focus_in();
        } else {
            self.method.focus_out();
            self.method.reset();
        }
    }
}

/// Connects everything a user can do to the window.
pub(crate) fn connect(window: &Rc<Window>) {
    let area = &window.area;
    area.add_events(
        EventMask::POINTER_MOTION_MASK
            | EventMask::BUTTON_PRESS_MASK
            | EventMask::BUTTON_RELEASE_MASK
            | EventMask::SCROLL_MASK
            | EventMask::SMOOTH_SCROLL_MASK,
    );
    let weak = Rc::downgrade(window);
    area.connect_motion_notify_event(move |_, event| {
        if let Some(window) = weak.upgrade() {
            let (x, y) = window.in_page(event.position());
            window.to_page(to_page::Body::PointerMotion(PointerMotion { x, y }));
        }
        glib::Propagation::Stop
    });
    let weak = Rc::downgrade(window);
    area.connect_button_press_event(move |_, event| {
        // GTK adds events of its own for double and triple clicks; the page counts for itself.
        if let Some(window) = weak.upgrade().filter(|_| event.event_type() == gdk::EventType::ButtonPress) {
            window.focus_page(true);
            window.gesture();
            window.button(event.button(), true, event.position());
        }
        glib::Propagation::Stop
    });
    let weak = Rc::downgrade(window);
    area.connect_button_release_event(move |_, event| {
        if let Some(window) = weak.upgrade() {
            window.button(event.button(), false, event.position());
        }
        glib::Propagation::Stop
    });
    let weak = Rc::downgrade(window);
    area.connect_scroll_event(move |_, event| {
        if let Some(window) = weak.upgrade() {
            window.scroll(event);
        }
        glib::Propagation::Stop
    });
    let weak = Rc::downgrade(window);
    window.gtk.connect_key_press_event(move |_, event| {
        weak.upgrade().map_or(glib::Propagation::Proceed, |window| window.key_pressed(event))
    });
    let weak = Rc::downgrade(window);
    window.gtk.connect_key_release_event(move |_, event| {
        let Some(window) = weak.upgrade().filter(|window| window.page_focused.get()) else {
            return glib::Propagation::Proceed;
        };
        if !window.input.method.filter_keypress(event) {
            window.send_key(event, false);
        }
        glib::Propagation::Stop
    });
    let weak = Rc::downgrade(window);
    window.gtk.connect_button_press_event(move |_, _| {
        // Whatever the page's area did not take belongs to the chrome.
        if let Some(window) = weak.upgrade() {
            window.focus_page(false);
        }
        glib::Propagation::Proceed
    });
    if let Some(map) = gdk::Display::default().and_then(|display| gdk::Keymap::for_display(&display)) {
        let weak = Rc::downgrade(window);
        map.connect_keys_changed(move |_| {
            if let Some(window) = weak.upgrade() {
                window.input.layout_changes.set(window.input.layout_changes.get().wrapping_add(1));
            }
        });
    }
    connect_method(window);
}

fn connect_method(window: &Rc<Window>) {
    let method = &window.input.method;
    let weak = Rc::downgrade(window);
    window.gtk.connect_realize(move |gtk| {
        if let Some(window) = weak.upgrade() {
            window.input.method.set_client_window(gtk.window().as_ref());
        }
    });
    let weak = Rc::downgrade(window);
    method.connect_commit(move |_, text| {
        let Some(window) = weak.upgrade() else { return };
        window.input.composing.set(false);
        if window.input.filtering.get() {
            window.input.committed.replace(Some(text.to_owned()));
        } else {
            window.to_page(to_page::Body::ImeCommit(ImeCommit { text: text.to_owned() }));
        }
    });
    let weak = Rc::downgrade(window);
    method.connect_preedit_changed(move |method| {
        let Some(window) = weak.upgrade() else { return };
        let (text, _, cursor) = method.preedit_string();
        window.input.composing.set(!text.is_empty());
        let cursor = text.chars().take(usize::try_from(cursor).unwrap_or(0)).map(char::len_utf8).sum::<usize>();
        let preedit = ImePreedit { text: text.to_string(), cursor: u32::try_from(cursor).unwrap_or(0) };
        window.to_page(to_page::Body::ImePreedit(preedit));
    });
}

impl Window {
    /// The user did something in the page: this process alone may say so.
    fn gesture(&self) {
        let now = Instant::now();
        let due = self.input.last_gesture.get().is_none_or(|last| now.duration_since(last) >= GESTURE);
        if due {
            self.input.last_gesture.set(Some(now));
            self.command(Command::Gesture(self.active_tab()));
        }
    }

    fn button(&self, button: u32, pressed: bool, position: (f64, f64)) {
        const BACK: u32 = 8;
        const FORWARD: u32 = 9;
        let tab = self.active_tab();
        let code = match button {
            1 => 272,
            2 => 274,
            3 => 273,
            BACK | FORWARD => {
                if pressed {
                    let delta = if button == BACK { -1 } else { 1 };
                    self.command(Command::History(History { tab, delta }));
                }
                return;
            }
            _ => return,
        };
        let (x, y) = self.in_page(position);
        self.to_page(to_page::Body::PointerMotion(PointerMotion { x, y }));
        self.to_page(to_page::Body::PointerButton(PointerButton { button: code, pressed }));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is no notch is smooth")]
    fn scroll(&self, event: &gdk::EventScroll) {
        let (dx, dy) = event.delta();
        let control = event.state().contains(ModifierType::CONTROL_MASK);
        if control {
            let down = event.direction() == ScrollDirection::Down || dy > 0.0;
            self.zoom_by(if down { -1 } else { 1 });
            return;
        }
        let (dx, dy, discrete) = match event.direction() {
            ScrollDirection::Up => (0.0, -NOTCH, true),
            ScrollDirection::Down => (0.0, NOTCH, true),
            ScrollDirection::Left => (-NOTCH, 0.0, true),
            ScrollDirection::Right => (NOTCH, 0.0, true),
            _ => (dx * NOTCH, dy * NOTCH, false),
        };
        let (x, y) = self.in_page(event.position());
        self.to_page(to_page::Body::PointerMotion(PointerMotion { x, y }));
        self.to_page(to_page::Body::PointerAxis(PointerAxis { dx, dy, discrete }));
    }

    /// Pages read keys as the user's display does now: the layout may have been switched, or the tab.
    fn tell_layout(&self, event: &EventKey) {
        let layout = Layout { tab: self.active_tab(), group: event.group(), changes: self.input.layout_changes.get() };
        if self.input.told_layout.replace(Some(layout)) == Some(layout) {
            return;
        }
        if let Some(map) = gdk::Display::default().and_then(|display| gdk::Keymap::for_display(&display)) {
            let keymap = crate::keymap::of_group(&map, event.group());
            self.to_page(to_page::Body::Keymap(KeymapChanged { keymap }));
        }
    }

    fn send_key(&self, event: &EventKey, pressed: bool) {
        self.tell_layout(event);
        self.to_page(to_page::Body::Key(Key { keycode: event.hardware_keycode().into(), pressed }));
    }

    fn key_pressed(self: &Rc<Self>, event: &EventKey) -> glib::Propagation {
        if self.shortcut(event) {
            return glib::Propagation::Stop;
        }
        let press = (event.time(), event.hardware_keycode());
        if !self.page_focused.get() {
            self.input.chrome_press.set(Some(press));
            return glib::Propagation::Proceed;
        }
        // The engine hands back a key that the chrome's document did not use. If that key has given the keyboard to the page
        // meanwhile, it is still not the page's.
        if self.input.chrome_press.get() == Some(press) {
            return glib::Propagation::Stop;
        }
        self.gesture();
        if is_paste(event) {
            self.paste_then(event);
            return glib::Propagation::Stop;
        }
        self.input.filtering.set(true);
        self.input.committed.replace(None);
        let taken = self.input.method.filter_keypress(event);
        self.input.filtering.set(false);
        let plain = event.keyval().to_unicode().map(String::from);
        match (taken, self.input.committed.take()) {
            (false, _) => self.send_key(event, true),
            // The method passed the key through: the page gets the key, not just its text.
            (true, committed) if committed.is_some() && committed == plain => self.send_key(event, true),
            (true, Some(text)) => self.to_page(to_page::Body::ImeCommit(ImeCommit { text })),
            (true, None) => {}
        }
        glib::Propagation::Stop
    }

    /// The page gets the clipboard's text only now, because the user pastes.
    fn paste_then(self: &Rc<Self>, event: &EventKey) {
        let window = Rc::clone(self);
        let keycode = event.hardware_keycode().into();
        gtk::Clipboard::get(&gdk::SELECTION_CLIPBOARD).request_text(move |_, text| {
            if let Some(text) = text {
                window.to_page(to_page::Body::Paste(Paste { text: text.to_owned() }));
            }
            for pressed in [true, false] {
                window.to_page(to_page::Body::Key(Key { keycode, pressed }));
            }
        });
    }

    fn zoom_by(&self, steps: isize) {
        let zoom = self.zoom();
        let next = if steps > 0 {
            ZOOM_STEPS.iter().copied().find(|step| *step > zoom + 0.01)
        } else {
            ZOOM_STEPS.iter().rev().copied().find(|step| *step < zoom - 0.01)
        };
        if let Some(zoom) = next {
            self.command(Command::Zoom(ZoomTab { tab: self.active_tab(), zoom }));
        }
    }

    fn chrome_shortcut(&self, name: &'static str) {
        self.focus_page(false);
        self.tell_chrome(ToChrome::Shortcut { name });
    }

    /// The browser's own shortcuts. Returns whether it was one.
    fn shortcut(self: &Rc<Self>, event: &EventKey) -> bool {
        use gdk::keys::constants as key;
        let state = event.state();
        let control = state.contains(ModifierType::CONTROL_MASK);
        let shift = state.contains(ModifierType::SHIFT_MASK);
        let alt = state.contains(ModifierType::MOD1_MASK);
        let tab = self.active_tab();
        let pressed = event.keyval().to_lower();
        let go = |target: Option<u64>| {
            if let Some(target) = target {
                self.command(Command::ActivateTab(target));
            }
        };
        match (control, shift, alt, pressed) {
            (true, false, false, k) if k == key::t => {
                self.command(Command::OpenTab(OpenTab::default()));
                self.chrome_shortcut("address");
            }
            (true, true, false, k) if k == key::t => self.command(Command::ReopenClosed(Empty {})),
            (true, false, false, k) if k == key::w || k == key::F4 => self.command(Command::CloseTab(tab)),
            (true, false, false, k) if k == key::l => self.chrome_shortcut("address"),
            (false, false, true, k) if k == key::d => self.chrome_shortcut("address"),
            (false, false, false, k) if k == key::F6 => self.chrome_shortcut("address"),
            (true, false, false, k) if k == key::f => self.chrome_shortcut("find"),
            (true, _, false, k) if k == key::g => self.chrome_shortcut(if shift { "findPrevious" } else { "findNext" }),
            (false, _, false, k) if k == key::F3 => {
                self.chrome_shortcut(if shift { "findPrevious" } else { "findNext" });
            }
            (true, false, false, k) if k == key::j => self.chrome_shortcut("downloads"),
            (true, _, false, k) if k == key::r => {
                self.command(Command::Reload(ReloadTab { tab, bypass_cache: shift }));
            }
            (_, _, false, k) if k == key::F5 => {
                self.command(Command::Reload(ReloadTab { tab, bypass_cache: shift || control }));
            }
            (true, false, false, k) if k == key::Tab || k == key::Page_Down => go(self.neighbour(1)),
            (true, true, false, k) if k == key::ISO_Left_Tab || k == key::Tab => go(self.neighbour(-1)),
            (true, false, false, k) if k == key::Page_Up => go(self.neighbour(-1)),
            (true, _, false, k) if k == key::plus || k == key::equal || k == key::KP_Add => self.zoom_by(1),
            (true, _, false, k) if k == key::minus || k == key::KP_Subtract => self.zoom_by(-1),
            (true, false, false, k) if k == key::_0 || k == key::KP_0 => {
                self.command(Command::Zoom(ZoomTab { tab, zoom: 1.0 }));
            }
            (true, false, false, k) if k == key::_9 => go(self.last()),
            (true, false, false, k) if k >= key::_1 && k <= key::_8 => {
                let index = usize::try_from(*k - *key::_1).unwrap_or(0);
                go(self.nth(index));
            }
            (false, false, true, k) if k == key::Left => self.command(Command::History(History { tab, delta: -1 })),
            (false, false, true, k) if k == key::Right => self.command(Command::History(History { tab, delta: 1 })),
            (false, false, true, k) if k == key::Home => self.chrome_shortcut("home"),
            (false, false, false, k) if k == key::F11 => self.toggle_fullscreen(),
            (true, _, false, k) if k == key::q => self.command(Command::Quit(Empty {})),
            _ => return false,
        }
        true
    }
}

fn is_paste(event: &EventKey) -> bool {
    use gdk::keys::constants as key;
    let state = event.state();
    let pressed = event.keyval().to_lower();
    (state.contains(ModifierType::CONTROL_MASK) && pressed == key::v)
        || (state.contains(ModifierType::SHIFT_MASK) && pressed == key::Insert)
}
