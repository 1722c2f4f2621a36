//! Rules of supervision per role: timeouts, restart limits, escalation, and dependencies between roles.

use regen_proto::role::Role;
use std::time::Duration;

/// Consequence of dying too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escalation {
    /// The child waits for the user: a sad tab, with the reason and a button.
    GiveUp,
    /// The child is restarted slowly, and the status says that it struggles.
    KeepTrying,
}

/// Rules of one role.
#[derive(Debug, PartialEq, Eq)]
pub struct Rules {
    /// Time from the start to the handshake.
    pub ready_within: Duration,
    /// Time after which a heartbeat's answer is late.
    pub late: Duration,
    /// Time after which the child counts as hung. With [`HEARTBEAT_INTERVAL`], this bounds how long a hang goes unnoticed.
    pub hung: Duration,
    /// Time from being asked to end until being killed.
    pub grace: Duration,
    /// Number of deaths within `period` that are too many.
    pub intensity: usize,
    /// Time in which deaths are counted.
    pub period: Duration,
    /// Delay of the second restart; it doubles with each later one.
    pub first_delay: Duration,
    /// Maximum delay of a restart.
    pub longest_delay: Duration,
    /// Consequence of too many deaths.
    pub escalation: Escalation,
    /// Roles that this one depends on: grants to their services are renewed when they come back.
    pub needs: &'static [Role],
}

/// Time between heartbeats.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

const COMMON: Rules = Rules {
    ready_within: Duration::from_secs(30),
    late: Duration::from_millis(400),
    hung: Duration::from_millis(850),
    grace: Duration::from_secs(2),
    intensity: 3,
    period: Duration::from_secs(60),
    first_delay: Duration::from_millis(250),
    longest_delay: Duration::from_secs(30),
    escalation: Escalation::KeepTrying,
    needs: &[],
};

const TAB_HOST: Rules = Rules { escalation: Escalation::GiveUp, needs: &[Role::NetDaemon, Role::UiShell], ..COMMON };
/// Rules of the spare tab-host. Sites start without one, so the status does not mention that it is restarted slowly.
pub const SPARE: Rules =
    Rules { escalation: Escalation::KeepTrying, intensity: 8, longest_delay: Duration::from_secs(10), ..TAB_HOST };
/// Every page waits for the net-daemon: it is restarted more often before it is restarted slowly.
const NET_DAEMON: Rules = Rules { intensity: 8, longest_delay: Duration::from_secs(10), ..COMMON };
const AGENT_DAEMON: Rules = Rules { intensity: 8, ..COMMON };
const UI_SHELL: Rules = Rules { intensity: 8, longest_delay: Duration::from_secs(10), ..COMMON };

/// Returns the rules of a role.
#[must_use]
pub fn of(role: Role) -> &'static Rules {
    match role {
        Role::TabHost => &TAB_HOST,
        Role::NetDaemon => &NET_DAEMON,
        Role::AgentDaemon => &AGENT_DAEMON,
        Role::UiShell => &UI_SHELL,
    }
}

/// Returns the roles that depend on this one.
pub fn dependents(role: Role) -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(move |other| of(*other).needs.contains(&role))
}
