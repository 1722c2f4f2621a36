//! The supervisor without processes: which actions follow from what is wanted and observed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use regen_net_config::site::Site;
use regen_proto::role::Role;

use super::{Action, Key, Supervisor, TICK, Vitals};
use regen_session::HostKey;

/// Vital signs that a test sets.
#[derive(Default)]
struct Signs {
    answers: HashMap<Key, bool>,
}

impl Vitals for Signs {
    fn take_answer(&mut self, key: &Key) -> bool {
        self.answers.insert(key.clone(), false).unwrap_or(false)
    }

    fn starved(&mut self, _: &Key, _: Duration) -> Duration {
        Duration::ZERO
    }
}

fn host(url: &str) -> HostKey {
    HostKey { site: Site::of(url).unwrap(), workspace: String::new() }
}

fn key() -> Key {
    Key::Host(host("http://a.test/"))
}

fn supervisor(keeps_spare: bool) -> (Supervisor, Instant) {
    let now = Instant::now();
    (Supervisor::new(keeps_spare, now), now)
}

fn up(supervisor: &mut Supervisor, key: &Key, now: Instant) {
    assert_eq!(supervisor.want(key, now), [Action::Spawn(key.clone())]);
    assert!(supervisor.ready(key, now).is_some());
}

#[test]
fn a_wanted_host_is_started_once_and_reported_when_it_is_up() {
    let (mut supervisor, now) = supervisor(false);
    assert_eq!(supervisor.want(&key(), now), [Action::Spawn(key())]);
    assert_eq!(supervisor.want(&key(), now), []);
    assert_eq!(supervisor.ready(&key(), now), Some(vec![Action::ReportUp(host("http://a.test/"))]));
    assert_eq!(supervisor.ready(&key(), now), None, "a second Ready changes nothing");
    assert_eq!(supervisor.want(&key(), now), [Action::ReportUp(host("http://a.test/"))]);
}

#[test]
fn a_host_that_dies_is_reported_and_comes_back_only_if_it_is_still_wanted() {
    let (mut supervisor, now) = supervisor(false);
    up(&mut supervisor, &key(), now);
    let down = Action::ReportDown { host: host("http://a.test/"), reason: "signal 9".into(), given_up: false };
    assert_eq!(supervisor.died(&key(), "signal 9", now), [down]);
    assert_eq!(supervisor.want(&key(), now), [Action::Spawn(key())], "the first restart is immediate");
    assert!(supervisor.ready(&key(), now).is_some());
    supervisor.died(&key(), "signal 9", now);
    assert_eq!(supervisor.unwant(&key(), now), []);
    let mut signs = Signs::default();
    for tick in 0..600 {
        assert_eq!(supervisor.tick(now + TICK * tick, &mut signs, false), [], "nobody wants it any more");
    }
}

#[test]
fn a_host_that_dies_three_times_is_given_up_until_it_is_wanted_anew() {
    let (mut supervisor, start) = supervisor(false);
    up(&mut supervisor, &key(), start);
    let mut signs = Signs::default();
    let mut reports = Vec::new();
    let mut now = start;
    for _ in 0..3 {
        let actions = supervisor.died(&key(), "crash", now);
        reports.extend(
            actions.into_iter().filter_map(|action| {
                if let Action::ReportDown { given_up, .. } = action { Some(given_up) } else { None }
            }),
        );
        if reports.last() == Some(&true) {
            break;
        }
        let mut actions = supervisor.want(&key(), now);
        while !actions.contains(&Action::Spawn(key())) {
            now += TICK;
            actions = supervisor.tick(now, &mut signs, false);
        }
        supervisor.ready(&key(), now);
    }
    assert_eq!(reports, [false, false, true]);
    assert_eq!(supervisor.want(&key(), now), [Action::Spawn(key())], "the user asked for it");
}

#[test]
fn a_daemon_comes_back_by_itself_but_not_at_the_end() {
    let (mut supervisor, now) = supervisor(false);
    let net = Key::Daemon(Role::NetDaemon);
    up(&mut supervisor, &net, now);
    assert_eq!(supervisor.died(&net, "crash", now), [Action::Spawn(net.clone())]);
    supervisor.ready(&net, now);
    assert_eq!(supervisor.end_all(now), [Action::AskToEnd(net.clone())]);
    assert_eq!(supervisor.died(&net, "asked", now), []);
    assert_eq!(supervisor.want(&net, now), [], "the browser ends");
}

#[test]
fn a_host_that_is_wanted_while_it_ends_starts_after_its_predecessor_is_gone() {
    let (mut supervisor, now) = supervisor(false);
    up(&mut supervisor, &key(), now);
    assert_eq!(supervisor.unwant(&key(), now), [Action::AskToEnd(key())]);
    assert_eq!(supervisor.want(&key(), now), [], "two processes never share a bucket");
    assert_eq!(supervisor.died(&key(), "exited", now), [Action::Spawn(key())]);
}

#[test]
fn silence_after_a_heartbeat_is_a_hang_and_an_answer_is_not() {
    let (mut supervisor, start) = supervisor(false);
    up(&mut supervisor, &key(), start);
    let mut signs = Signs::default();
    let mut killed_after = |answers: bool| {
        for tick in 1..100 {
            signs.answers.insert(key(), answers);
            let actions = supervisor.tick(start + TICK * tick, &mut signs, false);
            if actions.iter().any(|action| matches!(action, Action::Kill { .. })) {
                return Some(tick);
            }
        }
        None
    };
    assert_eq!(killed_after(true), None);
    assert!(killed_after(false).is_some_and(|ticks| ticks <= 25), "within the 2 s that are promised");
}

#[test]
fn a_spare_is_kept_when_nothing_more_urgent_is_done_or_that_takes_too_long() {
    let (mut supervisor, start) = supervisor(true);
    let mut signs = Signs::default();
    let mut run = |supervisor: &mut Supervisor, ticks: std::ops::RangeInclusive<u32>, is_loading| {
        let mut all = Vec::new();
        for tick in ticks {
            all.extend(supervisor.tick(start + TICK * tick, &mut signs, is_loading));
        }
        all
    };
    assert_eq!(run(&mut supervisor, 1..=50, true), [], "a page loads");
    assert_eq!(run(&mut supervisor, 51..=60, true), [Action::Spawn(Key::Spare)], "it loads for too long");
    supervisor.spare_taken();
    assert_eq!(run(&mut supervisor, 61..=70, false), [Action::Spawn(Key::Spare)]);
}
