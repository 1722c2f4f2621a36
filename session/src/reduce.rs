//! The reducer: one event in, the next state and its effects out.

use super::clear::clear;
use super::consent;
use super::dialogs;
use super::events::{Effect, Event};
use super::history;
use super::host_command::HostCommand;
use super::hosts::{host_died, host_up, saving, sleep, stop_script};
use super::ids::{HostKey, TabId};
use super::leaving;
use super::navigation::{ask_anew, navigate};
use super::page;
use super::private_network;
use super::saved::SavedTab;
use super::state::{HostPhase, Session};
use super::strip::{activate, adopt, close, move_to, open, pin, remove, reopen, restore};
use super::tab::{Homeward, PageLoad, Phase};
use super::tabs::{change, send_if_open};
use super::views::ensure_view;
use super::workspace_tabs;
use super::zooming;

/// Applies one event. Events about tabs or hosts that are gone change nothing.
///
/// The last effects say which hosts the new state wants and no longer wants. They are computed as the difference of the
/// two states, so that no step can forget them.
pub fn reduce(session: &mut Session, event: Event) -> Vec<Effect> {
    let mut before = session.hosts.clone();
    if let Event::HostDied { host, .. } = &event {
        before.remove(host);
    }
    let mut effects = Vec::new();
    step(session, event, &mut effects);
    while let Some(tab) = session.to_upgrade.pop() {
        ask_anew(session, tab, &mut effects);
    }
    while let Some(Homeward { opener, workspace, load, redirects, closes_opener }) = session.homeward.pop() {
        let opened = open(session, Some(load), workspace, false, Some(opener), &mut effects);
        if let Some(tab) = session.tabs.get_mut(&opened) {
            tab.redirects = redirects;
        }
        if closes_opener {
            remove(session, opener, &mut effects);
        }
    }
    for (host, _) in before.iter().filter(|(host, _)| !session.hosts.contains_key(*host)) {
        effects.push(Effect::UnwantHost(host.clone()));
    }
    let is_new = |(host, phase): &(&HostKey, &HostPhase)| {
        **phase == HostPhase::Starting && before.get(*host) != Some(&HostPhase::Starting)
    };
    let mut wanted: Vec<HostKey> = session.hosts.iter().filter(is_new).map(|(host, _)| host.clone()).collect();
    wanted.sort_unstable();
    effects.extend(wanted.into_iter().map(Effect::WantHost));
    effects
}

fn step(session: &mut Session, event: Event, out: &mut Vec<Effect>) {
    match event {
        Event::Open { load, workspace, background, opener } => {
            open(session, load, workspace, background, opener, out);
        }
        Event::Close { tab, ask } => close(session, tab, ask, out),
        Event::StillUsed(tab) => {
            if let Some(tab) = session.tabs.get_mut(&tab) {
                tab.closing = false;
                tab.is_used = true;
            }
        }
        Event::Saving { host, is_saving } => saving(session, host, is_saving, out),
        Event::Activate(tab) => activate(session, tab, out),
        Event::Move { tab, index } => move_to(session, tab, index, out),
        Event::ReopenClosed => reopen(session, out),
        Event::ShowWorkspace(workspace) => workspace_tabs::show(session, workspace, out),
        Event::MoveToWorkspace { tab, workspace } => workspace_tabs::move_to(session, tab, workspace, out),
        Event::DeleteWorkspace(workspace) => workspace_tabs::delete(session, &workspace, out),
        Event::Duplicate(tab) => {
            if let Some(saved) = session.tabs.get(&tab).map(SavedTab::from) {
                adopt(session, saved, out);
            }
        }
        Event::Navigate { tab, load } => navigate(session, tab, load, out),
        Event::AnswerDialog { tab, answer } => dialogs::answer(session, tab, answer, out),
        Event::History { tab, delta } => history::step(session, tab, delta, out),
        Event::Reload { tab, bypass_cache } => {
            leaving::forget(session, tab);
            reload(session, tab, bypass_cache, out);
        }
        Event::Stop(tab) => {
            leaving::forget(session, tab);
            send_if_open(session, tab, HostCommand::Stop, out);
        }
        Event::ZoomBy { tab, steps } => zooming::zoom_by(session, tab, steps, out),
        Event::Zoom { tab, zoom } => zooming::zoom(session, tab, zoom, out),
        Event::Mute { tab, muted } => {
            if change(session, tab, out, |tab| tab.muted = muted) {
                send_if_open(session, tab, HostCommand::Mute(muted), out);
            }
        }
        Event::Pin { tab, pinned } => pin(session, tab, pinned, out),
        Event::Restore { tabs, active } => restore(session, tabs, active, out),
        Event::StopScript(tab) => stop_script(session, tab, out),
        Event::AllowInsecure(tab) => consent::insecure_allowed(session, tab, out),
        Event::AllowPrivate(tab) => consent::private_allowed(session, tab, out),
        Event::SiteFound { host, side } => private_network::found(session, &host, side, out),
        Event::HttpsOnly { site, on } => session.https_only.choose(site.as_ref(), on),
        Event::Sleep(host) => sleep(session, &host, out),
        Event::ClearSite(host) => clear(session, &host, out),
        Event::HostUp(host) => host_up(session, &host, out),
        Event::HostDied { host, reason, given_up } => host_died(session, &host, &reason, given_up, out),
        Event::Page { host, tab, event } => page::event(session, &host, tab, event, out),
        Event::Snapshot { host, tab, snapshot } => page::snapshot(session, &host, tab, snapshot, out),
    }
}

fn reload(session: &mut Session, id: TabId, bypass_cache: bool, out: &mut Vec<Effect>) {
    let shown = session.tabs.get(&id);
    let is_forbidden = shown.is_some_and(|tab| session.forbids(&tab.segment().url, &tab.workspace));
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    match tab.phase {
        Phase::Sad(_) | Phase::Lazy => {
            tab.phase = Phase::Loading;
            if let Some(host) = tab.host()
                && session.hosts.get(&host) == Some(&HostPhase::GivenUp)
            {
                session.hosts.remove(&host);
            }
            ensure_view(session, id, out);
            out.push(Effect::TabChanged(id));
        }
        Phase::Insecure(_) => ask_anew(session, id, out),
        // The question stays until it is answered.
        Phase::Private(_) => {}
        Phase::Refused(_) => {
            let url = tab.segment().url.clone();
            navigate(session, id, PageLoad::by_user(url), out);
        }
        // HTTPS only may have been turned on since the page was opened.
        _ if tab.opener_host.is_none() && is_forbidden => ask_anew(session, id, out),
        Phase::Blank | Phase::Loading | Phase::Ready | Phase::Failed(_) | Phase::Recovering => {
            send_if_open(session, id, HostCommand::Reload { bypass_cache }, out);
        }
    }
}
