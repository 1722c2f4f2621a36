//! Hosts that start, sleep or die, and the effects on their tabs.

use regen_net_config::site::Site;

use super::events::Effect;
use super::ids::{HostKey, TabId};
use super::load::{Load, Origin};
use super::navigation::navigate;
use super::segments::refuse;
use super::state::{HostPhase, Session};
use super::strip::remove;
use super::tab::{Destination, PageLoad, Phase, Segment, Tab};
use super::views::{self, ensure_view};
use super::workspace_ends;

pub(super) fn host_up(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    session.hosts.insert(host.clone(), HostPhase::Up);
    for id in views::without_view(session, host) {
        ensure_view(session, id, out);
    }
}

/// Notes that a host begins or has finished saving files. A host without tabs ends after its last file.
pub(super) fn saving(session: &mut Session, host: HostKey, is_saving: bool, out: &mut Vec<Effect>) {
    if is_saving {
        session.saving.insert(host.clone());
        // A host in `GivenUp` keeps waiting for the user.
        session.hosts.entry(host).or_insert(HostPhase::Starting);
        return;
    }
    if !session.saving.remove(&host) {
        return;
    }
    let is_wanted = |tab: &Tab| tab.host().as_ref() == Some(&host) && !matches!(tab.phase, Phase::Lazy);
    if !session.tabs.values().any(is_wanted) {
        session.hosts.remove(&host);
    }
    workspace_ends::end_if_empty(session, &host.workspace, out);
}

pub(super) fn stop_script(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id).filter(|tab| tab.view) else { return };
    let Some(host) = tab.host() else { return };
    tab.phase = Phase::Sad("you stopped its script".to_owned());
    tab.leaving = None;
    tab.end_document();
    // Later messages of the process no longer count; another tab of the site may need a process all the same.
    tab.view = false;
    out.push(Effect::TabChanged(id));
    out.push(Effect::EndHost { host, reason: "the user stopped its script".to_owned() });
}

pub(super) fn sleep(session: &mut Session, host: &HostKey, out: &mut Vec<Effect>) {
    if !session.can_sleep(host) {
        return;
    }
    for tab in session.tabs.values_mut().filter(|tab| tab.host().as_ref() == Some(host)) {
        tab.phase = Phase::Lazy;
        tab.view = false;
        tab.end_document();
        // A snapshot that still arrives belongs to the segment that is current now.
        tab.left = tab.current;
        out.push(Effect::TabChanged(tab.id));
    }
    session.hosts.remove(host);
}

pub(super) fn host_died(session: &mut Session, host: &HostKey, reason: &str, given_up: bool, out: &mut Vec<Effect>) {
    let mut affected = Vec::new();
    let mut unsent = Vec::new();
    let mut elsewhere = Vec::new();
    // The dead host takes no commands, not even those that follow from the removals below.
    session.hosts.insert(host.clone(), HostPhase::Starting);
    for tab in session.tabs.values_mut().filter(|tab| tab.host().as_ref() == Some(host)) {
        tab.view = false;
        tab.end_document();
        let leaving = tab.leaving.take();
        // A popup becomes a normal tab: the page that knew it is gone.
        if tab.segment().site.is_some() {
            tab.opener_host = None;
        }
        // A page whose script was stopped would run it again, so it waits like one that crashes too often.
        if matches!(tab.phase, Phase::Lazy | Phase::Sad(_) | Phase::Insecure(_) | Phase::Private(_)) {
            continue;
        }
        // A dead page cannot object.
        if let Some(Destination::Load(load)) = leaving {
            elsewhere.push((tab.id, *load));
            continue;
        }
        // A form being sent may have arrived: only the user may send it again.
        if let Some(form) = tab.pending.take_if(|pending| pending.load.is_post()) {
            unsent.push((tab.id, form.load.url));
            tab.phase = Phase::Lazy;
            continue;
        }
        tab.phase = if given_up { Phase::Sad(reason.to_owned()) } else { Phase::Recovering };
        let is_gone = tab.closing || (tab.opener_host.is_some() && Site::of(&tab.segment().url).is_err());
        if tab.opener_host.take().is_some() && !is_gone {
            // The popup showed another site: it loads that site in its own host, with its opener as the initiator.
            let initiator = Origin::new(host.site.as_str());
            let load = Load { initiator, ..Load::by_user(tab.segment().url.clone()) };
            *tab.segment_mut() = Segment::default();
            elsewhere.push((tab.id, PageLoad { load, from: Some(host.clone()) }));
            continue;
        }
        affected.push((tab.id, is_gone, (tab.pinned, tab.looked_at)));
    }
    // Each restored view takes a process: restore the most recently activated tabs now, the others when they are
    // activated.
    let active = session.active;
    affected.sort_by_key(|(id, _, use_of)| std::cmp::Reverse((active == Some(*id), *use_of)));
    for (id, ..) in affected.iter().filter(|(_, is_gone, _)| !is_gone).skip(views::MAX_VIEWS) {
        if let Some(tab) = session.tabs.get_mut(id).filter(|tab| tab.pending.is_none()) {
            tab.phase = if given_up { Phase::Sad(reason.to_owned()) } else { Phase::Lazy };
        }
    }
    for (id, is_gone, _) in &affected {
        // A tab that was closing is not restored, nor a popup whose document existed only in its opener's process.
        if *is_gone {
            remove(session, *id, out);
        } else {
            out.push(Effect::TabChanged(*id));
        }
    }
    for (id, url) in unsent {
        let why =
            "The process ended while a form was being sent here. Regen does not send it again: go back to the form.";
        refuse(session, id, url, why.to_owned(), out);
    }
    for (id, load) in elsewhere {
        navigate(session, id, load, out);
    }
    // A tab that became active because another was removed also wants the host.
    let waits = |tab: &Tab| matches!(tab.phase, Phase::Loading | Phase::Recovering);
    let wanted = session.tabs.values().any(|tab| waits(tab) && tab.host().as_ref() == Some(host));
    let wanted = wanted || session.saving.contains(host);
    session.hosts.remove(host);
    if given_up {
        session.hosts.insert(host.clone(), HostPhase::GivenUp);
    } else if wanted {
        session.hosts.insert(host.clone(), HostPhase::Starting);
    }
}
