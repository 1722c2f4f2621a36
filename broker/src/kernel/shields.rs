//! Shields, and encryption: what the user has chosen.

use regen_net_config::site::Site;

use super::Kernel;
use crate::session::{Event, HostKey};
use crate::shields::{Level, ShieldsSettings, TooManySites};

impl Kernel {
    /// The user wants more or less of them.
    pub(super) fn choose_shields(&mut self, site: Option<&Site>, level: Option<Level>) -> Result<(), TooManySites> {
        let before = self.settings.shields.clone();
        self.settings.shields.choose(site, level)?;
        self.store.put_shields(self.settings.shields.clone());
        let (site, level) = (site.map(Site::as_str), level.map(|level| level.to_string()));
        self.audit.record("shields", serde_json::json!({ "site": site, "level": level }));
        self.tell_net();
        // What strict makes alike is so for a process from its start; who is looked at keeps theirs until it ends.
        let is_strict = |settings: &ShieldsSettings, host: &HostKey| settings.of(&host.site) == Level::Strict;
        let changed = |host: &&HostKey| is_strict(&before, host) != is_strict(&self.settings.shields, host);
        let hosts = self.session.hosts.keys().filter(changed).filter(|host| self.session.can_sleep(host));
        for host in hosts.cloned().collect::<Vec<_>>() {
            self.apply(Event::Sleep(host));
        }
        Ok(())
    }

    /// The user insists on encryption, or no longer.
    pub(super) fn choose_https_only(&mut self, site: Option<&Site>, on: Option<bool>) {
        self.settings.https_only.choose(site, on);
        self.store.put_https_only(self.settings.https_only.clone());
        self.audit.record("https_only", serde_json::json!({ "site": site.map(Site::as_str), "on": on }));
        self.apply(Event::HttpsOnly(self.settings.https_only.clone()));
    }
}
