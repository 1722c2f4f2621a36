//! Keyboard and mouse input: shortcuts first, then the page or the chrome, whichever has keyboard focus.

use std::rc::Rc;
use std::time::{Duration, Instant};

use gtk::gdk::{self, EventKey, EventMask, ModifierType, ScrollDirection};
use gtk::prelude::*;
use regen_commands::CommandId;
use regen_proto::kernel::v1::History;
use regen_proto::kernel::v1::user_command::Body as Command;
use regen_proto::page::v1::{
    ImeCommit, ImePreedit, Key, KeyAnswer, KeymapChanged, Modifiers, Paste, PointerAxis, PointerButton, PointerMotion,
    to_page,
};

use crate::bridge::ToChrome;
use crate::events::HostId;
use crate::input::{HeldInput, InputDecision, Layout};
use crate::shortcuts;
use crate::window::Window;

/// CSS pixels per wheel notch, and per unit of smooth scrolling.
const NOTCH: f64 = 40.0;

/// Minimum interval between two reports of key presses in one tab to the broker.
const GESTURE: Duration = Duration::from_millis(500);

/// Time to wait for a page to answer a key, or for a tab to come to the front. Then the key counts as unused.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(700);

/// Time in which a page may report that it did not use the wheel.
const WHEEL: Duration = Duration::from_secs(2);

