//! Keys that a person pressed, as the table of commands names them.

use gtk::gdk::keys::Key;
use gtk::gdk::keys::constants as key;
use gtk::gdk::{self, ModifierType};
use regen_commands::Chord;

/// X keycodes of the digits 1 to 9 and 0, above the letters.
const DIGITS: std::ops::RangeInclusive<u32> = 10..=19;

/// Returns the keys that are pressed; `None` for a key that no command can have.
pub(crate) fn chord(event: &gdk::EventKey) -> Option<Chord> {
    chord_of(&latin(event), event.state(), event.hardware_keycode().into())
}

fn chord_of(pressed: &Key, state: ModifierType, code: u32) -> Option<Chord> {
    let name = key_name(pressed).or_else(|| digit_at(code))?;
    let held = |modifier| state.contains(modifier);
    let (control, alt) = (held(ModifierType::CONTROL_MASK), held(ModifierType::MOD1_MASK));
    Some(Chord::new(control, alt, held(ModifierType::SHIFT_MASK), &name))
}

/// Returns the name of a key in the table of commands.
fn key_name(pressed: &Key) -> Option<String> {
    let name = match *pressed {
        k if k == key::Tab || k == key::ISO_Left_Tab || k == key::KP_Tab => "Tab",
        k if k == key::Page_Up || k == key::KP_Page_Up => "PageUp",
        k if k == key::Page_Down || k == key::KP_Page_Down => "PageDown",
        k if k == key::Home || k == key::KP_Home => "Home",
        k if k == key::End || k == key::KP_End => "End",
        k if k == key::Left || k == key::KP_Left => "Left",
        k if k == key::Right || k == key::KP_Right => "Right",
        k if k == key::Up || k == key::KP_Up => "Up",
        k if k == key::Down || k == key::KP_Down => "Down",
        k if k == key::Insert => "Insert",
        k if k == key::Delete => "Delete",
        k if k == key::BackSpace => "Backspace",
        k if k == key::space => "Space",
        k if k == key::plus || k == key::equal || k == key::KP_Add => "Plus",
        k if k == key::minus || k == key::KP_Subtract => "Minus",
        k if k == key::comma => "Comma",
        k if k == key::period => "Period",
        k if k == key::slash => "Slash",
        k if k >= key::F1 && k <= key::F12 => return Some(format!("F{}", *k - *key::F1 + 1)),
        k if k >= key::KP_0 && k <= key::KP_9 => return Some((*k - *key::KP_0).to_string()),
        k => return k.to_unicode().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase().to_string()),
    };
    Some(name.to_owned())
}

/// Returns the digit of a key above the letters. On some layouts, such as the French one, it needs Shift.
fn digit_at(code: u32) -> Option<String> {
    DIGITS.contains(&code).then(|| ((code - DIGITS.start() + 1) % 10).to_string())
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
    use regen_commands::{CommandId, Shortcuts};

    use super::*;

    const CONTROL: ModifierType = ModifierType::CONTROL_MASK;
    const SHIFT: ModifierType = ModifierType::SHIFT_MASK;
    const ALT: ModifierType = ModifierType::MOD1_MASK;

    fn command(pressed: &Key, state: ModifierType) -> Option<CommandId> {
        Shortcuts::default().command(&chord_of(pressed, state, 0)?)
    }

    #[test]
    fn keys_find_their_commands_whatever_the_layout_needs_to_reach_them() {
        for (pressed, state, id) in [
            (key::t, CONTROL, CommandId::NewTab),
            (key::ISO_Left_Tab, CONTROL | SHIFT, CommandId::PreviousTab),
            (key::plus, CONTROL | SHIFT, CommandId::ZoomIn),
            (key::equal, CONTROL, CommandId::ZoomIn),
            (key::KP_Add, CONTROL, CommandId::ZoomIn),
            (key::KP_0, CONTROL, CommandId::ActualSize),
            (key::KP_7, CONTROL, CommandId::TabAt(7)),
            (key::F3, SHIFT, CommandId::FindPrevious),
            (key::F11, ModifierType::empty(), CommandId::FullScreen),
            (key::Left, ALT, CommandId::Back),
            (key::comma, CONTROL, CommandId::Settings),
        ] {
            assert_eq!(command(&pressed, state), Some(id), "{}", *pressed);
        }
        assert_eq!(command(&key::Return, CONTROL), None);
        // The first digit of a French keyboard, and the minus on the key of its sixth.
        let ampersand = chord_of(&key::ampersand, CONTROL, 10).unwrap();
        assert_eq!(Shortcuts::default().command(&ampersand), Some(CommandId::TabAt(1)));
        let minus = chord_of(&key::minus, CONTROL, 15).unwrap();
        assert_eq!(Shortcuts::default().command(&minus), Some(CommandId::ZoomOut));
    }

    #[test]
    fn capital_letters_are_the_same_keys_and_locks_do_not_matter() {
        let locked = CONTROL | ModifierType::LOCK_MASK | ModifierType::MOD2_MASK;
        assert_eq!(command(&key::T, locked), Some(CommandId::NewTab));
        assert_eq!(command(&key::T, locked | SHIFT), Some(CommandId::ReopenTab));
        assert_eq!(command(&key::t, ModifierType::empty()), None);
        assert_eq!(command(&key::t, CONTROL | ALT), None);
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
