//! Input to the page, from the window or from the control API.

use std::time::{Duration, Instant};

use regen_proto::page::v1::{Geometry, Key, Modifiers, PointerAxis, PointerButton, PointerMotion, ToPage, to_page};
use smithay::backend::input::{Axis, AxisSource, ButtonState, KeyState, Keycode};
use smithay::input::keyboard::FilterResult;
use smithay::input::pointer::{AxisFrame, ButtonEvent, MotionEvent};
use smithay::reexports::calloop::timer::{TimeoutAction, Timer};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point, SERIAL_COUNTER};

use super::pixels;
use super::{Compositor, ViewId};

/// Value of one wheel notch in the Wayland protocol.
const NOTCH: f64 = 120.0;
/// Pixels that the engine scrolls per unit of the protocol's axis (GTK divides by ten, WebKit multiplies by 40).
const PIXELS_PER_UNIT: f64 = 4.0;
/// Pixels that the engine scrolls per wheel notch.
const PIXELS_PER_NOTCH: f64 = 40.0;
/// Maximum input messages that wait for a view.
const MAX_WAITING: usize = 1000;
const MAX_SIDE: u32 = 8192;
/// Time within which a clicked page must enable its text field.
const FIELD: Duration = Duration::from_millis(500);

/// State of the engine's clock. WebKit counts the times of all events from the first event that it gets. GTK gives the
/// first entry of the pointer the time at which it handles the entry, so events that were sent with it have earlier times,
/// and WebKit's unsigned subtraction gives pages a `timeStamp` of 2^64 milliseconds. So input waits until GTK has handled
/// the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineClock {
    /// The pointer has not entered a page yet.
    NotStarted,
    /// The pointer has entered a page; GTK has not handled it yet.
    Starting,
    /// Every later event has a later time.
    Started,
}

impl Compositor {
    pub(super) fn page_message(&mut self, message: ToPage) {
        let id = message.tab;
        let Some(body) = message.body else { return };
        let is_input = matches!(
            body,
            to_page::Body::PointerMotion(_)
                | to_page::Body::PointerButton(_)
                | to_page::Body::PointerAxis(_)
                | to_page::Body::Key(_)
                | to_page::Body::TypeText(_)
        );
        if is_input && (!self.view(id).has_picture() || self.engine_clock == EngineClock::Starting) {
            self.input_waits(id, body);
            return;
        }
        match body {
            to_page::Body::PointerMotion(motion) => self.pointer_motion(id, motion),
            to_page::Body::PointerButton(button) => self.pointer_button(id, button),
            to_page::Body::PointerAxis(axis) => self.pointer_axis(id, axis),
            to_page::Body::Key(key) => self.key(key),
            to_page::Body::TypeText(text) => self.type_text(&text.text),
            to_page::Body::Focus(focus) => self.focus(focus.focused.then_some(id)),
            to_page::Body::Geometry(geometry) => self.geometry(id, geometry),
            to_page::Body::BufferReleased(released) => {
                if let Some(view) = self.views.get_mut(&id) {
                    view.buffers.release(released.buffer);
                    self.arm_tick();
                }
            }
            to_page::Body::Paste(paste) => self.paste(paste.text),
            to_page::Body::ImeCommit(commit) => {
                if !self.text_inputs.commit(&commit.text) {
                    tracing::debug!("display: input method text dropped: no field has the focus");
                }
            }
            to_page::Body::ImePreedit(preedit) => self.text_inputs.preedit(&preedit.text, preedit.cursor),
            to_page::Body::Keymap(keymap) => {
                let keyboard = self.keyboard.clone();
                if keyboard.set_keymap_from_string(self, keymap.keymap).is_err() {
                    tracing::warn!("display: cannot read the window's keyboard layout; the previous one stays");
                }
            }
            // The engine's own commands do not go through the display.
            to_page::Body::EditCommand(_) => {}
        }
    }

