//! The spare: a tab-host that is up, in its sandbox, with its toolkit and display, and waits for a site. The next site that
//! needs a process takes it, and is spared that wait.

use regen_proto::kernel::v1::{Role, ShieldsLevel, ShowSite};
use regen_proto::validate::BrokerToChild;

use super::Kernel;
use super::child::ChildId;
use super::supervision::Key;
use crate::session::{self, Event as SessionEvent, HostKey, Phase, Side};
use crate::supervisor::{Event, Machine};

/// A page that loads for ever does not keep the spare away for ever. In seconds.
const MAX_DEFERRALS: u32 = 5;

impl Kernel {
    /// Once a second: there should be one, once nothing more urgent is being done, or is done for too long.
    pub(super) fn keep_spare(&mut self) {
        let is_there = self.machines.get(&Key::Spare).is_some_and(Machine::has_process);
        let is_busy = self.machines.values().any(Machine::is_starting)
            || self.session.tabs.values().any(|tab| matches!(tab.phase, Phase::Loading | Phase::Recovering));
        self.spare_missed = if is_there { 0 } else { self.spare_missed + 1 };
        if self.options.spare && !self.quitting && !is_there && (!is_busy || self.spare_missed > MAX_DEFERRALS) {
            self.supervise(&Key::Spare, Event::Wanted);
        }
    }

    /// Gives the spare to a site. False when there is none that could be given.
    pub(super) fn take_spare(&mut self, host: &HostKey) -> bool {
        let Some(id) = self.child_of(&Key::Spare).filter(|id| self.is_ready(*id)) else { return false };
        if let Err(error) = self.fill_slot(id, host) {
            tracing::error!("the spare cannot have the storage of {}: {error}", host.site);
            return false;
        }
        // Its life as a spare is over, without a death.
        self.machines.remove(&Key::Spare);
        if let Some(child) = self.children.get_mut(&id) {
            child.asked = None;
            child.who.rename(format!("tab-host {}", host.site));
            child.host = Some(host.clone());
        }
        let level = ShieldsLevel::from(self.settings.shields.of(&host.site));
        let site = host.site.as_str().to_owned();
        self.audit.record("spare_taken", serde_json::json!({ "child": id, "site": site }));
        self.send(id, BrokerToChild::Site(ShowSite { site, level: level.into() }), Vec::new());
        self.give_cookies(id);
        true
    }

    /// Moves a site's storage to where a child's sandbox has it.
    pub(super) fn fill_slot(&mut self, id: ChildId, host: &HostKey) -> std::io::Result<()> {
        let bucket = self.profile.bucket(&host.workspace, &host.site.folder());
        if let Some(holder) = self.bucket_mounts.holder(&bucket)? {
            let words = format!("the site's storage could not be put back ({}): start Regen again", holder.display());
            return Err(std::io::Error::other(words));
        }
        Self::make_bucket(&bucket, Role::TabHost)?;
        if self.profile.public_mark(&host.workspace, &host.site.folder()).exists() {
            let event = SessionEvent::SiteFound { host: host.clone(), side: Side::Public };
            session::reduce(&mut self.session, event);
        }
        self.bucket_mounts.fill(id, &bucket)
    }

    /// And back, when the child is gone.
    pub(super) fn empty_slot(&self, id: ChildId) {
        match self.bucket_mounts.empty(id) {
            Ok(leftover) => drop(leftover.map(|leftover| tokio::task::spawn_blocking(move || leftover.remove()))),
            Err(error) => {
                tracing::error!("the storage of a site stays where its process had it, until the next start: {error}");
            }
        }
    }
}
