//! Forgetting: clearing a site's data, and the end of a workspace with everything in it. Each component forgets its part at once,
//! and storage is thrown away as soon as no process has it.

use regen_net_config::host::is_throw_away;
use regen_session::{Event, HostKey};
use regen_supervisor::Key;

use crate::answer::Answer;
use crate::broker::Broker;
use crate::lookup::host_of;
use crate::site_data::Removed;

/// The broker, as it forgets.
pub(crate) struct Forgetting<'a> {
    broker: &'a mut Broker,
}

impl<'a> Forgetting<'a> {
    pub(crate) fn new(broker: &'a mut Broker) -> Self {
        Self { broker }
    }

    /// Clears the data of a site: at once, or as soon as its process has ended.
    pub(crate) fn clear_site(&mut self, host: HostKey, to: Answer<Removed>) {
        self.broker.site_data.wait(host.clone(), to);
        let actions = self.broker.window.clear_site(&host);
        self.broker.after_window(actions);
        let actions = self.broker.permissions.forget_site(&host);
        self.broker.after_permissions(actions);
        self.broker.apply(Event::ClearSite(host.clone()));
        if self.broker.children.of_key(&Key::Host(host.clone())).is_none() {
            self.discard_site(&host);
        }
    }

    /// Forgets everything of a workspace that is gone: at once, and the storage of its sites once their processes have ended.
    pub(crate) fn workspace_ended(&mut self, workspace: &str) {
        self.broker.persistence.forget_workspace(workspace);
        if !is_throw_away(workspace) {
            self.broker.kept.forget_workspace(workspace);
        }
        self.broker.network.forget_workspace(workspace);
        let actions = self.broker.window.forget_workspace(workspace);
        self.broker.after_window(actions);
        let actions = self.broker.permissions.forget_workspace(workspace);
        self.broker.after_permissions(actions);
        self.broker.site_data.workspace_ends(workspace);
        self.discard_workspace(workspace);
    }

    /// Takes the end of a host's process, after which its storage can be removed.
    pub(crate) fn host_ended(&mut self, host: &HostKey) {
        if self.broker.site_data.is_waiting(host) {
            // Before its site can get another process.
            self.discard_site(host);
        }
        self.discard_workspace(&host.workspace);
    }

    /// Goes on with the removal of workspaces that an earlier run could not finish.
    pub(crate) fn go_on(&mut self) {
        let left: Vec<String> = self.broker.session.workspaces.removing().map(str::to_owned).collect();
        left.iter().for_each(|workspace| self.workspace_ended(workspace));
    }

    fn discard_workspace(&mut self, workspace: &str) {
        if !self.broker.site_data.is_ending(workspace) || self.broker.children.has_host_in(workspace) {
            return;
        }
        // A host that was just ending may have sent something, or saved a file, after the workspace was gone.
        self.broker.persistence.forget_workspace(workspace);
        let actions = self.broker.window.forget_workspace(workspace);
        self.broker.after_window(actions);
        let removing = self.broker.children.discard_workspace(workspace);
        match &removing {
            Ok(_) => {
                self.broker.session.workspaces.removed(workspace);
                self.broker.workspaces_changed();
            }
            Err(error) => {
                tracing::error!("the storage of a workspace is not removed: {error}");
                let text = format!("What the workspace's sites stored is removed at the next start: {error}");
                self.broker.notice("error", text);
            }
        }
        self.broker.site_data.workspace_ended(workspace, removing.ok());
    }

    fn discard_site(&mut self, host: &HostKey) {
        let discarded = self.broker.children.discard_storage(host);
        if discarded.is_ok() {
            self.broker.persistence.keep_cookies(host.clone(), Vec::new());
            // A snapshot may have been on its way when the process was ended.
            self.broker.apply(Event::ClearSite(host.clone()));
        }
        self.broker.site_data.discarded(host, discarded);
        if let Some(tab) =
            self.broker.session.active.filter(|tab| host_of(&self.broker.session, *tab).as_ref() == Some(host))
        {
            self.broker.apply(Event::Reload { tab, bypass_cache: false });
        }
    }
}