    /// Queues input for a view until the view has drawn itself and the engine's clock has started.
    fn input_waits(&mut self, id: ViewId, body: to_page::Body) {
        let view = self.view(id);
        if view.waiting_input.len() < MAX_WAITING {
            view.waiting_input.push(ToPage { tab: id, body: Some(body), ..ToPage::default() });
        }
    }

    pub(super) fn deliver_waiting(&mut self, id: ViewId) {
        let Some(view) = self.views.get_mut(&id).filter(|view| !view.waiting_input.is_empty()) else { return };
        if view.has_picture() && self.engine_clock != EngineClock::Starting {
            for message in std::mem::take(&mut view.waiting_input) {
                self.page_message(message);
            }
            let Some(view) = self.views.get_mut(&id).filter(|view| view.waiting_input.is_empty()) else { return };
            for answer in std::mem::take(&mut view.waiting_answers) {
                // The requester may have given up.
                let _ = answer.send(());
            }
        }
    }

    fn touched(&mut self) {
        self.last_input = Some(Instant::now());
    }

    fn geometry(&mut self, id: ViewId, geometry: Geometry) {
        let side = |value: u32| value.clamp(1, MAX_SIDE);
        let (mut width, mut height) = (side(geometry.width), side(geometry.height));
        if self.letterboxed {
            (width, height) = crate::letterbox::letterboxed(width, height);
        }
        let scale = geometry.scale.clamp(1, 2);
        if self.default_size != (width, height, scale) {
            self.default_size = (width, height, scale);
            self.resize_output();
        }
        let view = self.view(id);
        let resized = (view.width, view.height, view.scale) != (width, height, scale);
        (view.width, view.height, view.scale) = (width, height, scale);
        // The window sends its geometry when it begins to show a view. It may have missed frames, so it gets a whole
        // one now.
        view.buffers.take_back();
        view.damage_all();
        if resized {
            self.configure_view(id);
        }
        self.arm_tick();
    }

    /// Returns the topmost surface of a view at a point, with its position.
    fn surface_at(&self, id: ViewId, point: Point<f64, Logical>) -> Option<(WlSurface, Point<f64, Logical>)> {
        let mut found = None;
        for (root, origin) in self.views.get(&id)?.placed() {
            pixels::each_in_tree(&root, origin, |surface, at, pixels| {
                let scale = f64::from(pixels.scale.max(1));
                let inside = point - at.to_f64();
                let (width, height) = (f64::from(pixels.width) / scale, f64::from(pixels.height) / scale);
                if (0.0..width).contains(&inside.x) && (0.0..height).contains(&inside.y) {
                    found = Some((surface.clone(), at.to_f64()));
                }
            });
        }
        found
    }

    fn pointer_motion(&mut self, id: ViewId, motion: PointerMotion) {
        if !(motion.x.is_finite() && motion.y.is_finite()) {
            return;
        }
        let location: Point<f64, Logical> = (motion.x, motion.y).into();
        let focus = self.surface_at(id, location);
        let enters = focus.is_some();
        let event = MotionEvent { location, serial: SERIAL_COUNTER.next_serial(), time: Self::milliseconds() };
        let pointer = self.pointer.clone();
        pointer.motion(self, focus, &event);
        pointer.frame(self);
        if enters && self.engine_clock == EngineClock::NotStarted {
            self.start_engine_clock(id);
        }
    }

    /// Asks GTK to answer when it has handled what it was sent.
    fn start_engine_clock(&mut self, id: ViewId) {
        let Some(toplevel) = self.views.get(&id).and_then(|view| view.toplevel.as_ref()) else { return };
        match toplevel.client().send_ping(SERIAL_COUNTER.next_serial()) {
            Ok(()) => self.engine_clock = EngineClock::Starting,
            Err(error) => tracing::warn!("display: the engine cannot be asked for its clock: {error}"),
        }
    }

