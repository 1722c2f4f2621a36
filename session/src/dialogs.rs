//! Steps for dialogs: a page shows one, and the user answers it.

use super::consent;
use super::dialog::{Dialog, DialogAnswer, DialogKind};
use super::events::Effect;
use super::host_command::HostCommand;
use super::ids::TabId;
use super::leaving;
use super::state::Session;
use super::tabs::send_if_open;

/// Handles a host's message that a dialog appeared or is gone.
pub(super) fn shown(session: &mut Session, id: TabId, said: Option<Dialog>, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let before = std::mem::replace(&mut tab.dialog, said);
    out.push(Effect::TabChanged(id));
    // A `beforeunload` dialog that vanishes unanswered is void: the user did something else.
    if before.is_some_and(|before| before.kind == DialogKind::Leave) {
        leaving::forget(session, id);
    }
    let Some(tab) = session.tabs.get(&id) else { return };
    if tab.dialog.is_some() {
        out.push(Effect::PageWaits(id));
    }
}

/// Passes the user's answer on. An answer to a dialog that is gone is ignored.
pub(super) fn answer(session: &mut Session, id: TabId, answer: DialogAnswer, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let Some(dialog) = tab.dialog.take_if(|dialog| dialog.number == answer.number) else { return };
    if dialog.kind == DialogKind::Leave && !answer.accept {
        consent::leaving_refused(session, id, out);
    }
    send_if_open(session, id, HostCommand::AnswerDialog(answer), out);
    out.push(Effect::TabChanged(id));
}
