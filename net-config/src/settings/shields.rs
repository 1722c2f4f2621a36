//! Settings of shields: the blocking level, and sites with another one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::scope::Scope;
use crate::host::HostKey;

/// Blocking level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Blocks nothing.
    Off,
    /// Blocks third-party requests that the filter lists name.
    #[default]
    Balanced,
    /// Blocks first-party requests that the filter lists name, too.
    Strict,
}

/// An unknown level.
#[derive(Debug, thiserror::Error)]
#[error("there is no level “{0}”: use strict, balanced or off")]
pub struct NoSuchLevel(String);

impl FromStr for Level {
    type Err = NoSuchLevel;

    fn from_str(word: &str) -> Result<Self, NoSuchLevel> {
        let all = [Self::Off, Self::Balanced, Self::Strict];
        all.into_iter().find(|level| level.to_string() == word).ok_or_else(|| NoSuchLevel(word.to_owned()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Balanced => "balanced",
            Self::Strict => "strict",
        })
    }
}

/// Maximum number of sites with a level of their own: all of them go to the net-daemon in one message.
const MAX_SITES: usize = 400;

/// Too many sites have a level of their own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many sites have their own level (limit {MAX_SITES}): reset one with `regen shields level default --site URL`"
)]
pub struct TooManySites;

/// Shields settings chosen by the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShieldsSettings {
    /// Default level.
    pub level: Level,
    /// Levels of sites, by canonical site. They outweigh those of workspaces.
    pub sites: BTreeMap<String, Level>,
    /// Levels of workspaces. They have a record of their own in the store.
    #[serde(skip)]
    pub workspaces: BTreeMap<String, Level>,
}

impl ShieldsSettings {
    /// Changes the level of a site or workspace, or the default. `None` removes the level, or resets the default.
    ///
    /// # Errors
    /// Returns an error if too many sites have a level of their own.
    pub fn choose(&mut self, scope: &Scope, level: Option<Level>) -> Result<(), TooManySites> {
        match (scope, level) {
            (Scope::Site(site), Some(_))
                if self.sites.len() >= MAX_SITES && !self.sites.contains_key(site.as_str()) =>
            {
                return Err(TooManySites);
            }
            (Scope::Site(site), Some(level)) => drop(self.sites.insert(site.as_str().to_owned(), level)),
            (Scope::Site(site), None) => drop(self.sites.remove(site.as_str())),
            (Scope::Workspace(workspace), Some(level)) => drop(self.workspaces.insert(workspace.clone(), level)),
            (Scope::Workspace(workspace), None) => drop(self.workspaces.remove(workspace)),
            (Scope::Everywhere, level) => self.level = level.unwrap_or_default(),
        }
        Ok(())
    }

    /// Returns the level of a site in a workspace.
    #[must_use]
    pub fn of(&self, host: &HostKey) -> Level {
        let own = self.sites.get(host.site.as_str()).or_else(|| self.workspaces.get(&host.workspace));
        own.copied().unwrap_or(self.level)
    }

    /// Returns the hosts for which strict shields are switched on or off in comparison to `before`.
    pub fn strict_changed<'a>(&self, before: &Self, hosts: impl Iterator<Item = &'a HostKey>) -> Vec<HostKey> {
        let is_strict = |settings: &Self, host: &HostKey| settings.of(host) == Level::Strict;
        hosts.filter(|host| is_strict(before, host) != is_strict(self, host)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Site;

    #[test]
    fn a_choice_holds_where_it_was_made() {
        let mut settings = ShieldsSettings::default();
        let site = Site::of("https://www.example.org/").unwrap();
        let (its, work) = (Scope::Site(site.clone()), Scope::Workspace("work".to_owned()));
        settings.choose(&its, Some(Level::Off)).unwrap();
        settings.choose(&Scope::Everywhere, Some("strict".parse().unwrap())).unwrap();
        settings.choose(&work, Some(Level::Balanced)).unwrap();
        let of = |settings: &ShieldsSettings, url: &str, workspace: &str| {
            settings.of(&HostKey { site: Site::of(url).unwrap(), workspace: workspace.to_owned() })
        };
        assert_eq!(of(&settings, "https://example.org/", "work"), Level::Off, "a site outweighs its workspace");
        assert_eq!(of(&settings, "https://other.test/", "work"), Level::Balanced);
        assert_eq!(of(&settings, "https://other.test/", ""), Level::Strict);
        settings.choose(&its, None).unwrap();
        settings.choose(&work, None).unwrap();
        settings.choose(&Scope::Everywhere, None).unwrap();
        assert_eq!(settings, ShieldsSettings::default());
        let numbered = |number: usize| Scope::Site(Site::of(&format!("https://{number}.test/")).unwrap());
        for number in 0..MAX_SITES {
            settings.choose(&numbered(number), Some(Level::Off)).unwrap();
        }
        assert_eq!(settings.choose(&its, Some(Level::Off)), Err(TooManySites));
        assert_eq!(settings.choose(&numbered(7), Some(Level::Strict)), Ok(()));
        assert!("mild".parse::<Level>().unwrap_err().to_string().contains("strict, balanced or off"));
    }
}
