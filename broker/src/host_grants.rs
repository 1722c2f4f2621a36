//! Connections that a tab-host has to others, granted when both ends are ready.

use regen_proto::role::Role;

use crate::grants::{GrantError, Grants};
use crate::lookup::Lookup;
use crate::message::{ChildId, Outgoing};

/// The grants, and the components that say who is ready and which route holds.
#[derive(Debug)]
pub(crate) struct HostGrants<'a> {
    pub(crate) lookup: Lookup<'a>,
    pub(crate) grants: &'a mut Grants,
}

impl HostGrants<'_> {
    /// Grants a tab-host what it has of the net-daemon: its tunnel, and the connection for verdict channels.
    pub(crate) fn network(&mut self, host: ChildId) -> Result<Vec<Outgoing>, GrantError> {
        let mut messages = self.tunnel(host)?;
        if let (Some(net), Some(key)) = (self.lookup.ready(Role::NetDaemon), self.lookup.children.host(host)) {
            messages.extend(self.grants.verdict_channels(net, host, key)?);
        }
        Ok(messages)
    }

    /// Revokes a host's tunnel, which closes its connections, and grants it one with the route that holds now. Nothing
    /// where it has none.
    pub(crate) fn renew_tunnel(&mut self, host: ChildId) -> (Vec<Outgoing>, Result<Vec<Outgoing>, GrantError>) {
        let revoked = self.grants.revoke_tunnel(host);
        let is_ready = self.lookup.children.key(host).is_some_and(|key| self.lookup.supervisor.is_ready(&key));
        let granted = if revoked.is_empty() || !is_ready { Ok(Vec::new()) } else { self.tunnel(host) };
        (revoked, granted)
    }

    /// Grants the window and a host their surface channel, where there is a window.
    pub(crate) fn surface(&mut self, host: ChildId) -> Result<Vec<Outgoing>, GrantError> {
        let Some(window) = self.lookup.ready(Role::UiShell) else { return Ok(Vec::new()) };
        self.grants.surface(host, window)
    }

    fn tunnel(&mut self, host: ChildId) -> Result<Vec<Outgoing>, GrantError> {
        let Lookup { session, children, network, .. } = self.lookup;
        let (Some(net), Some(key)) = (self.lookup.ready(Role::NetDaemon), children.host(host)) else {
            return Ok(Vec::new());
        };
        let route = network.settings().routes.of(key);
        self.grants.tunnel(net, host, key, route, session.networks.may_be_private(key))
    }
}
