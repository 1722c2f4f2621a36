//! VPN profiles, as the user has imported them. Their keys are secrets: encrypted at rest, told to the net-daemon alone, never shown.

use std::collections::BTreeMap;
use std::fmt;

use regen_net_config::wireguard::{Profile, is_name};
use regen_proto::net::v1::VpnProfile;
use serde::{Deserialize, Serialize};

/// The longest profile, bytes.
const MAX_CONFIG: usize = 64 * 1024;
/// The most of them.
const MAX_PROFILES: usize = 100;

/// All that the user has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpnSettings {
    /// By name.
    pub profiles: BTreeMap<String, VpnChoice>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpnChoice {
    /// As `wg-quick` writes it.
    config: String,
    /// It is to be up, now and after a restart.
    pub up: bool,
    /// Its user has agreed once that pages may take it.
    pub allowed: bool,
}

impl fmt::Debug for VpnChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VpnChoice").field("up", &self.up).field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

/// What the user wants.
#[derive(Clone, PartialEq, Eq)]
pub enum VpnChange {
    /// A profile, under this name.
    Import {
        /// Its name.
        name: String,
        /// Its text.
        config: String,
        /// Instead of what has this name.
        replace: bool,
    },
    /// To forget one.
    Remove(String),
    /// To bring one up. `allow`: and pages may take it, from now on.
    Up {
        /// Its name.
        name: String,
        /// The user agrees.
        allow: bool,
    },
    /// To take one down.
    Down(String),
}

impl fmt::Debug for VpnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name) = self.words();
        write!(f, "{what} {name}")
    }
}

impl VpnChange {
    /// For the audit log: without secrets.
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

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VpnError {
    /// A bad name.
    #[error("“{0}” is no name for a VPN profile: up to 15 letters, digits and _=+.-")]
    Name(String),
    /// A bad profile.
    #[error("the profile: {0}")]
    Profile(String),
    /// There is one.
    #[error("there is a VPN profile “{0}” already: import it with --replace, or choose another name with --name")]
    Exists(String),
    /// There is none.
    #[error("there is no VPN profile “{0}”: `regen vpn list` shows those that there are")]
    Missing(String),
    /// Too many.
    #[error("there are {MAX_PROFILES} VPN profiles already: remove one first")]
    TooMany,
    /// It was never up.
    #[error(
        "“{0}” has never been up: with it, a company sees which sites you visit. Allow it with `regen vpn up {0} --allow`"
    )]
    NotAllowed(String),
    /// It was never up, and its user is asked.
    #[error("“{0}” has never been up: the window asks whether it may be. `regen vpn up {0} --allow` answers, too")]
    Asked(String),
}

impl VpnSettings {
    /// Does what the user wants.
    ///
    /// # Errors
    /// When it cannot be done; nothing has changed then.
    pub fn change(&mut self, change: VpnChange) -> Result<(), VpnError> {
        let missing = |name: &str| VpnError::Missing(name.to_owned());
        match change {
            VpnChange::Import { name, config, replace } => {
                if !is_name(&name) {
                    return Err(VpnError::Name(name));
                }
                if config.len() > MAX_CONFIG {
                    return Err(VpnError::Profile(format!("more than {} KB is none", MAX_CONFIG / 1024)));
                }
                config.parse::<Profile>().map_err(|error| VpnError::Profile(error.to_string()))?;
                let was = self.profiles.get(&name);
                if was.is_some() && !replace {
                    return Err(VpnError::Exists(name));
                }
                if was.is_none() && self.profiles.len() >= MAX_PROFILES {
                    return Err(VpnError::TooMany);
                }
                // Another profile under an old name is another company.
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

    /// Where its peers are, in words; nothing of a profile that cannot be read.
    #[must_use]
    pub fn peers(&self, name: &str) -> String {
        let profile = self.profiles.get(name).and_then(|choice| choice.config.parse::<Profile>().ok());
        let hosts = profile.iter().flat_map(|profile| &profile.peers).map(|peer| peer.endpoint.0.as_str());
        hosts.collect::<Vec<_>>().join(", ")
    }

    /// For the net-daemon.
    #[must_use]
    pub fn to_wire(&self) -> Vec<VpnProfile> {
        let profile = |(name, choice): (&String, &VpnChoice)| VpnProfile {
            name: name.clone(),
            config: choice.config.clone(),
            up: choice.up,
        };
        self.profiles.iter().map(profile).collect()
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
        assert!(settings.to_wire()[0].up, "the same one");
        settings.change(import(&format!("# another\n{CONFIG}"), true)).unwrap();
        assert!(!settings.to_wire()[0].up);
        assert_eq!(settings.change(up(false)), Err(VpnError::NotAllowed("a".into())));
        assert!(!format!("{settings:?}").contains("yAnz"), "keys are not shown");
        settings.change(VpnChange::Remove("a".into())).unwrap();
        assert_eq!(settings, VpnSettings::default());
    }
}
