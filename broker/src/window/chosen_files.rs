//! Files that the user picked, copied to where the page's sandbox sees them. A child learns no path outside its sandbox.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Copies files into a host's folder. Returns the names of the copies below that folder, and what could not be copied. Blocks.
pub(super) fn place_all(paths: &[PathBuf], folder: &Path, request: u64) -> (Vec<String>, Vec<String>) {
    let (mut names, mut failed) = (Vec::new(), Vec::new());
    for (index, path) in paths.iter().enumerate() {
        match place(path, folder, &format!("{request}-{index}")) {
            Ok(name) => names.push(name),
            Err(error) => failed.push(format!("{} cannot be opened: {error}", path.display())),
        }
    }
    (names, failed)
}

/// Copies a file under its own name; the file system shares the bytes where it can. The page gets the file as it is now, not as
/// it may become. Returns the copy's name below the folder.
fn place(path: &Path, folder: &Path, place: &str) -> io::Result<String> {
    let source = open_regular(path)?;
    let name: String =
        path.file_name().unwrap_or_default().to_string_lossy().chars().filter(|c| !c.is_control()).collect();
    let within = folder.join(place);
    fs::create_dir_all(&within)?;
    fs::set_permissions(&within, fs::Permissions::from_mode(0o755))?;
    let target = within.join(&name);
    let mut copy = File::create(&target)?;
    io::copy(&mut &source, &mut copy)?;
    copy.set_permissions(fs::Permissions::from_mode(0o644))?;
    Ok(format!("{place}/{name}"))
}

fn open_regular(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK, opening a named pipe would block.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_copied_under_their_names_and_what_is_no_file_is_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = from.path().join("a b.txt");
        fs::write(&file, "text").unwrap();
        let paths = [file.clone(), from.path().to_path_buf(), from.path().join("missing")];
        let (names, failed) = place_all(&paths, to.path(), 7);
        assert_eq!(names, ["7-0/a b.txt"]);
        assert_eq!(failed.len(), 2, "{failed:?}");
        fs::write(&file, "changed later").unwrap();
        assert_eq!(fs::read_to_string(to.path().join("7-0/a b.txt")).unwrap(), "text");
    }
}
