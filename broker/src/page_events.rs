//! Events of pages on their way to the session: what a host may claim, and what only the broker knows.

use regen_proto::kernel::v1::{PageEvent, page_event};

/// Facts about a page that its host cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageFacts {
    /// The session shows this tab in this host.
    pub is_shown: bool,
    /// The user clicked or typed in the tab just now.
    pub by_user: bool,
}

/// Treatment of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// The event goes to its owner.
    Pass,
    /// The event goes to its owner, and uses up the user's gesture: one click opens one tab.
    PassOnce,
    /// The body of a form, of this size, is read from its descriptor first.
    ReadBody(u64),
    /// The event is dropped.
    Drop,
}

/// Puts what the broker knows in the place of a host's claims, and returns what becomes of the event. `has_memory`: the event
/// came with a descriptor.
pub fn attest(event: &mut PageEvent, facts: PageFacts, has_memory: bool) -> Treatment {
    match &mut event.body {
        Some(page_event::Body::Handover(load)) => {
            load.user_gesture = facts.by_user;
            let size = std::mem::take(&mut load.body_size);
            // A body that would be refused in any case, or is known already, is not read.
            let is_wanted = facts.is_shown && !load.continues;
            if has_memory && is_wanted { Treatment::ReadBody(size) } else { Treatment::Pass }
        }
        Some(page_event::Body::NewTab(wanted)) => {
            wanted.user_gesture = facts.by_user;
            Treatment::PassOnce
        }
        Some(page_event::Body::PopupOpened(popup)) => {
            popup.user_gesture = facts.by_user;
            Treatment::PassOnce
        }
        // A page fills the screen because its user has just done something in it.
        Some(page_event::Body::FullScreen(true)) if !facts.by_user => Treatment::Drop,
        Some(_) => Treatment::Pass,
        None => Treatment::Drop,
    }
}

#[cfg(test)]
mod tests {
    use regen_proto::kernel::v1::{Load, NewTab, PopupOpened};

    use super::*;

    const BY_USER: PageFacts = PageFacts { is_shown: true, by_user: true };
    const BY_ITSELF: PageFacts = PageFacts { is_shown: true, by_user: false };

    fn event(body: page_event::Body) -> PageEvent {
        PageEvent { tab: 1, body: Some(body) }
    }

    #[test]
    fn a_host_cannot_claim_a_gesture() {
        let mut tab = event(page_event::Body::NewTab(NewTab { user_gesture: true, ..NewTab::default() }));
        assert_eq!(attest(&mut tab, BY_ITSELF, false), Treatment::PassOnce);
        assert!(matches!(tab.body, Some(page_event::Body::NewTab(NewTab { user_gesture: false, .. }))));
        let mut popup =
            event(page_event::Body::PopupOpened(PopupOpened { user_gesture: true, ..PopupOpened::default() }));
        attest(&mut popup, BY_ITSELF, false);
        assert!(matches!(popup.body, Some(page_event::Body::PopupOpened(PopupOpened { user_gesture: false, .. }))));
        let mut load = event(page_event::Body::Handover(Load { user_gesture: true, ..Load::default() }));
        attest(&mut load, BY_ITSELF, false);
        assert!(matches!(&load.body, Some(page_event::Body::Handover(load)) if !load.user_gesture));
        attest(&mut load, BY_USER, false);
        assert!(matches!(&load.body, Some(page_event::Body::Handover(load)) if load.user_gesture), "the control");
    }

    #[test]
    fn the_screen_is_filled_after_a_gesture_and_left_at_any_time() {
        assert_eq!(attest(&mut event(page_event::Body::FullScreen(true)), BY_ITSELF, false), Treatment::Drop);
        assert_eq!(attest(&mut event(page_event::Body::FullScreen(true)), BY_USER, false), Treatment::Pass);
        assert_eq!(attest(&mut event(page_event::Body::FullScreen(false)), BY_ITSELF, false), Treatment::Pass);
    }

    #[test]
    fn a_form_is_read_only_for_a_tab_that_the_host_shows_and_a_navigation_that_is_new() {
        let form = |continues| event(page_event::Body::Handover(Load { body_size: 7, continues, ..Load::default() }));
        assert_eq!(attest(&mut form(false), BY_USER, true), Treatment::ReadBody(7));
        assert_eq!(attest(&mut form(true), BY_USER, true), Treatment::Pass);
        assert_eq!(attest(&mut form(false), BY_USER, false), Treatment::Pass);
        let elsewhere = PageFacts { is_shown: false, ..BY_USER };
        assert_eq!(attest(&mut form(false), elsewhere, true), Treatment::Pass);
        assert_eq!(attest(&mut PageEvent { tab: 1, body: None }, BY_USER, false), Treatment::Drop);
    }
}
