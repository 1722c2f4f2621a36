//! Parser of key names. Codes are XKB keycodes (evdev + 8), which name physical keys whatever the layout.

use regen_proto::page::v1::Key;

const NAMED: [(&str, u32); 36] = [
    ("escape", 9),
    ("backspace", 22),
    ("tab", 23),
    ("enter", 36),
    ("return", 36),
    ("space", 65),
    ("f1", 67),
    ("f2", 68),
    ("f3", 69),
    ("f4", 70),
    ("f5", 71),
    ("f6", 72),
    ("f7", 73),
    ("f8", 74),
    ("f9", 75),
    ("f10", 76),
    ("f11", 95),
    ("f12", 96),
    ("home", 110),
    ("up", 111),
    ("pageup", 112),
    ("left", 113),
    ("right", 114),
    ("end", 115),
    ("down", 116),
    ("pagedown", 117),
    ("insert", 118),
    ("delete", 119),
    ("ctrl", 37),
    ("control", 37),
    ("shift", 50),
    ("alt", 64),
    ("arrowup", 111),
    ("arrowdown", 116),
    ("arrowleft", 113),
    ("arrowright", 114),
];

/// Rows of letters and digits on a US keyboard, each with the keycode of its first key.
const ROWS: [(&str, u32); 4] = [("1234567890", 10), ("qwertyuiop", 24), ("asdfghjkl", 38), ("zxcvbnm", 52)];

/// Parses a key combination such as `Enter` or `ctrl+shift+a` into presses and releases.
///
/// # Errors
/// Names the part that is not a key.
pub(crate) fn parse(name: &str) -> Result<Vec<Key>, String> {
    let codes: Vec<u32> = name.split('+').map(code).collect::<Result<_, _>>()?;
    let press = codes.iter().map(|keycode| Key { keycode: *keycode, pressed: true, modifiers: None });
    let release = codes.iter().rev().map(|keycode| Key { keycode: *keycode, pressed: false, modifiers: None });
    Ok(press.chain(release).collect())
}

fn code(part: &str) -> Result<u32, String> {
    let wanted = part.trim().to_ascii_lowercase();
    if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == wanted) {
        return Ok(*code);
    }
    let in_row = ROWS.iter().find_map(|(row, first)| {
        let index = row.find(&wanted).filter(|_| wanted.len() == 1)?;
        Some(first + u32::try_from(index).ok()?)
    });
    in_row.ok_or_else(|| format!("“{part}” is not a key: use names such as Enter, Tab, F5, PageDown, a, ctrl+a"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_press_in_order_and_release_in_reverse() {
        let keys: Vec<(u32, bool)> =
            parse("ctrl+a").unwrap().into_iter().map(|key| (key.keycode, key.pressed)).collect();
        assert_eq!(keys, [(37, true), (38, true), (38, false), (37, false)]);
        assert!(parse("hyper+q").unwrap_err().contains("hyper"));
    }
}