    pub(super) fn engine_clock_started(&mut self) {
        self.engine_clock = EngineClock::Started;
        for id in self.views.keys().copied().collect::<Vec<_>>() {
            self.deliver_waiting(id);
        }
    }

    fn pointer_button(&mut self, id: ViewId, button: PointerButton) {
        self.touched();
        if button.pressed {
            if self.dismiss_popups(id) {
                return;
            }
            if self.focused != Some(id) {
                self.focus(Some(id));
            }
        }
        self.hold(button.modifiers);
        self.send_button(button.button, button.pressed);
    }

    fn send_button(&mut self, button: u32, pressed: bool) {
        let changes = if pressed { self.buttons.insert(button) } else { self.buttons.remove(&button) };
        if !changes {
            return;
        }
        let state = if pressed { ButtonState::Pressed } else { ButtonState::Released };
        let event = ButtonEvent { button, state, serial: SERIAL_COUNTER.next_serial(), time: Self::milliseconds() };
        let pointer = self.pointer.clone();
        pointer.button(self, &event);
        pointer.frame(self);
    }

    /// Closes open menus if a click is outside of them. Returns whether it was: such a click does nothing else.
    fn dismiss_popups(&mut self, id: ViewId) -> bool {
        let Some(view) = self.views.get(&id).filter(|view| !view.menus.is_empty()) else { return false };
        let under = self.pointer.current_focus();
        let inside = under.is_some_and(|surface| {
            let mut root = surface;
            while let Some(parent) = smithay::wayland::compositor::get_parent(&root) {
                root = parent;
            }
            view.popups.iter().any(|popup| *popup.wl_surface() == root)
        });
        if !inside {
            view.popups.iter().rev().for_each(smithay::wayland::shell::xdg::PopupSurface::send_popup_done);
        }
        !inside
    }

    fn pointer_axis(&mut self, id: ViewId, axis: PointerAxis) {
        if !(axis.dx.is_finite() && axis.dy.is_finite()) {
            return;
        }
        if self.pointer.current_focus().is_none() {
            let view = self.view(id);
            let middle = PointerMotion { x: f64::from(view.width) / 2.0, y: f64::from(view.height) / 2.0 };
            self.pointer_motion(id, middle);
        }
        if self.engine_clock == EngineClock::Starting {
            self.input_waits(id, to_page::Body::PointerAxis(axis));
            return;
        }
        self.hold(axis.modifiers);
        let source = if axis.discrete { AxisSource::Wheel } else { AxisSource::Continuous };
        let mut frame = AxisFrame::new(Self::milliseconds()).source(source);
        for (direction, pixels) in [(Axis::Horizontal, axis.dx), (Axis::Vertical, axis.dy)] {
            if pixels == 0.0 {
                continue;
            }
            frame = frame.value(direction, pixels / PIXELS_PER_UNIT);
            if axis.discrete {
                #[expect(clippy::cast_possible_truncation, reason = "saturates, and notches are few")]
                let notches = (pixels / PIXELS_PER_NOTCH * NOTCH).round() as i32;
                frame = frame.v120(direction, notches);
            }
        }
        let pointer = self.pointer.clone();
        pointer.axis(self, frame);
        pointer.frame(self);
    }

    fn key(&mut self, key: Key) {
        self.touched();
        self.hold(key.modifiers);
        self.send_key(Keycode::new(key.keycode), key.pressed);
    }

    fn send_key(&mut self, keycode: Keycode, pressed: bool) {
        let keyboard = self.keyboard.clone();
        if !pressed && !keyboard.pressed_keys().contains(&keycode) {
            return;
        }
        let state = if pressed { KeyState::Pressed } else { KeyState::Released };
        let (serial, time) = (SERIAL_COUNTER.next_serial(), Self::milliseconds());
        keyboard.input::<(), _>(self, keycode, state, serial, time, |_, _, _| FilterResult::Forward);
    }

