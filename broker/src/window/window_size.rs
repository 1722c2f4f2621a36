//! Size that the user gave the window: the next one opens as large. A size that cannot be read or kept is no reason to stop.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Smallest and largest side that is kept, pixels.
const SIDES: std::ops::RangeInclusive<u32> = 200..=16_384;

/// A window's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Pixels, as the toolkit counts them.
    pub width: u32,
    /// Pixels, as the toolkit counts them.
    pub height: u32,
    /// Maximized; `width` and `height` are those of the window when it is not.
    pub maximized: bool,
}

/// The last size, and the file that it is kept in.
#[derive(Debug)]
pub struct WindowSize {
    file: PathBuf,
    size: Option<Size>,
}

impl WindowSize {
    /// Reads what an earlier run of this profile kept.
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

    /// Returns the size to open a window with. `None`: the window's own choice.
    #[must_use]
    pub fn get(&self) -> Option<Size> {
        self.size
    }

    /// Takes a new size. Returns a closure that writes the file, and may block; `None`: the size is the same, or no size.
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
                tracing::warn!("the window's size cannot be kept in {}: {error}", file.display());
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
