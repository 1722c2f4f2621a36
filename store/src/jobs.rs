//! Work that waits for the store's thread.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use regen_audit_log::Head;
use regen_net_config::dns::DnsSettings;
use regen_net_config::settings::permissions::PermissionSettings;
use regen_net_config::settings::routes::RouteSettings;
use regen_net_config::settings::shields::ShieldsSettings;
use regen_net_config::settings::vpn::VpnSettings;
use regen_session::{Hsts, HttpsOnly, SavedTab, Workspaces, Zooms};

use super::chunks::{Chunk, ChunkGroup};
use super::saved::{Cookies, SavedOrder, SessionSettings};

/// Work for the thread.
#[derive(Debug)]
pub(super) enum Job {
    /// A tab whose state waits in [`PendingState`].
    Tab(u64),
    Forget(u64),
    Order(SavedOrder),
    /// Cookies that wait in [`PendingState`], by key.
    Cookies(String),
    /// The whole session: these tabs and cookies, whose state waits in [`PendingState`]. Everything else is removed.
    Everything(Vec<u64>, SavedOrder, Vec<String>),
    Answered {
        epoch: u64,
        restored: bool,
    },
    /// A chunk that waits in [`PendingState`].
    Chunk(ChunkGroup, u64),
    AuditHead(Head),
    SessionSettings(SessionSettings),
    Shields(ShieldsSettings),
    Routes(RouteSettings),
    Vpn(VpnSettings),
    Dns(DnsSettings),
    HttpsOnly(HttpsOnly),
    Hsts(Hsts),
    Zooms(Zooms),
    Workspaces(Workspaces),
    Permissions(PermissionSettings),
    /// Tabs and cookies of a workspace, in this session and in earlier ones, that are to be removed.
    ForgetWorkspace(String),
    Flush {
        clean: bool,
        done: Sender<()>,
    },
}

/// Chunks that wait, by group and number.
pub(super) type PendingChunks = HashMap<(ChunkGroup, u64), Option<Chunk>>;

/// Newest state of the tabs, cookies and chunks that wait to be written.
#[derive(Debug, Default)]
pub(super) struct PendingState {
    tabs: Mutex<HashMap<u64, SavedTab>>,
    cookies: Mutex<HashMap<String, Cookies>>,
    /// Chunks of the history and the bookmarks; `None` for one that is empty.
    chunks: Mutex<PendingChunks>,
}

impl PendingState {
    pub(super) fn tabs(&self) -> MutexGuard<'_, HashMap<u64, SavedTab>> {
        self.tabs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cookies(&self) -> MutexGuard<'_, HashMap<String, Cookies>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn chunks(&self) -> MutexGuard<'_, PendingChunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
