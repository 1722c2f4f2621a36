//! Keys that are pressed together, such as `Ctrl+Shift+T`.

use std::fmt;
use std::str::FromStr;

/// Modifiers and a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chord {
    /// Control is held.
    pub control: bool,
    /// Alt is held.
    pub alt: bool,
    /// Shift is held.
    pub shift: bool,
    /// Name of the key: a letter in upper case, a digit, `F1` to `F12`, or one of [`NAMED_KEYS`].
    pub key: String,
}

/// Names of the keys that are no letter, digit or function key.
const NAMED_KEYS: [&str; 18] = [
    "Tab",
    "PageUp",
    "PageDown",
    "Home",
    "End",
    "Left",
    "Right",
    "Up",
    "Down",
    "Insert",
    "Delete",
    "Backspace",
    "Plus",
    "Minus",
    "Comma",
    "Period",
    "Slash",
    "Space",
];

/// Reason why a text names no keys for a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChordError {
    /// The key is unknown.
    #[error("“{key}” is not a key: use a letter, a digit, F1 to F12, or one of {}", NAMED_KEYS.join(", "))]
    Key {
        /// Name that was given.
        key: String,
    },
    /// A modifier is unknown.
    #[error("“{0}” is not a modifier: use Ctrl, Alt or Shift, such as in Ctrl+Shift+A")]
    Modifier(String),
    /// The key alone types something or moves the caret.
    #[error("“{0}” is needed to type: add Ctrl or Alt, or use a function key")]
    Typed(String),
}

impl Chord {
    /// Returns the keys, with the key's name as it is written in this crate.
    ///
    /// Shift does not count for `Plus` and `Minus`: on many keyboards it is needed to reach them.
    #[must_use]
    pub fn new(control: bool, alt: bool, shift: bool, key: &str) -> Self {
        let shift = shift && !matches!(key, "Plus" | "Minus");
        Self { control, alt, shift, key: key.to_owned() }
    }
}

impl FromStr for Chord {
    type Err = ChordError;

    fn from_str(text: &str) -> Result<Self, ChordError> {
        let parts: Vec<&str> = text.split('+').map(str::trim).collect();
        let (key, modifiers) = parts.split_last().unwrap_or((&"", &[]));
        let (mut control, mut alt, mut shift) = (false, false, false);
        for modifier in modifiers {
            match modifier.to_ascii_lowercase().as_str() {
                "ctrl" | "control" => control = true,
                "alt" => alt = true,
                "shift" => shift = true,
                _ => return Err(ChordError::Modifier((*modifier).to_owned())),
            }
        }
        let key = key_name(key).ok_or_else(|| ChordError::Key { key: (*key).to_owned() })?;
        if !control && !alt && !is_function_key(&key) {
            return Err(ChordError::Typed(text.to_owned()));
        }
        Ok(Self::new(control, alt, shift, &key))
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [(self.control, "Ctrl+"), (self.alt, "Alt+"), (self.shift, "Shift+")] {
            out.write_str(if held { name } else { "" })?;
        }
        out.write_str(&self.key)
    }
}

/// Returns the name of a key that a person wrote.
fn key_name(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    if (upper.len() == 1 && upper.bytes().all(|byte| byte.is_ascii_alphanumeric())) || is_function_key(&upper) {
        return Some(upper);
    }
    NAMED_KEYS.iter().find(|name| name.eq_ignore_ascii_case(text)).map(|name| (*name).to_owned())
}

fn is_function_key(key: &str) -> bool {
    let number = key.strip_prefix('F').filter(|digits| !digits.starts_with('0'));
    number.and_then(|digits| digits.parse::<u8>().ok()).is_some_and(|number| (1..=12).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_in_one_way() {
        for (text, shown) in [
            ("ctrl+t", "Ctrl+T"),
            (" Shift + control+PAGEUP ", "Ctrl+Shift+PageUp"),
            ("F11", "F11"),
            ("Ctrl+Shift+Plus", "Ctrl+Plus"),
            ("Alt+left", "Alt+Left"),
        ] {
            assert_eq!(text.parse::<Chord>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn keys_that_cannot_be_meant_are_refused_in_words() {
        for text in ["", "Ctrl+", "Ctrl+Shift", "Ctrl+ä", "F13", "F01", "Ctrl+F"] {
            let parsed = text.parse::<Chord>();
            assert_eq!(parsed.is_ok(), text == "Ctrl+F", "{text}: {parsed:?}");
        }
        assert_eq!("Hyper+A".parse::<Chord>(), Err(ChordError::Modifier("Hyper".to_owned())));
        assert!("a".parse::<Chord>().unwrap_err().to_string().contains("needed to type"));
        assert!("Shift+Tab".parse::<Chord>().is_err());
    }
}
