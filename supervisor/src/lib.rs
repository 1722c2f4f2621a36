//! The supervisor: the only place that decides when a child starts or comes back, and when a silent one ends. A violation, a
//! memory limit or the session ends a child, too; what follows is decided here.
//!
//! The session says which hosts are wanted, and the broker which daemons. The supervisor compares that with what it observes
//! (deaths, handshakes, heartbeats, time) and returns what is to be done. It starts no process itself and reads no clock.

mod backing_off;
mod crashed;
mod degraded;
mod given_up;
mod hibernation;
mod machine;
mod ready;
mod rules;
mod starting;
mod stopped;
mod stopping;
#[cfg(test)]
mod supervisor_tests;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use regen_proto::role::Role;

use regen_session::HostKey;

pub use hibernation::{Hibernation, Sleeper, memory_pressure};
use machine::MachineAction;
pub use machine::{Event, Machine};
pub use rules::{Escalation, HEARTBEAT_INTERVAL, Rules, SPARE, dependents, of};

/// Time between ticks.
pub const TICK: Duration = Duration::from_millis(100);
/// Ticks between two removals of machines that nothing needs any more.
const PRUNE_TICKS: u64 = 100;
/// Seconds for which starting and loading children defer a new spare. A page that loads for ever does not defer it for ever.
const MAX_SPARE_DEFERRAL_S: u32 = 5;

/// Identity of a supervised child, over all its processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// The host of a site in a workspace.
    Host(HostKey),
    /// The tab-host that has no site yet.
    Spare,
    /// The one process of a role.
    Daemon(Role),
}

impl Key {
    /// Returns the role of the child's processes.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Host(_) | Self::Spare => Role::TabHost,
            Self::Daemon(role) => *role,
        }
    }

    fn rules(&self) -> &'static Rules {
        if *self == Self::Spare { &SPARE } else { of(self.role()) }
    }
}

/// Action for the rest of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a process for this child.
    Spawn(Key),
    /// Ask the child's process to end.
    AskToEnd(Key),
    /// Kill the child's process.
    Kill { key: Key, reason: String },
    /// Send a heartbeat, to be answered.
    SendHeartbeat(Key),
    /// Tell the session that a host takes commands.
    ReportUp(HostKey),
    /// Tell the session that a host died. `given_up`: it is not started again until the user asks for it.
    ReportDown { host: HostKey, reason: String, given_up: bool },
}

/// Vital signs of the children's processes.
pub trait Vitals {
    /// Takes the answer to a heartbeat, where one has arrived since the last call.
    fn take_answer(&mut self, key: &Key) -> bool;

    /// Returns how long the process, or the broker that reads its answers, has waited for a processor since the answer was
    /// first missed. `overslept` is the broker's part of it.
    fn starved(&mut self, key: &Key, overslept: Duration) -> Duration;
}

/// State of a child, for the status and for crash reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildState {
    /// Name of the state.
    pub name: &'static str,
    /// Unexpected deaths.
    pub crashes: u32,
    /// The process takes commands.
    pub is_ready: bool,
    /// The process was asked to end.
    pub is_stopping: bool,
}

/// The supervision of all children.
#[derive(Debug)]
pub struct Supervisor {
    machines: HashMap<Key, Machine>,
    /// A spare is wanted.
    keeps_spare: bool,
    /// Seconds for which there has been no spare.
    spare_missing_s: u32,
    ticks: u64,
    last_tick: Instant,
    /// Time by which ticks were late, all in all: in it, answers may have arrived that were not read.
    overslept: Duration,
    /// The browser ends: nothing is started any more.
    is_ending: bool,
}

impl Supervisor {
    /// Returns a supervisor without children. `keeps_spare`: a tab-host is kept ready for the next site.
    #[must_use]
    pub fn new(keeps_spare: bool, now: Instant) -> Self {
        Self {
            machines: HashMap::new(),
            keeps_spare,
            spare_missing_s: 0,
            ticks: 0,
            last_tick: now,
            overslept: Duration::ZERO,
            is_ending: false,
        }
    }

