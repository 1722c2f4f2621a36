//! Shields: what the user has chosen goes to the net-daemon.

use regen_proto::convert::ForChild;
use regen_proto::kernel::v1::{Configure, Role};
use regen_proto::site::Site;

use super::Kernel;
use super::child::ChildId;
use crate::shields::{Level, TooManySites};

impl Kernel {
    pub(super) fn tell_shields(&mut self, net: ChildId) {
        let configure = Configure { shields: Some(self.choices.shields.to_wire()), ..Configure::default() };
        self.send(net, ForChild::Configure(configure), Vec::new());
    }

    /// The user wants more or less of them.
    pub(super) fn choose_shields(&mut self, site: Option<&Site>, level: Option<Level>) -> Result<(), TooManySites> {
        self.choices.shields.choose(site, level)?;
        self.store.put_shields(self.choices.shields.clone());
        let (site, level) = (site.map(Site::as_str), level.map(|level| level.to_string()));
        self.audit.record("shields", serde_json::json!({ "site": site, "level": level }));
        if let Some(net) = self.ready_child_of_role(Role::NetDaemon) {
            self.tell_shields(net);
        }
        Ok(())
    }
}
