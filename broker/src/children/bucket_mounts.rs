//! Bucket mounts: folders that are mounted in the sandboxes of tab-hosts, with the bucket (storage) of a site in each.
//!
//! A sandbox is built before its site is known. The site's bucket is later moved into the mount by one rename, and
//! moved back when the process has ended. Beside each filled mount, out of reach of every sandbox, is a link to where
//! its bucket belongs. It is created before the move and removed last, so that after a crash the next start can put the
//! bucket back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Name of the bucket inside its mount. The tab-host knows it as well.
const BUCKET: &str = "site";
/// Suffix of a link's name.
const HOME: &str = ".home";

/// Prefix of the folders for leftovers.
const TRASH: &str = "bucket_mounts.trash-";

/// Remains of a mount whose process is gone.
#[derive(Debug)]
#[must_use]
pub struct Leftover(PathBuf);

impl Leftover {
    /// Removes the folder. This may take long and belongs on a thread of its own.
    pub fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{} cannot be removed before the next start: {error}", self.0.display());
        }
    }
}

/// All bucket mounts of a profile.
#[derive(Debug)]
pub struct BucketMounts {
    root: PathBuf,
    /// Folder of this run for leftovers, until they are removed.
    trash: PathBuf,
}

impl BucketMounts {
    /// Opens the bucket mounts in a folder. Buckets that an earlier broker left in a mount are moved back.
    ///
    /// # Errors
    /// Returns an error if a bucket cannot be moved back. No host may start then, because it would get a new, empty
    /// bucket.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let trash = root.with_file_name(format!("{TRASH}{since}"));
        let bucket_mounts = Self { root, trash };
        for entry in fs::read_dir(&bucket_mounts.root)? {
            // Either the mount or the link is listed first; the second one finds nothing left to do.
            let name = entry?.file_name();
            let name = name.to_str().map(|name| name.strip_suffix(HOME).unwrap_or(name));
            if let Some(child) = name.and_then(|name| name.parse().ok()) {
                bucket_mounts.empty(child)?;
            }
        }
        let old = leftovers(&bucket_mounts.root)?;
        if !old.is_empty() {
            let remove = move || old.into_iter().for_each(Leftover::remove);
            std::thread::Builder::new().name("trash".into()).spawn(remove)?;
        }
        Ok(bucket_mounts)
    }

    /// Creates an empty mount for a child.
    ///
    /// # Errors
    /// Returns an error if the file system refuses.
    pub fn make(&self, child: u64) -> io::Result<PathBuf> {
        let mount = self.mount(child);
        fs::create_dir_all(&mount)?;
        // If the broker is root, the mount's owner is another user than the child, which only needs to pass through it.
        fs::set_permissions(&mount, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(mount)
    }

    /// Moves a bucket into a child's mount.
    ///
    /// # Errors
    /// Returns an error if the file system refuses. The bucket is then where it was.
    pub fn fill(&self, child: u64, bucket: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(self.link_to(bucket)?, self.home(child))?;
        fs::rename(bucket, self.mount(child).join(BUCKET)).inspect_err(|_| {
            // The link is wrong now. If it stays, the next start finds no bucket in the mount and removes it.
            let _ = fs::remove_file(self.home(child));
        })
    }

    /// Returns the link of the mount that holds a bucket, if any. A bucket that could not be moved back must not be
    /// created anew.
    ///
    /// # Errors
    /// Returns an error if the folder of the mounts cannot be read.
    pub fn holder(&self, bucket: &Path) -> io::Result<Option<PathBuf>> {
        let link = self.link_to(bucket)?;
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            if read_link(&path)?.is_some_and(|home| home == link) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn link_to(&self, bucket: &Path) -> io::Result<PathBuf> {
        let profile = self.root.parent().unwrap_or(&self.root);
        Ok(Path::new("..").join(bucket.strip_prefix(profile).map_err(io::Error::other)?))
    }

    /// Moves a child's bucket back, if it has one, and moves its mount away. Returns the leftover of the mount for
    /// removal: the process may have put anything there, so removing it may take long.
    ///
    /// # Errors
    /// Returns an error if the bucket cannot be moved back. It is then still in the mount.
    pub fn empty(&self, child: u64) -> io::Result<Option<Leftover>> {
        let (mount, home) = (self.mount(child), self.home(child));
        let inside = mount.join(BUCKET);
        if let Some(home) = read_link(&home)? {
            match fs::symlink_metadata(&inside) {
                Ok(found) if found.is_dir() => fs::rename(&inside, self.root.join(home))?,
                // If the sandbox has this user's id, its process can put a link there, or remove the bucket: it may
                // discard its own site's storage. The link is not followed and keeps no host from starting.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let leftover = self.discard(&mount, child)?;
        match fs::remove_file(&home) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(leftover),
        }
    }

    /// Returns the folder in which a child has the bucket of its site.
    #[must_use]
    pub fn bucket_of(&self, child: u64) -> PathBuf {
        self.mount(child).join(BUCKET)
    }

    /// Moves a bucket that no process has into the folder of leftovers, from where it is removed for good.
    ///
    /// # Errors
    /// Returns an error if the file system refuses. The bucket is then where it was.
    pub fn discard_bucket(&self, bucket: &Path) -> io::Result<Option<Leftover>> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        self.discard_as(bucket, &format!("bucket-{since}"))
    }

    /// Moves a mount into the folder of leftovers.
    fn discard(&self, mount: &Path, child: u64) -> io::Result<Option<Leftover>> {
        self.discard_as(mount, &child.to_string())
    }

    fn discard_as(&self, mount: &Path, name: &str) -> io::Result<Option<Leftover>> {
        let place = self.trash.join(name);
        fs::create_dir_all(&self.trash)?;
        match fs::rename(mount, &place) {
            Ok(()) => Ok(Some(Leftover(place))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn mount(&self, child: u64) -> PathBuf {
        self.root.join(child.to_string())
    }

    fn home(&self, child: u64) -> PathBuf {
        self.root.join(format!("{child}{HOME}"))
    }
}

/// Returns leftovers that earlier runs did not remove.
fn leftovers(root: &Path) -> io::Result<Vec<Leftover>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root.parent().unwrap_or(root))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TRASH) {
            all.push(Leftover(entry.path()));
        }
    }
    Ok(all)
}

