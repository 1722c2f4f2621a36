//! Folders of a profile, and the lock that keeps two browsers from using it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

/// Folder of sites' storage.
const BUCKETS: &str = "buckets";
/// Folder of the marks for sites whose storage holds data from the internet.
const PUBLIC_MARKS: &str = "public-sites";

/// Reason that a profile cannot be used, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A profile in use by another broker.
    #[error(
        "the profile {path} is in use by process {pid}: use that browser (`regen --profile {path} status`), or another --profile"
    )]
    InUse { path: String, pid: String },
    /// A profile of another user.
    #[error("the profile {path} belongs to user {owner}, and you are user {you}: choose another --profile")]
    Foreign { path: String, owner: u32, you: u32 },
    /// A folder on the path to the control socket that other users can access.
    #[error(
        "the folder {path} is not safe for the control socket: {why}. Set XDG_RUNTIME_DIR to a folder of your own, or remove it"
    )]
    UnsafeRuntime { path: String, why: String },
    /// An error of the file system.
    #[error("cannot use the profile: {what} {path}: {error}")]
    Io { what: &'static str, path: String, error: io::Error },
    /// An unknown home folder.
    #[error("cannot find the profile: no home folder is set. Set HOME, or pass --profile DIR")]
    NoHome,
}

/// Paths of a profile. Creating a value touches no file.
#[derive(Debug, Clone)]
pub struct Profile {
    root: PathBuf,
    runtime: PathBuf,
    /// Part of `runtime` that belongs to the system; the folders below it are ours.
    runtime_base: PathBuf,
}

/// A profile locked by this process.
#[derive(Debug)]
pub struct LockedProfile {
    /// Paths of the profile.
    pub profile: Profile,
    _lock: File,
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ProfileError {
    let path = path.display().to_string();
    move |error| ProfileError::Io { what, path, error }
}

fn you() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Profile {
    /// Returns the profile in this folder, or the default one in the user's data folder.
    ///
    /// # Errors
    /// Returns an error if neither is known.
    pub fn find(folder: Option<&Path>) -> Result<Self, ProfileError> {
        let root = match folder {
            Some(folder) => std::path::absolute(folder).map_err(io_error("find", folder))?,
            None => data_home()?.join("regen").join("default"),
        };
        let root = root.canonicalize().unwrap_or(root);
        let name: String =
            format!("{:x}", Sha256::digest(root.as_os_str().as_encoded_bytes())).chars().take(16).collect();
        let (base, home) = runtime_home();
        Ok(Self { runtime: home.join(name), runtime_base: base, root })
    }

    /// Returns the folder of the profile.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// Returns the folder of a site's storage.
    #[must_use]
    pub fn bucket(&self, workspace: &str, site_folder: &str) -> PathBuf {
        self.root.join(BUCKETS).join(workspace_folder(workspace)).join(site_folder)
    }

    /// Returns the folders of a workspace: its sites' storage, and the marks of those on the internet.
    #[must_use]
    pub fn workspace(&self, workspace: &str) -> [PathBuf; 2] {
        [BUCKETS, PUBLIC_MARKS].map(|folder| self.root.join(folder).join(workspace_folder(workspace)))
    }

    /// Returns the path of the empty file that exists while a site's storage holds data from the internet. No sandbox
    /// can access it.
    #[must_use]
    pub fn public_mark(&self, workspace: &str, site_folder: &str) -> PathBuf {
        self.root.join(PUBLIC_MARKS).join(workspace_folder(workspace)).join(site_folder)
    }

    /// Marks the storage of every site as public if an earlier version has left no marks: its origin is unknown.
    ///
    /// # Errors
    /// Returns an error if the file system refuses.
    pub fn mark_unmarked_buckets(&self) -> io::Result<()> {
        let (buckets, marks) = (self.root.join(BUCKETS), self.root.join(PUBLIC_MARKS));
        if marks.exists() {
            return Ok(());
        }
        if buckets.exists() {
            for workspace in fs::read_dir(&buckets)? {
                let workspace = workspace?;
                for site in fs::read_dir(workspace.path())? {
                    mark(&marks.join(workspace.file_name()).join(site?.file_name()))?;
                }
            }
        }
        fs::create_dir_all(&marks)
    }

    /// Returns the folder of buckets in use by processes.
    #[must_use]
    pub fn bucket_mounts(&self) -> PathBuf {
        self.root.join("slots")
    }

    /// Returns the folder of a daemon's persistent data.
    #[must_use]
    pub fn daemon(&self, role: &str) -> PathBuf {
        self.root.join(role)
    }

    /// Returns the folder of files that the user chose, for one child.
    #[must_use]
    pub fn chosen(&self, child: u64) -> PathBuf {
        self.chosen_root().join(child.to_string())
    }

    /// Returns the folder of files that the user chose, for all children.
    #[must_use]
    pub fn chosen_root(&self) -> PathBuf {
        self.root.join("chosen")
    }

    /// Returns the path of the log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("regen.log")
    }

