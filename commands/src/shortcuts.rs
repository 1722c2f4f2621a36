//! Keys of commands: the defaults of the table, and the user's own.

use std::collections::BTreeMap;

use crate::chord::Chord;
use crate::table::{COMMANDS, CommandId};

/// Keys of all commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortcuts {
    keys: BTreeMap<CommandId, Vec<Chord>>,
    commands: BTreeMap<Chord, CommandId>,
}

impl Default for Shortcuts {
    fn default() -> Self {
        Self::new(&BTreeMap::new())
    }
}

impl Shortcuts {
    /// Returns the keys with the user's own in place of the defaults. Keys that the user gave to a command are no longer
    /// those of the command that has them by default; of two commands that the user gave the same keys, the first of the
    /// table has them.
    #[must_use]
    pub fn new(own: &BTreeMap<CommandId, Vec<Chord>>) -> Self {
        let mut commands = BTreeMap::new();
        for command in &COMMANDS {
            for chord in own.get(&command.id).into_iter().flatten() {
                commands.entry(chord.clone()).or_insert(command.id);
            }
        }
        for command in COMMANDS.iter().filter(|command| !own.contains_key(&command.id)) {
            for chord in command.keys.iter().filter_map(|text| text.parse().ok()) {
                commands.entry(chord).or_insert(command.id);
            }
        }
        let mut keys: BTreeMap<CommandId, Vec<Chord>> = BTreeMap::new();
        for command in &COMMANDS {
            let defaults = || command.keys.iter().filter_map(|text| text.parse().ok()).collect();
            let its: Vec<Chord> = own.get(&command.id).cloned().unwrap_or_else(defaults);
            // In the order in which they were given: the first is shown.
            let has = |chord: &Chord| commands.get(chord) == Some(&command.id);
            keys.insert(command.id, its.into_iter().filter(has).collect());
        }
        Self { keys, commands }
    }

    /// Returns the command that has these keys.
    #[must_use]
    pub fn command(&self, pressed: &Chord) -> Option<CommandId> {
        self.commands.get(pressed).copied()
    }

    /// Returns the keys of a command.
    #[must_use]
    pub fn keys(&self, command: CommandId) -> &[Chord] {
        self.keys.get(&command).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(text: &str) -> Chord {
        text.parse().unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_table() {
        let shortcuts = Shortcuts::default();
        assert_eq!(shortcuts.command(&chord("Ctrl+T")), Some(CommandId::NewTab));
        assert_eq!(shortcuts.command(&chord("Ctrl+Shift+T")), Some(CommandId::ReopenTab));
        assert_eq!(shortcuts.command(&chord("Ctrl+Alt+T")), None);
        assert_eq!(shortcuts.keys(CommandId::CloseTab), [chord("Ctrl+W"), chord("Ctrl+F4")]);
    }

    #[test]
    fn the_users_keys_replace_the_defaults_and_are_taken_from_others() {
        let own = BTreeMap::from([
            (CommandId::Find, vec![chord("Ctrl+T"), chord("F2")]),
            (CommandId::Print, Vec::new()),
            (CommandId::Home, vec![chord("F2")]),
        ]);
        let shortcuts = Shortcuts::new(&own);
        assert_eq!(shortcuts.command(&chord("Ctrl+T")), Some(CommandId::Find));
        assert_eq!(shortcuts.keys(CommandId::NewTab), []);
        assert_eq!(shortcuts.command(&chord("Ctrl+F")), None);
        assert_eq!(shortcuts.command(&chord("Ctrl+P")), None);
        assert_eq!(shortcuts.command(&chord("F2")), Some(CommandId::Home), "the first of the table");
        assert_eq!(shortcuts.keys(CommandId::Find), [chord("Ctrl+T")]);
    }
}
