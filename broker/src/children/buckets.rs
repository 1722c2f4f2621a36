//! Buckets: the storage of sites and daemons, and the folders that a tab-host's sandbox is built around.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regen_net_config::host::is_throw_away;
use regen_proto::role::Role;
use regen_sandbox::spawn::outside_id;
use tokio::sync::{Semaphore, oneshot};

use super::bucket_mounts::{BucketMounts, Leftover};
use super::memory_folder;
use crate::message::ChildId;
use crate::profile::Profile;
use regen_session::HostKey;

/// Folders of the profile that children get.
#[derive(Debug)]
pub(super) struct Buckets {
    profile: Profile,
    mounts: BucketMounts,
    /// Mounts of throw-away workspaces, once there is one.
    in_memory: OnceCell<BucketMounts>,
    /// Folder in memory with everything of throw-away workspaces.
    memory: PathBuf,
    remover: Remover,
}

impl Buckets {
    pub(super) fn new(profile: Profile, mounts: BucketMounts) -> Self {
        let memory = memory_folder::place(profile.root());
        // A browser that was killed could not clear it.
        if let Err(error) = memory_folder::clear(&memory) {
            tracing::error!("{} holds what an earlier run threw away: {error}", memory.display());
        }
        Self { profile, mounts, in_memory: OnceCell::new(), memory, remover: Remover::new() }
    }

    /// Returns the mounts for a host.
    ///
    /// # Errors
    /// Returns an error if the host is of a throw-away workspace, and there is no folder in memory for that.
    fn mounts_for(&self, host: Option<&HostKey>) -> io::Result<&BucketMounts> {
        if !host.is_some_and(HostKey::is_throw_away) {
            return Ok(&self.mounts);
        }
        if let Some(mounts) = self.in_memory.get() {
            return Ok(mounts);
        }
        memory_folder::make(&self.memory)?;
        let mounts = BucketMounts::open(self.memory.join("bucket_mounts"))?;
        Ok(self.in_memory.get_or_init(|| mounts))
    }

    /// Returns the folder of a host's storage while no process has it.
    fn home(&self, host: &HostKey) -> PathBuf {
        if host.is_throw_away() {
            return self.memory.join("buckets").join(&host.workspace).join(host.site.folder());
        }
        self.profile.bucket(&host.workspace, &host.site.folder())
    }

    /// Returns the path of the mark that a host's site is on the internet.
    fn mark(&self, host: &HostKey) -> PathBuf {
        if host.is_throw_away() {
            return self.memory.join("public").join(&host.workspace).join(host.site.folder());
        }
        self.profile.public_mark(&host.workspace, &host.site.folder())
    }

    /// Throws away what all sites of a workspace have stored. No process may have any of it. The receiver is told once nothing
    /// of it is left.
    pub(super) fn discard_workspace(&self, workspace: &str) -> io::Result<oneshot::Receiver<()>> {
        let (mounts, folders) = if is_throw_away(workspace) {
            (self.in_memory.get(), ["buckets", "public"].map(|part| self.memory.join(part).join(workspace)))
        } else {
            (Some(&self.mounts), self.profile.workspace(workspace))
        };
        let mut leftovers = Vec::new();
        for (mounts, folder) in mounts.into_iter().flat_map(|mounts| folders.iter().map(move |folder| (mounts, folder)))
        {
            leftovers.extend(mounts.discard_bucket(folder)?);
        }
        let (done, removed) = oneshot::channel();
        self.remover.run(move || {
            leftovers.into_iter().for_each(Leftover::remove);
            // The receiver may have gone.
            let _ = done.send(());
        });
        Ok(removed)
    }

    /// Removes everything of throw-away workspaces, at the end of the browser.
    pub(super) fn clear_memory(&self) {
        if self.in_memory.get().is_some()
            && let Err(error) = memory_folder::clear(&self.memory)
        {
            tracing::error!("{} is not removed before the next start: {error}", self.memory.display());
        }
    }

