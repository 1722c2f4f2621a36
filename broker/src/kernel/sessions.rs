//! Earlier sessions: what is offered, what comes back, and when. And the cookies that live as long as a session.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use regen_net_config::site::Site;
use regen_proto::control::v1::SavedSession;
use regen_proto::kernel::v1::{AnswerSession, OfferedTab, SessionCookies, SessionOffer, shell_update};
use regen_proto::validate::{BrokerToChild, MAX_COOKIES};
use regen_runtime::Sealed;

use super::child::{Attachment, ChildId, Violation};
use super::{Input, Kernel};
use crate::payloads::{Payload, Subject};
use crate::session::{Event, HostKey, Phase, SavedTab, TabId};
use crate::store::{Cookies, Saved, SessionSettings};

/// Tabs that the user may choose from; of more, all come back or none.
const CHOICES: usize = 150;
/// Longer titles and addresses are cut in the list to choose from.
const CHOICE_TEXT: usize = 120;

impl Kernel {
    /// At the start: the last session, where the user wants that and it ended by their wish not long ago.
    pub(super) fn restore_by_itself(&mut self) {
        let newest = self.previous.first().filter(|saved| saved.clean && !saved.dismissed && !saved.is_stale());
        if let Some(session) = newest.map(|saved| saved.epoch).filter(|_| self.settings.session.restore) {
            let tabs = self.answer_session(&AnswerSession { session, restore: true, tabs: Vec::new() });
            tracing::info!("{tabs} tabs of the last session are back");
        }
    }

    pub(super) fn set_restores(&mut self, restore: bool) {
        self.settings.session = SessionSettings { restore };
        self.store.put_session_settings(self.settings.session);
        self.tell_window(shell_update::Body::Restores(restore), Vec::new());
    }

    /// The session that its user has not been asked about yet.
    pub(super) fn offered(&self) -> Option<&Saved> {
        self.previous.first().map(Arc::as_ref).filter(|saved| !saved.dismissed)
    }

    /// Asks about an earlier session, where it ended without the user's wish.
    pub(super) fn tell_offer(&mut self) {
        self.tell_window(shell_update::Body::Restores(self.settings.session.restore), Vec::new());
        let offer = self.offered().filter(|saved| !saved.clean).map(as_offer).unwrap_or_default();
        self.tell_window(shell_update::Body::SessionOffer(offer), Vec::new());
    }

    /// The user looks for an earlier session: the newest, whatever they answered before.
    pub(super) fn offer_again(&mut self) {
        match self.previous.first().map(|saved| as_offer(saved)) {
            Some(offer) => self.tell_window(shell_update::Body::SessionOffer(offer), Vec::new()),
            None => self.notice("info", "There is no earlier session."),
        }
    }

    /// Restores an earlier session or some of its tabs, or dismisses it. Returns how many tabs came back.
    pub(super) fn answer_session(&mut self, answer: &AnswerSession) -> usize {
        let Some(index) = self.previous.iter().position(|saved| saved.epoch == answer.session) else { return 0 };
        let is_wanted = |tab: &SavedTab| answer.restore && (answer.tabs.is_empty() || answer.tabs.contains(&tab.id));
        let Some(saved) = self.previous.get_mut(index) else { return 0 };
        Arc::make_mut(saved).dismissed = true;
        let saved = Arc::clone(saved);
        let wanted: Vec<SavedTab> = saved.tabs.iter().filter(|tab| is_wanted(tab)).cloned().collect();
        let (count, is_all) = (wanted.len(), wanted.len() == saved.tabs.len());
        if count > 0 {
            for cookies in &saved.cookies {
                if let Ok(site) = Site::parse(&cookies.site) {
                    let host = HostKey { site, workspace: cookies.workspace.clone() };
                    // What the running session knows is newer.
                    if !self.cookies.contains_key(&host) {
                        self.keep_cookies(host, cookies.cookies.clone());
                    }
                }
            }
            // The empty tab that a window starts with has served its purpose.
            let is_blank = |tab: &&crate::session::Tab| tab.phase == Phase::Blank && tab.segments.len() == 1;
            let blank: Vec<TabId> = self.session.tabs.values().filter(is_blank).map(|tab| tab.id).collect();
            self.apply(Event::Restore { tabs: wanted, active: saved.active });
            for tab in blank {
                self.apply(Event::Close { tab, ask: false });
            }
        }
        // In this order: the earlier session is let go when all of it is saved anew.
        self.save_changed(true);
        self.store.answered(answer.session, is_all);
        if is_all {
            self.previous.remove(index);
        }
        self.tell_offer();
        count
    }