    /// Wants a child to run. One that runs already is reported once more: whoever wants it may not know that it is up.
    pub fn want(&mut self, key: &Key, now: Instant) -> Vec<Action> {
        if self.is_ending {
            return Vec::new();
        }
        let mut actions = self.advance(key, Event::Wanted, now);
        if let (Key::Host(host), true) = (key, self.is_ready(key)) {
            actions.push(Action::ReportUp(host.clone()));
        }
        actions
    }

    /// Wants a child no longer.
    pub fn unwant(&mut self, key: &Key, now: Instant) -> Vec<Action> {
        self.advance(key, Event::Unwanted, now)
    }

    /// Notes that a child said that it is ready. Returns `None` for one that is not being started.
    pub fn ready(&mut self, key: &Key, now: Instant) -> Option<Vec<Action>> {
        if self.is_ready(key) {
            return None;
        }
        let mut actions = self.advance(key, Event::IsReady, now);
        if !self.is_ready(key) {
            return None;
        }
        if let Key::Host(host) = key {
            actions.push(Action::ReportUp(host.clone()));
        }
        Some(actions)
    }

    /// Notes a death, and decides what follows from it.
    pub fn died(&mut self, key: &Key, reason: &str, now: Instant) -> Vec<Action> {
        let machine = self.machine(key);
        let decided = machine.on(Event::Died, now, jitter());
        let gave_up = decided.contains(&MachineAction::GivesUp);
        let comes_back = decided.iter().any(|action| matches!(action, MachineAction::ComesBack(_)));
        let mut actions = translate(key, decided);
        match key {
            // The session says whether the site is still wanted: its answer is `want`.
            Key::Host(host) if gave_up || comes_back => {
                actions.push(Action::ReportDown { host: host.clone(), reason: reason.to_owned(), given_up: gave_up });
            }
            Key::Daemon(_) if comes_back => actions.extend(self.want(key, now)),
            // The next full second says whether another spare is wanted.
            Key::Host(_) | Key::Daemon(_) | Key::Spare => {}
        }
        actions
    }

    /// Notes that the spare became the host of a site: its life as a spare is over, without a death.
    pub fn spare_taken(&mut self) {
        self.machines.remove(&Key::Spare);
    }

    /// Lets time pass. `is_loading`: a page loads or recovers, and a new spare would only slow it down.
    pub fn tick(&mut self, now: Instant, vitals: &mut impl Vitals, is_loading: bool) -> Vec<Action> {
        self.ticks += 1;
        self.overslept += now.saturating_duration_since(self.last_tick).saturating_sub(TICK * 2);
        self.last_tick = now;
        let mut actions = Vec::new();
        let waiting: Vec<Key> =
            self.machines.iter().filter(|(_, machine)| machine.waits()).map(|(key, _)| key.clone()).collect();
        for key in waiting {
            if vitals.take_answer(&key) {
                actions.extend(self.advance(&key, Event::Answered, now));
            }
            let starved = vitals.starved(&key, self.overslept);
            actions.extend(self.advance(&key, Event::Tick { starved }, now));
        }
        if self.is_full_second() {
            actions.extend(self.send_heartbeats(now, vitals));
            actions.extend(self.keep_spare(is_loading, now));
        }
        actions
    }

    /// Returns whether the last tick completed a second.
    #[must_use]
    pub fn is_full_second(&self) -> bool {
        let ticks = u64::try_from(HEARTBEAT_INTERVAL.as_millis() / TICK.as_millis()).unwrap_or(1);
        self.ticks.is_multiple_of(ticks)
    }

    /// Forgets the deaths of hosts that nobody wants, from time to time.
    pub fn prune(&mut self, is_wanted: impl Fn(&HostKey) -> bool) {
        if self.ticks.is_multiple_of(PRUNE_TICKS) {
            self.machines.retain(|key, machine| match key {
                Key::Host(host) => machine.has_process() || is_wanted(host),
                Key::Spare | Key::Daemon(_) => true,
            });
        }
    }

