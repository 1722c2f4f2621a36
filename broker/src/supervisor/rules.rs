//! What differs between roles: how much time they get, how often they may die, what happens then, and who needs whom.

use std::time::Duration;

use regen_proto::kernel::v1::Role;

/// What happens to a child that dies too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escalation {
    /// It waits for the user: a sad tab, with the reason and a button.
    GiveUp,
    /// It is tried again, slowly, and the status says that it struggles.
    KeepTrying,
}

/// The rules of one role.
#[derive(Debug, PartialEq, Eq)]
pub struct Rules {
    /// From the start to the handshake.
    pub ready_within: Duration,
    /// An answer that takes longer is late.
    pub late: Duration,
    /// And longer than this does not come. With [`ASK`] this is how long a hang goes unnoticed.
    pub hung: Duration,
    /// From being asked to end to the end.
    pub grace: Duration,
    /// So many deaths …
    pub intensity: usize,
    /// … within this time are too many.
    pub period: Duration,
    /// How long the second restart waits; each later one twice as long.
    pub first_delay: Duration,
    /// But no longer than this.
    pub longest_delay: Duration,
    /// What happens then.
    pub escalation: Escalation,
    /// Roles without which it cannot do its work: what it is granted of them is granted anew when they come back.
    pub needs: &'static [Role],
}

/// How often a child is asked for a sign of life.
pub const ASK: Duration = Duration::from_secs(1);

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
/// A site that it would be for does without it: nobody needs to know that it is tried slowly.
pub const SPARE: Rules =
    Rules { escalation: Escalation::KeepTrying, intensity: 8, longest_delay: Duration::from_secs(10), ..TAB_HOST };
/// Every page waits for it: it is tried more often before it is tried slowly.
const NET_DAEMON: Rules = Rules { intensity: 8, longest_delay: Duration::from_secs(10), ..COMMON };
const AGENT_DAEMON: Rules = Rules { intensity: 8, ..COMMON };
const UI_SHELL: Rules = Rules { intensity: 8, longest_delay: Duration::from_secs(10), ..COMMON };

/// The rules of a role.
#[must_use]
pub fn of(role: Role) -> &'static Rules {
    match role {
        Role::TabHost => &TAB_HOST,
        Role::NetDaemon => &NET_DAEMON,
        Role::AgentDaemon => &AGENT_DAEMON,
        Role::UiShell => &UI_SHELL,
        Role::Unspecified => &COMMON,
    }
}

/// The roles that need this one.
pub fn who_needs(role: Role) -> impl Iterator<Item = Role> {
    let all = [Role::TabHost, Role::NetDaemon, Role::AgentDaemon, Role::UiShell];
    all.into_iter().filter(move |other| of(*other).needs.contains(&role))
}
