//! Cache of a compiled engine, since compiling takes much longer than loading. It is used only for the lists that it
//! was compiled from; if it is damaged, the lists are compiled again.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use adblock::Engine;

use super::lists::List;

const FILE: &str = "engine";
/// Hash of the lists, stored before the engine's bytes.
type Key = [u8; 8];

/// A file with one engine.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Returns the cached engine if it was compiled from these lists.
    pub(super) fn read(&self, lists: &[List]) -> Option<Engine> {
        let bytes = fs::read(self.folder.join(FILE)).ok()?;
        let (key, bytes) = bytes.split_first_chunk::<{ size_of::<Key>() }>()?;
        if *key != key_of(lists) {
            return None;
        }
        let mut engine = Engine::default();
        // The crate refuses damaged data, and data of another version.
        engine.deserialize(bytes).is_ok().then_some(engine)
    }

    pub(super) fn keep(&self, lists: &[List], engine: &Engine) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let new = self.folder.join("engine.new");
        let mut file = fs::File::create(&new)?;
        file.write_all(&key_of(lists))?;
        file.write_all(&engine.serialize())?;
        fs::rename(new, self.folder.join(FILE))
    }
}

fn key_of(lists: &[List]) -> Key {
    let mut hasher = DefaultHasher::new();
    for List { name, text, is_trusted } in lists {
        (name, text, is_trusted).hash(&mut hasher);
    }
    // Another version may compile the same lists differently.
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use adblock::lists::FilterSet;

    use super::*;

    fn lists(text: &str) -> Vec<List> {
        vec![List { name: "mine".to_owned(), text: text.to_owned(), is_trusted: false }]
    }

    #[test]
    fn an_engine_is_kept_for_its_own_lists_and_only_whole() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::in_folder(&folder.path().join("shields"));
        assert!(cache.read(&lists("||a.test^")).is_none());
        let mut set = FilterSet::new(true);
        set.add_filter_list("||a.test^".to_owned(), Default::default());
        cache.keep(&lists("||a.test^"), &Engine::new_with_filter_set(set)).unwrap();
        let kept = cache.read(&lists("||a.test^")).expect("the same lists");
        let request = adblock::request::Request::new("https://a.test/", "https://b.test/", "script", "GET").unwrap();
        assert!(kept.check_network_request(&request).should_block());
        assert!(cache.read(&lists("||b.test^")).is_none(), "other lists");
        let file = folder.path().join("shields").join(FILE);
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert!(cache.read(&lists("||a.test^")).is_none(), "a flipped bit");
        fs::write(&file, &bytes[..last / 2]).unwrap();
        assert!(cache.read(&lists("||a.test^")).is_none(), "half of it");
    }
}
