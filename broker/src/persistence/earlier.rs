//! Earlier sessions as the window and the control API show them.

use regen_proto::control::v1::SavedSession;
use regen_proto::kernel::v1::{OfferedTab, SessionOffer};

use super::store::Saved;
use crate::session::{SavedTab, TabId};

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

/// Returns an earlier session as the control API shows it.
#[must_use]
pub fn saved_session(saved: &Saved) -> SavedSession {
    SavedSession {
        session: saved.epoch,
        tabs: count(saved),
        saved_at: saved.saved_at,
        clean: saved.clean,
        dismissed: saved.dismissed,
        stale: saved.is_stale(),
    }
}

/// Returns an earlier session as the window offers it.
pub(super) fn offer(saved: &Saved) -> SessionOffer {
    let short = |text: &str| text.chars().take(MAX_CHOICE_TEXT).collect::<String>();
    let choice = |tab: &SavedTab| {
        let shown = tab.segments.get(usize::try_from(tab.current).unwrap_or(0));
        let (title, url) = shown.map_or(("", ""), |segment| (&segment.title, &segment.url));
        OfferedTab { tab: tab.id, title: short(title), url: short(url) }
    };
    let choices = if saved.tabs.len() <= MAX_CHOICES { saved.tabs.iter().map(choice).collect() } else { Vec::new() };
    SessionOffer { tabs: count(saved), saved_at: saved.saved_at, clean: saved.clean, session: saved.epoch, choices }
}

fn count(saved: &Saved) -> u32 {
    u32::try_from(saved.tabs.len()).unwrap_or(u32::MAX)
}
