//! The files: the user's in the profile, and the administrators'.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::settings::Settings;

/// Name of the user's file in the profile.
pub const FILE: &str = "settings.toml";
/// File in which administrators fix settings, and change defaults.
pub const ADMINISTRATORS_FILE: &str = "/etc/regen/settings.toml";
/// Maximum size of a file, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

/// The user's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    path: PathBuf,
}

impl SettingsFile {
    /// Returns the file of a profile.
    #[must_use]
    pub fn of(profile: &Path) -> Self {
        Self { path: profile.join(FILE) }
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the settings of this file and of the administrators'. A file that is not there is empty.
    ///
    /// # Errors
    /// Returns an error if a file is there and cannot be read. A browser that went on would ignore what it says.
    pub fn load(&self, administrators: &Path) -> io::Result<Settings> {
        Ok(Settings::new(&read(&self.path)?, &read(administrators)?))
    }

    /// Writes the file as a whole; returns once it is on the disk. A write that fails leaves the old file.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be written to.
    pub fn save(&self, text: &str) -> io::Result<()> {
        let beside = self.path.with_extension("toml.new");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all()
    }
}

fn read(path: &Path) -> io::Result<String> {
    let in_words = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(in_words(error)),
    };
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(in_words)?;
    if text.len() as u64 > MAX_FILE {
        return Err(in_words(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MB")));
    }
    Ok(text)
}
