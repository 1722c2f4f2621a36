//! Escapes text from pages, processes and other machines for a terminal or a log.
//!
//! Control characters can move the cursor, change colours or type into a shell; bidirectional controls can make a line
//! read as something else (CVE-2021-42574). Both are shown as escapes.

use std::borrow::Cow;

/// Returns whether a character could mislead a terminal or a reader.
fn is_dangerous(char: char) -> bool {
    let is_control = char.is_control() && !matches!(char, '\n' | '\t');
    let is_bidirectional =
        matches!(char, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_separator = matches!(char, '\u{2028}' | '\u{2029}');
    is_control || is_bidirectional || is_separator
}

/// Returns a text with dangerous characters written as `\u{…}`. Line feeds and tabs stay.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_dangerous(char) { escaped.extend(char.escape_unicode()) } else { escaped.push(char) }
    }
    Cow::Owned(escaped)
}

/// Returns JSON with dangerous characters escaped as `\uXXXX`. Its meaning does not change.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_dangerous) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for char in json.chars() {
        if is_dangerous(char) {
            // All dangerous characters are in the basic multilingual plane.
            escaped.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            escaped.push(char);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let hostile = "a\u{1b}[2J\u{9b}31m\r\u{7}b\u{7f}\u{202e}c\u{2066}d\u{0}";
        let shown = escape(hostile);
        assert_eq!(shown, r"a\u{1b}[2J\u{9b}31m\u{d}\u{7}b\u{7f}\u{202e}c\u{2066}d\u{0}");
        assert_eq!(escape(&shown), shown);
        for plain in ["", "two\nlines\tand a tab", "grüße, שלום, 你好, 👍🏽"] {
            assert!(matches!(escape(plain), Cow::Borrowed(same) if same == plain));
        }
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!({ "title": "a\u{1b}[2J\u{9b}\u{202e}b\u{2028}\n\"" });
        let text = value.to_string();
        let escaped = escape_json(&text);
        assert!(!escaped.contains(is_dangerous), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }

    proptest::proptest! {
        #[test]
        fn nothing_dangerous_is_left(text in "\\PC{0,20}[\\x00-\\x1f\\x7f-\\u{9f}\\u{2028}-\\u{202e}]{0,5}\\PC{0,20}") {
            proptest::prop_assert!(!escape(&text).contains(is_dangerous));
        }
    }
}
