//! State of keyboard and mouse input: the input method, key focus and pending keys.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gtk::gdk;
use gtk::prelude::*;
use regen_commands::{CommandId, Shortcuts};
use regen_proto::page::v1::ImeState;

use crate::events::HostId;

/// Time after a click or key in which the page may use the clipboard.
const MOMENT: Duration = Duration::from_secs(2);

/// The event that decides where further keys go, and the keys that have been held back meanwhile.
pub(crate) struct HeldInput {
    pub(crate) for_what: InputDecision,
    pub(crate) since: Vec<gdk::Event>,
    pub(crate) number: u64,
}

pub(crate) enum InputDecision {
    /// The page's answer whether it used the key of this command.
    Answer { host: HostId, tab: u64, keycode: u32, command: CommandId },
    /// A switch to another tab.
    Switch,
}

/// Number of key presses that the chrome may still hand back.
const MAX_PRESSES: usize = 64;

/// The last key presses that went to the chrome, each by its time and keycode.
#[derive(Debug, Default)]
pub(crate) struct RecentPresses(VecDeque<(u32, u16)>);

impl RecentPresses {
    pub(crate) fn add(&mut self, press: (u32, u16)) {
        if self.0.len() == MAX_PRESSES {
            self.0.pop_front();
        }
        self.0.push_back(press);
    }

    pub(crate) fn has(&self, press: (u32, u16)) -> bool {
        self.0.contains(&press)
    }
}

/// State of the input method, of key focus and of pending keys.
pub(crate) struct Input {
    pub(crate) method: gtk::IMMulticontext,
    /// Keys of the commands, as the user set them.
    pub(crate) shortcuts: RefCell<Shortcuts>,
    /// Text that the input method committed while it filtered a key.
    pub(crate) committed: RefCell<Option<String>>,
    pub(crate) filtering: Cell<bool>,
    pub(crate) composing: Cell<bool>,
    /// Time and tab of the last gesture.
    pub(crate) last_gesture: Cell<Option<(Instant, u64)>>,
    /// Number of changes of the display's keyboard layout.
    pub(crate) layout_changes: Cell<u32>,
    pub(crate) told_layout: Cell<Option<Layout>>,
    /// Last key presses that went to the chrome.
    pub(crate) chrome_presses: RefCell<RecentPresses>,
    pub(crate) waiting: RefCell<Option<HeldInput>>,
    pub(crate) waits: Cell<u64>,
    /// Time at which the page was last sent a wheel event with Control held.
    pub(crate) control_wheel: Cell<Option<Instant>>,
}

/// Everything that a page's keyboard layout depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) tab: u64,
    pub(crate) group: u8,
    pub(crate) changes: u32,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self {
            method: gtk::IMMulticontext::new(),
            shortcuts: RefCell::default(),
            committed: RefCell::default(),
            filtering: Cell::default(),
            composing: Cell::default(),
            last_gesture: Cell::default(),
            layout_changes: Cell::default(),
            told_layout: Cell::default(),
            chrome_presses: RefCell::default(),
            waiting: RefCell::default(),
            waits: Cell::default(),
            control_wheel: Cell::default(),
        }
    }

    /// Returns whether the user has clicked or typed in a page within the last two seconds.
    pub(crate) fn was_used_just_now(&self) -> bool {
        self.last_gesture.get().is_some_and(|(last, _)| last.elapsed() < MOMENT)
    }

    /// Handles the page's report that a text field has gained or lost focus. `page`: position of the window in the page.
    pub(crate) fn field(&self, page: (f64, f64), state: &ImeState) {
        if state.enabled {
            let (left, top) = page;
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
            self.leave_field();
        }
    }

    /// Discards the text being composed, because its field has lost focus.
    pub(crate) fn leave_field(&self) {
        self.method.focus_out();
        self.method.reset();
    }
}
