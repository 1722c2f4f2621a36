//! Roles: the kinds of process that the broker starts. Their names appear in policies, logs, the audit log and the
//! control API.

use std::fmt;

use crate::kernel::v1 as wire;

/// Role of a child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Shows the pages of one site.
    TabHost,
    /// Accesses the network, as the only process.
    NetDaemon,
    /// Runs the tasks of agents.
    AgentDaemon,
    /// Shows the window.
    UiShell,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::TabHost, Self::NetDaemon, Self::AgentDaemon, Self::UiShell];

    /// Returns the role's name, which is also the name of its policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TabHost => "tab-host",
            Self::NetDaemon => "net-daemon",
            Self::AgentDaemon => "agent-daemon",
            Self::UiShell => "ui-shell",
        }
    }

    /// Returns the role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Role> for wire::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::TabHost => Self::TabHost,
            Role::NetDaemon => Self::NetDaemon,
            Role::AgentDaemon => Self::AgentDaemon,
            Role::UiShell => Self::UiShell,
        }
    }
}

/// Configuration of a role, which the broker sends to its children.
pub trait Configuration: Sized {
    /// Role that is configured with it.
    const ROLE: Role;

    /// Returns the configuration in a message; `None` if it is for another role.
    fn of(message: wire::Configure) -> Option<Self>;
}

macro_rules! configuration {
    ($($message:ident => $role:ident),+) => {$(
        impl Configuration for wire::$message {
            const ROLE: Role = Role::$role;

            fn of(message: wire::Configure) -> Option<Self> {
                match message.role? {
                    wire::configure::Role::$role(configuration) => Some(configuration),
                    _ => None,
                }
            }
        }
    )+};
}

configuration! {
    TabHostConfiguration => TabHost,
    NetDaemonConfiguration => NetDaemon,
    AgentDaemonConfiguration => AgentDaemon,
    UiShellConfiguration => UiShell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_is_found_by_its_name() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("broker"), None, "the broker is no child");
    }
}
