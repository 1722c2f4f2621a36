//! Steps on single tabs that the other modules share.

use super::events::Effect;
use super::host_command::HostCommand;
use super::ids::TabId;
use super::state::Session;
use super::tab::{Phase, Tab};

pub(super) fn change(session: &mut Session, id: TabId, out: &mut Vec<Effect>, what: impl FnOnce(&mut Tab)) -> bool {
    let Some(tab) = session.tabs.get_mut(&id) else { return false };
    what(tab);
    out.extend([Effect::TabChanged(id), Effect::Save(id)]);
    true
}

pub(super) fn send_if_open(session: &Session, id: TabId, command: HostCommand, out: &mut Vec<Effect>) {
    if let Some(tab) = session.tabs.get(&id).filter(|tab| tab.view)
        && let Some(host) = tab.host()
    {
        out.push(Effect::Send { host, tab: id, command });
    }
}

pub(super) fn set_phase(session: &mut Session, id: TabId, phase: Phase, out: &mut Vec<Effect>) {
    if let Some(tab) = session.tabs.get_mut(&id) {
        tab.phase = phase;
        out.extend([Effect::TabChanged(id), Effect::Save(id)]);
    }
}
