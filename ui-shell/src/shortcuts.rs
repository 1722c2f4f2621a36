//! The browser's keyboard shortcuts, and the ones that a page may use before the browser does.

use gtk::gdk::keys::Key;
use gtk::gdk::keys::constants as key;
use gtk::gdk::{self, ModifierType};

/// A browser command that has a keyboard shortcut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortcut {
    NewTab,
    ReopenTab,
    CloseTab,
    /// The tab this many places to the right; negative: to the left.
    Neighbour(isize),
    /// The tab at this index, counted from 0.
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
    /// The page that lists visited pages.
    VisitedPages,
    /// Bookmark the page.
    Bookmark,
    /// The page that lists bookmarks.
    Bookmarks,
    /// Show or hide the bookmarks bar.
    BookmarksBar,
    Print,
    Reload {
        bypass_cache: bool,
    },
    /// Zoom steps: 1 larger, -1 smaller.
    Zoom(isize),
    ActualSize,
    History(i32),
    Fullscreen,
}

impl Shortcut {
    /// Returns the shortcut for a key symbol and the modifiers held.
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
            (true, false, false, k) if k == key::h => Self::VisitedPages,
            (true, false, false, k) if k == key::d => Self::Bookmark,
            (true, false, false, k) if k == key::b => Self::Bookmarks,
            (true, true, false, k) if k == key::o => Self::Bookmarks,
            (true, true, false, k) if k == key::b => Self::BookmarksBar,
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

    /// Returns whether the browser keeps this shortcut from pages. No page may prevent its user from opening, closing
    /// or switching tabs or from quitting; every other shortcut is offered to the page first.
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

/// Returns the key symbol to look up shortcuts with. For a letter of another alphabet, that is the key's Latin letter
/// in another group of the layout, or the one that a US keyboard has there.
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

/// Returns whether a key symbol is a letter outside Latin-1, so of another alphabet.
pub(crate) fn is_foreign_letter(symbol: u32) -> bool {
    const LATIN_1: u32 = 0x100;
    Key::from(symbol)
        .to_unicode()
        .is_some_and(|letter| letter.is_alphabetic() && !letter.is_ascii() && symbol >= LATIN_1)
}

fn is_latin(symbol: u32) -> bool {
    char::from_u32(symbol).is_some_and(|letter| letter.is_ascii_alphabetic())
}

/// Returns the letter that a US keyboard has at an X keycode.
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
