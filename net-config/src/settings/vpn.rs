//! VPN profiles imported by the user. Their keys are secrets: encrypted at rest, sent to the net-daemon alone, never
//! shown.

use std::collections::BTreeMap;
use std::fmt;

use crate::wireguard::{Profile, is_name};
use serde::{Deserialize, Serialize};

/// Maximum size of a profile, in bytes.
const MAX_CONFIG: usize = 64 * 1024;
/// Maximum number of profiles.
const MAX_PROFILES: usize = 100;

/// VPN profiles of the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpnSettings {
    /// Profiles by name.
    pub profiles: BTreeMap<String, VpnChoice>,
}

/// A VPN profile and the user's choices about it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpnChoice {
    /// Text of the profile, in the format of `wg-quick`.
    config: String,
    /// Set if the VPN is to be up, now and after a restart.
    pub up: bool,
    /// Set if the user has once agreed that pages may use it.
    pub allowed: bool,
}

impl fmt::Debug for VpnChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VpnChoice").field("up", &self.up).field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

/// Change that the user requests.
#[derive(Clone, PartialEq, Eq)]
pub enum VpnChange {
    /// Imports a profile.
    Import {
        /// Name of the profile.
        name: String,
        /// Text of the profile.
        config: String,
        /// Replaces a profile of this name.
        replace: bool,
    },
    /// Removes a profile.
    Remove(String),
    /// Connects a VPN. `allow`: pages may use it from now on.
    Up {
        /// Name of the profile.
        name: String,
        /// Set if the user agrees that pages use it.
        allow: bool,
    },
    /// Disconnects a VPN.
    Down(String),
}

impl fmt::Debug for VpnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name) = self.words();
        write!(f, "{what} {name}")
    }
}

impl VpnChange {
    /// Returns the kind of change and the profile's name for the audit log, without secrets.
    #[must_use]
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Import { name, .. } => ("import", name),
            Self::Remove(name) => ("remove", name),
            Self::Up { name, .. } => ("up", name),
            Self::Down(name) => ("down", name),
        }
    }
}

/// Reason that a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VpnError {
    /// An invalid name.
    #[error("“{0}” is not a valid VPN profile name: use up to 15 letters, digits and _=+.-")]
    Name(String),
    /// An invalid profile.
    #[error("invalid WireGuard profile: {0}")]
    Profile(String),
    /// A name that is taken.
    #[error("a VPN profile “{0}” exists already: import it with --replace, or choose another name with --name")]
    Exists(String),
    /// A name without a profile.
    #[error("there is no VPN profile “{0}”: `regen vpn list` shows all profiles")]
    Missing(String),
    /// Too many profiles.
    #[error("too many VPN profiles (limit {MAX_PROFILES}): remove one first")]
    TooMany,
    /// A VPN that was never up, so the user must agree first.
    #[error(
        "“{0}” was never allowed: its provider sees which sites you visit. Allow it with `regen vpn up {0} --allow`"
    )]
    NotAllowed(String),
    /// A VPN that was never up; the window now asks the user.
    #[error("“{0}” was never allowed: the window asks you. You can also run `regen vpn up {0} --allow`")]
    Asked(String),
}

impl VpnChoice {
    /// Returns the text of the profile, with its keys.
    #[must_use]
    pub fn config(&self) -> &str {
        &self.config
    }
}

impl VpnSettings {
    /// Applies a change.
    ///
    /// # Errors
    /// Returns an error if the change is refused; nothing has changed then.
    pub fn change(&mut self, change: VpnChange) -> Result<(), VpnError> {
        let missing = |name: &str| VpnError::Missing(name.to_owned());
        match change {
            VpnChange::Import { name, config, replace } => {
                if !is_name(&name) {
                    return Err(VpnError::Name(name));
                }
                if config.len() > MAX_CONFIG {
                    return Err(VpnError::Profile(format!("it is larger than {} KB", MAX_CONFIG / 1024)));
                }
                config.parse::<Profile>().map_err(|error| VpnError::Profile(error.to_string()))?;
                let was = self.profiles.get(&name);
                if was.is_some() && !replace {
                    return Err(VpnError::Exists(name));
                }
                if was.is_none() && self.profiles.len() >= MAX_PROFILES {
                    return Err(VpnError::TooMany);
                }
                // Another profile under an old name may belong to another provider.
                let is_same = was.is_some_and(|was| was.config == config);
                let (up, allowed) = was.map_or((false, false), |was| (was.up && is_same, was.allowed && is_same));
                self.profiles.insert(name, VpnChoice { config, up, allowed });
            }
            VpnChange::Remove(name) => drop(self.profiles.remove(&name).ok_or_else(|| missing(&name))?),
            VpnChange::Up { name, allow } => {
                let choice = self.profiles.get_mut(&name).ok_or_else(|| missing(&name))?;
                if !choice.allowed && !allow {
                    return Err(VpnError::NotAllowed(name));
                }
                (choice.up, choice.allowed) = (true, true);
            }
            VpnChange::Down(name) => self.profiles.get_mut(&name).ok_or_else(|| missing(&name))?.up = false,
        }
        Ok(())
    }

    /// Returns the hosts of a profile's peers, or an empty text if the profile cannot be parsed.
    #[must_use]
    pub fn peers(&self, name: &str) -> String {
        let profile = self.profiles.get(name).and_then(|choice| choice.config.parse::<Profile>().ok());
        let hosts = profile.iter().flat_map(|profile| &profile.peers).map(|peer| peer.endpoint.0.as_str());
        hosts.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.0.0.2\n\
        [Peer]\nPublicKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAllowedIPs = 0.0.0.0/0\nEndpoint = a.test:1\n";

    #[test]
    fn a_profile_is_up_only_when_its_user_agreed_once() {
        let mut settings = VpnSettings::default();
        let import = |config: &str, replace| VpnChange::Import { name: "a".into(), config: config.into(), replace };
        let up = |allow| VpnChange::Up { name: "a".into(), allow };
        assert_eq!(settings.change(up(true)), Err(VpnError::Missing("a".into())));
        assert!(matches!(settings.change(import("[Interface", false)), Err(VpnError::Profile(_))));
        settings.change(import(CONFIG, false)).unwrap();
        assert_eq!(settings.change(import(CONFIG, false)), Err(VpnError::Exists("a".into())));
        assert_eq!(settings.change(up(false)), Err(VpnError::NotAllowed("a".into())));
        settings.change(up(true)).unwrap();
        settings.change(VpnChange::Down("a".into())).unwrap();
        settings.change(up(false)).unwrap();
        settings.change(import(CONFIG, true)).unwrap();
        assert!(settings.profiles["a"].up, "the same one");
        settings.change(import(&format!("# another\n{CONFIG}"), true)).unwrap();
        assert!(!settings.profiles["a"].up);
        assert_eq!(settings.change(up(false)), Err(VpnError::NotAllowed("a".into())));
        assert!(!format!("{settings:?}").contains("yAnz"), "keys are not shown");
        settings.change(VpnChange::Remove("a".into())).unwrap();
        assert_eq!(settings, VpnSettings::default());
    }
}
