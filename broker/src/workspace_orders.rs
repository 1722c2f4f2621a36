//! Orders about workspaces, carried out with the components that they concern.

use regen_net_config::host::is_throw_away;
use regen_net_config::settings::scope::Scope;
use regen_session::Event;
use regen_session::workspaces::WorkspaceError;
use tokio::sync::oneshot;

use crate::answer::CommandError;
use crate::broker::Broker;
use crate::network;
use crate::workspaces::{Done, Edit, Order};

/// The broker, as it is ordered about workspaces.
pub(crate) struct WorkspaceOrders<'a> {
    broker: &'a mut Broker,
}

impl<'a> WorkspaceOrders<'a> {
    pub(crate) fn new(broker: &'a mut Broker) -> Self {
        Self { broker }
    }

    /// Carries out an order whose workspaces are given by name or identifier.
    pub(crate) fn by_name(&mut self, order: Order) -> Result<Done, CommandError> {
        let find = |name: String| self.broker.session.workspaces.find(&name);
        let order = match order {
            Order::Create { .. } | Order::CreateThrowAway { .. } => order,
            Order::Edit { workspace, edit } => Order::Edit { workspace: find(workspace)?, edit },
            Order::Show(workspace) => Order::Show(find(workspace)?),
            Order::Delete(workspace) => Order::Delete(find(workspace)?),
            Order::SetHome { site, workspace } => Order::SetHome { site, workspace: workspace.map(find).transpose()? },
            Order::Move { tab, workspace } => Order::Move { tab, workspace: find(workspace)? },
        };
        self.carry_out(order)
    }

    /// Carries out an order.
    pub(crate) fn carry_out(&mut self, order: Order) -> Result<Done, CommandError> {
        match order {
            Order::Create { name, colour, show } => {
                let id = self.broker.session.workspaces.create(&name, colour)?;
                self.record("create", &id);
                return Ok(Done::Created(self.made(id, show)));
            }
            Order::CreateThrowAway { show } => {
                let id = self.broker.session.workspaces.create_throw_away()?;
                return Ok(Done::Created(self.made(id, show)));
            }
            Order::Edit { workspace, edit } => self.edit(&workspace, edit)?,
            Order::Show(workspace) => {
                self.known(&workspace)?;
                self.broker.apply(Event::ShowWorkspace(workspace));
            }
            Order::Delete(workspace) => {
                self.broker.session.workspaces.check_delete(&workspace)?;
                self.record("delete", &workspace);
                // Before the end, which may be at once.
                let removed = self.broker.site_data.expect_end(&workspace);
                self.broker.apply(Event::DeleteWorkspace(workspace));
                return Ok(Done::Deleted(removed));
            }
            Order::SetHome { site, workspace } => {
                self.broker.session.workspaces.set_home(site.host(), workspace.as_deref())?;
                self.broker.workspaces_changed();
            }
            Order::Move { tab, workspace } => {
                self.known(&workspace)?;
                if !self.broker.session.tabs.contains_key(&tab) {
                    return Err(CommandError::NoSuchTab(tab));
                }
                self.broker.apply(Event::MoveToWorkspace { tab, workspace });
            }
        }
        Ok(Done::Changed)
    }

    fn made(&mut self, id: String, show: bool) -> String {
        if show {
            self.broker.apply(Event::ShowWorkspace(id.clone()));
        }
        self.broker.workspaces_changed();
        id
    }

    fn known(&self, workspace: &str) -> Result<(), WorkspaceError> {
        let found = self.broker.session.workspaces.get(workspace);
        found.map(drop).ok_or_else(|| WorkspaceError::Unknown(workspace.to_owned()))
    }

    fn edit(&mut self, workspace: &str, edit: Edit) -> Result<(), CommandError> {
        self.known(workspace)?;
        let Edit { name, colour, route, shields } = edit;
        if let Some(name) = name {
            self.broker.session.workspaces.rename(workspace, &name)?;
        }
        if let Some(colour) = colour {
            self.broker.session.workspaces.recolour(workspace, colour)?;
        }
        // The answers are for those who wait for them; nobody does.
        if let Some(route) = route {
            let scope = Scope::Workspace(workspace.to_owned());
            self.network(network::Command::SetRoute { scope, route, answer: oneshot::channel().0 });
        }
        if let Some(level) = shields {
            let scope = Scope::Workspace(workspace.to_owned());
            self.network(network::Command::SetShields { scope, level, answer: oneshot::channel().0 });
        }
        self.broker.workspaces_changed();
        Ok(())
    }

    fn network(&mut self, command: network::Command) {
        let actions = self.broker.network.command(command, true);
        self.broker.after_network(actions);
    }

    /// Records an order. A throw-away workspace leaves no trace here either.
    fn record(&self, what: &str, workspace: &str) {
        if !is_throw_away(workspace) {
            self.broker.audit.record("workspace", serde_json::json!({ "what": what, "workspace": workspace }));
        }
    }
}
