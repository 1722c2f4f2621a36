//! Behaviour of the state machine: events of a child, and the machine's actions.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use regen_proto::role::Role;

use super::machine::{Event, Machine, MachineAction};
use super::rules::{HEARTBEAT_INTERVAL, dependents, of};

const STEP: Duration = Duration::from_millis(100);

/// A machine with a clock that only the test moves.
struct Bench {
    machine: Machine,
    now: Instant,
}

impl Bench {
    fn new(role: Role) -> Self {
        Self { machine: Machine::new(of(role)), now: Instant::now() }
    }

    fn on(&mut self, event: Event) -> Vec<MachineAction> {
        self.machine.on(event, self.now, 0.5)
    }

    fn tick_for(&mut self, time: Duration) -> Vec<MachineAction> {
        self.tick_starved(time, Duration::ZERO)
    }

    fn tick_starved(&mut self, time: Duration, starved: Duration) -> Vec<MachineAction> {
        let end = self.now + time;
        let mut actions = Vec::new();
        while self.now < end {
            self.now += STEP;
            actions.extend(self.on(Event::Tick { starved }));
        }
        actions
    }

    fn up(role: Role) -> Self {
        let mut bench = Self::new(role);
        assert_eq!(bench.on(Event::Wanted), [MachineAction::Spawn]);
        assert_eq!(bench.on(Event::IsReady), []);
        assert!(bench.machine.is_ready());
        bench
    }

    /// Lets the child die and come back. Returns the delay.
    fn dies(&mut self) -> Duration {
        let actions = self.on(Event::Died);
        let delay = actions.iter().find_map(|action| match action {
            MachineAction::ComesBack(delay) => Some(*delay),
            MachineAction::Spawn
            | MachineAction::AskToEnd
            | MachineAction::Kill(_)
            | MachineAction::GivesUp
            | MachineAction::Struggles => None,
        });
        let delay = delay.unwrap_or_else(|| panic!("{actions:?}"));
        assert_eq!(self.tick_for(delay.max(STEP)).last(), Some(&MachineAction::Spawn), "{delay:?}");
        self.on(Event::IsReady);
        delay
    }
}

#[test]
fn it_is_ready_when_it_says_so_and_killed_when_it_never_does() {
    let mut bench = Bench::new(Role::TabHost);
    assert_eq!(bench.on(Event::Wanted), [MachineAction::Spawn]);
    assert!(!bench.machine.is_ready());
    assert_eq!(bench.tick_for(Duration::from_secs(29)), []);
    let killed = bench.tick_for(Duration::from_secs(10));
    assert!(matches!(killed.as_slice(), [MachineAction::Kill(reason)] if reason.contains("30 s")), "{killed:?}");
}

#[test]
fn a_hang_is_found_within_two_seconds_of_its_beginning() {
    let mut bench = Bench::up(Role::TabHost);
    let mut beginning = bench.now;
    // The child hangs right after an answer, which is the worst moment.
    bench.on(Event::Asked);
    bench.on(Event::Answered);
    bench.tick_for(HEARTBEAT_INTERVAL);
    bench.on(Event::Asked);
    while bench.tick_for(STEP).is_empty() {
        assert!(bench.now - beginning < Duration::from_secs(2));
    }
    // A child that answers late is degraded, and then ready again.
    let mut bench = Bench::up(Role::TabHost);
    bench.on(Event::Asked);
    beginning = bench.now;
    assert_eq!(bench.tick_for(Duration::from_millis(600)), []);
    assert_eq!(bench.machine.name(), "degraded");
    assert!(bench.machine.is_ready() && bench.now > beginning);
    bench.on(Event::Answered);
    assert_eq!(bench.machine.name(), "ready");
}

#[test]
fn whoever_waited_for_a_processor_did_not_hang() {
    let mut bench = Bench::up(Role::TabHost);
    bench.on(Event::Asked);
    assert_eq!(bench.tick_starved(Duration::from_secs(4), Duration::from_secs(4)), []);
    assert_eq!(bench.machine.name(), "ready");
}

#[test]
fn it_is_killed_once() {
    let mut bench = Bench::up(Role::TabHost);
    bench.on(Event::Asked);
    let kills = bench.tick_for(Duration::from_secs(20));
    assert_eq!(kills.len(), 1, "{kills:?}");
    bench.on(Event::Died);
    assert!(!bench.machine.has_process());
}

