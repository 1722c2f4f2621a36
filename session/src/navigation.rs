//! Navigation: takes a tab to an address, in the process of that address's site.

use regen_net_config::site::Site;

use super::address::without_credentials;
use super::builtin;
use super::events::Effect;
use super::homes;
use super::host_command::HostCommand;
use super::ids::TabId;
use super::leaving;
use super::private_network;
use super::secure;
use super::segments::{refuse, replace_shown};
use super::state::Session;
use super::tab::{Destination, PageLoad, Phase, Segment, Tab};
use super::tabs::{send_if_open, set_phase};
use super::views::{ensure_view, leave_host};

/// Takes a tab to a URL, in the process of its site.
pub(super) fn navigate(session: &mut Session, id: TabId, load: PageLoad, out: &mut Vec<Effect>) {
    // Within a site, the engine asks the page whether it may be left.
    let is_elsewhere = session.tabs.get(&id).is_some_and(|tab| !is_on_site(tab, &load.load.url));
    if is_elsewhere && leaving::asks(session, id, Destination::Load(Box::new(load.clone())), out) {
        return;
    }
    let Some(mut load) = secure::look(session, id, load, out) else { return };
    let url = without_credentials(&load.load.url);
    let site = match Site::of(&url) {
        Ok(site) => Some(site),
        Err(_) if url == "about:blank" => None,
        Err(_) if load.from.is_none() && builtin::title(&url).is_some() => None,
        Err(error) => {
            refuse(session, id, url, error.to_string(), out);
            return;
        }
    };
    if site.as_ref().is_some_and(|site| {
        homes::goes_home(session, id, &mut load, site, out) || private_network::stops(session, id, &load, site, out)
    }) {
        return;
    }
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    if load.from.is_none() {
        tab.redirects = 0;
        tab.goes_by_itself = false;
    }
    let stays = site.is_some() && tab.opener_host.is_none() && tab.segment().site == site;
    if stays {
        tab.phase = Phase::Loading;
        tab.progress = 0.0;
        if tab.view {
            tab.pending = Some(load.clone());
            send_if_open(session, id, HostCommand::Navigate(load.load), out);
        } else {
            tab.pending = Some(load);
            ensure_view(session, id, out);
        }
        out.push(Effect::TabChanged(id));
        return;
    }
    let Some(site) = site else {
        let page = builtin::title(&url).map(|title| Segment { url, title: title.to_owned(), ..Segment::default() });
        replace_shown(session, id, page.unwrap_or_default(), out);
        set_phase(session, id, Phase::Blank, out);
        return;
    };
    let address = tab.address().to_owned();
    replace_shown(session, id, Segment { site: Some(site), url, ..Segment::default() }, out);
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    tab.before_commit = load.from.is_some().then_some(address);
    tab.pending = Some(load);
    tab.progress = 0.0;
    set_phase(session, id, Phase::Loading, out);
    ensure_view(session, id, out);
}

fn is_on_site(tab: &Tab, url: &str) -> bool {
    Site::of(url).ok().is_some_and(|site| tab.segment().site.as_ref() == Some(&site))
}

/// Loads a tab's address again with the rules that hold now, in place of the current segment.
pub(super) fn ask_anew(session: &mut Session, id: TabId, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    let left = tab.clone();
    let url = std::mem::take(tab.segment_mut()).url;
    tab.leave_page();
    leave_host(session, &left, out);
    navigate(session, id, PageLoad::by_user(url), out);
}