    /// Checks the folder of the control socket, if it exists: somebody who could put another socket there would receive
    /// every command.
    ///
    /// # Errors
    /// Returns an error if one of our folders belongs to another user, is a link, or is open to others.
    pub fn check_runtime(&self) -> Result<(), ProfileError> {
        for folder in self.runtime_folders() {
            match fs::symlink_metadata(&folder) {
                Ok(found) => check_own_folder(&folder, &found)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(io_error("read", &folder)(error)),
            }
        }
        Ok(())
    }

    fn make_runtime(&self) -> Result<(), ProfileError> {
        for folder in self.runtime_folders() {
            match DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(io_error("create", &folder)(error));
                }
                Ok(()) | Err(_) => {}
            }
            let found = fs::symlink_metadata(&folder).map_err(io_error("read", &folder))?;
            check_own_folder(&folder, &found)?;
        }
        Ok(())
    }

    /// Returns our folders on the path to the control socket, outermost first.
    fn runtime_folders(&self) -> Vec<PathBuf> {
        let ours = self.runtime.ancestors().take_while(|folder| *folder != self.runtime_base);
        let mut folders: Vec<PathBuf> = ours.map(Path::to_path_buf).collect();
        folders.reverse();
        folders
    }

    /// Locks the profile for this process.
    ///
    /// # Errors
    /// Returns an error if it is in use, cannot be read, or belongs to another user.
    pub fn lock(self) -> Result<LockedProfile, ProfileError> {
        private_folder(&self.root)?;
        self.make_runtime()?;
        let path = self.root.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        // A broker that is just ending may hold its lock for a moment longer.
        let free = (0..20).any(|attempt| {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(25));
            }
            rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        });
        if !free {
            let mut pid = String::new();
            lock.read_to_string(&mut pid).map_err(io_error("read", &path))?;
            return Err(ProfileError::InUse { path: self.root.display().to_string(), pid: pid.trim().to_owned() });
        }
        let write = |mut lock: &File| -> io::Result<()> {
            lock.set_len(0)?;
            lock.rewind()?;
            write!(lock, "{}", std::process::id())
        };
        write(&lock).map_err(io_error("write", &path))?;
        Ok(LockedProfile { profile: self, _lock: lock })
    }
}

/// Creates a folder that only this user may enter, or restricts an existing one.
fn private_folder(path: &Path) -> Result<(), ProfileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))?;
    let metadata = fs::metadata(path).map_err(io_error("read", path))?;
    if metadata.uid() != you() {
        let path = path.display().to_string();
        return Err(ProfileError::Foreign { path, owner: metadata.uid(), you: you() });
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io_error("protect", path))?;
    }
    Ok(())
}

/// Creates an empty file and syncs it, so that it survives a power failure.
///
/// # Errors
/// Returns an error if the file system refuses.
pub fn mark(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    File::create(path)?.sync_all()?;
    File::open(folder)?.sync_all()
}

/// Returns the folder name of a workspace; each workspace has its own.
fn workspace_folder(workspace: &str) -> String {
    // Folder name of the workspace without a name.
    const UNNAMED: &str = "default";
    let is_like_it = workspace.strip_prefix(UNNAMED).is_some_and(|rest| rest.chars().all(|char| char == '+'));
    match workspace {
        "" => UNNAMED.to_owned(),
        _ if is_like_it => format!("{workspace}+"),
        _ => workspace.to_owned(),
    }
}

fn data_home() -> Result<PathBuf, ProfileError> {
    absolute_variable("XDG_DATA_HOME")
        .or_else(|| absolute_variable("HOME").map(|home| home.join(".local/share")))
        .ok_or(ProfileError::NoHome)
}

