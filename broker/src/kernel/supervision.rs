//! The kernel's side of supervision: feeds what happens to each child's state machine, and does what the machine says.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use regen_proto::kernel::v1::{Heartbeat, Role, Shutdown};
use regen_proto::validate::BrokerToChild;
use regen_sandbox::policy::Resource;

use super::child::{Child, ChildId, role_name};
use super::process_stats::{ProcessStats, descriptors, resident_kb};
use super::{Input, Kernel, proportional_kb};
use crate::pidfd::has_ended;
use crate::session::{Event as SessionEvent, HostKey};
use crate::supervisor::{ASK, Action, Event, Machine, Rules, SPARE, of};

/// How often every machine is told that time went by.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// One of so many children is weighed at each tick, and those that are heavy already at every one.
const TURNS: u64 = 10;
/// After so many ticks, the memory of a child that may have too much is added up anew in any case.
const WEIGHED_ANEW: u64 = 10;
/// Every so many ticks, descriptors and threads are counted.
const COUNTED: u64 = 100;

/// Memory of a child and its helpers when it was added up, which takes the kernel a millisecond for each process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weighed {
    /// Shared pages counted for each process.
    resident_kb: u64,
    helpers: usize,
    tick: u64,
    /// Shared pages counted in parts; none: it is still being added up.
    proportional_kb: Option<u64>,
}

impl Weighed {
    /// Returns whether the child may use more than the limit by now: it cannot use more than it did and has taken since. Where
    /// processes that shared pages with others ended, and after a while, that is not known.
    fn may_exceed(&self, limit_kb: u64, resident_kb: u64, helpers: usize, tick: u64) -> bool {
        let Some(before) = self.proportional_kb else { return true };
        let most = before + resident_kb.saturating_sub(self.resident_kb);
        most > limit_kb || helpers < self.helpers || tick.saturating_sub(self.tick) >= WEIGHED_ANEW
    }
}

/// What is supervised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Host(HostKey),
    /// The tab-host that no site has yet.
    Spare,
    Daemon(Role),
}

impl Key {
    fn role(&self) -> Role {
        match self {
            Self::Host(_) | Self::Spare => Role::TabHost,
            Self::Daemon(role) => *role,
        }
    }

    fn rules(&self) -> &'static Rules {
        if *self == Self::Spare { &SPARE } else { of(self.role()) }
    }
}

impl Child {
    pub(super) fn key(&self) -> Key {
        match &self.host {
            Some(host) => Key::Host(host.clone()),
            None if self.role == Role::TabHost => Key::Spare,
            None => Key::Daemon(self.role),
        }
    }

    fn is_of(&self, key: &Key) -> bool {
        match key {
            Key::Host(host) => self.host.as_ref() == Some(host),
            Key::Spare => self.host.is_none() && self.role == Role::TabHost,
            Key::Daemon(role) => self.role == *role && self.role != Role::TabHost,
        }
    }
}

impl Kernel {
    /// A daemon should be there.
    pub(super) fn start_daemon(&mut self, role: Role) {
        self.supervise(&Key::Daemon(role), Event::Wanted);
    }

    /// A site's host should be there.
    pub(super) fn start_host(&mut self, host: &HostKey) {
        if self.session.hosts.contains_key(host) {
            self.supervise(&Key::Host(host.clone()), Event::Wanted);
        }
    }

    /// A site's host should not be there any more.
    pub(super) fn stop_host(&mut self, host: &HostKey) {
        self.supervise(&Key::Host(host.clone()), Event::Unwanted);
    }

    /// Tells a machine what happened, and does what it says. Gives what it said.
    pub(super) fn supervise(&mut self, key: &Key, event: Event) -> Vec<Action> {
        let machine = self.machines.entry(key.clone()).or_insert_with(|| Machine::new(key.rules()));
        let before = machine.name();
        let actions = machine.on(event, Instant::now(), jitter());
        if machine.name() != before {
            tracing::debug!(role = role_name(key.role()), "{before} → {}", machine.name());
            self.changed.send_modify(|generation| *generation += 1);
        }
        for action in &actions {
            self.act(key, action);
        }
        actions
    }

    fn act(&mut self, key: &Key, action: &Action) {
        let id = self.child_of(key);
        match action {
            Action::Spawn => self.start(key),
            Action::AskToEnd => {
                if let Some(id) = id {
                    self.send(id, BrokerToChild::Shutdown(Shutdown {}), Vec::new());
                }
            }
            Action::Kill(reason) => {
                if let Some(id) = id {
                    self.kill_child(id, reason);
                }
            }
            Action::ComesBack(delay) => tracing::debug!(role = role_name(key.role()), "comes back in {delay:?}"),
            Action::GivesUp => tracing::warn!(role = role_name(key.role()), "died too often: it waits for the user"),
            Action::Struggles => {
                tracing::warn!(role = role_name(key.role()), "dies again and again: it is tried slowly");
            }
        }
    }

