//! The desktop: its file dialog and its opener of addresses, which are portals, its file manager, and its notifications.
//!
//! The broker is the only user. What a portal answers is the user's word, not the page's.

pub mod file_dialog;
pub mod folder;
pub mod notification;
pub mod outside;
