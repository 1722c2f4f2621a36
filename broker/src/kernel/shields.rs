//! Shields, and encryption: what the user has chosen.

use regen_proto::site::Site;

use super::Kernel;
use crate::session::Event;
use crate::shields::{Level, TooManySites};

impl Kernel {
    /// The user wants more or less of them.
    pub(super) fn choose_shields(&mut self, site: Option<&Site>, level: Option<Level>) -> Result<(), TooManySites> {
        self.choices.shields.choose(site, level)?;
        self.store.put_shields(self.choices.shields.clone());
        let (site, level) = (site.map(Site::as_str), level.map(|level| level.to_string()));
        self.audit.record("shields", serde_json::json!({ "site": site, "level": level }));
        self.tell_net();
        Ok(())
    }

    /// The user insists on encryption, or no longer.
    pub(super) fn choose_https_only(&mut self, site: Option<&Site>, on: Option<bool>) {
        self.choices.https_only.choose(site, on);
        self.store.put_https_only(self.choices.https_only.clone());
        self.audit.record("https_only", serde_json::json!({ "site": site.map(Site::as_str), "on": on }));
        self.apply(Event::HttpsOnly(self.choices.https_only.clone()));
    }
}
