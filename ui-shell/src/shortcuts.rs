//! The browser's shortcuts: which keys they are, and which of them a page may use before the browser does.

use gtk::gdk::keys::Key;
use gtk::gdk::keys::constants as key;
use gtk::gdk::{self, ModifierType};

/// A command of the browser that keys stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortcut {
    NewTab,
    ReopenTab,
    CloseTab,
    /// To the right, or to the left.
    Neighbour(isize),
    /// Counted from 0.
    Tab(usize),
    LastTab,
    Quit,
    Address,
    Home,
    Find,
    FindAgain {
        forward: bool,
    },
    Downloads,
    Print,
    Reload {
        bypass_cache: bool,
    },
    /// One step larger, or smaller.
    Zoom(isize),
    ActualSize,
    History(i32),
    Fullscreen,
}

impl Shortcut {
    /// Finds the shortcut of a key, as the layout gives it, with the modifiers that are held.
    pub(crate) fn of(pressed: &Key, state: ModifierType) -> Option<Self> {
        let control = state.contains(ModifierType::CONTROL_MASK);
        let shift = state.contains(ModifierType::SHIFT_MASK);
        let alt = state.contains(ModifierType::MOD1_MASK);
        Some(match (control, shift, alt, pressed.to_lower()) {
            (true, false, false, k) if k == key::t => Self::NewTab,
            (true, true, false, k) if k == key::t => Self::ReopenTab,
            (true, false, false, k) if k == key::w || k == key::F4 => Self::CloseTab,
            (true, false, false, k) if k == key::Tab || k == key::Page_Down => Self::Neighbour(1),
            (true, true, false, k) if k == key::ISO_Left_Tab || k == key::Tab => Self::Neighbour(-1),
            (true, false, false, k) if k == key::Page_Up => Self::Neighbour(-1),
            (true, false, false, k) if k == key::_9 => Self::LastTab,
            (true, false, false, k) if k >= key::_1 && k <= key::_8 => {
                Self::Tab(usize::try_from(*k - *key::_1).unwrap_or(0))
            }
            (true, _, false, k) if k == key::q => Self::Quit,
            (true, false, false, k) if k == key::l => Self::Address,
            (false, false, true, k) if k == key::d => Self::Address,
            (false, false, false, k) if k == key::F6 => Self::Address,
            (false, false, true, k) if k == key::Home => Self::Home,
            (true, false, false, k) if k == key::f => Self::Find,
            (true, _, false, k) if k == key::g => Self::FindAgain { forward: !shift },
            (false, _, false, k) if k == key::F3 => Self::FindAgain { forward: !shift },
            (true, false, false, k) if k == key::j => Self::Downloads,
            (true, false, false, k) if k == key::p => Self::Print,
            (true, _, false, k) if k == key::r => Self::Reload { bypass_cache: shift },
            (_, _, false, k) if k == key::F5 => Self::Reload { bypass_cache: shift || control },
            (true, _, false, k) if k == key::plus || k == key::equal || k == key::KP_Add => Self::Zoom(1),
            (true, _, false, k) if k == key::minus || k == key::KP_Subtract => Self::Zoom(-1),
            (true, false, false, k) if k == key::_0 || k == key::KP_0 => Self::ActualSize,
            (false, false, true, k) if k == key::Left => Self::History(-1),
            (false, false, true, k) if k == key::Right => Self::History(1),
            (false, false, false, k) if k == key::F11 => Self::Fullscreen,
            _ => return None,
        })
    }

    /// Closes, opens or switches tabs, or ends the browser: no page may keep its user from that. Everything else is the page's first.
    pub(crate) fn is_the_browsers_alone(self) -> bool {
        matches!(
            self,
            Self::NewTab
                | Self::ReopenTab
                | Self::CloseTab
                | Self::Neighbour(_)
                | Self::Tab(_)
                | Self::LastTab
                | Self::Quit
        )
    }
}