    /// The process that a machine has, whatever state it is in.
    pub(super) fn child_of(&self, key: &Key) -> Option<ChildId> {
        self.children.iter().find(|(_, child)| child.is_of(key)).map(|(id, _)| *id)
    }

    pub(super) fn machine_of(&self, child: &Child) -> Option<&Machine> {
        self.machines.get(&child.key())
    }

    /// Daemons that die again and again, for the status.
    pub(super) fn struggling(&self) -> impl Iterator<Item = String> {
        let daemons =
            self.machines.iter().filter(|(key, machine)| matches!(key, Key::Daemon(_)) && machine.struggles());
        daemons.map(|(key, _)| format!("the {} dies again and again: see `regen logs`", role_name(key.role())))
    }

    /// Time went by.
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        // While this process waited for a processor, an answer may have come that it has not read.
        let now = Instant::now();
        self.overslept += now.saturating_duration_since(self.ticked).saturating_sub(TICK * 2);
        self.ticked = now;
        let waiting = self.machines.iter().filter(|(_, machine)| machine.waits());
        let waiting: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
        for key in waiting {
            let overslept = self.overslept;
            let id = self.child_of(&key);
            if let Some(id) = id.filter(|id| self.children.get(id).is_some_and(|child| child.pulse.take())) {
                self.answered(id);
            }
            let child = id.and_then(|id| self.children.get_mut(&id));
            let starved = child.map_or(Duration::ZERO, |child| starved(child, overslept));
            self.supervise(&key, Event::Tick { starved });
        }
        // After that: who is asked now need not be looked at before the next tick.
        if self.ticks.is_multiple_of(ticks_in(ASK)) {
            self.look_after_store();
            self.ask_all();
            self.hibernate();
            self.keep_spare();
        }
        self.weigh();
        if self.ticks.is_multiple_of(COUNTED) {
            // A site that nobody has open needs no memory of its deaths.
            let hosts = &self.session.hosts;
            self.machines.retain(|key, machine| match key {
                Key::Host(host) => machine.has_process() || hosts.contains_key(host),
                Key::Spare | Key::Daemon(_) => true,
            });
            self.count();
        }
    }

    fn ask_all(&mut self) {
        let ready: Vec<(ChildId, Key)> = self
            .children
            .iter()
            .filter(|(_, child)| self.machine_of(child).is_some_and(Machine::is_ready))
            .map(|(id, child)| (*id, child.key()))
            .collect();
        for (id, key) in ready {
            // One that answered late has answered.
            if self.children.get(&id).is_some_and(|child| child.pulse.take()) {
                self.answered(id);
            }
            self.supervise(&key, Event::Asked);
            if let Some(child) = self.children.get_mut(&id).filter(|child| child.asked.is_none()) {
                (child.asked, child.waited) = (Some(Instant::now()), None);
            }
            self.send(id, BrokerToChild::Heartbeat(Heartbeat { nonce: 0 }), Vec::new());
        }
    }

    pub(super) fn answered(&mut self, id: ChildId) {
        let Some(child) = self.children.get_mut(&id) else { return };
        child.asked = None;
        let key = child.key();
        self.supervise(&key, Event::Answered);
    }

    /// Ends children that take more memory than their policy allows: where there is no memory control group, nothing else would
    /// before the whole machine is out of it. What they show comes back from its snapshot.
    fn weigh(&mut self) {
        for (id, child) in &mut self.children {
            let Some(limit_kb) = self.ceilings_kb.get(role_name(child.role)).copied().filter(|_| child.pid > 0) else {
                continue;
            };
            if !child.is_heavy && !(id + self.ticks).is_multiple_of(TURNS) {
                continue;
            }
            child.helpers.retain(|helper| !has_ended(&helper.pidfd));
            let own = child.stats.as_ref().map_or(0, ProcessStats::resident_kb);
            let resident = own + child.helpers.iter().map(|helper| resident_kb(helper.pid)).sum::<u64>();
            child.is_heavy = resident > limit_kb / 2;
            // One that is going weighs less and less: what it weighed is of interest.
            if resident > 0 && child.doom.is_none() {
                child.resources.resident_kb = resident;
                child.resources.helpers = child.helpers.len();
            }
            // Shared pages count once for each process there, and in parts here: the cheap look comes first.
            let helpers = child.helpers.len();
            let may_be_over = resident > limit_kb
                && child.weighed.is_none_or(|weighed| weighed.may_exceed(limit_kb, resident, helpers, self.ticks));
            if may_be_over && !std::mem::replace(&mut child.is_being_weighed, true) {
                child.weighed =
                    Some(Weighed { resident_kb: resident, helpers, tick: self.ticks, proportional_kb: None });
                let all: Vec<i32> = child.helpers.iter().map(|helper| helper.pid).chain([child.pid]).collect();
                let (child, inbox) = (*id, self.inbox.clone());
                tokio::task::spawn_blocking(move || {
                    let proportional_kb = all.into_iter().map(proportional_kb).sum();
                    // The kernel may have ended meanwhile.
                    let _ = inbox.blocking_send(Input::Weighed { child, proportional_kb });
                });
            }
        }
    }

    /// The memory of a child that seemed to have too much was added up.
    pub(super) fn weighed(&mut self, id: ChildId, used_kb: u64) {
        let Some(child) = self.children.get_mut(&id) else { return };
        child.is_being_weighed = false;
        if let Some(weighed) = &mut child.weighed {
            weighed.proportional_kb = Some(used_kb);
        }
        let limit = self.ceilings_kb.get(role_name(child.role)).copied();
        if let Some(limit) = limit.filter(|limit| used_kb > *limit) {
            self.kill_child(id, &format!("memory: it used {} MB, and the limit is {} MB", used_kb >> 10, limit >> 10));
        }
    }

    /// Says once of a child that it has nearly as many descriptors or threads as it may have: it leaks, or soon fails.
    fn count(&mut self) {
        for child in self.children.values_mut().filter(|child| child.pid > 0) {
            let Some(policy) = self.policies.get(role_name(child.role)) else { continue };
            let limit =
                |resource| policy.limit.iter().find(|limit| limit.resource == resource).map(|limit| limit.value);
            let Some(threads) = child.stats.as_ref().map(ProcessStats::threads) else { continue };
            let open = descriptors(child.pid);
            (child.resources.threads, child.resources.descriptors) = (threads, open);
            for (what, now, most) in
                [("descriptors", open, limit(Resource::Nofile)), ("threads", threads, limit(Resource::Nproc))]
            {
                if !child.is_leaking && most.is_some_and(|most| now > most * 3 / 4) {
                    child.is_leaking = true;
                    tracing::warn!(role = role_name(child.role), pid = child.pid, "leaks: it has {now} {what}");
                }
            }
        }
    }

    /// A death: what becomes of the child, and of those who need it.
    pub(super) fn died(&mut self, key: &Key, reason: &str) {
        let actions = self.supervise(key, Event::Died);
        match key {
            Key::Host(host) => {
                let was_asked = !actions.iter().any(|action| matches!(action, Action::ComesBack(_) | Action::GivesUp));
                if !was_asked {
                    let given_up = actions.contains(&Action::GivesUp);
                    self.apply(SessionEvent::HostDied { host: host.clone(), reason: reason.to_owned(), given_up });
                }
            }
            // The first time it comes back at once; later its machine says when.
            Key::Daemon(_) if !self.quitting => {
                if actions.iter().any(|action| matches!(action, Action::ComesBack(_))) {
                    self.supervise(key, Event::Wanted);
                }
            }
            // The next look says whether another one is wanted.
            Key::Daemon(_) | Key::Spare => {}
        }
    }
}