    /// Releases every key and button that is down.
    pub(super) fn release_all(&mut self) {
        for keycode in self.keyboard.pressed_keys() {
            self.send_key(keycode, false);
        }
        for button in self.buttons.clone() {
            self.send_button(button, false);
        }
    }

    /// Presses and releases modifier keys to match those that the user holds. The page misses some of the user's
    /// presses and releases, which go to the browser or to another program.
    fn hold(&mut self, wanted: Option<Modifiers>) {
        let Some(wanted) = wanted else { return };
        let held = self.keyboard.modifier_state();
        for (wanted, held, keycodes) in [
            (wanted.shift, held.shift, [50, 62]),
            (wanted.control, held.ctrl, [37, 105]),
            (wanted.alt, held.alt, [64, 205]),
            (wanted.meta, held.logo, [133, 134]),
            (wanted.alt_graph, held.iso_level3_shift, [108, 92]),
        ] {
            if wanted && !held {
                self.send_key(Keycode::new(keycodes[0]), true);
            } else if held && !wanted {
                keycodes.into_iter().for_each(|keycode| self.send_key(Keycode::new(keycode), false));
            }
        }
    }

    /// Types text as keys if the layout has every character, and otherwise commits it like an input method. The engine
    /// handles keys later than commits, so the two cannot be mixed.
    fn type_text(&mut self, text: &str) {
        let keys: Option<Vec<(u32, bool)>> = text.chars().map(|character| self.keys_of(character)).collect();
        match keys {
            Some(keys) if self.typing.is_empty() => {
                keys.into_iter().for_each(|(keycode, shift)| self.type_key(keycode, shift));
            }
            _ => {
                self.typing.push_str(text);
                self.type_on();
            }
        }
    }

    /// Commits the pending text. A field that was just clicked may not be ready for an input method yet. The text is
    /// then committed once it is, or dropped after [`FIELD`].
    pub(super) fn type_on(&mut self) {
        if self.typing.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.typing);
        if self.text_inputs.commit(&text) {
            return;
        }
        self.typing = text;
        let expected = self.typing.len();
        let inserted = self.handle.insert_source(Timer::from_duration(FIELD), move |_, (), compositor| {
            if compositor.typing.len() == expected {
                tracing::warn!("display: typed text dropped: no field accepts it");
                compositor.typing.clear();
            }
            TimeoutAction::Drop
        });
        if let Err(error) = inserted {
            tracing::error!("display: cannot set a timer: {error}");
        }
    }

    fn type_key(&mut self, keycode: u32, shift: bool) {
        const SHIFT: u32 = 50;
        if shift {
            self.key(Key { keycode: SHIFT, pressed: true, modifiers: None });
        }
        self.key(Key { keycode, pressed: true, modifiers: None });
        self.key(Key { keycode, pressed: false, modifiers: None });
        if shift {
            self.key(Key { keycode: SHIFT, pressed: false, modifiers: None });
        }
    }

    /// Returns the keycode of a character in the present layout, and whether it needs Shift.
    fn keys_of(&mut self, character: char) -> Option<(u32, bool)> {
        use smithay::input::keyboard::xkb;
        let wanted = match character {
            '\n' => xkb::Keysym::Return,
            '\t' => xkb::Keysym::Tab,
            other => xkb::Keysym::from_char(other),
        };
        let keyboard = self.keyboard.clone();
        keyboard.with_xkb_state(self, |context| {
            let xkb = context.xkb().lock().ok()?;
            #[expect(unsafe_code, reason = "smithay guards the keymap against outliving its lock")]
            // SAFETY: the keymap is used only while the lock is held, and no reference to it is kept.
            let keymap = unsafe { xkb.keymap() };
            let (first, last) = (keymap.min_keycode().raw(), keymap.max_keycode().raw());
            (first..=last).find_map(|code| {
                (0..2_u32).find_map(|level| {
                    let symbols = keymap.key_get_syms_by_level(code.into(), 0, level);
                    (symbols == [wanted]).then_some((code, level == 1))
                })
            })
        })
    }
}