/// The key that a press stands for in shortcuts: on a layout without Latin letters the Latin one that is on it in another group, or
/// that a keyboard of the US has there.
pub(crate) fn latin(event: &gdk::EventKey) -> Key {
    let pressed = event.keyval();
    if !is_foreign_letter(*pressed) {
        return pressed;
    }
    let code = u32::from(event.hardware_keycode());
    let in_a_group = gdk::Display::default()
        .and_then(|display| gdk::Keymap::for_display(&display))
        .map(|map| map.entries_for_keycode(code))
        .unwrap_or_default();
    let found = in_a_group.into_iter().find(|(at, symbol)| at.level() == 0 && is_latin(*symbol));
    found.map(|(_, symbol)| symbol).or_else(|| of_the_us(code)).map_or(pressed, Key::from)
}

/// A letter that is not one of `a` to `z`: of its own in every alphabet but the Latin one.
pub(crate) fn is_foreign_letter(symbol: u32) -> bool {
    const LATIN_1: u32 = 0x100;
    Key::from(symbol)
        .to_unicode()
        .is_some_and(|letter| letter.is_alphabetic() && !letter.is_ascii() && symbol >= LATIN_1)
}

fn is_latin(symbol: u32) -> bool {
    char::from_u32(symbol).is_some_and(|letter| letter.is_ascii_alphabetic())
}

/// The letter at an X keycode of a US keyboard.
pub(crate) fn of_the_us(code: u32) -> Option<u32> {
    const ROWS: [(u32, &str); 3] = [(24, "qwertyuiop"), (38, "asdfghjkl"), (52, "zxcvbnm")];
    ROWS.iter().find_map(|(first, letters)| {
        let at = usize::try_from(code.checked_sub(*first)?).ok()?;
        letters.chars().nth(at).map(u32::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: ModifierType = ModifierType::CONTROL_MASK;

    #[test]
    fn only_keys_that_close_open_and_switch_tabs_are_the_browsers_alone() {
        let of = |pressed, state| Shortcut::of(&pressed, state).unwrap();
        for pressed in [key::t, key::w, key::Tab, key::Page_Up, key::_1, key::_9, key::q] {
            assert!(of(pressed, CONTROL).is_the_browsers_alone(), "{}", *pressed);
        }
        for pressed in [key::f, key::g, key::j, key::r, key::l, key::plus, key::_0] {
            assert!(!of(pressed, CONTROL).is_the_browsers_alone(), "{}", *pressed);
        }
        for pressed in [key::F3, key::F5, key::F6, key::F11] {
            assert!(!of(pressed, ModifierType::empty()).is_the_browsers_alone(), "{}", *pressed);
        }
    }

    #[test]
    fn capital_letters_are_the_same_shortcut_and_locks_do_not_matter() {
        let locked = CONTROL | ModifierType::LOCK_MASK | ModifierType::MOD2_MASK;
        assert_eq!(Shortcut::of(&key::T, locked), Some(Shortcut::NewTab));
        assert_eq!(Shortcut::of(&key::T, locked | ModifierType::SHIFT_MASK), Some(Shortcut::ReopenTab));
        assert_eq!(Shortcut::of(&key::t, ModifierType::empty()), None);
        assert_eq!(Shortcut::of(&key::t, CONTROL | ModifierType::MOD1_MASK), None);
    }

    #[test]
    fn other_alphabets_are_told_from_the_latin_one() {
        let cyrillic_ie = 0x06c5;
        let greek_alpha = 0x07e1;
        assert!(is_foreign_letter(cyrillic_ie) && is_foreign_letter(greek_alpha));
        // Return, an umlaut, a letter, a digit.
        assert!([0xff0d, 0x00fc, 0x0061, 0x0031].into_iter().all(|symbol| !is_foreign_letter(symbol)));
        assert_eq!(of_the_us(28), Some(u32::from('t')));
        assert_eq!((of_the_us(58), of_the_us(59), of_the_us(9)), (Some(u32::from('m')), None, None));
    }
}
