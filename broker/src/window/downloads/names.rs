//! Names of saved files: a name that a page suggests cannot leave the folder, replace a file or hide a file's type. A
//! download is written to `NAME.part`, and renamed when it is complete.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{CWD, RenameFlags};
use serde::{Deserialize, Serialize};

/// Identity of a part: another file may have its name by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartId {
    device: u64,
    inode: u64,
    /// Time of creation in nanoseconds since 1970, where the file system keeps it: numbers of inodes are used again.
    born: Option<u64>,
}

impl PartId {
    fn of(metadata: &fs::Metadata) -> Self {
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|born| u64::try_from(born.as_nanos()).ok());
        Self { device: metadata.dev(), inode: metadata.ino(), born }
    }
}

/// Returns the part of a download with its size, if there is one.
pub(super) fn part(path: &Path) -> Option<(PartId, u64)> {
    fs::symlink_metadata(partial(path)).ok().map(|part| (PartId::of(&part), part.len()))
}

pub(super) fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the part of an unfinished download, and removes a part that is empty.
pub(super) fn left_over(part: &Path) -> Option<&Path> {
    if fs::metadata(part).is_ok_and(|part| part.len() > 0) {
        return Some(part);
    }
    remove(part);
    None
}

pub(super) fn remove(part: &Path) {
    if let Err(error) = fs::remove_file(part) {
        tracing::warn!("{} cannot be removed: {error}", part.display());
    }
}

pub(super) fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

/// Renames a finished download to its name. If another file has that name by now, the download gets a numbered one.
pub(super) fn keep(part: &Path, path: &Path) -> io::Result<PathBuf> {
    for number in 0..1000 {
        let target = if number == 0 { path.to_path_buf() } else { numbered(path, number) };
        match rustix::fs::renameat_with(CWD, part, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(target),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("a thousand files of this name exist"))
}

/// Returns `name (1).ext`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let name = shown(path);
    let name = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({number}).{extension}"),
        _ => format!("{name} ({number})"),
    };
    path.with_file_name(name)
}

/// Returns a bare file name for whatever the page suggested.
fn safe_name(suggested: &str) -> String {
    let name: String = suggested
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control() && !changes_direction(*c))
        .collect();
    let name = name.trim().trim_start_matches('.').trim();
    if name.is_empty() { "download".to_owned() } else { shortened(name) }
}

/// Returns whether a character changes the order in which others are shown, and so could hide a file's type.
fn changes_direction(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shortens the stem of a name, in bytes as the file system counts, and keeps the extension, which tells the file's
/// type. Leaves room for ` (999)` and `.part`.
fn shortened(name: &str) -> String {
    const MAX_NAME: usize = 255 - 11;
    const MAX_EXTENSION: usize = 20;
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let extension = name.rfind('.').and_then(|dot| name.get(dot..)).filter(|end| end.len() <= MAX_EXTENSION);
    let extension = extension.unwrap_or_default();
    let stem = name.get(..name.floor_char_boundary(MAX_NAME - extension.len())).unwrap_or_default();
    format!("{}{extension}", stem.trim_end())
}

/// Creates the `.part` file of a download under a free name. Returns its identity with the final path.
pub(super) fn create(folder: &Path, suggested: &str) -> io::Result<(PartId, PathBuf)> {
    fs::create_dir_all(folder)?;
    let wanted = folder.join(safe_name(suggested));
    for number in 0..1000 {
        let path = if number == 0 { wanted.clone() } else { numbered(&wanted, number) };
        if path.exists() {
            continue;
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial(&path)) {
            Ok(file) => return Ok((PartId::of(&file.metadata()?), path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("a thousand files of this name exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_cannot_choose_where_a_download_goes() {
        assert_eq!(safe_name("../../.bashrc"), "bashrc");
        assert_eq!(safe_name("a/b\\c.txt"), "c.txt");
        assert_eq!(safe_name("cod\u{202e}txt.exe"), "codtxt.exe");
        assert_eq!(safe_name("a\u{200f}b\u{200e}c\u{61c}.txt"), "abc.txt");
        assert_eq!(safe_name("\n"), "download");
        assert_eq!(safe_name(".."), "download");
        assert_eq!(safe_name(" . "), "download");
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        for long in [format!("{}.pdf", "a".repeat(300)), format!("{}.pdf", "漢".repeat(110)), "é".repeat(200)] {
            let extension = if long.ends_with(".pdf") { ".pdf" } else { "" };
            for _ in 0..2 {
                let (_part, path) = create(folder.path(), &long).unwrap();
                fs::write(&path, "saved").unwrap();
                assert!(shown(&path).ends_with(extension), "{path:?}");
            }
        }
        assert_eq!(safe_name(&format!("{}.pdf", "a".repeat(150))), format!("{}.pdf", "a".repeat(150)));
        let odd = format!("{}.{}", "a".repeat(200), "b".repeat(200));
        assert_eq!(safe_name(&odd).len(), 244);
    }

    #[test]
    fn a_part_without_a_byte_is_not_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (_part, path) = create(folder.path(), "a.zip").unwrap();
        let part = partial(&path);
        assert_eq!(left_over(&part), None);
        assert!(!part.exists());
        fs::write(&part, "begun").unwrap();
        assert_eq!(left_over(&part), Some(part.as_path()));
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "mine").unwrap();
        let (_part, path) = create(folder.path(), "a.txt").unwrap();
        assert_eq!(path, folder.path().join("a (1).txt"));
        let (_part, path) = create(folder.path(), "a.txt").unwrap();
        assert_eq!(path, folder.path().join("a (2).txt"));
    }
}
