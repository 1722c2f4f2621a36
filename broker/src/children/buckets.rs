//! Buckets: the storage of sites and daemons, and the folders that a tab-host's sandbox is built around.

use std::io;
use std::path::{Path, PathBuf};

use regen_proto::role::Role;
use regen_sandbox::spawn::outside_id;

use super::bucket_mounts::BucketMounts;
use super::message::ChildId;
use crate::profile::Profile;
use crate::session::HostKey;

/// Folders of the profile that children get.
#[derive(Debug)]
pub(super) struct Buckets {
    profile: Profile,
    mounts: BucketMounts,
}

impl Buckets {
    pub(super) fn new(profile: Profile, mounts: BucketMounts) -> Self {
        Self { profile, mounts }
    }

    /// Makes the folder that a new child finds as its storage; a tab-host's is empty until [`Self::fill`]. `None`: the role
    /// has no storage.
    pub(super) fn make(&self, id: ChildId, role: Role) -> io::Result<Option<PathBuf>> {
        match role {
            Role::TabHost => self.mounts.make(id).map(Some),
            Role::NetDaemon => {
                let folder = self.profile.daemon(role.name());
                make_owned(&folder, role)?;
                Ok(Some(folder))
            }
            Role::AgentDaemon | Role::UiShell => Ok(None),
        }
    }

    /// Moves a site's storage to where a child's sandbox has it. Returns whether the storage has something from the internet.
    ///
    /// # Errors
    /// When the storage could not be put back after an earlier process, or the disk refuses.
    pub(super) fn fill(&self, id: ChildId, host: &HostKey) -> io::Result<bool> {
        let bucket = self.profile.bucket(&host.workspace, &host.site.folder());
        if let Some(holder) = self.mounts.holder(&bucket)? {
            let words = format!("the site's storage could not be put back ({}): start Regen again", holder.display());
            return Err(io::Error::other(words));
        }
        make_owned(&bucket, Role::TabHost)?;
        self.mounts.fill(id, &bucket)?;
        Ok(self.profile.public_mark(&host.workspace, &host.site.folder()).exists())
    }

    /// Puts a site's storage back after its process is gone, and removes what is left of the child's folders.
    pub(super) fn empty(&self, id: ChildId) {
        match self.mounts.empty(id) {
            Ok(leftover) => drop(leftover.map(|leftover| tokio::task::spawn_blocking(move || leftover.remove()))),
            Err(error) => {
                tracing::error!("the storage of a site stays where its process had it, until the next start: {error}");
            }
        }
        let chosen = self.profile.chosen(id);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = std::fs::remove_dir_all(&chosen)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!("{} stays: {error}", chosen.display());
            }
        });
    }

    /// Makes an empty folder for files that the user picks for a host's pages.
    pub(super) fn make_chosen(&self, id: ChildId) -> io::Result<PathBuf> {
        let folder = self.profile.chosen(id);
        std::fs::create_dir_all(&folder)?;
        // The host's process may run as another user; nothing in the folder is secret from it.
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(folder)
    }
}

/// Makes a folder that belongs to the user as which a role's processes run.
fn make_owned(folder: &Path, role: Role) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let owner = outside_id(role.name());
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder, Some(owner), Some(owner))?;
    }
    Ok(())
}
