//! Zooming of a tab: it holds for its site.

use super::events::Effect;
use super::host_command::HostCommand;
use super::ids::{HostKey, TabId};
use super::state::Session;
use super::tabs::{change, send_if_open};
use super::zooms::ZOOM;

/// Zoom factors that the user steps through.
const STEPS: [f64; 15] = [0.25, 0.33, 0.5, 0.67, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 5.0];

/// Zooms the site of a tab by so many steps.
pub(super) fn zoom_by(session: &mut Session, id: TabId, steps: i32, out: &mut Vec<Effect>) {
    let Some(mut to) = session.tabs.get(&id).map(|tab| tab.zoom) else { return };
    for _ in 0..steps.unsigned_abs().min(15) {
        let next = if steps > 0 {
            STEPS.into_iter().find(|step| *step > to + 0.01)
        } else {
            STEPS.into_iter().rev().find(|step| *step < to - 0.01)
        };
        to = next.unwrap_or(to);
    }
    zoom(session, id, to, out);
}

/// Zooms the site of a tab, in all its tabs. A page without a site, and a popup that keeps its opener, are zoomed alone.
pub(super) fn zoom(session: &mut Session, id: TabId, zoom: f64, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get(&id) else { return };
    let zoom = zoom.clamp(*ZOOM.start(), *ZOOM.end());
    // A popup in its opener's process may show any site.
    let Some(host) = tab.host().filter(|_| tab.opener_host.is_none()) else {
        if change(session, id, out, |tab| tab.zoom = zoom) {
            send_if_open(session, id, HostCommand::Zoom(zoom), out);
        }
        return;
    };
    if session.zooms.keep(&host, zoom) {
        out.push(Effect::ZoomsChanged);
    }
    let its: Vec<TabId> = session
        .tabs
        .values()
        .filter(|tab| tab.opener_host.is_none() && tab.host().as_ref() == Some(&host))
        .map(|tab| tab.id)
        .collect();
    for tab in its {
        if change(session, tab, out, |tab| tab.zoom = zoom) {
            send_if_open(session, tab, HostCommand::Zoom(zoom), out);
        }
    }
}

/// Forgets the zoom of a site.
pub(super) fn forget(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    if session.zooms.keep(host, 1.0) {
        out.push(Effect::ZoomsChanged);
    }
}
