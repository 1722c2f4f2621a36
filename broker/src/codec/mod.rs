//! Translation between the messages of the schema and the broker's own types.
//!
//! Schema types of the kernel channel stop here, but for the handshake: what a child says is parsed once, and what a child
//! is told is made here. The control API, the client of the net-daemon and the launcher have codecs of their own.

pub mod bookmarks;
pub mod child;
pub mod command_bar;
pub mod configure;
pub mod downloads;
pub mod health;
pub mod host;
pub mod page;
mod page_tools;
pub mod permission_messages;
pub mod permissions;
pub mod settings;
pub mod site;
pub mod user_commands;
pub mod visits;
pub mod window_updates;
pub mod workspaces;
