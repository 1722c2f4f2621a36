//! What is injected, where and in which order. The same seed gives the same plan.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::read;
use crate::client::Failure;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGSEGV.
    Segv,
    /// SIGABRT.
    Abort,
    /// SIGSTOP, and nobody wakes it.
    Stop,
    /// SIGSTOP, and a moment later SIGCONT: nothing may die of it.
    Pause,
    /// It ends by itself with exit code 0, at a wrong moment.
    Exit,
    /// It may open nothing more.
    Descriptors,
    /// Its page takes memory without end.
    Balloon,
    /// It dies, and its successor dies as soon as it is there.
    KillTwice,
    /// It dies while every processor is busy.
    Starve,
    /// It sends bytes that are no message.
    Garbage,
    /// It sends half a message.
    Truncated,
    /// It sends more than a message may have.
    Oversize,
    /// It says Hello again, in a version that nobody knows.
    Version,
    /// It sends messages as fast as it can.
    Flood,
    /// It sends descriptors that nobody asked for.
    StrayDescriptors,
    /// It dies while everything is being saved.
    KillSaving,
    /// It dies, and its successor dies while it brings the page back.
    KillRestoring,
    /// It dies in the middle of a download.
    KillDownloading,
    /// A site's process dies, and while this one takes its place, the browser.
    KillTaking,
    /// It and the net-daemon die at the same moment.
    KillBoth,
    /// The net-daemon dies, and it while the other one takes its place.
    KillMeanwhile,
    /// Its page keeps a megabyte in its history, and it dies.
    LargeState,
    /// Its site has sixty more tabs, and it dies.
    ManyTabs,
    /// Its server does not answer for a while.
    Stall,
    /// A page asks for hundreds of names, and the name server never answers.
    SilentNames,
    /// It alone stands still for seconds: nobody may be called hung for it.
    Oversleep,
    /// Every process stands still for a while, as when a laptop sleeps, and all clocks jump.
    Suspend,
    /// The clock on the wall jumps by hours, under a running browser and to the next one.
    ClockJump,
    /// The disk has no room for a while.
    NoSpace,
    /// The disk fails for a while.
    IoError,
    /// The browser dies, and the last that it wrote never reached the disk.
    TornRecord,
    /// The browser dies, and a bit of what it wrote changes.
    FlippedBit,
    /// The browser dies, and finds records of a later version.
    ForeignVersion,
    /// The browser dies, finds the records of the first version, and dies again while it reads them.
    OldVersion,
}

/// Where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Target {
    TabHost,
    /// The tab-host that is ready for the next site.
    Spare,
    WebProcess,
    NetworkProcess,
    NetDaemon,
    AgentDaemon,
    Jail,
    Launcher,
    Broker,
    /// The disk under the browser, and what is on it.
    Store,
    /// The machine.
    Machine,
    /// The window, of a campaign that has one.
    UiShell,
}

/// One fault at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) fault: Fault,
    pub(super) role: Target,
    /// Which of the sites, where that matters.
    #[serde(default)]
    pub(super) site: usize,
    /// Milliseconds from the step before.
    #[serde(default)]
    pub(super) after_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// What it is called in reports.
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    /// No step begins later than this.
    pub(super) duration: Option<Duration>,
}

/// Sites that a browser under test has open.
pub(super) const SITES: usize = 4;

