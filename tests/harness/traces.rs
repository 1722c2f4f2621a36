//! Traces that pages leave: a site that stores a word wherever it can, and the files in which a word is found.

use std::path::Path;

use crate::Site;
use crate::site::Answer;

/// Word that the pages of [`storing_site`] store.
pub const TOKEN: &str = "kept-7b1f0c5e";

/// Serves a page that stores [`TOKEN`] in a cookie, local storage and a database, and says what it found of it.
#[must_use]
pub fn storing_site() -> Site {
    let script = format!(
        "<title>stores</title><p id=say>…</p><script>
         const found = [document.cookie, localStorage.kept].filter((word) => word?.includes('{TOKEN}')).length;
         document.cookie = 'kept={TOKEN}; max-age=9999';
         localStorage.kept = '{TOKEN}';
         const opened = indexedDB.open('kept');
         opened.onupgradeneeded = () => opened.result.createObjectStore('kept');
         opened.onsuccess = () => {{
           const write = opened.result.transaction('kept', 'readwrite');
           write.objectStore('kept').put('{TOKEN}', 1);
           write.oncomplete = () => say.textContent = 'found ' + found + ', stored';
         }};
         </script><textarea id=field style='position:fixed;left:100px;top:100px'></textarea><p id=mirror>
         <script>setInterval(() => mirror.textContent = 'typed: ' + field.value, 50)</script>"
    );
    Site::serve(move |_| Some(Answer::page(&script)))
}

/// Returns the files below a folder that contain a word, or have it in their names, in the encodings that the engine uses.
#[must_use]
pub fn files_with(folder: &Path, word: &str) -> Vec<String> {
    let wide: Vec<u8> = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let contains = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_named = entry.file_name().to_string_lossy().contains(word);
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                folders.push(path.clone());
            }
            let bytes = if is_folder { Vec::new() } else { std::fs::read(&path).unwrap_or_default() };
            if is_named || contains(&bytes, word.as_bytes()) || contains(&bytes, &wide) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
