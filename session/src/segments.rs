//! Replaces the segment of history that a tab shows.

use super::address::without_credentials;
use super::events::Effect;
use super::ids::TabId;
use super::state::Session;
use super::tab::{Phase, Segment};
use super::tabs::set_phase;
use super::views::leave_host;

/// Maximum number of segments per tab.
const SEGMENTS: usize = 50;

/// Leaves the shown page for a new segment of history. Segments ahead of it are dropped, as in any browser.
pub(super) fn replace_shown(session: &mut Session, id: TabId, next: Segment, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let left = tab.clone();
    let is_fresh = next.site.is_some();
    // An empty page of Regen's own is not worth a step back.
    let is_empty = tab.segment().site.is_none() && tab.segment().url.is_empty();
    if is_empty || tab.is_fresh {
        *tab.segment_mut() = next;
    } else {
        tab.segments.truncate(tab.current + 1);
        tab.segments.push(next);
        if tab.segments.len() > SEGMENTS {
            tab.segments.remove(0);
        }
        tab.left = tab.segments.len().saturating_sub(2);
        tab.current = tab.segments.len() - 1;
    }
    tab.is_fresh = is_fresh;
    tab.goes_by_itself &= is_fresh;
    tab.opener_host = None;
    tab.leave_page();
    leave_host(session, &left, out);
}

/// Shows a page of Regen's own with the reason why an address is not opened.
pub(super) fn refuse(session: &mut Session, id: TabId, url: String, why: String, out: &mut Vec<Effect>) {
    let segment = Segment { url: without_credentials(&url), ..Segment::default() };
    replace_shown(session, id, segment, out);
    set_phase(session, id, Phase::Refused(why), out);
}