#[test]
fn the_first_restart_is_immediate_and_later_ones_wait_longer_but_not_all_the_same() {
    let mut bench = Bench::up(Role::NetDaemon);
    let delays: Vec<Duration> = (0..7).map(|_| bench.dies()).collect();
    assert_eq!(delays[0], Duration::ZERO);
    assert!(delays[1..].windows(2).all(|pair| pair[0] * 2 == pair[1]), "{delays:?}");
    let with = |jitter| {
        let mut bench = Bench::up(Role::NetDaemon);
        bench.dies();
        bench.machine.on(Event::Died, bench.now, jitter)
    };
    assert_ne!(with(0.1), with(0.9));
}

#[test]
fn a_page_that_dies_three_times_in_a_minute_waits_for_its_user() {
    let mut bench = Bench::up(Role::TabHost);
    bench.dies();
    bench.tick_for(Duration::from_secs(20));
    bench.dies();
    bench.tick_for(Duration::from_secs(20));
    assert_eq!(bench.on(Event::Died), [MachineAction::GivesUp]);
    assert_eq!(bench.tick_for(Duration::from_secs(600)), []);
    assert_eq!(bench.on(Event::Wanted), [MachineAction::Spawn], "the user's button");
    bench.on(Event::IsReady);
    assert_eq!(bench.dies(), Duration::ZERO, "what was before is forgotten");
    assert_eq!(bench.machine.crashes(), 4);
}

#[test]
fn a_daemon_is_never_given_up_and_said_to_struggle() {
    let mut bench = Bench::up(Role::NetDaemon);
    for _ in 0..7 {
        bench.dies();
    }
    let actions = bench.on(Event::Died);
    assert!(matches!(actions.as_slice(), [MachineAction::Struggles, MachineAction::ComesBack(_)]), "{actions:?}");
    let mut calm = Bench::up(Role::TabHost);
    for _ in 0..50 {
        assert_eq!(calm.dies(), Duration::ZERO, "slow crashes are forgotten");
        calm.tick_for(Duration::from_secs(60));
    }
}

#[test]
fn it_ends_when_it_is_asked_to_and_comes_back_if_somebody_wants_it_meanwhile() {
    let mut bench = Bench::up(Role::TabHost);
    assert_eq!(bench.on(Event::Unwanted), [MachineAction::AskToEnd]);
    assert_eq!(bench.on(Event::Died), []);
    assert_eq!((bench.machine.name(), bench.machine.crashes()), ("stopped", 0));
    let mut bench = Bench::up(Role::TabHost);
    bench.on(Event::Unwanted);
    bench.on(Event::Wanted);
    assert_eq!(bench.on(Event::Died), [MachineAction::Spawn]);
    let mut stubborn = Bench::up(Role::TabHost);
    stubborn.on(Event::Unwanted);
    let killed = stubborn.tick_for(Duration::from_secs(3));
    assert!(matches!(killed.as_slice(), [MachineAction::Kill(_)]), "{killed:?}");
}

/// Tries every event in every reachable state, a few steps deep: the machine always has one process or none.
#[test]
fn whatever_happens_there_is_never_more_than_one_process() {
    let events = [
        Event::Wanted,
        Event::IsReady,
        Event::Asked,
        Event::Answered,
        Event::Tick { starved: Duration::ZERO },
        Event::Unwanted,
        Event::Died,
    ];
    let mut names = HashSet::new();
    for role in [Role::TabHost, Role::NetDaemon] {
        for number in 0..events.len().pow(6) {
            let mut bench = Bench::new(role);
            let mut alive = false;
            let mut rest = number;
            for _ in 0..6 {
                let event = events[rest % events.len()];
                rest /= events.len();
                // Only a live process can die or answer.
                if !alive && matches!(event, Event::Died | Event::IsReady | Event::Answered) {
                    continue;
                }
                bench.now += Duration::from_secs(31);
                if event == Event::Died {
                    alive = false;
                }
                for action in bench.on(event) {
                    if action == MachineAction::Spawn {
                        assert!(!alive, "{role:?} {number}");
                        alive = true;
                    }
                    assert!(
                        alive || !matches!(action, MachineAction::Kill(_) | MachineAction::AskToEnd),
                        "{role:?} {number}"
                    );
                }
                assert_eq!(bench.machine.has_process(), alive, "{role:?} {number} {}", bench.machine.name());
                names.insert(bench.machine.name());
            }
        }
    }
    assert_eq!(names.len(), 7 - 1, "all but `given up`, which takes three deaths: {names:?}");
}

#[test]
fn dependents_whom_is_data() {
    assert_eq!(dependents(Role::NetDaemon).collect::<Vec<_>>(), [Role::TabHost]);
    assert!(dependents(Role::AgentDaemon).next().is_none());
}
