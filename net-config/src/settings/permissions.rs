//! Permissions of sites, as the user chose them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::host::{HostKey, is_throw_away};

/// Maximum number of kept choices. The oldest in the order of sites make room.
const MAX_CHOICES: usize = 5000;

/// Right that a page can ask its user for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each name says it")]
pub enum PermissionKind {
    Location,
    Microphone,
    Camera,
    Notifications,
    /// Reading what the user copied, without a paste of theirs.
    Clipboard,
    PointerLock,
    /// Cookies and storage for a site that is embedded in another one.
    StorageAccess,
    /// Playing sound before the user has clicked or typed in the page.
    Autoplay,
}

/// All kinds, in the order in which they are listed.
pub const PERMISSION_KINDS: [PermissionKind; 8] = [
    PermissionKind::Location,
    PermissionKind::Microphone,
    PermissionKind::Camera,
    PermissionKind::Notifications,
    PermissionKind::Clipboard,
    PermissionKind::PointerLock,
    PermissionKind::StorageAccess,
    PermissionKind::Autoplay,
];

/// An unknown kind.
#[derive(Debug, thiserror::Error)]
#[error("there is no permission “{word}”: use {}", PERMISSION_KINDS.map(|kind| kind.to_string()).join(", "))]
pub struct NoSuchPermission {
    word: String,
}

impl fmt::Display for PermissionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PermissionKind {
    type Err = NoSuchPermission;

    fn from_str(word: &str) -> Result<Self, NoSuchPermission> {
        let named = PERMISSION_KINDS.into_iter().find(|kind| kind.to_string() == word);
        named.ok_or_else(|| NoSuchPermission { word: word.to_owned() })
    }
}

impl PermissionKind {
    /// Returns the name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::Microphone => "microphone",
            Self::Camera => "camera",
            Self::Notifications => "notifications",
            Self::Clipboard => "clipboard",
            Self::PointerLock => "pointer-lock",
            Self::StorageAccess => "storage-access",
            Self::Autoplay => "autoplay",
        }
    }

    /// Returns whether a page can have the right at all: what the engine or Regen lacks is refused without a question.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Notifications | Self::StorageAccess | Self::Autoplay => true,
            Self::Location | Self::Microphone | Self::Camera | Self::Clipboard | Self::PointerLock => false,
        }
    }

    /// Returns whether the right would tell a page who or where its user is, against the purpose of Tor.
    #[must_use]
    pub fn identifies(self) -> bool {
        match self {
            Self::Location | Self::Microphone | Self::Camera => true,
            Self::Notifications | Self::Clipboard | Self::PointerLock | Self::StorageAccess | Self::Autoplay => false,
        }
    }
}

/// A kept choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPermission {
    /// The right is granted; otherwise it is refused without a question.
    pub is_allowed: bool,
    /// Time at which the choice ends, in seconds since 1970; `None`: never.
    pub until_s: Option<u64>,
}

impl KeptPermission {
    /// Returns whether the choice still holds.
    #[must_use]
    pub fn holds(&self, now_s: u64) -> bool {
        self.until_s.is_none_or(|until| now_s < until)
    }
}

/// Kept choices of all sites. The store writes this type: change it only with a migration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionSettings {
    /// By workspace, canonical site and kind.
    kept: BTreeMap<(String, String, PermissionKind), KeptPermission>,
}

impl PermissionSettings {
    /// Returns the choice for a site that still holds.
    #[must_use]
    pub fn of(&self, host: &HostKey, kind: PermissionKind, now_s: u64) -> Option<KeptPermission> {
        self.kept.get(&key(host, kind)).copied().filter(|kept| kept.holds(now_s))
    }

    /// Keeps a choice; `None` forgets it. Returns whether that is a change.
    pub fn choose(&mut self, host: &HostKey, kind: PermissionKind, kept: Option<KeptPermission>) -> bool {
        let Some(kept) = kept else { return self.kept.remove(&key(host, kind)).is_some() };
        if self.kept.len() >= MAX_CHOICES && !self.kept.contains_key(&key(host, kind)) {
            self.kept.pop_first();
        }
        self.kept.insert(key(host, kind), kept) != Some(kept)
    }

    /// Forgets the choices for a site. Returns whether that is a change.
    pub fn forget_site(&mut self, host: &HostKey) -> bool {
        self.retain(|workspace, site| workspace != host.workspace || site != host.site.as_str())
    }

    /// Forgets the choices in a workspace. Returns whether that is a change.
    pub fn forget_workspace(&mut self, gone: &str) -> bool {
        self.retain(|workspace, _| workspace != gone)
    }

    fn retain(&mut self, stays: impl Fn(&str, &str) -> bool) -> bool {
        let before = self.kept.len();
        self.kept.retain(|(workspace, site, _), _| stays(workspace, site));
        self.kept.len() != before
    }

    /// Returns workspace, site, kind and choice of all that still hold.
    pub fn all(&self, now_s: u64) -> impl Iterator<Item = (&str, &str, PermissionKind, KeptPermission)> {
        let holding = self.kept.iter().filter(move |(_, kept)| kept.holds(now_s));
        holding.map(|((workspace, site, kind), kept)| (workspace.as_str(), site.as_str(), *kind, *kept))
    }

    /// Returns those that may be saved: none of throw-away workspaces.
    #[must_use]
    pub fn to_save(&self) -> Self {
        let kept = self.kept.iter().filter(|((workspace, _, _), _)| !is_throw_away(workspace));
        Self { kept: kept.map(|(key, kept)| (key.clone(), *kept)).collect() }
    }
}

fn key(host: &HostKey, kind: PermissionKind) -> (String, String, PermissionKind) {
    (host.workspace.clone(), host.site.as_str().to_owned(), kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Site;

    #[test]
    fn a_choice_holds_for_its_site_and_workspace_until_it_ends() {
        let host =
            |url: &str, workspace: &str| HostKey { site: Site::of(url).unwrap(), workspace: workspace.to_owned() };
        let (mine, other) = (host("https://www.a.test/", ""), host("https://a.test/", "work"));
        let mut settings = PermissionSettings::default();
        let day = KeptPermission { is_allowed: true, until_s: Some(100) };
        assert!(settings.choose(&mine, PermissionKind::Notifications, Some(day)));
        assert!(!settings.choose(&mine, PermissionKind::Notifications, Some(day)));
        assert_eq!(settings.of(&host("https://a.test/x", ""), PermissionKind::Notifications, 99), Some(day));
        assert_eq!(settings.of(&mine, PermissionKind::Notifications, 100), None);
        assert_eq!(settings.of(&other, PermissionKind::Notifications, 0), None);
        assert_eq!(
            settings.of(&host("http://a.test/", ""), PermissionKind::Notifications, 0),
            None,
            "its other scheme"
        );
        assert_eq!((settings.all(99).count(), settings.all(100).count()), (1, 0));
        settings.choose(&host("https://b.test/", "~1"), PermissionKind::Autoplay, Some(day));
        assert_eq!(settings.to_save().all(0).count(), 1);
        assert!(settings.forget_workspace("~1") && !settings.forget_workspace("~1"));
        assert!(settings.forget_site(&mine) && settings == PermissionSettings::default());
        for kind in PERMISSION_KINDS {
            assert_eq!(kind.to_string().parse::<PermissionKind>().unwrap(), kind);
        }
        assert!("mind-reading".parse::<PermissionKind>().unwrap_err().to_string().contains("location, "));
    }
}
