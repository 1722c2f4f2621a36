//! Handle to the store's thread.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use regen_audit_log::Head;
use regen_net_config::dns::DnsSettings;
use regen_net_config::host::is_throw_away;
use regen_net_config::settings::permissions::PermissionSettings;
use regen_net_config::settings::routes::RouteSettings;
use regen_net_config::settings::shields::ShieldsSettings;
use regen_net_config::settings::vpn::VpnSettings;
use regen_places::{Bookmark, SavedVisit};
use regen_session::{Hsts, HttpsOnly, SavedTab, Workspaces, Zooms};

use super::chunks::{Chunk, ChunkGroup};
use super::jobs::{Job, PendingState};
use super::saved::{self, Cookies, SavedOrder, SessionSettings};
use super::{Settings, thread};

/// Handle to the store's thread. Every call except [`Store::flush`] returns at once.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) jobs: Sender<Job>,
    pub(super) waiting: Arc<PendingState>,
    pub(super) health: Arc<thread::Health>,
}

impl Store {
    fn send(&self, job: Job) {
        // The thread has already reported its failure; the browser goes on without it.
        let _ = self.jobs.send(job);
    }

    /// Returns the reason why nothing can be saved at the moment, as a text for the user.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    /// Returns whether the store recovered from a failure and must be given everything again. True once.
    #[must_use]
    pub fn wants_everything(&self) -> bool {
        self.health.wants_everything()
    }

    /// Saves a tab as it is now, but none of a throw-away workspace.
    pub fn put_tab(&self, tab: SavedTab) {
        if is_throw_away(&tab.workspace) {
            return;
        }
        let id = tab.id;
        // A state that still waits is replaced: however slow the disk is, each tab waits once.
        if self.waiting.tabs().insert(id, tab).is_none() {
            self.send(Job::Tab(id));
        }
    }

    /// Saves a site's session cookies, encrypted, but none of a throw-away workspace.
    pub fn put_cookies(&self, cookies: Cookies) {
        if is_throw_away(&cookies.workspace) {
            return;
        }
        let key = saved::key_of_cookies(&cookies);
        if self.waiting.cookies().insert(key.clone(), cookies).is_none() {
            self.send(Job::Cookies(key));
        }
    }

    /// Saves the whole session in place of what is there, but nothing of throw-away workspaces.
    pub fn put_everything(&self, mut tabs: Vec<SavedTab>, order: SavedOrder, mut cookies: Vec<Cookies>) {
        tabs.retain(|tab| !is_throw_away(&tab.workspace));
        cookies.retain(|cookies| !is_throw_away(&cookies.workspace));
        let ids = tabs.iter().map(|tab| tab.id).collect();
        let keys: Vec<String> = cookies.iter().map(saved::key_of_cookies).collect();
        self.waiting.tabs().extend(tabs.into_iter().map(|tab| (tab.id, tab)));
        self.waiting.cookies().extend(keys.iter().cloned().zip(cookies));
        self.send(Job::Everything(ids, order, keys));
    }

    /// Removes a closed tab.
    pub fn forget_tab(&self, id: u64) {
        self.send(Job::Forget(id));
    }

    /// Saves the order of the tabs.
    pub fn put_order(&self, order: SavedOrder) {
        self.send(Job::Order(order));
    }

    /// Saves a chunk of the history; `None` removes it.
    pub fn put_visits(&self, chunk: u64, visits: Option<Vec<SavedVisit>>) {
        self.put_chunk(ChunkGroup::Visits, chunk, visits.map(Chunk::Visits));
    }

    /// Saves a chunk of the bookmarks; `None` removes it.
    pub fn put_bookmarks(&self, chunk: u64, bookmarks: Option<Vec<Bookmark>>) {
        self.put_chunk(ChunkGroup::Bookmarks, chunk, bookmarks.map(Chunk::Bookmarks));
    }

    fn put_chunk(&self, group: ChunkGroup, number: u64, chunk: Option<Chunk>) {
        if self.waiting.chunks().insert((group, number), chunk).is_none() {
            self.send(Job::Chunk(group, number));
        }
    }

