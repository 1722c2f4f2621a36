//! Earlier sessions as the window offers them.

use regen_session::{SavedTab, TabId};
use regen_store::Saved;

/// Maximum number of tabs that the user can choose from. Of more, all come back or none.
const MAX_CHOICES: usize = 150;
/// Maximum length of a title or address in the list to choose from, characters.
const MAX_CHOICE_TEXT: usize = 120;

/// Tabs of an earlier session that come back.
#[derive(Debug, Clone, PartialEq)]
pub struct Restoration {
    /// The earlier session.
    pub session: u64,
    /// The tabs, in their order.
    pub tabs: Vec<SavedTab>,
    /// The tab that was in front; 0: none.
    pub active: TabId,
    /// Set if all tabs of the session came back.
    pub is_all: bool,
}

/// Offer of an earlier session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOffer {
    /// Number of its tabs.
    pub tabs: u32,
    /// Time of its last change, in seconds since 1970.
    pub saved_at: u64,
    /// Set if it ended by the user's wish.
    pub clean: bool,
    /// The session.
    pub session: u64,
    /// Tabs to choose from, with title and address; none if there are very many.
    pub choices: Vec<(TabId, String, String)>,
}

/// Returns an earlier session as the window offers it.
pub(super) fn offer(saved: &Saved) -> SessionOffer {
    let short = |text: &str| text.chars().take(MAX_CHOICE_TEXT).collect::<String>();
    let choice = |tab: &SavedTab| {
        let shown = tab.segments.get(usize::try_from(tab.current).unwrap_or(0));
        let (title, url) = shown.map_or(("", ""), |segment| (&segment.title, &segment.url));
        (tab.id, short(title), short(url))
    };
    let choices = if saved.tabs.len() <= MAX_CHOICES { saved.tabs.iter().map(choice).collect() } else { Vec::new() };
    SessionOffer { tabs: count(saved), saved_at: saved.saved_at, clean: saved.clean, session: saved.epoch, choices }
}

pub(crate) fn count(saved: &Saved) -> u32 {
    u32::try_from(saved.tabs.len()).unwrap_or(u32::MAX)
}
