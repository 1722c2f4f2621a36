//! The desktop's portals: its file dialog, and addresses that other programs open.
//!
//! The broker is the only user. What a portal answers is the user's word, not the page's.

pub mod file_dialog;
pub mod folder;
pub mod outside;