    /// Ends every child, and starts none any more.
    pub fn end_all(&mut self, now: Instant) -> Vec<Action> {
        self.is_ending = true;
        let keys: Vec<Key> = self.machines.keys().cloned().collect();
        keys.iter().flat_map(|key| self.unwant(key, now)).collect()
    }

    /// Returns whether a child takes commands.
    #[must_use]
    pub fn is_ready(&self, key: &Key) -> bool {
        self.machines.get(key).is_some_and(Machine::is_ready)
    }

    /// Returns whether a child was asked to end.
    #[must_use]
    pub fn is_stopping(&self, key: &Key) -> bool {
        self.machines.get(key).is_some_and(Machine::is_stopping)
    }

    /// Returns the state of a child.
    #[must_use]
    pub fn state(&self, key: &Key) -> Option<ChildState> {
        let machine = self.machines.get(key)?;
        Some(ChildState {
            name: machine.name(),
            crashes: machine.crashes(),
            is_ready: machine.is_ready(),
            is_stopping: machine.is_stopping(),
        })
    }

    /// Returns a warning for each daemon that dies again and again.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let daemons = self.machines.iter().filter(|(_, machine)| machine.struggles());
        daemons.filter_map(|(key, _)| match key {
            Key::Daemon(role) => Some(format!("the {role} dies again and again: see `regen logs`")),
            Key::Host(_) | Key::Spare => None,
        })
    }

    fn machine(&mut self, key: &Key) -> &mut Machine {
        self.machines.entry(key.clone()).or_insert_with(|| Machine::new(key.rules()))
    }

    fn advance(&mut self, key: &Key, event: Event, now: Instant) -> Vec<Action> {
        let machine = self.machine(key);
        let before = machine.name();
        let decided = machine.on(event, now, jitter());
        if machine.name() != before {
            tracing::debug!(role = %key.role(), "{before} → {}", machine.name());
        }
        translate(key, decided)
    }

    fn send_heartbeats(&mut self, now: Instant, vitals: &mut impl Vitals) -> Vec<Action> {
        let ready: Vec<Key> =
            self.machines.iter().filter(|(_, machine)| machine.is_ready()).map(|(key, _)| key.clone()).collect();
        let mut actions = Vec::new();
        for key in ready {
            // An answer that came late is an answer.
            if vitals.take_answer(&key) {
                actions.extend(self.advance(&key, Event::Answered, now));
            }
            actions.extend(self.advance(&key, Event::Asked, now));
            actions.push(Action::SendHeartbeat(key));
        }
        actions
    }

    fn keep_spare(&mut self, is_loading: bool, now: Instant) -> Vec<Action> {
        let is_there = self.machines.get(&Key::Spare).is_some_and(Machine::has_process);
        let is_busy = is_loading || self.machines.values().any(Machine::is_starting);
        self.spare_missing_s = if is_there { 0 } else { self.spare_missing_s + 1 };
        let is_due = !is_busy || self.spare_missing_s > MAX_SPARE_DEFERRAL_S;
        if self.keeps_spare && !is_there && is_due { self.want(&Key::Spare, now) } else { Vec::new() }
    }
}

/// Turns what a machine decided into actions, and logs what only people need to know.
fn translate(key: &Key, decided: Vec<MachineAction>) -> Vec<Action> {
    let role = key.role();
    let action = |decision| match decision {
        MachineAction::Spawn => Some(Action::Spawn(key.clone())),
        MachineAction::AskToEnd => Some(Action::AskToEnd(key.clone())),
        MachineAction::Kill(reason) => Some(Action::Kill { key: key.clone(), reason }),
        MachineAction::ComesBack(delay) => {
            tracing::debug!(%role, "starts again in {delay:?}");
            None
        }
        MachineAction::GivesUp => {
            tracing::warn!(%role, "died too often: not started again until the user asks for it");
            None
        }
        MachineAction::Struggles => {
            tracing::warn!(%role, "dies again and again: restarted slowly");
            None
        }
    };
    decided.into_iter().filter_map(action).collect()
}

/// Returns a random number from 0 to 1.
fn jitter() -> f64 {
    fastrand::f64()
}
