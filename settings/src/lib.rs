//! The table of settings, and the files in which users and administrators change them.
//!
//! [`table`] declares each setting once: its name, words, kind, default, and when a change takes effect. The page
//! `regen://settings`, `regen settings` and the administrators' file are made of it. [`Settings`] are the values: those
//! that an administrator fixed win over the command line's, those over the user's, and those over the defaults.

pub mod engines;
mod file;
mod kind;
mod parse;
mod settings;
mod table;

pub use file::{ADMINISTRATORS_FILE, FILE, MAX_FILE, SettingsFile};
pub use kind::{Kind, Value, ValueError, bytes, pixels};
pub use parse::Problem;
pub use regen_commands as commands;
pub use settings::{SettingError, Settings, Source};
pub use table::{Effect, Setting, named, table};
