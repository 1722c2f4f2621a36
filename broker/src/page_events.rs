//! Events of pages on their way to the session: what a host may claim, and what only the broker knows.

use regen_session::{Load, PageEvent};

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
    /// The event is dropped.
    Drop,
}

/// Puts what the broker knows in the place of a host's claims, and returns what becomes of the event.
pub fn attest(event: &mut PageEvent, facts: PageFacts) -> Treatment {
    match event {
        PageEvent::Handover(load) => {
            load.user_gesture = facts.by_user;
            Treatment::Pass
        }
        PageEvent::NewTab(wanted) => {
            wanted.user_gesture = facts.by_user;
            Treatment::PassOnce
        }
        PageEvent::PopupOpened(popup) => {
            popup.user_gesture = facts.by_user;
            Treatment::PassOnce
        }
        // A page fills the screen because its user has just done something in it.
        PageEvent::FullScreen(true) if !facts.by_user => Treatment::Drop,
        PageEvent::LoadStarted
        | PageEvent::Committed(_)
        | PageEvent::LoadFinished
        | PageEvent::LoadFailed(_)
        | PageEvent::LoadAbandoned
        | PageEvent::Title(_)
        | PageEvent::Favicon(_)
        | PageEvent::Progress(_)
        | PageEvent::Unresponsive(_)
        | PageEvent::FullScreen(_)
        | PageEvent::Blocked(_)
        | PageEvent::Audible(_)
        | PageEvent::CloseRequested
        | PageEvent::Dialog(_) => Treatment::Pass,
    }
}

/// Returns whether the form of a navigation to another site is read. One that would be refused in any case, or is known
/// already, is not.
#[must_use]
pub fn reads_form(load: &Load, facts: PageFacts) -> bool {
    facts.is_shown && !load.continues && load.is_post()
}

#[cfg(test)]
mod tests {
    use regen_session::{Method, NewTab, PopupOpened};

    use super::*;

    const BY_USER: PageFacts = PageFacts { is_shown: true, by_user: true };
    const BY_ITSELF: PageFacts = PageFacts { is_shown: true, by_user: false };

    #[test]
    fn a_host_cannot_claim_a_gesture() {
        let mut tab = PageEvent::NewTab(NewTab { user_gesture: true, ..NewTab::default() });
        assert_eq!(attest(&mut tab, BY_ITSELF), Treatment::PassOnce);
        assert!(matches!(tab, PageEvent::NewTab(NewTab { user_gesture: false, .. })));
        let mut popup = PageEvent::PopupOpened(PopupOpened { user_gesture: true, ..PopupOpened::default() });
        attest(&mut popup, BY_ITSELF);
        assert!(matches!(popup, PageEvent::PopupOpened(PopupOpened { user_gesture: false, .. })));
        let mut load = PageEvent::Handover(Load::by_user("https://a.test/"));
        attest(&mut load, BY_ITSELF);
        assert!(matches!(&load, PageEvent::Handover(load) if !load.user_gesture));
        attest(&mut load, BY_USER);
        assert!(matches!(&load, PageEvent::Handover(load) if load.user_gesture), "the control");
    }

    #[test]
    fn the_screen_is_filled_after_a_gesture_and_left_at_any_time() {
        assert_eq!(attest(&mut PageEvent::FullScreen(true), BY_ITSELF), Treatment::Drop);
        assert_eq!(attest(&mut PageEvent::FullScreen(true), BY_USER), Treatment::Pass);
        assert_eq!(attest(&mut PageEvent::FullScreen(false), BY_ITSELF), Treatment::Pass);
    }

    #[test]
    fn a_form_is_read_only_for_a_tab_that_the_host_shows_and_a_navigation_that_is_new() {
        let form = |continues| Load { method: Method::Post(None), continues, ..Load::default() };
        assert!(reads_form(&form(false), BY_USER));
        assert!(!reads_form(&form(true), BY_USER));
        assert!(!reads_form(&Load::default(), BY_USER), "no form");
        assert!(!reads_form(&form(false), PageFacts { is_shown: false, ..BY_USER }));
    }
}
