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
}

impl SiteData {
    /// Notes that a site is to be cleared.
    pub fn wait(&mut self, host: HostKey, to: Answer<Removed>) {
        self.waiting.entry(host).or_default().push(to);
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
