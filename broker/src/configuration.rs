//! Options of the start that pages and the window depend on.

use crate::startup::keyboard::Keyboard;

/// Options of the start that pages and the window depend on.
#[derive(Debug, Clone)]
pub struct DisplayOptions {
    /// Set if no window is opened.
    pub headless: bool,
    /// Page size where there is no window, pixels.
    pub size: (u32, u32),
    /// Scale factor where there is no window.
    pub scale: u32,
    /// The window and the pages are dark.
    pub dark: bool,
    /// Keyboard layout for pages.
    pub keyboard: Keyboard,
    /// The user's languages as BCP 47 tags.
    pub languages: Vec<String>,
    /// The user's zone in the time zone database; empty where it is unknown.
    pub time_zone: String,
}
