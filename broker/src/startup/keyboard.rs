//! The user's keyboard layout, for pages: from XKB's environment variables, or else the system setting.

use std::fs;

const SYSTEM: &str = "/etc/default/keyboard";

/// XKB names; empty if not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyboard {
    /// Layout, such as `de` or `us,ru`.
    pub layout: String,
    /// Variant, such as `nodeadkeys`.
    pub variant: String,
    /// Options, such as `compose:ralt`.
    pub options: String,
}

impl Keyboard {
    /// Returns this user's keyboard layout.
    #[must_use]
    pub fn of_user() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let own = Self {
            layout: variable("XKB_DEFAULT_LAYOUT"),
            variant: variable("XKB_DEFAULT_VARIANT"),
            options: variable("XKB_DEFAULT_OPTIONS"),
        };
        if own.layout.is_empty() { Self::parse(&fs::read_to_string(SYSTEM).unwrap_or_default()) } else { own }
    }

    /// Parses the shell variables of `/etc/default/keyboard`.
    fn parse(text: &str) -> Self {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
            let value = line.map(|value| value.trim().trim_matches('"')).unwrap_or_default();
            value.chars().filter(|c| c.is_ascii_alphanumeric() || "_-,:()+".contains(*c)).collect()
        };
        Self { layout: value("XKBLAYOUT"), variant: value("XKBVARIANT"), options: value("XKBOPTIONS") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_setting_is_read() {
        let text = "# comment\nXKBMODEL=\"pc105\"\nXKBLAYOUT=\"de\"\nXKBVARIANT=nodeadkeys\nXKBOPTIONS=\"\"\n";
        let german = Keyboard { layout: "de".into(), variant: "nodeadkeys".into(), options: String::new() };
        assert_eq!(Keyboard::parse(text), german);
        assert_eq!(Keyboard::parse("nonsense"), Keyboard::default());
    }
}