/// Returns the system's folder, and our folder below it. In a folder shared by all users, each of ours is checked.
fn runtime_home() -> (PathBuf, PathBuf) {
    let own = absolute_variable("XDG_RUNTIME_DIR")
        .filter(|path| fs::metadata(path).is_ok_and(|folder| folder.uid() == you()));
    match own {
        Some(own) => (own.clone(), own.join("regen")),
        None => {
            let shared = std::env::temp_dir();
            (shared.clone(), shared.join(format!("regen-{}", you())).join("regen"))
        }
    }
}

/// Checks that a folder is no link, belongs to this user, and is closed to others.
fn check_own_folder(path: &Path, found: &fs::Metadata) -> Result<(), ProfileError> {
    let why = if found.is_symlink() {
        "it is a link".to_owned()
    } else if !found.is_dir() {
        "it is not a folder".to_owned()
    } else if found.uid() != you() {
        format!("it belongs to user {}, and you are user {}", found.uid(), you())
    } else if found.permissions().mode() & 0o077 != 0 {
        format!("its mode is {:o}, and others may enter it", found.permissions().mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(ProfileError::UnsafeRuntime { path: path.display().to_string(), why })
}

/// Returns the user's download folder.
#[must_use]
pub fn downloads() -> PathBuf {
    absolute_variable("XDG_DOWNLOAD_DIR")
        .or_else(|| absolute_variable("HOME").map(|home| home.join("Downloads")))
        .unwrap_or_else(std::env::temp_dir)
}

fn absolute_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_in_use_is_refused_with_the_process_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::find(Some(folder.path())).unwrap();
        let held = profile.clone().lock().unwrap();
        let error = profile.clone().lock().unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(held);
        profile.lock().unwrap();
    }

    #[test]
    fn no_two_workspaces_share_a_folder() {
        let names = ["", "default", "default+", "default++", "work", "defaults", "default-2"];
        let folders: std::collections::HashSet<_> = names.into_iter().map(workspace_folder).collect();
        assert_eq!(folders.len(), names.len());
        assert_eq!((workspace_folder(""), workspace_folder("work")), ("default".into(), "work".into()));
    }

    #[test]
    fn storage_of_earlier_versions_counts_as_public_once() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::find(Some(folder.path())).unwrap();
        fs::create_dir_all(profile.bucket("", "https_old.test")).unwrap();
        profile.mark_unmarked_buckets().unwrap();
        fs::create_dir_all(profile.bucket("", "https_new.test")).unwrap();
        profile.mark_unmarked_buckets().unwrap();
        assert!(profile.public_mark("", "https_old.test").exists());
        assert!(!profile.public_mark("", "https_new.test").exists(), "this version finds out where it is");
    }

    #[test]
    fn a_folder_that_is_not_this_users_alone_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let profile = |name: &str| {
            let base = place.path().join(name);
            fs::create_dir(&base).unwrap();
            let runtime = base.join("regen-1000/regen/abc");
            Profile { root: base.join("profile"), runtime, runtime_base: base }
        };
        let good = profile("good");
        good.check_runtime().unwrap();
        good.make_runtime().unwrap();
        good.check_runtime().unwrap();
        assert_eq!(fs::metadata(&good.runtime).unwrap().permissions().mode() & 0o777, 0o700);
        let linked = profile("linked");
        std::os::unix::fs::symlink(place.path().join("good/regen-1000"), linked.runtime_base.join("regen-1000"))
            .unwrap();
        assert!(linked.make_runtime().unwrap_err().to_string().contains("it is a link"));
        assert!(linked.check_runtime().is_err());
        let open = profile("open");
        fs::create_dir_all(&open.runtime).unwrap();
        fs::set_permissions(open.runtime.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(open.runtime_base.join("regen-1000"), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(open.make_runtime().unwrap_err().to_string().contains("mode is 777"));
        if you() == 0 {
            let foreign = profile("foreign");
            fs::create_dir(foreign.runtime_base.join("regen-1000")).unwrap();
            std::os::unix::fs::chown(foreign.runtime_base.join("regen-1000"), Some(65534), None).unwrap();
            let why = foreign.check_runtime().unwrap_err().to_string();
            assert!(why.contains("belongs to user 65534") && why.contains("XDG_RUNTIME_DIR"), "{why}");
        }
    }

    #[test]
    fn two_profiles_have_two_sockets() {
        let (a, b) = (Profile::find(Some(Path::new("/p/a"))).unwrap(), Profile::find(Some(Path::new("/p/b"))).unwrap());
        assert_ne!(a.control_socket(), b.control_socket());
        assert!(a.control_socket().as_os_str().len() < 100);
    }
}