fn ticks_in(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(1)
}

/// How long a child, or whoever reads its answers, has waited for a processor since its answer was first missed. Most answer
/// before the next tick, and are not looked at.
fn starved(child: &mut Child, overslept: Duration) -> Duration {
    if child.asked.is_none() {
        return Duration::ZERO;
    }
    let now = child.stats.as_ref().map_or(Duration::ZERO, ProcessStats::waited) + overslept;
    now.saturating_sub(*child.waited.get_or_insert(now))
}

/// From 0 to 1, as it comes.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_added_up_when_it_may_have_become_too_much() {
        let weighed = Weighed { resident_kb: 6000, helpers: 40, tick: 100, proportional_kb: Some(1000) };
        assert!(!weighed.may_exceed(4000, 6000, 40, 101), "nothing has changed");
        assert!(!weighed.may_exceed(4000, 9000, 40, 101), "1,000 and 3,000 more");
        assert!(weighed.may_exceed(4000, 9001, 40, 101), "and one more");
        assert!(weighed.may_exceed(4000, 5000, 39, 101), "one ended: the others have its share of common pages");
        assert!(weighed.may_exceed(4000, 6000, 40, 110), "a while later");
        let outstanding = Weighed { proportional_kb: None, ..weighed };
        assert!(outstanding.may_exceed(4000, 6000, 40, 101));
    }
}
