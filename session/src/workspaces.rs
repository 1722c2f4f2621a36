//! Workspaces: their names and colours, and the sites that always open in one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use regen_net_config::host::{THROW_AWAY, is_throw_away};
use regen_net_config::text::is_invisible;
use serde::{Deserialize, Serialize};

/// Identifier of the workspace that always exists.
pub const DEFAULT: &str = "";
/// Maximum number of workspaces.
const MAX_WORKSPACES: usize = 100;
/// Maximum number of sites with a workspace of their own.
const MAX_SITES: usize = 5000;
/// Maximum length of a name, in characters.
const MAX_NAME: usize = 40;

/// Colour of a workspace's mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Colour {
    #[default]
    Grey,
    Blue,
    Turquoise,
    Green,
    Yellow,
    Orange,
    Red,
    Pink,
    Purple,
}

/// All colours, in the order in which they are offered.
pub const COLOURS: [Colour; 9] = [
    Colour::Grey,
    Colour::Blue,
    Colour::Turquoise,
    Colour::Green,
    Colour::Yellow,
    Colour::Orange,
    Colour::Red,
    Colour::Pink,
    Colour::Purple,
];

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grey => "grey",
            Self::Blue => "blue",
            Self::Turquoise => "turquoise",
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Orange => "orange",
            Self::Red => "red",
            Self::Pink => "pink",
            Self::Purple => "purple",
        })
    }
}

impl FromStr for Colour {
    type Err = WorkspaceError;

    fn from_str(word: &str) -> Result<Self, WorkspaceError> {
        let named = COLOURS.into_iter().find(|colour| colour.to_string() == word);
        named.ok_or_else(|| WorkspaceError::Colour { word: word.to_owned() })
    }
}

/// Reason why workspaces are not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkspaceError {
    /// The name cannot be used.
    #[error("“{0}” is no name for a workspace: use 1 to {MAX_NAME} visible characters")]
    Name(String),
    /// Another workspace has the name.
    #[error("there is a workspace “{0}” already")]
    Taken(String),
    /// The name is the identifier of another workspace, which a command could then mean as well.
    #[error("“{name}” is the identifier of the workspace “{of}”: choose another name")]
    Identifier {
        /// Name that was given.
        name: String,
        /// Name of the other workspace.
        of: String,
    },
    /// The colour is unknown.
    #[error("“{word}” is not a colour: use {}", COLOURS.map(|colour| colour.to_string()).join(", "))]
    Colour {
        /// Word that was given.
        word: String,
    },
    /// There is no such workspace.
    #[error("there is no workspace “{0}”: see `regen workspace list`")]
    Unknown(String),
    /// The workspace cannot be deleted.
    #[error("the workspace “{0}” always exists: clear its sites instead, or rename it")]
    Default(String),
    /// A site cannot always open in a throw-away workspace.
    #[error("a site cannot always open in a throw-away workspace, of which nothing is kept")]
    ThrowAway,
    /// Too many workspaces.
    #[error("there are {MAX_WORKSPACES} workspaces already: delete one with `regen workspace delete`")]
    TooMany,
    /// Too many sites.
    #[error("too many sites always open in a workspace (limit {MAX_SITES}): remove one first")]
    TooManySites,
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Identifier, which never changes; the storage of its sites is found by it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Colour of its mark.
    pub colour: Colour,
}

/// All workspaces. The store writes this type: change it only with a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspaces {
    /// The default workspace first, then in the order in which they were made.
    all: Vec<Workspace>,
    /// Workspace in which a site always opens, by the site's host.
    homes: BTreeMap<String, String>,
    /// Identifiers of deleted workspaces of which something may be left on the disk. None is used again.
    removing: BTreeSet<String>,
    /// Number of throw-away workspaces made so far.
    #[serde(skip)]
    thrown: u64,
}

impl Default for Workspaces {
    fn default() -> Self {
        let first = Workspace { id: DEFAULT.to_owned(), name: "Default".to_owned(), colour: Colour::Grey };
        Self { all: vec![first], homes: BTreeMap::new(), removing: BTreeSet::new(), thrown: 0 }
    }
}