/// What can happen where. To the window only in a campaign that has one.
const POSSIBLE: &[(&[Target], &[Fault])] = {
    use Fault::*;
    use Target::*;
    &[
        (
            &[TabHost, Spare, WebProcess, NetworkProcess, NetDaemon, AgentDaemon, Jail, Launcher, Broker, UiShell],
            &[Kill],
        ),
        (&[TabHost, Spare, WebProcess, NetworkProcess, NetDaemon, AgentDaemon, Launcher, Broker, UiShell], &[Abort]),
        (&[TabHost, Spare, WebProcess, NetworkProcess, NetDaemon, AgentDaemon, Broker, UiShell], &[Segv]),
        (&[TabHost, Spare, WebProcess, NetworkProcess, NetDaemon, AgentDaemon, UiShell], &[Pause]),
        (&[TabHost, Spare, NetDaemon, AgentDaemon, UiShell], &[Stop, Exit, Garbage]),
        (&[TabHost, Spare, NetDaemon, UiShell], &[KillTwice, Version, StrayDescriptors]),
        (&[TabHost, NetDaemon, AgentDaemon, UiShell], &[Flood]),
        (&[TabHost, NetDaemon, UiShell], &[Truncated, Oversize]),
        (&[TabHost, NetDaemon], &[Starve, KillDownloading]),
        (&[TabHost, Broker], &[KillSaving]),
        (&[TabHost], &[Descriptors, Balloon, KillRestoring, KillBoth, KillMeanwhile, LargeState, ManyTabs]),
        (&[Spare], &[KillTaking]),
        (&[NetDaemon], &[Stall, SilentNames]),
        (&[Broker], &[Oversleep]),
        (&[Store], &[NoSpace, IoError, TornRecord, FlippedBit, ForeignVersion, OldVersion]),
        (&[Machine], &[Suspend, ClockJump]),
    ]
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    name: Option<String>,
    step: Vec<FileStep>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    fault: Fault,
    role: Target,
    #[serde(default)]
    site: usize,
    #[serde(default)]
    after_ms: u64,
    /// So many times.
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

impl Plan {
    pub(super) fn of_file(path: &Path) -> Result<Self, Failure> {
        Self::parse(&path.display().to_string(), &read(path)?)
    }

    fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let file: File = toml::from_str(text).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
        let mut steps = Vec::new();
        for step in &file.step {
            let FileStep { fault, role, site, after_ms, times } = *step;
            if !pairs().any(|pair| pair == (role, fault)) {
                let names: Vec<String> = possible(role).map(|fault| word(&fault)).collect();
                let what = format!("{name}: {} cannot be done to a {}; it can be: ", word(&fault), word(&role));
                return Err(Failure::Usage(what + &names.join(", ")));
            }
            if site >= SITES {
                return Err(Failure::Usage(format!("{name}: the sites are 0 to {}", SITES - 1)));
            }
            steps.extend(std::iter::repeat_n(Step { fault, role, site, after_ms }, times));
        }
        Ok(Self { name: file.name.unwrap_or_else(|| name.to_owned()), steps, duration: None })
    }

    pub(super) fn random(
        seed: u64,
        faults: usize,
        roles: &[String],
        window: bool,
        duration: Option<Duration>,
    ) -> Result<Self, Failure> {
        let wanted = roles.iter().map(|role| target(role)).collect::<Result<Vec<_>, _>>()?;
        if wanted.contains(&Target::UiShell) && !window {
            return Err(Failure::Usage("there is no ui-shell without --window".to_owned()));
        }
        let is_wanted = |role: &Target| {
            if wanted.is_empty() { window || *role != Target::UiShell } else { wanted.contains(role) }
        };
        let all: Vec<(Target, Fault)> = pairs().filter(|(role, _)| is_wanted(role)).collect();
        let mut random = fastrand::Rng::with_seed(seed);
        // Every pair comes before any comes again: so many faults cover as much as they can.
        let mut deck = Vec::new();
        let mut draw = || {
            if deck.is_empty() {
                deck.clone_from(&all);
                random.shuffle(&mut deck);
            }
            let (role, fault) = deck.pop()?;
            Some(Step { fault, role, site: random.usize(0..SITES), after_ms: random.u64(0..200) })
        };
        let steps = (0..faults).map_while(|_| draw()).collect();
        Ok(Self { name: format!("seed {seed}"), steps, duration })
    }
}

fn pairs() -> impl Iterator<Item = (Target, Fault)> {
    POSSIBLE.iter().flat_map(|(roles, faults)| roles.iter().flat_map(|role| faults.iter().map(|fault| (*role, *fault))))
}

fn possible(role: Target) -> impl Iterator<Item = Fault> {
    pairs().filter(move |(other, _)| *other == role).map(|(_, fault)| fault)
}

fn target(name: &str) -> Result<Target, Failure> {
    let roles: BTreeSet<Target> = pairs().map(|(role, _)| role).collect();
    roles.iter().copied().find(|role| word(role) == name).ok_or_else(|| {
        let names: Vec<String> = roles.iter().map(word).collect();
        Failure::Usage(format!("there is no role “{name}”; there are {}", names.join(", ")))
    })
}

/// As it is written in scenarios and reports.
pub(super) fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let plan = |seed| Plan::random(seed, 200, &[], false, None).unwrap();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7).steps, plan(8).steps);
        let pairs = pairs().filter(|(role, _)| *role != Target::UiShell).count();
        let seen: std::collections::HashSet<_> = plan(1).steps.iter().map(|step| (step.role, step.fault)).collect();
        assert_eq!(seen.len(), pairs, "200 faults hold everything that can happen");
        assert!(Plan::random(1, 5, &["tabhost".to_owned()], false, None).is_err());
    }

    #[test]
    fn a_scenario_says_what_happens_or_where_it_is_wrong() {
        let plan = Plan::parse("x", "[[step]]\nfault = 'kill'\nrole = 'tab-host'\nsite = 2\ntimes = 3\n").unwrap();
        assert_eq!(plan.steps.len(), 3);
        let wrong = |text: &str| Plan::parse("x.toml", text).unwrap_err().to_string();
        assert!(
            wrong("[[step]]\nfault = 'balloon'\nrole = 'broker'")
                .contains("it can be: kill, abort, segv, kill-saving, oversleep")
        );
        assert!(wrong("[[step]]\nfault = 'kil'\nrole = 'broker'").contains("line 2"));
        assert!(wrong("[[step]]\nfault = 'kill'\nrole = 'tab-host'\nsite = 9").contains("0 to 3"));
    }
}