    /// Notes that the user answered about an earlier session. A session that was restored and saved is dropped.
    pub fn answered(&self, epoch: u64, restored: bool) {
        self.send(Job::Answered { epoch, restored });
    }

    /// Saves the head of the audit log, so that a truncated log is detected.
    pub fn put_audit_head(&self, head: Head) {
        self.send(Job::AuditHead(head));
    }

    /// Saves all settings.
    pub fn put_all_settings(&self, settings: &Settings) {
        self.put_session_settings(settings.session);
        self.put_shields(settings.shields.clone());
        // Settings that were never chosen get no record: a route record that cannot be read blocks traffic.
        if settings.routes != RouteSettings::default() {
            self.put_routes(&settings.routes);
        }
        if settings.https_only != HttpsOnly::default() {
            self.put_https_only(settings.https_only.clone());
        }
        if settings.hsts != Hsts::default() {
            self.put_hsts(&settings.hsts);
        }
        if settings.zooms != Zooms::default() {
            self.put_zooms(&settings.zooms);
        }
        // Choices taken back while the store was broken must not come back from an earlier record.
        self.put_workspaces(&settings.workspaces);
        self.put_permissions(&settings.permissions);
        if settings.dns != DnsSettings::default() {
            self.put_dns(settings.dns.clone());
        }
        if settings.vpn != VpnSettings::default() {
            self.put_vpn(settings.vpn.clone());
        }
    }

    /// Saves the settings of sessions.
    pub fn put_session_settings(&self, settings: SessionSettings) {
        self.send(Job::SessionSettings(settings));
    }

    /// Saves the settings of shields.
    pub fn put_shields(&self, mut settings: ShieldsSettings) {
        settings.workspaces.retain(|workspace, _| !is_throw_away(workspace));
        self.send(Job::Shields(settings));
    }

    /// Saves the routes.
    pub fn put_routes(&self, settings: &RouteSettings) {
        self.send(Job::Routes(settings.to_save()));
    }

    /// Saves the HTTPS-only settings.
    pub fn put_https_only(&self, settings: HttpsOnly) {
        self.send(Job::HttpsOnly(settings));
    }

    /// Saves the zoom of sites.
    pub fn put_zooms(&self, zooms: &Zooms) {
        self.send(Job::Zooms(zooms.to_save()));
    }

    /// Saves the workspaces.
    pub fn put_workspaces(&self, workspaces: &Workspaces) {
        self.send(Job::Workspaces(workspaces.to_save()));
    }

    /// Saves the permissions of sites.
    pub fn put_permissions(&self, settings: &PermissionSettings) {
        self.send(Job::Permissions(settings.to_save()));
    }

    /// Removes the tabs and cookies of a workspace, from earlier sessions as well.
    pub fn forget_workspace(&self, workspace: &str) {
        self.waiting.tabs().retain(|_, tab| tab.workspace != workspace);
        self.waiting.cookies().retain(|_, cookies| cookies.workspace != workspace);
        self.send(Job::ForgetWorkspace(workspace.to_owned()));
    }

    /// Saves the HSTS hosts.
    pub fn put_hsts(&self, hsts: &Hsts) {
        self.send(Job::Hsts(hsts.to_save()));
    }

    /// Saves the DNS settings.
    pub fn put_dns(&self, settings: DnsSettings) {
        self.send(Job::Dns(settings));
    }

    /// Saves the VPN profiles.
    pub fn put_vpn(&self, settings: VpnSettings) {
        self.send(Job::Vpn(settings));
    }

    /// Waits until everything is on disk, for five seconds at most; `clean` marks the end of the session.
    ///
    /// # Errors
    /// Returns the reason, for the user, if it is not on disk.
    pub fn flush(&self, clean: bool) -> Result<(), String> {
        let (done, wait) = channel();
        self.send(Job::Flush { clean, done });
        wait.recv_timeout(Duration::from_secs(5)).map_err(|_| {
            self.trouble().unwrap_or_else(|| "The session could not be saved within 5 s: the disk is slow.".to_owned())
        })
    }
}
