//! Upgrades to HTTPS. A page is opened without encryption only after the user has agreed.

use regen_net_config::site::Site;
use url::Url;

use super::events::Effect;
use super::https::HttpsUpgrade;
use super::ids::TabId;
use super::load::Load;
use super::page_event::LoadFailed;
use super::segments::{refuse, replace_shown};
use super::state::Session;
use super::tab::{PageLoad, Phase, Segment};
use super::tabs::set_phase;
use super::views::leave_host;

/// Maximum number of upgrades in one load. A server that redirects to HTTP more often does not support HTTPS.
const MAX_UPGRADES: u8 = 5;

/// Maximum length of a reason that is shown, in characters.
const MAX_REASON: usize = 300;

/// Returns the load to start for a requested one, upgraded to HTTPS if needed; `None` if a page of Regen's own says why
/// nothing is loaded.
pub(super) fn look(session: &mut Session, id: TabId, wanted: PageLoad, out: &mut Vec<Effect>) -> Option<PageLoad> {
    let PageLoad { mut load, from } = wanted;
    let tab = session.tabs.get_mut(&id)?;
    // Only a redirect continues the load that was upgraded; anything else is a new one.
    let continues = std::mem::take(&mut load.continues);
    let before = tab.upgraded.take().filter(|_| continues);
    let workspace = tab.workspace.clone();
    let Some(url) = session.upgraded(&load.url, &workspace) else {
        session.tabs.get_mut(&id)?.upgraded = before;
        return Some(PageLoad { load, from });
    };
    let is_strict = session.is_strict(&load.url, &workspace);
    if load.is_post() && !is_strict {
        let why = "The form would be sent without encryption. Nothing was sent.";
        insecure(session, id, load.url, why, out);
        return None;
    }
    let times = before.as_ref().map_or(0, |before| before.times + 1);
    if before.is_some_and(|before| before.address == load.url) || times > MAX_UPGRADES {
        let why = "Its server redirects encrypted connections to unencrypted ones.";
        if is_strict {
            refuse(session, id, load.url, why.to_owned(), out);
        } else {
            insecure(session, id, load.url, why, out);
        }
        return None;
    }
    session.tabs.get_mut(&id)?.upgraded = Some(HttpsUpgrade { address: load.url, times });
    Some(PageLoad { load: Load { url, ..load }, from })
}

/// Handles a failed load. Returns whether it was an upgraded one, so that the user is asked to go on without
/// encryption.
pub(super) fn failed(session: &mut Session, id: TabId, failed: &LoadFailed, out: &mut Vec<Effect>) -> bool {
    let Some(tab) = session.tabs.get_mut(&id) else { return false };
    let Some(HttpsUpgrade { address, .. }) = tab.upgraded.take() else { return false };
    let workspace = tab.workspace.clone();
    let host = |url: &str| Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let is_about_it = failed.is_its_own && host(&address) == host(&failed.url);
    if !is_about_it || session.is_strict(&address, &workspace) {
        return false;
    }
    let reason: String = failed.reason.chars().take(MAX_REASON).collect();
    insecure(session, id, address, &format!("There is no encrypted connection to it. {reason}"), out);
    true
}

/// Shows why an address is not opened without encryption, and offers to open it.
pub(super) fn insecure(session: &mut Session, id: TabId, url: String, why: &str, out: &mut Vec<Effect>) {
    let Some(tab) = session.tabs.get_mut(&id) else { return };
    tab.upgraded = None;
    let next = Segment { site: Site::of(&url).ok(), url, ..Segment::default() };
    let shown = tab.segment();
    if shown.snapshot.session_state.is_empty() && shown.title.is_empty() {
        // The upgraded address never loaded.
        let left = tab.clone();
        *tab.segment_mut() = next;
        tab.leave_page();
        leave_host(session, &left, out);
    } else {
        replace_shown(session, id, next, out);
    }
    set_phase(session, id, Phase::Insecure(why.to_owned()), out);
}
