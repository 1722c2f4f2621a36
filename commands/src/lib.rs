//! The table of the browser's commands: their names, words, default keys, and where they apply.
//!
//! Menus, keyboard shortcuts, the command bar and `regen command NAME` are made of it. ui-shell runs a command, in an
//! exhaustive `match` over [`CommandId`]: a command without code does not compile.

mod chord;
mod shortcuts;
mod table;

pub use chord::{Chord, ChordError};
pub use shortcuts::Shortcuts;
pub use table::{Applies, COMMANDS, Command, CommandId, MAX_KEYS};
