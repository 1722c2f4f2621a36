//! Size of the window, kept for the next one. A size that cannot be read or written is only logged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Smallest and largest side that is stored, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 200..=16_384;

/// Size of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Width in logical pixels of the toolkit.
    pub width: u32,
    /// Height in logical pixels of the toolkit.
    pub height: u32,
    /// Set if the window is maximized; `width` and `height` are then those of the restored window.
    pub maximized: bool,
}

/// Last size of the window and the file that stores it.
#[derive(Debug)]
pub struct WindowSize {
    file: PathBuf,
    size: Option<Size>,
}

impl WindowSize {
    /// Reads the size that an earlier run of this profile stored.
    #[must_use]
    pub fn open(profile: &Path) -> Self {
        let file = profile.join("window.json");
        let size = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).ok().filter(is_plausible),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("the window's size cannot be read from {}: {error}", file.display());
                }
                None
            }
        };
        Self { file, size }
    }

    /// Returns the size to open a window with; `None` for the default.
    #[must_use]
    pub fn get(&self) -> Option<Size> {
        self.size
    }

    /// Takes a new size. Returns a closure that writes the file and may block, or `None` if the size is unchanged or
    /// implausible.
    pub fn changed(&mut self, size: Size) -> Option<impl FnOnce() + Send + 'static> {
        if !is_plausible(&size) || self.size.replace(size) == Some(size) {
            return None;
        }
        let file = self.file.clone();
        Some(move || {
            let beside = file.with_extension("json.new");
            let written = serde_json::to_vec(&size).map_err(io::Error::from);
            let written = written.and_then(|bytes| fs::write(&beside, bytes)).and_then(|()| fs::rename(&beside, &file));
            if let Err(error) = written {
                tracing::warn!("the window's size cannot be written to {}: {error}", file.display());
            }
        })
    }
}

fn is_plausible(size: &Size) -> bool {
    SIDES.contains(&size.width) && SIDES.contains(&size.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_outlives_the_browser_and_nonsense_does_not() {
        let profile = tempfile::tempdir().unwrap();
        let mut sizes = WindowSize::open(profile.path());
        assert_eq!(sizes.get(), None);
        let size = Size { width: 900, height: 700, maximized: false };
        sizes.changed(size).unwrap()();
        assert!(sizes.changed(size).is_none(), "it is the same");
        assert!(sizes.changed(Size { width: 0, ..size }).is_none());
        assert!(sizes.changed(Size { height: u32::MAX, ..size }).is_none());
        assert_eq!(WindowSize::open(profile.path()).get(), Some(size));
        for nonsense in ["", "{}", r#"{"width":1,"height":1,"maximized":false}"#, r#"{"width":-5}"#] {
            fs::write(profile.path().join("window.json"), nonsense).unwrap();
            assert_eq!(WindowSize::open(profile.path()).get(), None, "{nonsense}");
        }
    }
}