    /// Makes the folder that a new child finds as its storage; a tab-host's is empty until [`Self::fill`]. `None`: the role
    /// has no storage.
    pub(super) fn make(&self, id: ChildId, role: Role, host: Option<&HostKey>) -> io::Result<Option<PathBuf>> {
        match role {
            Role::TabHost => self.mounts_for(host)?.make(id).map(Some),
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
        let (bucket, mounts) = (self.home(host), self.mounts_for(Some(host))?);
        if let Some(holder) = mounts.holder(&bucket)? {
            let words = format!("the site's storage could not be put back ({}): start Regen again", holder.display());
            return Err(io::Error::other(words));
        }
        make_owned(&bucket, Role::TabHost)?;
        mounts.fill(id, &bucket)?;
        Ok(self.mark(host).exists())
    }

    /// Puts a site's storage back after its process is gone, and removes what is left of the child's folders.
    pub(super) fn empty(&self, id: ChildId) {
        for mounts in std::iter::once(&self.mounts).chain(self.in_memory.get()) {
            match mounts.empty(id) {
                Ok(Some(leftover)) => self.remover.run(|| leftover.remove()),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(
                        "the storage of a site stays where its process had it, until the next start: {error}"
                    );
                }
            }
        }
        let chosen = [self.profile.chosen(id), self.chosen_in_memory(id)];
        self.remover.run(move || {
            for folder in chosen {
                if let Err(error) = std::fs::remove_dir_all(&folder)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!("{} stays: {error}", folder.display());
                }
            }
        });
    }

    /// Returns the folder of a site's storage. `holder`: the child that has it.
    pub(super) fn storage(&self, host: &HostKey, holder: Option<ChildId>) -> PathBuf {
        let mounts = if host.is_throw_away() { self.in_memory.get() } else { Some(&self.mounts) };
        holder.zip(mounts).map_or_else(|| self.home(host), |(child, mounts)| mounts.bucket_of(child))
    }

    /// Keeps that a site is on the internet, beside its storage. Done off the event loop.
    pub(super) fn keep_public(&self, host: &HostKey) {
        let mark = self.mark(host);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = crate::profile::mark(&mark) {
                tracing::error!("the next start will not know that a site is on the internet: {error}");
            }
        });
    }

    /// Throws the storage of a site away that no process has. The receiver is told once nothing of it is left.
    pub(super) fn discard(&self, host: &HostKey) -> io::Result<oneshot::Receiver<()>> {
        let leftover = self.mounts_for(Some(host))?.discard_bucket(&self.home(host))?;
        match std::fs::remove_file(self.mark(host)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let (done, removed) = oneshot::channel();
        self.remover.run(move || {
            if let Some(leftover) = leftover {
                leftover.remove();
            }
            // The receiver may have gone.
            let _ = done.send(());
        });
        Ok(removed)
    }

    /// Makes an empty folder for files that the user picks for a host's pages. For a throw-away workspace it is in memory, and a
    /// link stands in its usual place.
    pub(super) fn make_chosen(&self, id: ChildId, host: Option<&HostKey>) -> io::Result<PathBuf> {
        let usual = self.profile.chosen(id);
        let folder = if host.is_some_and(HostKey::is_throw_away) { self.chosen_in_memory(id) } else { usual.clone() };
        std::fs::create_dir_all(&folder)?;
        // The host's process may run as another user; nothing in the folder is secret from it.
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        if folder != usual {
            std::fs::create_dir_all(usual.parent().unwrap_or(&usual))?;
            std::os::unix::fs::symlink(&folder, &usual)?;
        }
        Ok(folder)
    }

    fn chosen_in_memory(&self, id: ChildId) -> PathBuf {
        self.memory.join("chosen").join(id.to_string())
    }
}

/// Removes folders one after the other, off the event loop. A process leaves as many files as it likes: removing them takes one of
/// the threads for work that blocks, and leaves the others to snapshots and measurements.
#[derive(Debug)]
struct Remover(Arc<Semaphore>);

impl Remover {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    fn run(&self, remove: impl FnOnce() + Send + 'static) {
        let turn = Arc::clone(&self.0);
        tokio::spawn(async move {
            if let Ok(_turn) = turn.acquire().await
                && let Err(panic) = tokio::task::spawn_blocking(remove).await
            {
                tracing::error!("a folder is not removed before the next start: {panic}");
            }
        });
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn folders_are_removed_one_at_a_time_and_other_work_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(2).build().unwrap();
        runtime.block_on(async {
            let remover = Remover::new();
            let (release, held) = mpsc::channel::<()>();
            let (done, order) = tokio::sync::oneshot::channel();
            remover.run(move || held.recv().unwrap());
            remover.run(move || done.send(()).unwrap());
            // With both removals running at once, there would be no thread for this.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            tokio::task::spawn_blocking(|| {}).await.unwrap();
            release.send(()).unwrap();
            order.await.unwrap();
        });
    }
}
