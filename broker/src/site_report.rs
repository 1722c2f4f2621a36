//! Report on a site: its process, its storage, its route, and the requests that shields stopped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regen_net_config::settings::permissions::PermissionKind;
use regen_net_config::settings::shields::Level;
use regen_session::HostKey;
use serde::Deserialize;

use crate::children::proportional_kb;
use crate::control::PageAnswer;
use crate::network::{BlockedRequest, NetAdmin};
use crate::permissions::PermissionState;

/// Maximum number of stopped requests in a report, newest first.
const MAX_BLOCKED: usize = 40;
/// Maximum number of files that are counted: a page may store as many as it likes.
const MAX_FILES: u64 = 200_000;
/// Timeout of the net-daemon's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout of the page's answer: its process may be busy.
const PAGE_TIMEOUT: Duration = Duration::from_millis(700);

/// Report on a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteReport {
    /// Site and workspace.
    pub host: HostKey,
    /// Process; 0: none.
    pub pid: i32,
    /// Proportional memory of the process and its helpers, in KB: what they share with others counts in part.
    pub memory_kb: u64,
    /// Size of the site's storage, in bytes.
    pub storage_bytes: u64,
    /// Number of files of the storage; [`MAX_FILES`] stands for more.
    pub storage_files: u64,
    /// Hops of the route in their order.
    pub route: String,
    /// Level of the shields.
    pub level: Level,
    /// The user chose the level for this site.
    pub has_own_level: bool,
    /// Requests that shields stopped, newest first.
    pub blocked: Vec<BlockedRequest>,
    /// State of every right.
    pub permissions: Vec<(PermissionKind, PermissionState)>,
    /// Certificate and cookies, as the site's process says.
    pub connection: Connection,
}

/// Certificate and cookies of a page, as its process says: nothing of it is more than a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Connection {
    /// Certificate; `None`: the connection is not encrypted.
    pub certificate: Option<Certificate>,
    /// Cookies, without their values.
    pub cookies: Vec<Cookie>,
}

/// A certificate. Times are in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Certificate {
    /// Name of its owner.
    pub subject: String,
    /// Name of the authority that signed it.
    pub issuer: String,
    /// Start of its validity.
    pub from: u64,
    /// End of its validity.
    pub until: u64,
}

/// A cookie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Cookie {
    /// Name.
    pub name: String,
    /// Size of name and value.
    pub bytes: u64,
    /// Hosts that get it.
    pub domain: String,
    /// Seconds since 1970; 0: with the session.
    pub expires: u64,
}

/// Everything that a report is gathered from, off the event loop.
#[derive(Debug)]
pub struct SiteQuery {
    /// Report without what takes time to find out.
    pub report: SiteReport,
    /// Processes of the site.
    pub pids: Vec<i32>,
    /// Folder of the site's storage.
    pub storage: PathBuf,
    /// Client of the net-daemon; `None`: it does not run.
    pub admin: Option<NetAdmin>,
    /// Answer of the page about its connection; `None`: it is not asked.
    pub page: Option<PageAnswer>,
}

impl SiteQuery {
    /// Finds out what takes time.
    pub async fn gather(self) -> SiteReport {
        let Self { mut report, pids, storage, admin, page } = self;
        let measured = tokio::task::spawn_blocking(move || {
            let memory_kb = pids.into_iter().map(proportional_kb).sum();
            (memory_kb, size_of(&storage))
        });
        let host = report.host.clone();
        let blocked = async {
            let log = admin?.blocked();
            tokio::time::timeout(ANSWER_TIMEOUT, log).await.ok()
        };
        let connection = async {
            let answer = tokio::time::timeout(PAGE_TIMEOUT, page?).await.ok()?.ok()?;
            let (reply, _) = answer;
            serde_json::from_str(&reply.text).ok()
        };
        let (measured, blocked, connection) = tokio::join!(measured, blocked, connection);
        report.connection = connection.unwrap_or_default();
        if let Ok((memory_kb, (bytes, files))) = measured {
            (report.memory_kb, report.storage_bytes, report.storage_files) = (memory_kb, bytes, files);
        }
        let its = blocked
            .unwrap_or_default()
            .into_iter()
            .filter(|one| one.site == host.site.as_str() && one.workspace == host.workspace);
        report.blocked = its.rev().take(MAX_BLOCKED).collect();
        report
    }
}

/// Returns the bytes that the files of a folder take, and their number. What disappears meanwhile does not count.
fn size_of(folder: &Path) -> (u64, u64) {
    let (mut bytes, mut files) = (0, 0);
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.filter_map(io::Result::ok) {
            // Links are not followed.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                folders.push(entry.path());
            } else {
                (bytes, files) = (bytes + found.len(), files + 1);
            }
            if files >= MAX_FILES {
                return (bytes, files);
            }
        }
    }
    (bytes, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_folder_are_counted_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/one"), [0; 100]).unwrap();
        fs::write(folder.path().join("two"), [0; 23]).unwrap();
        std::os::unix::fs::symlink("/usr", folder.path().join("link")).unwrap();
        let (bytes, files) = size_of(folder.path());
        assert_eq!(files, 3);
        assert!((123..200).contains(&bytes), "{bytes}");
        assert_eq!(size_of(&folder.path().join("none")), (0, 0));
    }
}