fn read_link(link: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(link) {
        Ok(home) => Ok(Some(home)),
        // The path does not exist, or is a mount.
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::InvalidInput].contains(&error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        home: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let home = folder.path().join("buckets/a");
            fs::create_dir_all(&home).unwrap();
            fs::write(home.join("cookies"), "mine").unwrap();
            Self { folder, home }
        }

        fn bucket_mounts(&self) -> BucketMounts {
            BucketMounts::open(self.folder.path().join("bucket_mounts")).unwrap()
        }

        fn is_home(&self) -> bool {
            fs::read_to_string(self.home.join("cookies")).is_ok_and(|text| text == "mine")
        }

        fn is_clean(&self) -> bool {
            fs::read_dir(self.folder.path().join("bucket_mounts")).unwrap().count() == 0
        }
    }

    #[test]
    fn a_bucket_goes_into_a_slot_and_back() {
        let place = Place::new();
        let bucket_mounts = place.bucket_mounts();
        let mount = bucket_mounts.make(1).unwrap();
        bucket_mounts.fill(1, &place.home).unwrap();
        assert!(mount.join("site/cookies").exists() && !place.is_home());
        fs::write(mount.join("site/more"), "written meanwhile").unwrap();
        fs::write(mount.join("beside"), "what no engine leaves").unwrap();
        let leftover = bucket_mounts.empty(1).unwrap().unwrap();
        assert!(place.is_home() && place.is_clean() && place.home.join("more").exists());
        assert!(leftover.0.join("beside").exists());
        leftover.remove();
        // A mount that was never filled, and one that does not exist.
        bucket_mounts.make(2).unwrap();
        assert!(bucket_mounts.empty(2).unwrap().is_some());
        assert!(bucket_mounts.empty(3).unwrap().is_none());
        assert!(place.is_clean());
    }

    #[test]
    fn wherever_a_crash_falls_the_next_start_puts_the_bucket_back() {
        type Step<'a> = &'a dyn Fn(&Place, &BucketMounts);
        // After the mount was made, after the link, after the move, after the move back, after the mount was removed.
        let link = |place: &Place| {
            std::os::unix::fs::symlink("../buckets/a", place.folder.path().join("bucket_mounts/1.home"))
        };
        let steps: [Step<'_>; 5] = [
            &|_, _| {},
            &|place, _| link(place).unwrap(),
            &|place, bucket_mounts| bucket_mounts.fill(1, &place.home).unwrap(),
            &|place, bucket_mounts| {
                bucket_mounts.fill(1, &place.home).unwrap();
                fs::rename(place.folder.path().join("bucket_mounts/1/site"), &place.home).unwrap();
            },
            &|place, _| {
                link(place).unwrap();
                fs::remove_dir(place.folder.path().join("bucket_mounts/1")).unwrap();
            },
        ];
        for (number, step) in steps.iter().enumerate() {
            let place = Place::new();
            let bucket_mounts = place.bucket_mounts();
            bucket_mounts.make(1).unwrap();
            step(&place, &bucket_mounts);
            drop(bucket_mounts);
            drop(place.bucket_mounts());
            assert!(place.is_home() && place.is_clean(), "step {number}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_the_bucket_is_not_followed() {
        let place = Place::new();
        let bucket_mounts = place.bucket_mounts();
        let mount = bucket_mounts.make(1).unwrap();
        bucket_mounts.fill(1, &place.home).unwrap();
        fs::rename(mount.join("site"), mount.join("hidden")).unwrap();
        std::os::unix::fs::symlink("/etc", mount.join("site")).unwrap();
        bucket_mounts.empty(1).unwrap().unwrap().remove();
        assert!(fs::symlink_metadata(&place.home).is_err() && place.is_clean());
        assert!(Path::new("/etc/passwd").exists());
    }

    #[test]
    fn a_bucket_that_is_still_in_a_slot_has_a_holder_and_a_move_that_fails_leaves_nothing() {
        let place = Place::new();
        let bucket_mounts = place.bucket_mounts();
        // The mount is missing.
        assert!(bucket_mounts.fill(1, &place.home).is_err());
        assert!(place.is_home() && place.is_clean());
        bucket_mounts.make(2).unwrap();
        assert_eq!(bucket_mounts.holder(&place.home).unwrap(), None);
        bucket_mounts.fill(2, &place.home).unwrap();
        assert!(bucket_mounts.holder(&place.home).unwrap().is_some_and(|link| link.ends_with("2.home")));
    }
}
