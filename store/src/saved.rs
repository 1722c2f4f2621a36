//! Record types of a session, and reading them back.

use std::collections::BTreeMap;
use std::time::Duration;

use regen_net_config::dns::DnsSettings;
use serde::{Deserialize, Serialize};

use super::codec::{self, Readable, Record};
use super::database::now;
use super::history::{self, ENTRY};
use super::mirror::{Damage, Mirror};
use super::secrets::{Ciphertext, Vault};
use super::{STALE, StoreError};
use regen_audit_log::Head;
use regen_net_config::settings::permissions::PermissionSettings;
use regen_net_config::settings::routes::RouteSettings;
use regen_net_config::settings::shields::{Level, ShieldsSettings};
use regen_session::{Hsts, HttpsOnly, SavedTab, Workspaces, Zooms};

pub(super) const ORDER: &str = "order";
pub(super) const META: &str = "meta";
const COOKIES: &str = "cookies-";

pub(super) const AUDIT_HEAD: &str = "audit-head";
pub(super) const SETTINGS: &str = "settings";
pub(super) const SHIELDS: &str = "shields";
pub(super) const WORKSPACE_SHIELDS: &str = "shields-of-workspaces";
pub(super) const ROUTES: &str = "routes";
pub(super) const VPN: &str = "vpn";
/// Prefix of the keys of VPN profiles that could not be decrypted.
pub(super) const LOCKED_VPN: &str = "vpn-locked-";
pub(super) const DNS: &str = "dns";
pub(super) const HTTPS_ONLY: &str = "https-only";
pub(super) const HSTS: &str = "hsts";
pub(super) const ZOOMS: &str = "zooms";
pub(super) const WORKSPACES: &str = "workspaces";
pub(super) const PERMISSIONS: &str = "permissions";

/// Order of the tabs, and the active one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedOrder {
    /// Order of the tabs in the tab strip.
    pub order: Vec<u64>,
    /// Active tab; 0 for none.
    pub active: u64,
}

/// Settings of sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSettings {
    /// Restores the last session automatically if it ended cleanly.
    pub restore: bool,
}

/// Session cookies of one site, as its process sent them. The broker does not parse them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookies {
    /// Workspace.
    pub workspace: String,
    /// Canonical site.
    pub site: String,
    /// Cookies in the tab-host's own format; empty if there are none.
    pub cookies: Vec<u8>,
}

/// Shields levels of workspaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkspaceLevels(pub(super) BTreeMap<String, Level>);

/// Metadata of one session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Meta {
    /// Set if the session ended cleanly.
    pub(super) clean: bool,
    /// Set if the user has answered whether to restore it.
    pub(super) dismissed: bool,
    /// Set if all of it is part of a later session.
    pub(super) restored: bool,
    /// Time of the last write, in seconds since 1970.
    pub(super) saved_at: u64,
}

/// Metadata in schema version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MetaV1 {
    clean: bool,
    dismissed: bool,
    saved_at: u64,
}

impl From<MetaV1> for Meta {
    fn from(old: MetaV1) -> Self {
        let MetaV1 { clean, dismissed, saved_at } = old;
        Self { clean, dismissed, restored: false, saved_at }
    }
}

impl Readable for Meta {
    type V1 = MetaV1;
}

/// Declares types that have not changed since version 1, or were added later.
macro_rules! unchanged {
    ($($name:ty),+ $(,)?) => {
        $(impl Readable for $name {
            type V1 = Self;
        })+
    };
}

unchanged!(
    SavedTab,
    SavedOrder,
    Head,
    SessionSettings,
    ShieldsSettings,
    WorkspaceLevels,
    RouteSettings,
    Hsts,
    Zooms,
    Workspaces,
    PermissionSettings,
    HttpsOnly,
    DnsSettings,
    Ciphertext
);

/// A session of an earlier run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// Number of the session.
    pub epoch: u64,
    /// Tabs in their order.
    pub tabs: Vec<SavedTab>,
    /// Tab that was in front; 0 for none.
    pub active: u64,
    /// Session cookies.
    pub cookies: Vec<Cookies>,
    /// Time of the last write, in seconds since 1970.
    pub saved_at: u64,
    /// Set if the session ended cleanly.
    pub clean: bool,
    /// Set if the user has answered whether to restore it.
    pub dismissed: bool,
    /// Set if all of it is part of a later session.
    pub restored: bool,
}

impl Saved {
    /// Returns whether the session is too old to be restored automatically.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        Duration::from_secs(now().saturating_sub(self.saved_at)) > STALE
    }
}

pub(super) fn group_of(epoch: u64) -> String {
    format!("session-{epoch}")
}

pub(super) fn epoch_of(group: &str) -> Option<u64> {
    group.strip_prefix("session-")?.parse().ok()
}

pub(super) fn key_of_cookies(cookies: &Cookies) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(format!("{}\0{}", cookies.workspace, cookies.site));
    format!("{COOKIES}{}", codec::short_name(&hash))
}

pub(super) fn read_session(
    mirror: &mut Mirror,
    epoch: u64,
    vault: &Vault,
    damage: &mut Damage,
) -> Result<Saved, StoreError> {
    let group = group_of(epoch);
    let found = mirror.find(&group)?;
    let mut newest = 0;
    let (mut order, mut ordered) = (SavedOrder::default(), 0);
    let mut tabs: Vec<(u64, SavedTab)> = Vec::new();
    let mut saved = Saved { epoch, ..Saved::default() };
    let mut entries = BTreeMap::new();
    for key in found.keys() {
        let number = match key {
            ORDER => found.get(key, damage).map(|Record { number, value }| {
                (order, ordered) = (value, number);
                number
            }),
            META => found.get::<Meta>(key, damage).map(|Record { number, value }| {
                let Meta { clean, dismissed, restored, saved_at } = value;
                (saved.clean, saved.dismissed, saved.restored, saved.saved_at) = (clean, dismissed, restored, saved_at);
                number
            }),
            _ if key.starts_with(COOKIES) => found.get::<Ciphertext>(key, damage).map(|Record { number, value }| {
                match vault.open_sealed(&format!("{group}/{key}"), &value) {
                    Some(cookies) => saved.cookies.push(cookies),
                    None => {
                        tracing::warn!("session cookies of an earlier run cannot be decrypted: sign in again")
                    }
                }
                number
            }),
            _ if key.starts_with(ENTRY) => found.get(key, damage).map(|Record { number, value }| {
                entries.insert(key.to_owned(), value);
                number
            }),
            _ if history::is_tab(key) => found.get(key, damage).map(|Record { number, value }| {
                tabs.push((number, history::join(value, &entries)));
                number
            }),
            // Tabs written by builds that kept all entries in one record.
            _ => found.get(key, damage).map(|Record { number, value }| {
                tabs.push((number, value));
                number
            }),
        };
        newest = newest.max(number.unwrap_or(0));
    }
    mirror.seen(newest);
    let place = |id: u64| order.order.iter().position(|other| *other == id).unwrap_or(usize::MAX);
    // A tab that is older than the order and not part of it was closed: a sled that lost its last changes may still
    // have it.
    tabs.retain(|(number, tab)| order.order.contains(&tab.id) || *number >= ordered);
    saved.tabs = tabs.into_iter().map(|(_, tab)| tab).collect();
    saved.tabs.sort_by_key(|tab| place(tab.id));
    saved.active = order.active;
    Ok(saved)
}
