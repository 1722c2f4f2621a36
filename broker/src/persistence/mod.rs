//! Persistence: what survives a crash. The running session and its cookies on their way to the store, and earlier sessions on
//! their way back.
//!
//! Nothing here waits for the disk: the store has a thread of its own.

pub mod earlier;
mod save_pace;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regen_net_config::host::is_throw_away;
use regen_net_config::site::Site;
use tokio::sync::mpsc;

pub use earlier::{Restoration, SessionOffer};

use regen_session::{HostKey, SavedTab, Session, Tab, TabId};
use regen_store::{Cookies, Saved, SavedOrder, Settings, Store};
use save_pace::SavePace;

/// Changes within this time are saved together.
const SAVE_DELAY: Duration = Duration::from_millis(100);

/// Event of the persistence component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Changes are to be saved.
    Save,
}

/// Trouble with the store, or its end, for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `error` or `info`.
    pub level: &'static str,
    /// Text for the user.
    pub text: String,
}

/// Result of a look at the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// News for the user.
    pub notices: Vec<Notice>,
    /// Set if the store works again, and must be given everything.
    pub is_back: bool,
}

/// Error of the persistence component.
#[derive(Debug, thiserror::Error)]
pub enum PersistenceError {
    /// Something could not be brought to the disk.
    #[error("{0}")]
    Store(String),
}

/// The session on disk.
#[derive(Debug)]
pub struct Persistence {
    store: Store,
    /// The last session comes back by itself.
    restores: bool,
    /// Tabs that the store does not know as they are now. However often a tab changes, it waits once.
    unsaved: SavePace,
    /// Set if the HSTS hosts have changed and are not saved yet.
    hsts_unsaved: bool,
    /// Set if the zoom of sites has changed and is not saved yet.
    zooms_unsaved: bool,
    is_save_scheduled: bool,
    /// Trouble with the store that the user was told of.
    trouble: Option<String>,
    /// Earlier sessions that can come back, newest first.
    earlier: Vec<Arc<Saved>>,
    /// Session cookies of each host, for its site's next process.
    cookies: HashMap<HostKey, Vec<u8>>,
    /// Place of the key of session cookies, in words.
    secrets: &'static str,
    events: mpsc::Sender<Event>,
}

impl Persistence {
    /// Returns the component for a store, and for what earlier runs left in it.
    #[must_use]
    pub fn new(store: Store, earlier: Vec<Saved>, secrets: &'static str, events: mpsc::Sender<Event>) -> Self {
        Self {
            store,
            restores: false,
            unsaved: SavePace::default(),
            hsts_unsaved: false,
            zooms_unsaved: false,
            is_save_scheduled: false,
            trouble: None,
            earlier: earlier.into_iter().map(Arc::new).collect(),
            cookies: HashMap::new(),
            secrets,
            events,
        }
    }