impl Workspaces {
    /// Returns all workspaces, the default one first.
    pub fn all(&self) -> impl Iterator<Item = &Workspace> {
        self.all.iter()
    }

    /// Returns the workspace with this identifier.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Workspace> {
        self.all.iter().find(|workspace| workspace.id == id)
    }

    /// Returns the identifier of the workspace with this name or identifier. A name outweighs an identifier.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub fn find(&self, name: &str) -> Result<String, WorkspaceError> {
        let named = self.all.iter().find(|workspace| is_same(&workspace.name, name));
        let found = named.or_else(|| self.get(name));
        found.map(|workspace| workspace.id.clone()).ok_or_else(|| WorkspaceError::Unknown(name.to_owned()))
    }

    /// Returns the name of a workspace, or its identifier if it is unknown.
    #[must_use]
    pub fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.get(id).map_or(id, |workspace| &workspace.name)
    }

    /// Makes a workspace. Without a colour it gets one that few others have. Returns its identifier.
    ///
    /// # Errors
    /// Returns an error if the name cannot be used or is taken, or if there are too many workspaces.
    pub fn create(&mut self, name: &str, colour: Option<Colour>) -> Result<String, WorkspaceError> {
        let name = self.free_name(name, None)?;
        self.check_room()?;
        let id = self.free_id(&name);
        let colour = colour.unwrap_or_else(|| self.rare_colour());
        self.all.push(Workspace { id: id.clone(), name, colour });
        Ok(id)
    }

    /// Makes a throw-away workspace. Returns its identifier, which none had before in this run.
    ///
    /// # Errors
    /// Returns an error if there are too many workspaces.
    pub fn create_throw_away(&mut self) -> Result<String, WorkspaceError> {
        self.check_room()?;
        self.thrown += 1;
        let id = format!("{THROW_AWAY}{}", self.thrown);
        let mut names = std::iter::once("Throw-away".to_owned()).chain((2..).map(|n| format!("Throw-away {n}")));
        let name = names.find(|name| !self.all.iter().any(|other| is_same(&other.name, name))).unwrap_or_default();
        self.all.push(Workspace { id: id.clone(), name, colour: Colour::Purple });
        Ok(id)
    }

    /// Notes that a workspace of this identifier is in use, as one of an earlier version, or opened by its name. Returns whether
    /// that is a change.
    pub fn note(&mut self, id: &str) -> bool {
        if self.get(id).is_some() || is_throw_away(id) || self.removing.contains(id) {
            return false;
        }
        let name = self.free_name(id, None).unwrap_or_else(|_| format!("Workspace {id}"));
        let colour = self.rare_colour();
        self.all.push(Workspace { id: id.to_owned(), name, colour });
        true
    }

    /// Renames a workspace.
    ///
    /// # Errors
    /// Returns an error if there is no such workspace, or the name cannot be used or is taken.
    pub fn rename(&mut self, id: &str, name: &str) -> Result<(), WorkspaceError> {
        let name = self.free_name(name, Some(id))?;
        self.get_mut(id)?.name = name;
        Ok(())
    }

    /// Changes the colour of a workspace.
    ///
    /// # Errors
    /// Returns an error if there is no such workspace.
    pub fn recolour(&mut self, id: &str, colour: Colour) -> Result<(), WorkspaceError> {
        self.get_mut(id)?.colour = colour;
        Ok(())
    }

    /// Checks whether a workspace may be deleted.
    ///
    /// # Errors
    /// Returns an error if there is no such workspace, or if it is the default one.
    pub fn check_delete(&self, id: &str) -> Result<(), WorkspaceError> {
        let found = self.get(id).ok_or_else(|| WorkspaceError::Unknown(id.to_owned()))?;
        if id == DEFAULT { Err(WorkspaceError::Default(found.name.clone())) } else { Ok(()) }
    }

    /// Removes a workspace, and every site's wish to open in it.
    pub(super) fn remove(&mut self, id: &str) {
        if !is_throw_away(id) {
            self.removing.insert(id.to_owned());
        }
        self.all.retain(|workspace| workspace.id != id);
        self.homes.retain(|_, home| home != id);
    }

    /// Returns the deleted workspaces of which something may be left on the disk.
    pub fn removing(&self) -> impl Iterator<Item = &str> {
        self.removing.iter().map(String::as_str)
    }

    /// Notes that nothing is left of a deleted workspace.
    pub fn removed(&mut self, id: &str) {
        self.removing.remove(id);
    }

    /// Lets a site always open in a workspace; `None`: in any.
    ///
    /// # Errors
    /// Returns an error if there is no such workspace, if it is a throw-away one, or if there are too many sites.
    pub fn set_home(&mut self, host: &str, id: Option<&str>) -> Result<(), WorkspaceError> {
        let Some(id) = id else {
            self.homes.remove(host);
            return Ok(());
        };
        self.get(id).ok_or_else(|| WorkspaceError::Unknown(id.to_owned()))?;
        if is_throw_away(id) {
            return Err(WorkspaceError::ThrowAway);
        }
        if self.homes.len() >= MAX_SITES && !self.homes.contains_key(host) {
            return Err(WorkspaceError::TooManySites);
        }
        self.homes.insert(host.to_owned(), id.to_owned());
        Ok(())
    }

    /// Returns the workspace in which a site always opens.
    #[must_use]
    pub fn home(&self, host: &str) -> Option<&str> {
        self.homes.get(host).map(String::as_str)
    }

    /// Returns the hosts of the sites that always open in a workspace.
    pub fn sites<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        self.homes.iter().filter(move |(_, home)| *home == id).map(|(host, _)| host.as_str())
    }

    /// Returns the workspaces without the throw-away ones, as they are saved.
    #[must_use]
    pub fn to_save(&self) -> Self {
        let kept = self.all.iter().filter(|workspace| !is_throw_away(&workspace.id)).cloned().collect();
        Self { all: kept, homes: self.homes.clone(), removing: self.removing.clone(), thrown: 0 }
    }

    fn get_mut(&mut self, id: &str) -> Result<&mut Workspace, WorkspaceError> {
        let found = self.all.iter_mut().find(|workspace| workspace.id == id);
        found.ok_or_else(|| WorkspaceError::Unknown(id.to_owned()))
    }

    fn check_room(&self) -> Result<(), WorkspaceError> {
        if self.all.len() < MAX_WORKSPACES { Ok(()) } else { Err(WorkspaceError::TooMany) }
    }

    /// Returns a name without the spaces around it, if no other workspace has it.
    fn free_name(&self, name: &str, own: Option<&str>) -> Result<String, WorkspaceError> {
        let trimmed = name.trim();
        let is_visible = |character: char| !character.is_control() && !is_invisible(character);
        if trimmed.is_empty() || trimmed.chars().count() > MAX_NAME || !trimmed.chars().all(is_visible) {
            return Err(WorkspaceError::Name(
                name.chars().filter(|character| is_visible(*character)).take(80).collect(),
            ));
        }
        let mut others = self.all.iter().filter(|workspace| own != Some(&workspace.id));
        if others.any(|workspace| is_same(&workspace.name, trimmed)) {
            return Err(WorkspaceError::Taken(trimmed.to_owned()));
        }
        let mut others = self.all.iter().filter(|workspace| own != Some(&workspace.id));
        match others.find(|workspace| is_same(&workspace.id, trimmed)) {
            Some(other) => Err(WorkspaceError::Identifier { name: trimmed.to_owned(), of: other.name.clone() }),
            None => Ok(trimmed.to_owned()),
        }
    }

    /// Returns an identifier for a name: its letters and digits, or a number.
    fn free_id(&self, name: &str) -> String {
        let letters = name.to_lowercase().replace(' ', "-");
        let slug: String =
            letters.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(MAX_NAME).collect();
        let is_free = |id: &String| !id.is_empty() && self.get(id).is_none() && !self.removing.contains(id);
        let numbered = (1..).map(|number| format!("workspace-{number}"));
        std::iter::once(slug).chain(numbered).find(is_free).unwrap_or_default()
    }

    fn rare_colour(&self) -> Colour {
        let count = |colour: &Colour| self.all.iter().filter(|workspace| workspace.colour == *colour).count();
        COLOURS.into_iter().min_by_key(count).unwrap_or_default()
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
