//! The user's keyboard layout for pages. Each host has a display of its own, which must read keys as the user's does.
//!
//! GDK reports the symbols of every key in every group and level, on X11 and Wayland. They are written as an XKB keymap
//! with the active group only; XKB derives the key types.

use std::fmt::Write;

use gtk::gdk;

use crate::shortcuts::{is_foreign_letter, of_the_us};

/// X keycodes that are written.
const CODES: std::ops::RangeInclusive<u32> = 9..=255;
const LEVELS: usize = 4;
/// Modifiers, and the key symbols that stand for them.
const MODIFIERS: [(&str, &[u32]); 7] = [
    ("Shift", &[0xffe1, 0xffe2]),
    ("Lock", &[0xffe5]),
    ("Control", &[0xffe3, 0xffe4]),
    ("Mod1", &[0xffe7, 0xffe8, 0xffe9, 0xffea]),
    ("Mod2", &[0xff7f]),
    ("Mod4", &[0xffeb, 0xffec]),
    ("Mod5", &[0xfe03]),
];

/// Returns the keymap of a group as XKB text.
pub(crate) fn of_group(keymap: &gdk::Keymap, group: u8) -> String {
    let keys = CODES.filter_map(|code| {
        let entries = keymap.entries_for_keycode(code);
        let in_group = |group: i32| entries.iter().filter(move |(key, _)| key.group() == group);
        // A key that is the same in every group, such as Return, is listed only in the first group.
        let group = if in_group(group.into()).next().is_some() { group.into() } else { 0 };
        let mut levels = vec![0; LEVELS];
        for (key, symbol) in in_group(group) {
            if let Some(level) = usize::try_from(key.level()).ok().and_then(|level| levels.get_mut(level)) {
                *level = *symbol;
            }
        }
        while levels.last() == Some(&0) {
            levels.pop();
        }
        let latin = levels.first().filter(|first| is_foreign_letter(**first)).and_then(|_| {
            let other = entries.iter().find(|(key, symbol)| key.level() == 0 && (0x61..=0x7a).contains(symbol));
            other.map(|(_, symbol)| *symbol).or_else(|| of_the_us(code))
        });
        (!levels.is_empty()).then_some(Keys { code, levels, latin })
    });
    text(&keys.collect::<Vec<_>>())
}

/// A key and its symbols.
struct Keys {
    code: u32,
    levels: Vec<u32>,
    /// Latin letter for shortcuts with Control, if the key's own letter is from another alphabet.
    latin: Option<u32>,
}

fn text(keys: &[Keys]) -> String {
    let (mut codes, mut symbols) = (String::new(), String::new());
    for Keys { code, levels, latin } in keys {
        let levels: Vec<String> = levels
            .iter()
            .map(|symbol| if *symbol == 0 { "NoSymbol".into() } else { format!("{symbol:#06x}") })
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(codes, "  <K{code}> = {code};");
        let levels = levels.join(", ");
        let _ = match latin {
            None => writeln!(symbols, "  key <K{code}> {{ [ {levels} ] }};"),
            // Programs look up shortcuts in all groups of a keymap, so the Latin letter goes into a second group.
            Some(latin) => writeln!(
                symbols,
                "  key <K{code}> {{ symbols[Group1] = [ {levels} ], symbols[Group2] = [ {latin:#06x}, {:#06x} ] }};",
                latin - 0x20
            ),
        };
    }
    for (modifier, alone) in MODIFIERS {
        let is_it = |key: &&Keys| key.levels.first().is_some_and(|first| alone.contains(first));
        for Keys { code, .. } in keys.iter().filter(is_it) {
            let _ = writeln!(symbols, "  modifier_map {modifier} {{ <K{code}> }};");
        }
    }
    format!(
        "xkb_keymap {{\nxkb_keycodes {{\n  minimum = 8;\n  maximum = 255;\n{codes}}};\n\
         xkb_types {{ include \"complete\" }};\nxkb_compat {{ include \"complete\" }};\nxkb_symbols {{\n{symbols}}};\n}};\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keymap_names_its_keys_levels_and_modifiers() {
        let key = |code, levels: &[u32], latin| Keys { code, levels: levels.to_vec(), latin };
        let text = text(&[
            key(24, &[0x71, 0x51, 0x40], None),
            key(28, &[0x06c5, 0x06e5], Some(0x74)),
            key(50, &[0xffe1], None),
            key(94, &[0x3c, 0, 0x7c], None),
        ]);
        let both = "symbols[Group1] = [ 0x06c5, 0x06e5 ], symbols[Group2] = [ 0x0074, 0x0054 ]";
        assert!(text.contains(both), "{text}");
        assert!(text.contains("<K24> = 24;") && text.contains("key <K24> { [ 0x0071, 0x0051, 0x0040 ] };"), "{text}");
        assert!(text.contains("key <K94> { [ 0x003c, NoSymbol, 0x007c ] };"), "{text}");
        assert!(text.contains("modifier_map Shift { <K50> };"), "{text}");
    }
}
