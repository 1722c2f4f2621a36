//! The store: sessions, settings, history and bookmarks, which outlive the browser, in sled and as files beside it (see [`mirror`]).
//!
//! sled runs on a thread of its own because it can panic on I/O errors and corruption; the broker then goes on without
//! it and reports it. A store that cannot be read is moved aside whole: nothing in it is deleted.
//!
//! Durability: a record is on disk at most [`FLUSH`] after the event; a clean exit flushes before it ends. Session
//! cookies and VPN profiles are encrypted (see [`secrets`]).

mod chunks;
pub mod codec;
mod contents;
mod database;
mod handle;
mod history;
mod jobs;
mod mirror;
mod saved;
pub mod secrets;
mod thread;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use regen_audit_log::Head;
use regen_net_config::dns::{DnsSettings, Servers};
use regen_net_config::route::Route;
use regen_net_config::settings::permissions::PermissionSettings;
use regen_net_config::settings::routes::RouteSettings;
use regen_net_config::settings::shields::ShieldsSettings;
use regen_net_config::settings::vpn::VpnSettings;
use regen_places::{Bookmark, SavedVisit, chunk_of};
use regen_session::{Hsts, HttpsOnly, Workspaces, Zooms};

use contents::{Contents, head_in, prune, retried, set_aside};
use database::{contained, is_in_use, sled, sled_path};
pub use handle::Store;
use jobs::PendingState;
use mirror::Mirror;
pub use saved::{Cookies, Saved, SavedOrder, SessionSettings};
use secrets::Vault;

/// Maximum time before a record is written to the disk.
pub const FLUSH: Duration = Duration::from_millis(200);
/// Age from which a session is only offered, never restored automatically.
pub const STALE: Duration = Duration::from_secs(24 * 3600);
/// Time for which a session that was not restored is kept.
pub const RECOVERABLE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Maximum size of the tab state of earlier sessions kept in memory, in bytes; the newest session comes first.
const MAX_EARLIER_STATE: usize = 48 << 20;
/// Part of the warning when routes are blocked because their settings could not be read.
const BLOCKED: &str = " Nothing leaves this machine until you set a route, such as `regen route set direct`.";
/// Part of the warning when DNS is blocked because its settings could not be read.
const UNASKED: &str = " No name server is asked until you set one, such as `regen dns set system`.";

/// Failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An error of sled.
    #[error("the store's database failed: {0}")]
    Sled(#[from] sled::Error),
    /// An error of the mirror's files.
    #[error("the store's files failed: {0}")]
    Files(#[from] std::io::Error),
    /// A value that cannot be encoded as a record.
    #[error("a record was not saved: {0}")]
    Record(#[from] codec::CodecError),
    /// sled panicked.
    #[error("the store failed while it was opened: {0}")]
    Panic(String),
}

/// Settings chosen by the user. Each has a record of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Sessions.
    pub session: SessionSettings,
    /// Shields.
    pub shields: ShieldsSettings,
    /// Routes.
    pub routes: RouteSettings,
    /// VPN profiles.
    pub vpn: VpnSettings,
    /// DNS.
    pub dns: DnsSettings,
    /// HTTPS only.
    pub https_only: HttpsOnly,
    /// HSTS hosts. They are no choice of the user's, but are kept as reliably.
    pub hsts: Hsts,
    /// Zoom of sites.
    pub zooms: Zooms,
    /// Workspaces.
    pub workspaces: Workspaces,
    /// Permissions of sites.
    pub permissions: PermissionSettings,
}

/// Result of opening the store.
#[derive(Debug)]
pub struct OpenStore {
    /// Handle for writing.
    pub store: Store,
    /// Earlier sessions that can be restored, newest first.
    pub previous: Vec<Saved>,
    /// Settings chosen by the user.
    pub settings: Settings,
    /// Chunks of the history.
    pub visits: Vec<Vec<SavedVisit>>,
    /// Chunks of the bookmarks.
    pub bookmarks: Vec<Vec<Bookmark>>,
    /// Head of the audit log at the last save; `None` if none was ever saved.
    pub audit_head: Option<Head>,
    /// Warning to show to the user.
    pub warning: Option<String>,
}

/// Opens the profile's store. If sled cannot be read, it is moved aside and a fresh one takes its place; the records
/// then come from the mirror's files.
///
/// # Errors
/// Returns an error if no store can be created, as on a full disk.
pub fn open(profile: &Path, vault: Vault) -> Result<OpenStore, StoreError> {
    let (contents, trouble) = match retried(profile, &vault) {
        Ok(contents) if contents.damage.lost.is_empty() => (contents, None),
        Ok(Contents { mirror, previous, settings, visits, bookmarks, damage, locked, audit_head, .. }) => {
            drop(mirror);
            let aside = set_aside(profile);
            let lost = damage.lost.join("; ");
            let fresh = retried(profile, &vault)?;
            let warning = format!(
                "Some saved records could not be read ({lost}). A copy of everything is kept in {}.{}{}",
                aside.display(),
                if settings.routes.everywhere == Route::block() { BLOCKED } else { "" },
                if settings.dns.servers == Servers::block() { UNASKED } else { "" }
            );
            (Contents { previous, settings, visits, bookmarks, locked, audit_head, ..fresh }, Some(warning))
        }
        Err(error) => {
            let aside = set_aside(profile);
            let fresh = retried(profile, &vault)?;
            let rest = match fresh.previous.first() {
                Some(_) => "Its contents were restored from the second copy.",
                None => "Regen started with a fresh one.",
            };
            let warning = format!("The store could not be read ({error}). It was moved to {}. {rest}", aside.display());
            (fresh, Some(warning))
        }
    };
    let Contents { mut mirror, epoch, previous, settings, visits, bookmarks, damage, locked, audit_head } = contents;
    for mended in &damage.mended {
        tracing::warn!("restored from the second copy: {mended}");
    }
    if let Some(warning) = &trouble {
        tracing::error!("{warning}");
    }
    let mut previous = prune(&mut mirror, previous)?;
    let mut room = MAX_EARLIER_STATE;
    for tab in previous.iter_mut().flat_map(|saved| &mut saved.tabs) {
        match room.checked_sub(tab.state_size()) {
            Some(left) => room = left,
            // The tab is restored by its address; its state on disk is not changed.
            None => tab.forget_state(),
        }
    }
    let (jobs, queue) = channel();
    let health = Arc::new(thread::Health::default());
    let waiting = Arc::new(PendingState::default());
    let worker = thread::Worker {
        profile: profile.to_path_buf(),
        vault,
        epoch,
        health: Arc::clone(&health),
        waiting: Arc::clone(&waiting),
        entries: HashMap::new(),
        said: 0,
        written: 0,
        rewrites: false,
    };
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || worker.serve(mirror, &queue))
        .map_err(|error| StoreError::Panic(error.to_string()))?;
    let store = Store { jobs, waiting, health };
    if trouble.is_some() {
        // A fresh store has nothing yet.
        store.put_all_settings(&settings);
        for (visits, first) in visits.iter().filter_map(|visits| Some((visits, visits.first()?))) {
            store.put_visits(chunk_of(first.id), Some(visits.clone()));
        }
        for (chunk, first) in bookmarks.iter().filter_map(|chunk| Some((chunk, chunk.first()?))) {
            store.put_bookmarks(chunk_of(first.id), Some(chunk.clone()));
        }
    }
    let warning = [trouble, locked].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Ok(OpenStore {
        store,
        previous,
        settings,
        visits,
        bookmarks,
        audit_head,
        warning: Some(warning).filter(|warning| !warning.is_empty()),
    })
}

/// Returns the head of the audit log from the store of a browser that does not run.
///
/// # Errors
/// Returns an error if the store cannot be opened, as while a browser uses it.
pub fn audit_head(profile: &Path) -> Result<Option<Head>, StoreError> {
    if !sled_path(profile).exists() {
        return Ok(None);
    }
    // A browser that has just ended may hold its lock for a moment longer.
    let mut opened = sled(profile).open();
    for _ in 0..40 {
        if !matches!(&opened, Err(error) if is_in_use(error)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        opened = sled(profile).open();
    }
    let mirror = Mirror::new(opened?, profile);
    contained(|| Ok(head_in(&mirror)?.map(|record| record.value)))
}
#[cfg(test)]
mod tests;