/// Connects the window's input events.
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
        // GTK adds events for double and triple clicks; the page counts clicks itself.
        if let Some(window) = weak.upgrade().filter(|_| event.event_type() == gdk::EventType::ButtonPress) {
            window.focus_page(true);
            // Closes a menu that is open over the page, even if the page already had focus.
            window.tell_chrome(ToChrome::PageFocused);
            window.gesture();
            window.button(event.button(), true, event.position(), event.state());
        }
        glib::Propagation::Stop
    });
    let weak = Rc::downgrade(window);
    area.connect_button_release_event(move |_, event| {
        if let Some(window) = weak.upgrade() {
            window.button(event.button(), false, event.position(), event.state());
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
        let Some(window) = weak.upgrade() else { return glib::Propagation::Proceed };
        if window.waits(event) {
            return glib::Propagation::Stop;
        }
        if !window.page_focused.get() {
            return glib::Propagation::Proceed;
        }
        if !window.input.method.filter_keypress(event) {
            window.send_key(event, false);
        }
        glib::Propagation::Stop
    });
    for has_focus in [true, false] {
        let weak = Rc::downgrade(window);
        let changed = move |_: &gtk::Window, _: &gdk::EventFocus| {
            if let Some(window) = weak.upgrade() {
                window.set_active(has_focus);
            }
            glib::Propagation::Proceed
        };
        if has_focus {
            window.gtk.connect_focus_in_event(changed);
        } else {
            window.gtk.connect_focus_out_event(changed);
        }
    }
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
    /// Reports a user gesture in the active tab to the broker. Only this process may report gestures.
    fn gesture(&self) {
        let (now, tab) = (Instant::now(), self.active_tab());
        self.input.last_gesture.set(Some((now, tab)));
        self.command(Command::Gesture(tab));
    }

    /// Reports a key press as a gesture, at most once per [`GESTURE`] and tab.
    fn gesture_of_key(&self) {
        let last = self.input.last_gesture.get();
        if last.is_none_or(|(at, tab)| at.elapsed() >= GESTURE || tab != self.active_tab()) {
            self.gesture();
        }
    }

    fn button(&self, button: u32, pressed: bool, position: (f64, f64), state: ModifierType) {
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
        let modifiers = Some(modifiers(state));
        self.to_page(to_page::Body::PointerButton(PointerButton { button: code, pressed, modifiers }));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "every other direction is smooth scrolling")]
    fn scroll(&self, event: &gdk::EventScroll) {
        let (dx, dy) = event.delta();
        if event.state().contains(ModifierType::CONTROL_MASK) {
            if self.page_focused.get() && self.page_answers() {
                self.input.control_wheel.set(Some(Instant::now()));
            } else {
                let down = event.direction() == ScrollDirection::Down || dy > 0.0;
                self.zoom_by(if down { -1 } else { 1 });
                return;
            }
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
        self.to_page(to_page::Body::PointerAxis(PointerAxis {
            dx,
            dy,
            discrete,
            modifiers: Some(modifiers(event.state())),
        }));
    }

    /// Zooms, because the page did not use a wheel event with Control held.
    pub(crate) fn wheel_was_unused(&self, down: bool) {
        if self.input.control_wheel.get().is_some_and(|at| at.elapsed() < WHEEL) {
            self.zoom_by(if down { -1 } else { 1 });
        }
    }

    /// Sends the page the keyboard layout if the layout or the tab has changed since the last key.
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
        self.to_page(to_page::Body::Key(Key {
            keycode: event.hardware_keycode().into(),
            pressed,
            modifiers: Some(modifiers(event.state())),
        }));
    }

    /// Holds a key back while its target is undecided. Returns whether it was held back.
    fn waits(&self, event: &EventKey) -> bool {
        let mut waiting = self.input.waiting.borrow_mut();
        let Some(waiting) = waiting.as_mut() else { return false };
        waiting.since.push((**event).clone());
        true
    }

    pub(crate) fn wait_for(self: &Rc<Self>, for_what: InputDecision) {
        let number = self.input.waits.get() + 1;
        self.input.waits.set(number);
        self.input.waiting.replace(Some(HeldInput { for_what, since: Vec::new(), number }));
        let weak = Rc::downgrade(self);
        glib::timeout_add_local_once(ANSWER_TIMEOUT, move || {
            let Some(window) = weak.upgrade() else { return };
            let still = window.input.waiting.borrow().as_ref().is_some_and(|waiting| waiting.number == number);
            if still {
                window.go_on(false);
            }
        });
    }

    fn command_of(&self, event: &EventKey) -> Option<CommandId> {
        shortcuts::chord(event).and_then(|chord| self.input.shortcuts.borrow().command(&chord))
    }

    /// Sends the page the key of a command, and waits for its answer.
    fn ask_page(self: &Rc<Self>, event: &EventKey, command: CommandId) {
        self.wait_for(InputDecision::Answer {
            host: self.active_host().unwrap_or_default(),
            tab: self.active_tab(),
            keycode: event.hardware_keycode().into(),
            command,
        });
        self.gesture_of_key();
        self.send_key(event, true);
    }

    /// Handles a page's answer to a key; answers to keys that are not pending are ignored.
    pub(crate) fn key_answer(self: &Rc<Self>, from: HostId, of: u64, answer: &KeyAnswer) {
        let is_it = self.input.waiting.borrow().as_ref().is_some_and(|waiting| match waiting.for_what {
            InputDecision::Answer { host, tab, keycode, .. } => {
                (host, tab) == (from, of) && (answer.used || keycode == answer.keycode)
            }
            InputDecision::Switch => false,
        });
        if is_it {
            self.go_on(answer.used);
        }
    }

    /// Delivers the keys that waited for another tab to come to the front.
    pub(crate) fn switched(self: &Rc<Self>) {
        let is_it =
            self.input.waiting.borrow().as_ref().is_some_and(|one| matches!(one.for_what, InputDecision::Switch));
        if is_it {
            self.go_on(false);
        }
    }

    fn go_on(self: &Rc<Self>, used: bool) {
        let Some(waiting) = self.input.waiting.take() else { return };
        if let InputDecision::Answer { command, .. } = waiting.for_what
            && !used
        {
            self.run(command);
        }
        for mut event in waiting.since {
            gtk::main_do_event(&mut event);
        }
    }

    fn key_pressed(self: &Rc<Self>, event: &EventKey) -> glib::Propagation {
        // The page gets the key as well, and so leaves full screen itself.
        if event.keyval() == gdk::keys::constants::Escape {
            self.take_back_screen();
        }
        if self.waits(event) {
            return glib::Propagation::Stop;
        }
        if let Some(command) = self.command_of(event) {
            if command.command().is_kept_from_pages || !self.page_focused.get() || !self.page_answers() {
                self.run(command);
            } else {
                self.ask_page(event, command);
            }
            return glib::Propagation::Stop;
        }
        let press = (event.time(), event.hardware_keycode());
        if !self.page_focused.get() {
            self.input.chrome_presses.borrow_mut().add(press);
            return glib::Propagation::Proceed;
        }
        // The engine hands back a key that the chrome's document did not use. Such a key must not go to the page, even
        // if focus has moved there. The chrome's view waits for it, and would swallow the next key in its place.
        if self.input.chrome_presses.borrow().has(press) {
            self.hand_to_chrome(event);
            return glib::Propagation::Stop;
        }
        self.gesture_of_key();
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
            // The input method passed the key through unchanged: the page gets the key, not only its text.
            (true, committed) if committed.is_some() && committed == plain => self.send_key(event, true),
            (true, Some(text)) => self.to_page(to_page::Body::ImeCommit(ImeCommit { text })),
            (true, None) => {}
        }
        glib::Propagation::Stop
    }

    /// Sends the page the clipboard's text, then the key. A page gets the text only when the user pastes.
    fn paste_then(self: &Rc<Self>, event: &EventKey) {
        let window = Rc::clone(self);
        let keycode = event.hardware_keycode().into();
        let modifiers = Some(modifiers(event.state()));
        self.tell_layout(event);
        gtk::Clipboard::get(&gdk::SELECTION_CLIPBOARD).request_text(move |_, text| {
            if let Some(text) = text {
                window.to_page(to_page::Body::Paste(Paste { text: text.to_owned() }));
            }
            for pressed in [true, false] {
                window.to_page(to_page::Body::Key(Key { keycode, pressed, modifiers }));
            }
        });
    }
}

/// Converts GDK's modifier state.
fn modifiers(state: ModifierType) -> Modifiers {
    Modifiers {
        shift: state.contains(ModifierType::SHIFT_MASK),
        control: state.contains(ModifierType::CONTROL_MASK),
        alt: state.contains(ModifierType::MOD1_MASK),
        meta: state.contains(ModifierType::MOD4_MASK),
        alt_graph: state.contains(ModifierType::MOD5_MASK),
    }
}

fn is_paste(event: &EventKey) -> bool {
    use gdk::keys::constants as key;
    let state = event.state();
    let pressed = shortcuts::latin(event).to_lower();
    (state.contains(ModifierType::CONTROL_MASK) && pressed == key::v)
        || (state.contains(ModifierType::SHIFT_MASK) && pressed == key::Insert)
}
