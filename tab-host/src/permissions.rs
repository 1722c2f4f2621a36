//! Permissions of this host's site, as the broker said.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use regen_proto::permissions::v1::{PermissionKind, PermissionState, SitePermissions};
use webkit2gtk::SecurityOrigin;

/// State of each right. Before the broker has said anything, every right is refused.
#[derive(Debug, Default)]
pub(crate) struct Permissions(RefCell<HashMap<PermissionKind, (PermissionState, u64)>>);

impl Permissions {
    /// Takes the broker's word.
    pub(crate) fn set(&self, told: &SitePermissions) {
        let states = told.permissions.iter().map(|one| (one.kind(), (one.state(), one.until)));
        *self.0.borrow_mut() = states.collect();
    }

    /// Returns the state of a right.
    pub(crate) fn of(&self, kind: PermissionKind) -> PermissionState {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        match self.0.borrow().get(&kind).copied() {
            // A choice that has ended: the broker asks.
            Some((_, until)) if until > 0 && until <= now => PermissionState::Ask,
            Some((state, _)) => state,
            None => PermissionState::Denied,
        }
    }
}

/// Returns the right that a page's script calls by this name; `None` for one that Regen does not know.
pub(crate) fn named(name: &str) -> Option<PermissionKind> {
    match name {
        "geolocation" => Some(PermissionKind::Location),
        "microphone" => Some(PermissionKind::Microphone),
        "camera" => Some(PermissionKind::Camera),
        "notifications" | "push" => Some(PermissionKind::Notifications),
        "clipboard-read" => Some(PermissionKind::Clipboard),
        "storage-access" => Some(PermissionKind::StorageAccess),
        _ => None,
    }
}

/// Returns the engine's name of an origin; `None` for an address without one.
pub(crate) fn security_origin(url: &str) -> Option<SecurityOrigin> {
    let url = url::Url::parse(url).ok()?;
    Some(SecurityOrigin::new(url.scheme(), url.host_str()?, url.port().unwrap_or(0)))
}
