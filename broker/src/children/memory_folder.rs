//! The folder in memory with the storage of throw-away workspaces.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Folder that is in memory on every usual Linux.
const SHARED_MEMORY: &str = "/dev/shm";

/// Returns the place of a profile's folder in memory.
pub(super) fn place(profile: &Path) -> PathBuf {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(profile.as_os_str().as_encoded_bytes());
    let name: String = format!("{hash:x}").chars().take(16).collect();
    let user = rustix::process::geteuid().as_raw();
    Path::new(SHARED_MEMORY).join(format!("regen-{user}-{name}"))
}

/// Makes an empty folder that nobody else may enter.
///
/// # Errors
/// Returns an error if the place is on a disk, or if something of another user is in its way.
pub(super) fn make(place: &Path) -> io::Result<()> {
    let parent = place.parent().unwrap_or(place);
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    if !is_in_memory(parent, &mounts) {
        let words = format!(
            "{} is not in memory (tmpfs), and what a throw-away workspace stores must not reach a disk",
            parent.display()
        );
        return Err(io::Error::other(words));
    }
    clear(place)?;
    DirBuilder::new().mode(0o700).create(place)?;
    let made = fs::symlink_metadata(place)?;
    let is_ours = made.is_dir() && made.uid() == rustix::process::geteuid().as_raw();
    if !is_ours || made.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("{} is not this user's own folder", place.display())));
    }
    Ok(())
}

/// Returns whether a mount keeps its files in memory alone, by the table of mounts (`man 5 proc_pid_mountinfo`): the mount point
/// is the fifth field of a line, and the type of the file system follows the hyphen.
fn is_in_memory(place: &Path, mounts: &str) -> bool {
    let kind = |line: &str| {
        let (mount, kind) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        (Path::new(point) == place).then(|| kind.starts_with("tmpfs "))
    };
    // The last mount at a place lies on top.
    mounts.lines().filter_map(kind).next_back().unwrap_or(false)
}

/// Removes what an earlier run left there.
///
/// # Errors
/// Returns an error if it is another user's.
pub(super) fn clear(place: &Path) -> io::Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_on_top_counts() {
        let line = |kind: &str| format!("25 30 0:23 / /dev/shm rw,nosuid shared:4 - {kind} tmpfs rw\n");
        let (memory, disk) = (line("tmpfs"), line("ext4"));
        let is = |mounts: &str| is_in_memory(Path::new("/dev/shm"), mounts);
        assert!(is(&memory) && is(&format!("{disk}{memory}")));
        assert!(!is(&disk) && !is(&format!("{memory}{disk}")) && !is("") && !is("nonsense - tmpfs "));
    }

    #[test]
    fn the_folder_is_in_memory_and_begins_empty() {
        let profile = tempfile::tempdir().unwrap();
        let place = place(profile.path());
        make(&place).unwrap();
        fs::write(place.join("left"), "by an earlier run").unwrap();
        make(&place).unwrap();
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        clear(&place).unwrap();
        assert!(!place.exists());
        clear(&place).unwrap();
        // A folder on a disk is refused, and so is a link in the folder's place.
        let on_disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("throw-away-test");
        assert!(make(&on_disk).unwrap_err().to_string().contains("not in memory"));
        assert!(!on_disk.exists());
    }
}
