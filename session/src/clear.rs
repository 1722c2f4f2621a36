//! Clearing of a site's data: its process ends, and its tabs keep no more than their addresses.

use super::events::Effect;
use super::ids::HostKey;
use super::saved::SavedSnapshot;
use super::state::Session;
use super::tab::{Phase, Segment};
use super::zooming;

/// Takes from tabs what a site's pages left in them. Tabs that show the site load it anew when they are looked at.
pub(super) fn clear(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    for tab in session.tabs.values_mut().filter(|tab| tab.workspace == host.workspace) {
        let is_shown = tab.host().as_ref() == Some(host);
        let is_its = |segment: &&mut Segment| segment.site.as_ref() == Some(&host.site);
        let mut has_cleared = false;
        for segment in tab.segments.iter_mut().filter(is_its) {
            // The steps within a segment are part of its snapshot.
            segment.snapshot = SavedSnapshot::default();
            (segment.can_go_back, segment.can_go_forward) = (false, false);
            has_cleared = true;
        }
        if has_cleared {
            out.push(Effect::Save(tab.id));
        }
        let has_page = matches!(
            tab.phase,
            Phase::Loading | Phase::Ready | Phase::Failed(_) | Phase::Recovering | Phase::Sad(_) | Phase::Lazy
        );
        if is_shown && has_page {
            tab.phase = Phase::Lazy;
            (tab.view, tab.leaving, tab.pending) = (false, None, None);
            tab.end_document();
            tab.left = tab.current;
            out.push(Effect::TabChanged(tab.id));
        }
    }
    for tab in session.closed.iter_mut().filter(|tab| tab.workspace == host.workspace) {
        for segment in tab.segments.iter_mut().filter(|segment| segment.site == host.site.as_str()) {
            segment.snapshot = SavedSnapshot::default();
            (segment.can_go_back, segment.can_go_forward) = (false, false);
        }
    }
    zooming::forget(session, host, out);
    session.saving.remove(host);
    session.hosts.remove(host);
    out.push(Effect::EndHost { host: host.clone(), reason: "the user clears the site's data".to_owned() });
}
