//! Clearing of sites' data. A site's storage is thrown away once its process has ended, and whoever asked is told when nothing
//! of it is left.

use std::collections::HashMap;
use std::io;

use regen_session::HostKey;
use tokio::sync::oneshot;

use crate::answer::{Answer, CommandError, answer};

/// Receives a word once a site's storage has been removed.
pub type Removed = oneshot::Receiver<()>;

/// Sites whose data is to be cleared as soon as their process has ended.
#[derive(Debug, Default)]
pub struct SiteData {
    waiting: HashMap<HostKey, Vec<Answer<Removed>>>,
    /// Workspaces that are gone, and of which processes may still live.
    ending: HashMap<String, Vec<oneshot::Sender<()>>>,
}

impl SiteData {
    /// Notes that a site is to be cleared.
    pub fn wait(&mut self, host: HostKey, to: Answer<Removed>) {
        self.waiting.entry(host).or_default().push(to);
    }

    /// Notes that the storage of a workspace is to be removed.
    pub fn workspace_ends(&mut self, workspace: &str) {
        self.ending.entry(workspace.to_owned()).or_default();
    }

    /// Returns who is told once the storage of a workspace that is about to end has been removed. Where it cannot be, the receiver
    /// hears that there is nobody left to tell it.
    pub fn expect_end(&mut self, workspace: &str) -> Removed {
        let (done, removed) = oneshot::channel();
        self.ending.entry(workspace.to_owned()).or_default().push(done);
        removed
    }

    /// Returns whether the storage of a workspace is to be removed.
    #[must_use]
    pub fn is_ending(&self, workspace: &str) -> bool {
        self.ending.contains_key(workspace)
    }

    /// Notes that no process of a workspace lives any more, and that its storage is being removed. Those who wait are told at
    /// the end of that.
    pub fn workspace_ended(&mut self, workspace: &str, removing: Option<Removed>) {
        let waiting = self.ending.remove(workspace).unwrap_or_default();
        if waiting.is_empty() {
            return;
        }
        tokio::spawn(async move {
            // Where nothing could be removed, the reason was told.
            if let Some(removing) = removing
                && removing.await.is_ok()
            {
                // The receiver may be gone.
                for done in waiting {
                    let _ = done.send(());
                }
            }
        });
    }

    /// Returns whether a site is to be cleared.
    #[must_use]
    pub fn is_waiting(&self, host: &HostKey) -> bool {
        self.waiting.contains_key(host)
    }

    /// Tells those who asked what became of a site's storage.
    pub fn discarded(&mut self, host: &HostKey, result: io::Result<Removed>) {
        let mut removed = Some(result.map_err(|error| CommandError::Storage(host.site.to_string(), error.to_string())));
        for to in self.waiting.remove(host).unwrap_or_default() {
            // The others are told of the same removal, of which nothing is left to wait for.
            let again = removed.as_ref().and_then(|removed| removed.as_ref().err().cloned());
            let told = if again.is_some() { again.map(Err) } else { removed.take() };
            answer(to, told.unwrap_or_else(|| Ok(finished())));
        }
    }
}

fn finished() -> Removed {
    let (done, removed) = oneshot::channel();
    // The receiver is here.
    let _ = done.send(());
    removed
}

#[cfg(test)]
mod tests {
    use regen_net_config::site::Site;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_the_end_of_a_workspace_is_told_once_nothing_is_left() {
        let mut data = SiteData::default();
        let mut told = data.expect_end("work");
        data.workspace_ends("work");
        assert!(data.is_ending("work") && told.try_recv().is_err());
        let (done, removing) = oneshot::channel();
        data.workspace_ended("work", Some(removing));
        assert!(!data.is_ending("work"));
        done.send(()).unwrap();
        told.await.unwrap();
        // Where nothing could be removed, nobody is told that it was.
        let told = data.expect_end("work");
        data.workspace_ended("work", None);
        assert!(told.await.is_err());
    }

    #[test]
    fn everybody_who_asked_is_told_once() {
        let host = HostKey { site: Site::of("https://a.test/").unwrap(), workspace: String::new() };
        let mut data = SiteData::default();
        let (first, mut told_first) = oneshot::channel();
        let (second, mut told_second) = oneshot::channel();
        data.wait(host.clone(), first);
        data.wait(host.clone(), second);
        assert!(data.is_waiting(&host));
        data.discarded(&host, Err(io::Error::other("the disk")));
        for told in [&mut told_first, &mut told_second] {
            let error = told.try_recv().unwrap().unwrap_err();
            assert!(error.to_string().contains("the disk"), "{error}");
        }
        assert!(!data.is_waiting(&host));
        data.discarded(&host, Err(io::Error::other("again")));
    }
}