    /// A host's session cookies have changed.
    pub(super) fn put_cookies(&mut self, id: ChildId, put: &SessionCookies, descriptors: Vec<OwnedFd>) {
        let Some(host) = self.children.get(&id).and_then(|child| child.host.clone()) else { return };
        let Some(memory) = descriptors.into_iter().next() else {
            // After those that are still being read.
            let none = Input::Cookies { child: id, host, cookies: Ok(Vec::new()) };
            if let Some(none) = self.payloads.after(id, none) {
                self.handle(none);
            }
            return;
        };
        let finish = Box::new(move |read: std::io::Result<Vec<u8>>| Input::Cookies {
            child: id,
            host,
            cookies: read.map_err(|error| error.to_string()),
        });
        let (size, limit) = (put.payload_size, MAX_COOKIES);
        self.payloads.read(id, Payload { subject: Subject::Cookies, memory, size, limit, finish });
    }

    pub(super) fn cookies_read(&mut self, id: ChildId, host: HostKey, cookies: Result<Vec<u8>, String>) {
        match cookies {
            Ok(cookies) => self.keep_cookies(host, cookies),
            Err(error) => self.violation(id, &Violation::Malformed(format!("cookies that cannot be read: {error}"))),
        }
    }

    fn keep_cookies(&mut self, host: HostKey, cookies: Vec<u8>) {
        self.store.put_cookies(saved_cookies(&host, &cookies));
        self.cookies.insert(host, cookies);
    }

    /// All of them, for a store that has lost them.
    pub(super) fn all_cookies(&self) -> Vec<Cookies> {
        self.cookies.iter().map(|(host, cookies)| saved_cookies(host, cookies)).collect()
    }

    /// Gives a new host what an earlier one of its site had.
    pub(super) fn give_cookies(&mut self, id: ChildId) {
        let host = self.children.get(&id).and_then(|child| child.host.as_ref());
        let Some(cookies) = host.and_then(|host| self.cookies.get(host)).filter(|cookies| !cookies.is_empty()) else {
            return;
        };
        let payload_size = cookies.len() as u64;
        match Sealed::new(cookies) {
            Ok(sealed) => {
                let attachments = vec![Attachment::Payload(sealed)];
                self.send(id, BrokerToChild::Cookies(SessionCookies { payload_size }), attachments);
            }
            Err(error) => tracing::error!("a site's session cookies are lost: {error}"),
        }
    }
}

fn saved_cookies(host: &HostKey, cookies: &[u8]) -> Cookies {
    let site = host.site.as_str().to_owned();
    Cookies { workspace: host.workspace.clone(), site, cookies: cookies.to_vec() }
}

/// For the control API.
pub(crate) fn as_saved(saved: &Saved) -> SavedSession {
    SavedSession {
        session: saved.epoch,
        tabs: count(saved),
        saved_at: saved.saved_at,
        clean: saved.clean,
        dismissed: saved.dismissed,
        stale: saved.is_stale(),
    }
}

fn count(saved: &Saved) -> u32 {
    u32::try_from(saved.tabs.len()).unwrap_or(u32::MAX)
}

/// For the window.
fn as_offer(saved: &Saved) -> SessionOffer {
    let short = |text: &str| text.chars().take(CHOICE_TEXT).collect::<String>();
    let choice = |tab: &SavedTab| {
        let shown = tab.segments.get(usize::try_from(tab.current).unwrap_or(0));
        let (title, url) = shown.map_or(("", ""), |segment| (&segment.title, &segment.url));
        OfferedTab { tab: tab.id, title: short(title), url: short(url) }
    };
    let choices = if saved.tabs.len() <= CHOICES { saved.tabs.iter().map(choice).collect() } else { Vec::new() };
    SessionOffer { tabs: count(saved), saved_at: saved.saved_at, clean: saved.clean, session: saved.epoch, choices }
}
