//! Permission to save files: a click saves one file. For more, or without a click, the user is asked once per site.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use regen_session::{HostKey, TabId};

/// Time after a click or key in which it lets a page save a file.
const GESTURE: Duration = Duration::from_secs(5);
/// Maximum number of files per site that wait for the user's answer; further ones are refused.
const MAX_WAITING: usize = 20;

/// Decision on a file that a page wants to save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Save it at once.
    Save,
    /// Let it wait, and ask the user.
    Ask,
    /// Do not save it.
    Refuse,
}

/// Answer of the user for a site, in this run.
#[derive(Debug)]
enum Answer {
    Allowed,
    Refused,
    /// The user was asked; the files wait.
    Asked(Vec<QueuedFile>),
}

/// A file that waits for the user's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueuedFile {
    /// Tab whose page wants to save it.
    pub(super) tab: TabId,
    /// Number that the host gave it.
    pub(super) download: u64,
}

/// Permissions of all sites.
#[derive(Debug, Default)]
pub(super) struct DownloadPermissions {
    sites: HashMap<HostKey, Answer>,
    /// Last gesture of each tab that was used to save a file.
    used: HashMap<TabId, Instant>,
}

impl DownloadPermissions {
    /// Decides on a file that a page wants to save. `gesture`: the last click or key in its tab.
    pub(super) fn wanted(
        &mut self,
        host: &HostKey,
        file: QueuedFile,
        gesture: Option<Instant>,
        now: Instant,
    ) -> Decision {
        let tab = file.tab;
        let fresh = gesture.filter(|at| now.saturating_duration_since(*at) < GESTURE);
        if let Some(at) = fresh
            && self.used.get(&tab) != Some(&at)
        {
            self.used.insert(tab, at);
            return Decision::Save;
        }
        match self.sites.entry(host.clone()).or_insert_with(|| Answer::Asked(Vec::new())) {
            Answer::Allowed => Decision::Save,
            Answer::Refused => Decision::Refuse,
            Answer::Asked(waiting) if waiting.len() < MAX_WAITING => {
                waiting.push(file);
                Decision::Ask
            }
            Answer::Asked(_) => Decision::Refuse,
        }
    }

    /// Takes the user's answer whether a site may save files. Returns the files that waited.
    pub(super) fn answer(&mut self, host: &HostKey, allow: bool) -> Vec<QueuedFile> {
        let answer = if allow { Answer::Allowed } else { Answer::Refused };
        match self.sites.insert(host.clone(), answer) {
            Some(Answer::Asked(waiting)) => waiting,
            Some(Answer::Allowed | Answer::Refused) | None => Vec::new(),
        }
    }

    /// Returns the sites that the user is asked about, with the number of files that wait and one of their tabs.
    pub(super) fn questions(&self) -> impl Iterator<Item = (&HostKey, usize, TabId)> {
        self.sites.iter().filter_map(|(host, answer)| match answer {
            Answer::Asked(waiting) => Some((host, waiting.len(), waiting.first()?.tab)),
            Answer::Allowed | Answer::Refused => None,
        })
    }

    /// Forgets a file that waits and will not be there.
    pub(super) fn withdraw(&mut self, host: &HostKey, download: u64) {
        if let Some(Answer::Asked(waiting)) = self.sites.get_mut(host) {
            waiting.retain(|file| file.download != download);
            if waiting.is_empty() {
                self.sites.remove(host);
            }
        }
    }

    /// Forgets the files of a host that is gone.
    pub(super) fn host_gone(&mut self, host: &HostKey) {
        if matches!(self.sites.get(host), Some(Answer::Asked(_))) {
            self.sites.remove(host);
        }
    }

    /// Forgets a tab that is closed.
    pub(super) fn tab_closed(&mut self, tab: TabId) {
        self.used.remove(&tab);
    }
}

#[cfg(test)]
mod tests {
    use regen_net_config::site::Site;

    use super::*;

    fn host() -> HostKey {
        HostKey { site: Site::of("https://a.test/").unwrap(), workspace: String::new() }
    }

    fn file(download: u64) -> QueuedFile {
        QueuedFile { tab: 1, download }
    }

    #[test]
    fn a_click_saves_one_file_and_the_user_is_asked_about_more() {
        let (mut permissions, now) = (DownloadPermissions::default(), Instant::now());
        let click = Some(now);
        assert_eq!(permissions.wanted(&host(), file(1), click, now), Decision::Save);
        assert_eq!(permissions.wanted(&host(), file(2), click, now), Decision::Ask);
        assert_eq!(permissions.wanted(&host(), file(3), None, now), Decision::Ask);
        assert_eq!(permissions.questions().collect::<Vec<_>>(), [(&host(), 2, 1)]);
        // Another click saves another file, even while the question is open.
        let later = now + Duration::from_secs(1);
        assert_eq!(permissions.wanted(&host(), file(4), Some(later), later), Decision::Save);
        assert_eq!(permissions.answer(&host(), true), [file(2), file(3)]);
        assert_eq!(permissions.wanted(&host(), file(5), None, now), Decision::Save);
        assert_eq!(permissions.questions().count(), 0);
    }

    #[test]
    fn hidden_frames_fill_no_disk() {
        let (mut permissions, now) = (DownloadPermissions::default(), Instant::now());
        let saved = (0..990).filter(|n| permissions.wanted(&host(), file(*n), None, now) != Decision::Refuse).count();
        assert_eq!(saved, MAX_WAITING);
        assert_eq!(permissions.answer(&host(), false).len(), MAX_WAITING);
        assert_eq!(permissions.wanted(&host(), file(1), None, now), Decision::Refuse);
        // The control: a click still saves a file.
        assert_eq!(permissions.wanted(&host(), file(2), Some(now), now), Decision::Save);
        let late = now + GESTURE;
        assert_eq!(
            permissions.wanted(&host(), file(3), Some(now + Duration::from_millis(1)), late + GESTURE),
            Decision::Refuse
        );
    }
}
