//! Pages that the window draws itself. They have no host, and only the user opens them: a page's link to one is refused.

/// Addresses and titles of the built-in pages.
pub const BUILTIN_PAGES: [(&str, &str); 3] =
    [("regen://history", "History"), ("regen://bookmarks", "Bookmarks"), ("regen://settings", "Settings")];

/// Returns the title of a built-in page; `None` for any other address.
pub(super) fn title(url: &str) -> Option<&'static str> {
    BUILTIN_PAGES.iter().find(|(page, _)| *page == url.trim_end_matches('/')).map(|(_, title)| *title)
}