    /// Returns the store, for components whose settings it keeps.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns where the key of session cookies is, in words.
    #[must_use]
    pub fn secrets(&self) -> &'static str {
        self.secrets
    }

    /// Returns the trouble with the store, in words.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.store.trouble()
    }

    /// Returns the number of tabs that the store does not have as they are now.
    #[must_use]
    pub fn unsaved(&self) -> usize {
        self.unsaved.len()
    }

    /// Notes that a tab changed.
    pub fn tab_changed(&mut self, tab: TabId) {
        self.unsaved.changed(tab);
        self.schedule_save();
    }

    /// Forgets a tab that is closed.
    pub fn tab_closed(&mut self, tab: TabId) {
        self.unsaved.forget(tab);
        self.store.forget_tab(tab);
    }

    /// Saves the order of the tabs.
    pub fn order_changed(&self, session: &Session) {
        self.store.put_order(order(session));
    }

    /// Notes that hosts said something new of encryption.
    pub fn hsts_changed(&mut self) {
        self.hsts_unsaved = true;
        self.schedule_save();
    }

    /// Notes that the zoom of a site has changed.
    pub fn zooms_changed(&mut self) {
        self.zooms_unsaved = true;
        self.schedule_save();
    }

    /// Saves the workspaces.
    pub fn workspaces_changed(&self, session: &Session) {
        self.store.put_workspaces(&session.workspaces);
    }

    /// Forgets everything of a workspace, in earlier sessions as well.
    pub fn forget_workspace(&mut self, workspace: &str) {
        self.cookies.retain(|host, _| host.workspace != workspace);
        for saved in &mut self.earlier {
            let is_its = |tab: &SavedTab| tab.workspace == workspace;
            if saved.tabs.iter().any(is_its) || saved.cookies.iter().any(|cookies| cookies.workspace == workspace) {
                let saved = Arc::make_mut(saved);
                saved.tabs.retain(|tab| tab.workspace != workspace);
                saved.cookies.retain(|cookies| cookies.workspace != workspace);
            }
        }
        self.earlier.retain(|saved| !saved.tabs.is_empty());
        if !is_throw_away(workspace) {
            self.store.forget_workspace(workspace);
        }
    }

    /// Saves the tabs that changed: those whose turn it is, or all of them.
    pub fn save(&mut self, session: &Session, all: bool) {
        self.is_save_scheduled = false;
        if std::mem::take(&mut self.hsts_unsaved) {
            self.store.put_hsts(&session.hsts);
        }
        if std::mem::take(&mut self.zooms_unsaved) {
            self.store.put_zooms(&session.zooms);
        }
        let now = Instant::now();
        for id in self.unsaved.due(now, all) {
            if let Some(tab) = session.tabs.get(&id).filter(|tab| tab.is_kept()) {
                self.unsaved.saved(id, tab.state_size, now);
                self.store.put_tab(SavedTab::from(tab));
            }
        }
        if !self.unsaved.is_empty() {
            self.schedule_save();
        }
    }

    /// Looks after the store: returns news for the user, and tells a store that is back everything it missed. `settings`: all
    /// that the user has set.
    pub fn check_store(&mut self, session: &Session, settings: impl FnOnce() -> Settings) -> StoreCheck {
        let mut notices = Vec::new();
        let trouble = self.store.trouble();
        if trouble != self.trouble {
            notices.extend(trouble.clone().map(|text| Notice { level: "error", text }));
            self.trouble = trouble;
        }
        let is_back = self.store.wants_everything();
        if is_back {
            let tabs = session.tabs.values().filter(|tab| tab.is_kept()).map(SavedTab::from).collect();
            let cookies = self.cookies.iter().map(|(host, cookies)| saved_cookies(host, cookies)).collect();
            self.store.put_everything(tabs, order(session), cookies);
            self.store.put_all_settings(&settings());
            notices.push(Notice { level: "info", text: "The session can be saved again.".to_owned() });
        }
        StoreCheck { notices, is_back }
    }

    /// Brings everything to the disk. `clean`: the session ended by the user's wish. Blocks, for a bounded time.
    ///
    /// # Errors
    /// When something is not on the disk.
    pub fn flush(&self, clean: bool) -> Result<(), PersistenceError> {
        self.store.flush(clean).map_err(PersistenceError::Store)
    }

    /// Keeps the session cookies of a host, as its process has them.
    pub fn keep_cookies(&mut self, host: HostKey, cookies: Vec<u8>) {
        self.store.put_cookies(saved_cookies(&host, &cookies));
        self.cookies.insert(host, cookies);
    }

    /// Returns the session cookies that an earlier process of a host had; nothing where it had none.
    #[must_use]
    pub fn cookies(&self, host: &HostKey) -> Option<&[u8]> {
        self.cookies.get(host).map(Vec::as_slice).filter(|cookies| !cookies.is_empty())
    }

    /// Returns whether the last session comes back by itself.
    #[must_use]
    pub fn restores(&self) -> bool {
        self.restores
    }

    /// Sets whether the last session comes back by itself.
    pub fn set_restores(&mut self, restores: bool) {
        self.restores = restores;
    }

    /// Returns the earlier sessions that can come back, newest first.
    #[must_use]
    pub fn earlier(&self) -> &[Arc<Saved>] {
        &self.earlier
    }

    /// Returns the newest session where it is to come back by itself: the user wants that, and it ended by their wish not long
    /// ago.
    #[must_use]
    pub fn restored_by_itself(&self) -> Option<u64> {
        let newest = self.earlier.first().filter(|saved| saved.clean && !saved.dismissed && !saved.is_stale());
        newest.map(|saved| saved.epoch).filter(|_| self.restores)
    }

    /// Returns the session that the user has not been asked about yet.
    #[must_use]
    pub fn offered(&self) -> Option<&Saved> {
        self.earlier.first().map(Arc::as_ref).filter(|saved| !saved.dismissed)
    }

    /// Returns the question about an earlier session that ended without the user's wish.
    #[must_use]
    pub fn offer(&self) -> Option<SessionOffer> {
        self.offered().filter(|saved| !saved.clean).map(earlier::offer)
    }

    /// Returns the question about the newest earlier session, whatever the user answered before.
    #[must_use]
    pub fn offer_again(&self) -> Option<SessionOffer> {
        self.earlier.first().map(|saved| earlier::offer(saved))
    }

    /// Takes the user's answer about an earlier session: restore it, or some of its tabs, or dismiss it. Returns what comes
    /// back; `None` where there is no such session. [`Self::restored`] is to follow.
    pub fn answered(&mut self, session: u64, restore: bool, tabs: &[TabId]) -> Option<Restoration> {
        let index = self.earlier.iter().position(|saved| saved.epoch == session)?;
        let is_wanted = |tab: &SavedTab| restore && (tabs.is_empty() || tabs.contains(&tab.id));
        let saved = self.earlier.get_mut(index)?;
        Arc::make_mut(saved).dismissed = true;
        let saved = Arc::clone(saved);
        let wanted: Vec<SavedTab> = saved.tabs.iter().filter(|tab| is_wanted(tab)).cloned().collect();
        let is_all = wanted.len() == saved.tabs.len();
        if !wanted.is_empty() {
            for cookies in &saved.cookies {
                let Ok(site) = Site::parse(&cookies.site) else { continue };
                let host = HostKey { site, workspace: cookies.workspace.clone() };
                // The running session knows newer ones.
                if !self.cookies.contains_key(&host) {
                    self.keep_cookies(host, cookies.cookies.clone());
                }
            }
        }
        Some(Restoration { session, tabs: wanted, active: saved.active, is_all })
    }

    /// Notes that a restoration is part of the session. The earlier session is let go when all of it is saved anew, not before.
    pub fn restored(&mut self, session: &Session, epoch: u64, is_all: bool) {
        self.save(session, true);
        self.store.answered(epoch, is_all);
        if is_all {
            self.earlier.retain(|saved| saved.epoch != epoch);
        }
    }

    fn schedule_save(&mut self) {
        if std::mem::replace(&mut self.is_save_scheduled, true) {
            return;
        }
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SAVE_DELAY).await;
            // The event loop may have ended meanwhile.
            let _ = events.send(Event::Save).await;
        });
    }
}

fn order(session: &Session) -> SavedOrder {
    let kept: Vec<&Tab> = session.order.iter().filter_map(|tab| session.tabs.get(tab)).filter(is_saved).collect();
    let active = session.active.filter(|active| kept.iter().any(|tab| tab.id == *active));
    // Where a throw-away tab is in front, the next start shows the tab that was in front before.
    let before = || kept.iter().max_by_key(|tab| tab.looked_at).map(|tab| tab.id);
    SavedOrder { order: kept.iter().map(|tab| tab.id).collect(), active: active.or_else(before).unwrap_or(0) }
}

/// Returns whether the order of the saved session has a tab.
fn is_saved(tab: &&Tab) -> bool {
    !is_throw_away(&tab.workspace)
}

fn saved_cookies(host: &HostKey, cookies: &[u8]) -> Cookies {
    let site = host.site.as_str().to_owned();
    Cookies { workspace: host.workspace.clone(), site, cookies: cookies.to_vec() }
}
